//! What is done about posts at chat platforms.

use rusqlite::Connection;

use crate::{
    domain::{
        ids::{ConversationId, InboundId},
        outbound::Before,
        posting::TopicPlace,
    },
    store::{self, posts},
};

use super::{messages::*, reader::ReadOp, reads::read_op, writer::WriteOp, writes::write_op};

write_op!(RecordPost -> (), |_| "record_post", |op, db, _boot| posts::record(db, &op.post));
write_op!(RecordDraft -> (), |_| "record_draft", |op, db, _boot| {
    posts::draft(db, &op.inbound, &op.conversation, &op.message, op.now)
});
write_op!(DropDraft -> Option<String>, |_| "drop_draft", |op, db, _boot| posts::drop_draft(db, &op.inbound));
write_op!(OpenTopic -> (), |_| "open_topic", |op, db, _boot| {
    posts::open_topic(db, &op.conversation, &op.topic, &op.at)
});
read_op!(BeforePost -> Before, |op, db| {
    posts::before(db, op.outbox, &op.answers, op.approval.as_ref())
});
read_op!(StaleDrafts -> Vec<(InboundId, ConversationId, String)>, |op, db| {
    posts::stale_drafts(db, &op.channel)
});
read_op!(TopicOf -> Option<TopicPlace>, |op, db| posts::topic(db, &op.conversation, &op.topic));
