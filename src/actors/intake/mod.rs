//! The way in of one channel: who may say what how often, which words are commands; then to the router.

mod actor;
mod answers;
mod commands;
pub mod messages;

pub use actor::{Intake, IntakeDoors, IntakeSettings};
