//! What each write and read about coding jobs does.

use rusqlite::Connection;

use crate::{
    domain::{
        bot::requests::Watch,
        budget::{Amount, window},
        gateway::EgressRecord,
        ids::{ApprovalId, JobId},
        job::{Entry, JobRow, JobWritten, Prepaid, Task},
    },
    store::{self, job_costs, jobs, proposals, requests},
};

use super::{messages::*, reader::ReadOp, reads::read_op, writer::WriteOp, writes::write_op};

/// A step of a job is called after its last entry: the boundary that a crash test asks for.
fn job_label(op: &WriteJob) -> &'static str {
    match op.step.entries.last() {
        None => "job_noted",
        Some(Entry::Claimed) => "job_claimed",
        Some(Entry::Prepared { .. }) => "job_prepared",
        Some(Entry::EngineStarting { .. }) => "job_engine_starting",
        Some(Entry::Session { .. }) => "job_session",
        Some(Entry::EngineLost { .. }) => "job_engine_lost",
        Some(Entry::EngineEnded { .. }) => "job_engine_ended",
        Some(Entry::Verified { .. }) => "job_verified",
        Some(Entry::Committed { .. }) => "job_committed",
        Some(Entry::Asked { .. }) => "job_asked",
        Some(Entry::Decided { .. }) => "job_decided",
        Some(Entry::Pushing { .. }) => "job_pushing",
        Some(Entry::Pushed) => "job_pushed",
        Some(Entry::Requested { .. }) => "job_requested",
        Some(Entry::Parked { .. }) => "job_parked",
        Some(Entry::Unparked) => "job_unparked",
        Some(Entry::Ended { .. }) => "job_ended",
        Some(Entry::Continued { .. }) => "job_continued",
    }
}

write_op!(CreateJob -> Task, |_| "create_job", |op, db, _boot| {
    jobs::create(db, &op.task, op.lease_ms, op.act)
});
write_op!(WriteJob -> JobWritten, job_label, |op, db, boot| jobs::write(db, boot, &op.step));
write_op!(PrepayJob -> Prepaid, |_| "prepay_job", |op, db, _boot| job_costs::prepay(db, &op.call));
write_op!(SettleJob -> (), |_| "settle_job", |op, db, _boot| job_costs::settle(db, &op.call));
write_op!(AddEgress -> (), |_| "add_egress", |op, db, _boot| jobs::add_egress(db, &op.job, &op.records));
write_op!(ExpireJobs -> Vec<(JobId, ApprovalId)>, |_| "expire_jobs", |op, db, _boot| {
    jobs::expire(db, op.now)
});
write_op!(NoteRequest -> (), |_| "note_request", |op, db, _boot| {
    requests::note(db, &op.job, &op.watch, op.now)
});

read_op!(LoadJob -> JobRow, |op, db| jobs::load(db, &op.job));
read_op!(OpenJobs -> Vec<Task>, |_op, db| jobs::open(db));
read_op!(GetTask -> Option<Task>, |op, db| jobs::get(db, &op.job));
read_op!(ListTasks -> (Vec<Task>, u64), |op, db| jobs::list(db, &op.filter, op.limit, op.offset));
read_op!(ListEgress -> (Vec<EgressRecord>, u64), |op, db| {
    jobs::list_egress(db, &op.job, op.limit, op.offset)
});
read_op!(WatchedRequests -> Vec<(Task, Watch)>, |op, db| requests::watched(db, op.limit));
read_op!(BotDay -> (Amount, Amount), |op, db| job_costs::bot_day(db, &op.bot, window(op.now)));
read_op!(WaitingProposals -> u64, |op, db| proposals::waiting(db, &op.bot));
