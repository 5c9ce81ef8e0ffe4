//! Tells those who watch what happens: live only. What must not be lost is a stored row.

mod actor;
pub mod messages;

pub use actor::EventHub;
