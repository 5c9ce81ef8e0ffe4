//! What the store is asked about coding jobs.

use crate::domain::{
    Millis,
    audit::Act,
    bot::requests::Watch,
    budget::Amount,
    gateway::EgressRecord,
    ids::*,
    job::{JobRow, JobWrite, JobWritten, NewTask, Prepaid, Prepayment, Settlement, Task, TaskFilter},
};

use super::message;

message!(
    /// Stores a job; the story that it is for notes it.
    CreateJob { /// The job.
        task: NewTask, /// How long the claim on its story holds, in milliseconds.
        lease_ms: i64, /// For the audit log.
        act: Act } -> Task
);
message!(
    /// One step of a job.
    WriteJob { /// The step.
        step: JobWrite } -> JobWritten
);
message!(
    /// Charges what a model call of a job may cost at worst, if all its budgets have room.
    PrepayJob { /// The call.
        call: Prepayment } -> Prepaid
);
message!(
    /// Puts what a model call came to in the place of what was prepaid.
    SettleJob { /// The call.
        call: Settlement } -> ()
);
message!(
    /// Notes requests of a job's sandbox.
    AddEgress { /// The job.
        job: JobId, /// In order.
        records: Vec<EgressRecord> } -> ()
);
message!(
    /// Closes the questions of jobs whose time is over, and names them with their jobs.
    ExpireJobs { /// When.
        now: Millis } -> Vec<(JobId, ApprovalId)>
);

message!(
    /// Everything that a job's actor needs.
    LoadJob { /// Which.
        job: JobId } -> JobRow
);
message!(
    /// Jobs that are not over, the oldest first.
    OpenJobs {} -> Vec<Task>
);
message!(
    /// One job.
    GetTask { /// Which.
        job: JobId } -> Option<Task>
);
message!(
    /// Jobs, newest first, and how many fit.
    ListTasks { /// Which.
        filter: TaskFilter, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Task>, u64)
);
message!(
    /// Requests of a job's sandbox, newest first, and how many there are.
    ListEgress { /// The job.
        job: JobId, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<EgressRecord>, u64)
);
message!(
    /// Notes what was seen of a job's pull request; one that was merged takes the card of its story to Done.
    NoteRequest { /// The job.
        job: JobId, /// What was seen.
        watch: Watch, /// When.
        now: Millis } -> ()
);
message!(
    /// Jobs that are done and whose pull request may still be open, with what was seen of it; the one that was not
    /// looked at for the longest time first.
    WatchedRequests { /// How many at most.
        limit: usize } -> Vec<(Task, Watch)>
);
message!(
    /// What a bot spent today, and what was added to its cap.
    BotDay { /// Which.
        bot: BotId, /// When.
        now: Millis } -> (Amount, Amount)
);
message!(
    /// How many stories that a bot proposed wait in the backlog.
    WaitingProposals { /// Whose.
        bot: BotId } -> u64
);
