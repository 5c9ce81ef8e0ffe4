//! One conversation: holds its turns, performs their effects, awaits nothing in a handler.
//!
//! `actor` has the mail, `begin` takes messages up, `effects` performs what turns want, `calls` talks to models
//! and tools, `written` goes on after each commit, `recover` rebuilds all of it from rows.

mod actor;
mod begin;
mod calls;
mod effects;
mod facts;
mod kit;
pub mod messages;
mod orders;
mod recover;
mod work;
mod written;

pub use actor::Session;
pub use kit::{SessionDoors, SessionKit, SessionSettings};
