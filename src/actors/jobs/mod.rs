//! Coding jobs: `actor` takes them in and says which may run; each has an actor of its own (`job`), which holds its
//! machine (`domain/job`), stores what it decides (`write`), and does what it wants: `perform` begins it, `prepare`,
//! `engine` and `deliver` do it with what `work` holds, `questions` asks people,
//! `sweep` lets go of what is old.

mod actor;
mod bench;
mod bounds;
mod deliver;
mod engine;
mod job;
mod kit;
pub mod messages;
mod perform;
mod prepare;
mod questions;
mod sweep;
mod work;
mod write;

pub use actor::{Jobs, JobsKit, StartJob};
pub use bench::{Bench, StartBench};
pub use job::{JobActor, JobHandle};
pub use kit::{JobDoors, JobKit, JobSettings};
