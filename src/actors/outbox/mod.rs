//! Messages on their way out: born as rows, sent by the channel's delivery, settled as rows.

mod actor;
pub mod messages;

pub use actor::{Outbox, OutboxDoors};

#[cfg(test)]
mod tests;
