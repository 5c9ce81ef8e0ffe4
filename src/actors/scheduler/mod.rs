//! Wakes conversations whose stored moments have come, and lets the store forget what is old. The rows are
//! the truth; ticks only say when to look.

mod actor;
pub mod messages;

pub use actor::{Scheduler, SchedulerDoors};
