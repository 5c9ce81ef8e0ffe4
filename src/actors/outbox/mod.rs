//! Messages on their way out: born as rows, sent by the channel's delivery, settled as rows.

mod actor;
mod hand;
pub mod messages;

pub use actor::{Outbox, OutboxDoors};
pub use hand::Hand;

#[cfg(test)]
mod tests;
