//! The journal of a turn: what is stored before it is acted on, and what a turn is rebuilt from.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Millis,
    approval::{Subject, Verdict},
    budget::{Amount, Exceeded},
    ids::{ApprovalId, InboundId},
    message::{FileRef, ToolResult},
    model::Reply,
    skill::EffectClass,
};

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The model gave its answer.
    Answered,
    /// A person ended it.
    Cancelled,
    /// A newer message took its place.
    Interrupted,
    /// It used all its model calls.
    OutOfSteps,
    /// The same call failed too often in a row.
    StuckCall,
    /// It ran out of time.
    TimedOut,
    /// A budget was spent and nobody raised it.
    OutOfBudget,
    /// No model answered.
    ModelFailed,
    /// It brought the process down too often.
    Poisoned,
}

impl Outcome {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::OutOfSteps => "out_of_steps",
            Self::StuckCall => "stuck_call",
            Self::TimedOut => "timed_out",
            Self::OutOfBudget => "out_of_budget",
            Self::ModelFailed => "model_failed",
            Self::Poisoned => "poisoned",
        }
    }

    /// True when a person ended it and needs no answer beside the acknowledgement.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Cancelled | Self::Interrupted)
    }
}

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The row that asks.
    pub approval: ApprovalId,
    /// What is asked for.
    pub subject: Subject,
    /// What a person is shown.
    pub preview: String,
    /// When it was asked.
    pub asked_at: Millis,
    /// When it expires.
    pub expires_at: Millis,
}

/// How a turn was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// How it ended.
    pub outcome: Outcome,
    /// The answer that goes out; empty for a silent end.
    pub text: String,
    /// Files that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRef>,
}

/// One row of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The turn took up a message. Its words are in the inbound row.
    Began {
        /// When.
        at: Millis,
        /// What the model is told beside the message: time, memories. Stored, so that a resumed turn
        /// asks with the same bytes.
        context: String,
    },
    /// The model answered, and was paid.
    Answered {
        /// What it said.
        reply: Reply,
        /// What it cost.
        cost: Amount,
    },
    /// A call is about to run.
    Intent {
        /// Place among the calls of the answer before.
        index: usize,
        /// What a crash from here on means.
        class: EffectClass,
    },
    /// A call came to its end.
    Returned {
        /// Place among the calls of the answer before.
        index: usize,
        /// What it came to.
        result: ToolResult,
        /// A skill that it activated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activated: Option<String>,
        /// How long it took, in milliseconds; 0 for a call that never ran.
        #[serde(default)]
        took_ms: u64,
    },
    /// A call needs a person's word.
    Held {
        /// Place among the calls of the answer before.
        index: usize,
        /// The question.
        #[serde(flatten)]
        held: Held,
    },
    /// A person's word about a call, consumed here.
    Decided {
        /// Place among the calls of the answer before.
        index: usize,
        /// The question.
        approval: ApprovalId,
        /// The word.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// A budget has no room for the next step.
    OverBudget {
        /// Which budget.
        exceeded: Exceeded,
        /// The question whether to raise it.
        #[serde(flatten)]
        held: Held,
    },
    /// A person's word about the budget, consumed here.
    BudgetDecided {
        /// The question.
        approval: ApprovalId,
        /// The word.
        #[serde(flatten)]
        verdict: Verdict,
    },
    /// A newer message joined the turn. Its words are kept here too.
    Steered {
        /// The message.
        inbound: InboundId,
        /// Its words.
        text: String,
    },
    /// Older conversation was replaced by a summary.
    Compacted {
        /// The summary; empty when it failed and the plain cut is used.
        summary: String,
        /// The place of the last turn that it covers.
        through: i64,
        /// What it cost.
        cost: Amount,
    },
    /// The conversation did not fit and is cut plainly from here on.
    Squeezed,
    /// A crash or a restart cut a step off. Stored when the turn is taken over, never by the turn itself.
    Resumed {
        /// What was reserved for the step, perhaps nothing: it counts as spent, for nobody knows whether it was.
        lost: Amount,
    },
    /// The turn is over.
    Ended {
        /// How.
        #[serde(flatten)]
        closed: Closed,
    },
}

impl Entry {
    /// The short name of this kind of entry: for logs, metrics and fault points.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Began { .. } => "began",
            Self::Answered { .. } => "answered",
            Self::Intent { .. } => "intent",
            Self::Returned { .. } => "returned",
            Self::Held { .. } => "held",
            Self::Decided { .. } => "decided",
            Self::OverBudget { .. } => "over_budget",
            Self::BudgetDecided { .. } => "budget_decided",
            Self::Steered { .. } => "steered",
            Self::Compacted { .. } => "compacted",
            Self::Squeezed => "squeezed",
            Self::Resumed { .. } => "resumed",
            Self::Ended { .. } => "ended",
        }
    }

    /// The question that this entry asks, if it asks one.
    pub fn asks(&self) -> Option<&Held> {
        match self {
            Self::Held { held, .. } | Self::OverBudget { held, .. } => Some(held),
            Self::Began { .. }
            | Self::Answered { .. }
            | Self::Intent { .. }
            | Self::Returned { .. }
            | Self::Decided { .. }
            | Self::BudgetDecided { .. }
            | Self::Steered { .. }
            | Self::Compacted { .. }
            | Self::Squeezed
            | Self::Resumed { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// The approval that this entry consumes, if it consumes one.
    pub fn consumes(&self) -> Option<&ApprovalId> {
        match self {
            Self::Decided { approval, verdict: Verdict::Approved { .. }, .. }
            | Self::BudgetDecided { approval, verdict: Verdict::Approved { .. } } => Some(approval),
            _ => None,
        }
    }
}
