//! The models: round robin, failover, limits, and one answer in the end, or an honest error.

mod actor;
mod attempt;
pub mod messages;

pub use actor::LlmPool;
