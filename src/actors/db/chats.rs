//! What each write and read about people on chat platforms does.

use rusqlite::Connection;

use crate::{
    domain::{
        identity::{Identity, Pairing, Recognised, Redeemed},
        outbound::OutboxRow,
        records::{ChannelQueue, User},
    },
    store::{self, identities, outbox, pairings, users},
};

use super::{messages::*, reader::ReadOp, reads::read_op, writer::WriteOp, writes::write_op};

write_op!(SeeIdentity -> Identity, |_| "see_identity", |op, db, _boot| {
    identities::see(db, &op.channel, &op.external, &op.name, op.direct.as_ref(), op.now)
});
write_op!(AskToPair -> Vec<OutboxRow>, |_| "ask_to_pair", |op, db, boot| {
    pairings::ask(db, boot, &op.pairing, &op.platforms)
});
write_op!(AnswerPairing -> (Pairing, Option<Identity>, Vec<OutboxRow>), |_| "answer_pairing", |op, db, boot| {
    pairings::answer(db, boot, &op.answer)
});
write_op!(ExpirePairings -> (), |_| "expire_pairings", |op, db, _boot| pairings::expire(db, op.now));
write_op!(RefuseIdentity -> Option<OutboxRow>, |_| "refuse_identity", |op, db, boot| {
    identities::refuse(db, boot, (&op.channel, &op.external), &op.name, &op.notice, op.now)
});
write_op!(IssueCode -> (), |_| "issue_code", |op, db, _boot| pairings::issue(db, &op.code));
write_op!(RedeemCode -> Redeemed, |_| "redeem_code", |op, db, _boot| pairings::redeem(db, &op.shown));
write_op!(ChangeIdentity -> Identity, |_| "change_identity", |op, db, _boot| {
    identities::change(db, &op.channel, &op.external, &op.change, op.act)
});
write_op!(RemoveIdentity -> (), |_| "remove_identity", |op, db, _boot| {
    identities::remove(db, &op.channel, &op.external, op.act)
});
write_op!(PostNotice -> Vec<OutboxRow>, |_| "post_notice", |op, db, boot| {
    let once = op.once.as_ref().map(|(channel, external)| (channel.as_str(), external.as_str()));
    identities::post(db, boot, &op.notices, once, op.now)
});
write_op!(SetPosition -> (), |_| "set_position", |op, db, _boot| {
    identities::reached(db, &op.channel, &op.position)
});
write_op!(SetPreference -> User, |_| "set_preference", |op, db, _boot| {
    users::prefer(db, &op.user, &op.preference, op.now)
});

read_op!(Recognise -> Recognised, |op, db| {
    identities::recognise(db, &op.channel, &op.external, &op.name, &op.chat, &op.incoming)
});
read_op!(GetPosition -> Option<String>, |op, db| identities::position(db, &op.channel));
read_op!(PairingsOver -> bool, |op, db| pairings::is_any_over(db, op.now));
read_op!(ListPairings -> Vec<Pairing>, |op, db| pairings::open(db, op.now));
read_op!(ListIdentities -> (Vec<Identity>, u64), |op, db| identities::list(db, op.limit, op.offset));
read_op!(GetUser -> Option<User>, |op, db| users::get(db, &op.user));
read_op!(ChannelQueues -> Vec<ChannelQueue>, |_op, db| outbox::queues(db));
