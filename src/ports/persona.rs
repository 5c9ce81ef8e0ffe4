//! Who the assistant is, for one user.

use std::sync::Arc;

use crate::domain::ids::UserId;

/// Composes system prompts.
pub trait Personas: Send + Sync {
    /// The system prompt for a user: the same bytes until a persona file or the skills change.
    fn system_prompt(&self, user: &UserId) -> Arc<str>;
}
