//! Runs tools: the built-in ones itself, those of skills through their port.

mod actor;
mod builtin;
mod memory_tools;
pub mod messages;

pub use actor::{SkillHost, ToolDoors};
