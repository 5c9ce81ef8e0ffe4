//! Bots at work: `actor` keeps one `poller` for each running bot and ends what a stopped one left; a poller looks
//! (`poll`) for a story, and gives it as a job. `schedules` gives jobs whose time came, `requests` looks after the pull
//! requests of jobs that are done. Everything is decided by the store: who is lost loses nothing.

mod actor;
mod kit;
pub mod messages;
mod poll;
mod poller;
mod requests;
mod schedules;
mod submit;

#[cfg(test)]
mod tests;

pub use actor::{Bots, BotsParts, StartPoller};
pub use kit::{BotsDoors, BotsKit, BotsSettings};
pub use poller::{Poller, PollerHandle};
