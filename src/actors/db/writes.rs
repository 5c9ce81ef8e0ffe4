//! What each write does.

use rusqlite::Connection;

use crate::{
    domain::{
        audit::Act,
        budget::Amount,
        inbound::{Accepted, State},
        journal::{Decided, TakenOver, TurnWritten, WhileBusy},
        memory::Memory,
        outbound::OutboxRow,
        records::{KeyInfo, Outgoing, User},
    },
    store::{
        self, approvals, audit, conversations, facts, files, inbound, keys, memories, outbox, turns, upkeep,
        users, wakeups,
    },
};

use super::{messages::*, writer::WriteOp};

/// How often an outgoing message is tried before it is given up.
const MAX_ATTEMPTS: u32 = 12;

macro_rules! write_op {
    ($message:ident -> $reply:ty, $label:expr, |$op:ident, $db:ident, $boot:ident| $body:expr) => {
        impl WriteOp for $message {
            type Reply = $reply;

            fn label(&self) -> &'static str {
                let label: fn(&Self) -> &'static str = $label;
                label(self)
            }

            fn apply(self, $db: &Connection, $boot: i64) -> store::Result<$reply> {
                let $op = self;
                $body
            }
        }
    };
}

pub(super) use write_op;

/// A step of a turn is called after its last entry: the boundary that a crash test asks for.
fn step_label(op: &WriteTurn) -> &'static str {
    op.step.entries.last().map_or("settled", |entry| entry.kind())
}

write_op!(WriteTurn -> TurnWritten, step_label, |op, db, boot| turns::write(db, boot, &op.step));
write_op!(Accept -> (Accepted, Option<WhileBusy>), |_| "accept", |op, db, _boot| {
    let chosen = users::while_busy(db, &op.message.user)?;
    Ok((inbound::accept(db, &op.message, State::Queued, None)?, chosen))
});
write_op!(AnswerDirect -> (Accepted, Option<OutboxRow>), |_| "answer_direct", |op, db, boot| {
    match inbound::accept(db, &op.message, State::Answered, None)? {
        Accepted::New => {
            let row = outbox::post(db, boot, &op.answer, op.message.received_at)?;
            inbound::answered_by(db, &op.message.id, row.id)?;
            Ok((Accepted::New, Some(row)))
        }
        duplicate @ Accepted::Duplicate { .. } => Ok((duplicate, None)),
    }
});
write_op!(CancelQueued -> Vec<crate::domain::ids::InboundId>, |_| "cancel_queued", |op, db, _boot| {
    inbound::cancel_queued(db, &op.conversation)
});
write_op!(ClearConversation -> (), |_| "clear", |op, db, _boot| {
    conversations::clear(db, &op.conversation, &op.user, op.now)
});
write_op!(TakeOver -> Vec<TakenOver>, |_| "take_over", |op, db, _boot| {
    turns::take_over(db, &op.conversation)
});
write_op!(Decide -> Decided, |_| "decide", |op, db, _boot| {
    let decided = approvals::decide(db, &op.answer)?;
    let action = if op.answer.approve { "approval.approved" } else { "approval.rejected" };
    let act = Act {
        at: op.answer.now,
        actor: op.answer.actor.clone(),
        action: action.into(),
        subject: op.answer.id.to_string(),
        details: decided.approval.preview.clone(),
    };
    audit::append(db, act)?;
    Ok(decided)
});
write_op!(Expire -> Vec<crate::domain::ids::ApprovalId>, |_| "expire", |op, db, _boot| {
    approvals::expire(db, &op.conversation, op.now)
});
write_op!(ClaimOutbox -> Vec<(OutboxRow, bool)>, |_| "claim_outbox", |op, db, boot| {
    outbox::claim(db, boot, op.now, op.limit)
});
write_op!(HeldOutbox -> Vec<OutboxRow>, |_| "held_outbox", |op, db, boot| {
    outbox::held(db, boot, op.after, op.limit)
});
write_op!(SettleOutbox -> (), |_| "settle_outbox", |op, db, _boot| {
    op.sent.iter().try_for_each(|(id, sent)| outbox::settle(db, *id, sent, op.now, MAX_ATTEMPTS))
});
write_op!(ResendOutbox -> Outgoing, |_| "resend_outbox", |op, db, _boot| {
    let row = outbox::resend(db, op.id, op.act.at)?;
    audit::append(db, op.act)?;
    Ok(row)
});
write_op!(StoreMemory -> (Memory, bool), |_| "store_memory", |op, db, _boot| memories::store(db, &op.memory));
write_op!(Prepay -> Option<Amount>, |_| "prepay", |op, db, _boot| {
    facts::prepay(db, &op.user, &op.caps, op.worst, op.now)
});
write_op!(KeepFacts -> usize, |_| "keep_facts", |op, db, _boot| facts::keep(db, &op.kept));
write_op!(UpdateMemory -> Memory, |_| "update_memory", |op, db, _boot| {
    memories::update(db, &op.user, &op.id, &op.change, op.now)
});
write_op!(DeleteMemory -> (), |_| "delete_memory", |op, db, _boot| memories::delete(db, &op.user, &op.id));
write_op!(UsedMemories -> (), |_| "used_memories", |op, db, _boot| memories::used(db, &op.ids));
write_op!(PutUser -> User, |_| "put_user", |op, db, _boot| {
    let user = users::put(db, &op.id, op.name.as_deref(), op.while_busy, op.act.at)?;
    audit::append(db, op.act)?;
    Ok(user)
});
write_op!(CreateKey -> (), |_| "create_key", |op, db, _boot| {
    keys::create(db, &op.key, &op.hash)?;
    audit::append(db, op.act).map(|_| ())
});
write_op!(RevokeKey -> KeyInfo, |_| "revoke_key", |op, db, _boot| {
    let key = keys::revoke(db, &op.id, op.act.at)?;
    audit::append(db, op.act)?;
    Ok(key)
});
write_op!(TouchKey -> (), |_| "touch_key", |op, db, _boot| keys::touch(db, &op.id, op.now));
write_op!(Audit -> crate::domain::audit::Row, |_| "audit", |op, db, _boot| audit::append(db, op.act));
write_op!(PutFile -> (), |_| "put_file", |op, db, _boot| files::put(db, &op.user, &op.file, op.now));
write_op!(WakeupsDone -> (), |_| "wakeups_done", |op, db, _boot| wakeups::done(db, &op.ids));
write_op!(Prune -> usize, |_| "prune", |op, db, _boot| upkeep::prune(db, op.before, op.limit));
