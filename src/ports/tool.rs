//! A source of tools: a skill's scripts, later an MCP server.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::domain::{
    ids::{ConversationId, UserId},
    message::{FileRef, ToolCall},
    skill::{SkillInfo, ToolBook},
};

/// For whom, and as which call, a tool runs.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// Whose work it is.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The key under which an idempotent tool knows the call again: unique to this call of this turn.
    pub key: String,
    /// Longest time it may take, in milliseconds.
    pub timeout_ms: u64,
    /// Set when the call is to end, and the process behind it.
    pub cancel: CancellationToken,
}

/// What a tool came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolOutput {
    /// What it said.
    pub text: String,
    /// It failed.
    pub failed: bool,
    /// Files that it declared as its output, already stored.
    pub files: Vec<FileRef>,
    /// A skill that it activated.
    pub activated: Option<String>,
}

impl ToolOutput {
    /// A good end.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A failure, told as one.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), failed: true, ..Self::default() }
    }
}

/// Skills and their tools.
pub trait Skills: Send + Sync {
    /// All tools of all active skills.
    fn tools(&self) -> ToolBook;

    /// All skills, active or not.
    fn list(&self) -> Vec<SkillInfo>;

    /// The instructions of a skill.
    fn instructions(&self, skill: &str) -> Option<String>;

    /// Runs a tool. The future ends soon after `context.cancel` is set, with the process behind it gone.
    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutput>;
}

/// Shared skills.
pub type SharedSkills = Arc<dyn Skills>;
