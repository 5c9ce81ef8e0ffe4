//! What each read does.

use rusqlite::Connection;

use crate::{
    domain::{
        Millis,
        approval::Approval,
        audit::Row,
        budget::Amount,
        ids::{ConversationId, InboundId, UserId},
        journal::ConversationRow,
        memory::Memory,
        message::FileRef,
        outbound::OutboxRow,
        records::{CostLine, Fate, KeyInfo, Outgoing, StoreHealth, User},
    },
    store::{
        self, approvals, audit, conversations, costs, files, inbound, keys, memories, outbox, upkeep, users,
        wakeups,
    },
};

use super::{messages::*, reader::ReadOp};

macro_rules! read_op {
    ($message:ident -> $reply:ty, |$op:ident, $db:ident| $body:expr) => {
        impl ReadOp for $message {
            type Reply = $reply;

            fn apply(self, $db: &Connection) -> store::Result<$reply> {
                let $op = self;
                $body
            }
        }
    };
}

pub(super) use read_op;

read_op!(LoadConversation -> ConversationRow, |op, db| {
    conversations::load(db, &op.conversation, op.messages)
});
read_op!(Unfinished -> Vec<ConversationId>, |_op, db| conversations::unfinished(db));
read_op!(SearchMemories -> Vec<Memory>, |op, db| {
    memories::search(db, &op.user, &op.query, op.now, op.limit)
});
read_op!(ListMemories -> Vec<Memory>, |op, db| {
    memories::list(db, &op.user, op.category.as_deref(), op.limit, op.offset)
});
read_op!(MemoryCategories -> Vec<String>, |op, db| memories::categories(db, &op.user));
read_op!(GetMemory -> Option<Memory>, |op, db| memories::get(db, &op.user, &op.id));
read_op!(ListApprovals -> Vec<Approval>, |op, db| {
    approvals::list(db, op.user.as_ref(), op.status, op.limit)
});
read_op!(Costs -> Vec<CostLine>, |op, db| costs::summary(db, op.user.as_ref(), op.from, op.to, op.by));
read_op!(Today -> (Amount, Amount, Amount), |op, db| costs::today(db, &op.user, op.now));
read_op!(ListUsers -> Vec<User>, |_op, db| users::list(db));
read_op!(ListKeys -> Vec<KeyInfo>, |_op, db| keys::list(db));
read_op!(FindKey -> Option<(KeyInfo, Vec<u8>)>, |op, db| keys::find(db, &op.hash));
read_op!(ListAudit -> Vec<Row>, |op, db| audit::list(db, op.after, op.limit));
read_op!(VerifyAudit -> (i64, String), |_op, db| audit::verify(db));
read_op!(Replay -> (Vec<OutboxRow>, Option<i64>), |op, db| {
    outbox::replay(db, &op.user, &op.channels, op.after, op.limit)
});
read_op!(ListOutbox -> Vec<Outgoing>, |op, db| {
    outbox::list(db, op.user.as_ref(), op.state, op.before, op.limit)
});
read_op!(LastEvent -> i64, |_op, db| outbox::last_id(db));
read_op!(Known -> Option<InboundId>, |op, db| inbound::known(db, &op.message));
read_op!(FateOf -> Option<Fate>, |op, db| outbox::fate(db, &op.inbound));
read_op!(UnderWay -> Vec<(String, String, Millis)>, |op, db| inbound::under_way(db, &op.user));
read_op!(DueWakeups -> Vec<(i64, ConversationId)>, |op, db| wakeups::due(db, op.now, op.limit));
read_op!(GetFile -> Option<(FileRef, UserId)>, |op, db| files::get(db, &op.id));
read_op!(Health -> StoreHealth, |_op, db| upkeep::health(db));
