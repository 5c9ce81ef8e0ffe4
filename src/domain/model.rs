//! What is asked of a model and what it answers, whatever its provider speaks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    budget::Amount,
    message::{Message, ToolCall},
    skill::ToolSpec,
};

/// One call of a model.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// Who the model is to be. The same bytes for every call of a conversation, so that prompt caches hit.
    pub system: Arc<str>,
    /// The conversation, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// The tools that may be called, in a stable order.
    pub tools: Vec<Arc<ToolSpec>>,
    /// The most tokens that the answer may have; `None` leaves it to the provider's setting.
    pub max_tokens: Option<u32>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was done.
    End,
    /// It wants its tools run.
    Tools,
    /// The answer reached its length limit.
    Length,
    /// The provider's filter refused.
    Refused,
}

/// Tokens that a call used, as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, all of them.
    pub input: u64,
    /// Of these, read from the provider's prompt cache.
    pub cached: u64,
    /// Of these, written to the provider's prompt cache.
    pub cache_written: u64,
    /// Tokens written.
    pub output: u64,
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The words.
    pub text: String,
    /// The tools it wants run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// What it used.
    pub usage: Usage,
    /// Provider that answered, by its name in the configuration.
    pub provider: String,
    /// Model that answered.
    pub model: String,
}

/// A paid answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the model said.
    pub reply: Reply,
    /// What it cost: tokens, money, time.
    pub cost: Amount,
}

/// Why no answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The request itself was refused; another provider would refuse it too.
    #[error("the model refused the request: {0}")]
    BadRequest(String),
    /// The conversation is too long for the model.
    #[error("the conversation is too long for the model: {0}")]
    TooLong(String),
    /// The key was refused.
    #[error("the provider refused its key: {0}")]
    Auth(String),
    /// Too many requests; `retry_after_ms` when the provider said how long to wait.
    #[error("the provider asks to slow down")]
    RateLimited {
        /// Milliseconds to wait.
        retry_after_ms: Option<u64>,
    },
    /// The provider failed or is overloaded.
    #[error("the provider failed: {0}")]
    Unavailable(String),
    /// No answer in time.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    /// Every provider is out, or was tried in vain.
    #[error("no model could answer: {0}")]
    Exhausted(String),
}

impl ModelError {
    /// The same error with its words changed, where it has some.
    pub fn in_words(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::BadRequest(text) => Self::BadRequest(change(text)),
            Self::TooLong(text) => Self::TooLong(change(text)),
            Self::Auth(text) => Self::Auth(change(text)),
            Self::Unavailable(text) => Self::Unavailable(change(text)),
            Self::Exhausted(text) => Self::Exhausted(change(text)),
            Self::RateLimited { .. } | Self::TimedOut | Self::Cancelled => self,
        }
    }
}
