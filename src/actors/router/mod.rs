//! Finds the session of a conversation, or starts it; parent of all sessions.

mod actor;
mod lookout;
pub mod messages;

pub use actor::{Router, RouterKit, SessionHandle, StartSession};
