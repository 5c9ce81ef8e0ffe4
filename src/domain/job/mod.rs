//! One coding job: events in, journal entries and effects out. Everything a job knows is in its journal.
//!
//! Read `entry` (what is stored), `event` (what comes in and what is to be done), then `step`. The way of a job:
//! queued, preparing, running, verifying, committing, awaiting approval, pushing, opening, done; any of them may
//! end as failed or cancelled, or wait parked for a person.

mod apply;
mod callback;
mod entry;
mod event;
mod request;
mod slots;
mod state;
mod step;
mod task;
pub mod words;

pub(in crate::domain) use callback::facts;
pub use callback::{BadCallback, callbacks, check_callback};
pub use entry::{Candidate, Closed, Entry, Outcome, VerifyRun, Wait};
pub use event::{Effect, Event, Limits};
pub use request::{check_instruction, check_line, title_of};
pub use slots::{Slots, Wish};
pub use state::{Job, JournalFault, Opening, Phase};
pub use task::{
    Answered, ForStory, Head, JobRow, JobWrite, JobWritten, NewTask, Prepaid, Prepayment, Priority, Question,
    Settlement, Spent, Task, TaskFilter, Verbosity,
};

#[cfg(test)]
pub(crate) use task::tests::task as test_task;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
