//! What a turn reacts to, and what it wants done.

use std::sync::Arc;

use crate::domain::{
    Millis,
    approval::Verdict,
    budget::{Caps, Exceeded},
    ids::{ApprovalId, InboundId},
    message::{ToolCall, ToolResult},
    model::{Answer, ModelError},
    skill::{EffectClass, ToolBook},
};

use super::entry::{Entry, Outcome};

/// What bounds a turn. All of it comes from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most answers of the model in one turn.
    pub iterations: u32,
    /// How often a cut-off answer is continued.
    pub continuations: u32,
    /// How many times in a row the same call may fail.
    pub repeated_failures: u32,
    /// Most messages of earlier turns that are sent along.
    pub history_messages: usize,
    /// Most tokens of a request, as estimated, before older conversation is summarised.
    pub context_tokens: u64,
    /// Longest time from start (or resumption) to end, in milliseconds.
    pub turn_ms: u64,
    /// How long a question to a person stays open, in milliseconds.
    pub approval_ms: u64,
    /// How often one turn is taken up again after crashes.
    pub resumes: u32,
    /// What one turn may spend.
    pub turn_caps: Caps,
}

/// What a step may look at beside the turn itself.
#[derive(Debug, Clone)]
pub struct Env {
    /// Bounds.
    pub limits: Limits,
    /// The tools there are.
    pub tools: Arc<ToolBook>,
}

/// Names one call of one answer: the key under which an idempotent tool knows it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Which answer of the model, from 1.
    pub answer: u32,
    /// Which call of that answer, from 0.
    pub index: usize,
}

/// What a model call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The next step of the turn.
    Answer,
    /// A summary of what the history holds up to this place.
    Compact {
        /// The place of the last turn to be covered.
        through: i64,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The model answered the question with this number.
    ModelAnswered {
        /// The number that [`Effect::AskModel`] carried.
        ask: u32,
        /// The answer.
        answer: Answer,
    },
    /// No model answered the question with this number.
    ModelFailed {
        /// The number that [`Effect::AskModel`] carried.
        ask: u32,
        /// Why.
        error: ModelError,
    },
    /// The request that was asked for does not fit the model.
    ContextFull {
        /// The place up to which the history can be summarised, if it can.
        through: Option<i64>,
    },
    /// A call ended.
    ToolReturned {
        /// Which.
        key: CallKey,
        /// With what.
        result: ToolResult,
        /// A skill that it activated.
        activated: Option<String>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A newer message is to be given to the model at the next step.
    Steer {
        /// The message.
        inbound: InboundId,
        /// Its words.
        text: String,
    },
    /// Somebody answered a question, or it expired.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        verdict: Verdict,
    },
    /// A budget refused the next step.
    OverBudget(Exceeded),
    /// End the running tools, go on with the turn.
    StopTools,
    /// End the turn.
    End(Outcome),
}

/// A call to run now.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolRun {
    /// Which.
    pub key: CallKey,
    /// The call.
    pub call: ToolCall,
    /// What a crash means.
    pub class: EffectClass,
}

/// What is to be done, in this order. `AbandonModel` and `StopTools` at once; whatever follows a
/// `Record` only when that is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Stop waiting for the model and hang up.
    AbandonModel,
    /// End these running tools and the processes behind them.
    StopTools(Vec<CallKey>),
    /// Store these entries.
    Record(Vec<Entry>),
    /// Ask the model. The answer carries the number back.
    AskModel {
        /// Number of the question.
        ask: u32,
        /// What for.
        purpose: Purpose,
    },
    /// Run these tools side by side.
    RunTools(Vec<ToolRun>),
    /// Nothing can be done until a person answers: leave the conversation to others.
    Park,
    /// The turn is over: store its end with all that belongs to it.
    Finish,
}

/// The time by which a turn that starts or is taken up `now` must be over.
pub fn deadline(now: Millis, limits: &Limits) -> Millis {
    now.saturating_add(i64::try_from(limits.turn_ms).unwrap_or(i64::MAX))
}
