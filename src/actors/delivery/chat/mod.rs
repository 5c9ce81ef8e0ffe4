//! Delivery to chat platforms, whose messages can be edited: paced, in parts, with buttons, shown while they grow.

mod actor;
mod courier;
mod draft;
mod health;
mod topics;
mod waits;

pub use actor::{ChatDelivery, ChatKit};
pub use courier::ChatDoors;

#[cfg(test)]
mod tests;
