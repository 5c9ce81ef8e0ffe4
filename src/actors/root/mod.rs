//! The root: starts all others in order, restarts what falls, replaces what hangs, drains in order at the end.

mod actor;
pub mod messages;

pub use actor::{ChildHandle, ChildSpec, Root, RootKit};
