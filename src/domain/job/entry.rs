//! What a job stores, in order. Old journals stay readable: new fields have a default.

use serde::{Deserialize, Serialize};

use crate::domain::{approval::Verdict, ids::ApprovalId};

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The commit is where it was to go.
    Done,
    /// The engine changed nothing: there is no commit.
    Unchanged,
    /// A person said no, or nobody answered in time.
    Rejected,
    /// It cannot go on.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl Outcome {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Done, Self::Unchanged, Self::Rejected, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// The end of a job, until somebody continues it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// How.
    pub outcome: Outcome,
    /// Why, in words for a person.
    pub text: String,
}

/// What a parked job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wait", rename_all = "snake_case")]
pub enum Wait {
    /// A person may raise a budget.
    Budget {
        /// The question.
        approval: ApprovalId,
        /// Which budget, in words.
        why: String,
    },
    /// There is no isolation that may be trusted.
    Isolation {
        /// What to do about it.
        why: String,
    },
}

impl Wait {
    /// Why, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Budget { why, .. } | Self::Isolation { why } => why,
        }
    }
}

/// What came out of the sandbox: the exact thing that a person approves and that is pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The commit.
    pub commit: String,
    /// Its tree: approvals are bound to it.
    pub tree: String,
    /// What changed, in a line.
    pub stat: String,
    /// What a person should look at.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Some of it must be looked at: a person is asked whatever the project says.
    #[serde(default)]
    pub asks: bool,
}

/// One verify command and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyRun {
    /// The command.
    pub command: String,
    /// How it ended; `None` when it was ended by its time.
    pub exit: Option<i64>,
    /// The end of what it said.
    pub tail: String,
}

impl VerifyRun {
    /// It passed.
    pub fn passed(&self) -> bool {
        self.exit == Some(0)
    }
}

/// One thing that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A worker took it up.
    Claimed,
    /// Its workspace and its sandbox are there.
    Prepared {
        /// The commit that it builds on.
        base: String,
        /// The branch that it works on.
        branch: String,
    },
    /// An engine is about to be started.
    EngineStarting {
        /// What it is told.
        instruction: String,
    },
    /// The engine named its session, to resume it by.
    Session {
        /// The name.
        id: String,
    },
    /// The engine fell, or its sandbox did, or Atoll with them.
    EngineLost {
        /// Why.
        why: String,
    },
    /// The engine says that it is through.
    EngineEnded {
        /// What it claims to have done.
        claim: String,
    },
    /// The project's checks ran.
    Verified {
        /// All of them, in order.
        runs: Vec<VerifyRun>,
        /// The work goes on to be committed; else the failures go back to the engine.
        accepted: bool,
    },
    /// The work came out of the sandbox.
    Committed {
        /// What came out.
        candidate: Candidate,
    },
    /// A person was asked.
    Asked {
        /// The question.
        approval: ApprovalId,
        /// The tree that it is about.
        tree: String,
    },
    /// A question was answered.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        verdict: Verdict,
        /// Without a pull request.
        #[serde(default)]
        no_request: bool,
    },
    /// This commit is about to be pushed.
    Pushing {
        /// The commit.
        commit: String,
    },
    /// It is where it was to go.
    Pushed,
    /// The pull request is there.
    Requested {
        /// Its address.
        url: String,
    },
    /// It waits for a person.
    Parked {
        /// For what.
        wait: Wait,
    },
    /// It goes on after waiting.
    Unparked,
    /// It is over.
    Ended {
        /// How.
        closed: Closed,
    },
    /// Somebody gave it a new instruction; it goes on with its branch and session.
    Continued {
        /// The instruction.
        instruction: String,
    },
}

impl Entry {
    /// Its kind, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Prepared { .. } => "prepared",
            Self::EngineStarting { .. } => "engine_starting",
            Self::Session { .. } => "session",
            Self::EngineLost { .. } => "engine_lost",
            Self::EngineEnded { .. } => "engine_ended",
            Self::Verified { .. } => "verified",
            Self::Committed { .. } => "committed",
            Self::Asked { .. } => "asked",
            Self::Decided { .. } => "decided",
            Self::Pushing { .. } => "pushing",
            Self::Pushed => "pushed",
            Self::Requested { .. } => "requested",
            Self::Parked { .. } => "parked",
            Self::Unparked => "unparked",
            Self::Ended { .. } => "ended",
            Self::Continued { .. } => "continued",
        }
    }
}
