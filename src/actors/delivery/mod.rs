//! One actor a channel that hands messages to its adapter, in order for each conversation.

mod actor;
pub mod chat;
pub mod messages;

pub use actor::Delivery;
