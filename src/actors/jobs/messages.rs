//! What the actor of all jobs takes.

use actix::prelude::*;

use crate::{
    actors::{db::messages::DbError, kernel::Unreachable},
    domain::{
        approval::{Choice, Verdict},
        audit::Act,
        ids::{ApprovalId, JobId},
        job::{NewTask, Task},
    },
};

/// Why a job was not taken, or not told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobRefused {
    /// There is no such job.
    #[error("there is no such task")]
    Unknown,
    /// Where it stands, that cannot be done; what can.
    #[error("{0}")]
    NotNow(String),
    /// The store said no.
    #[error(transparent)]
    Store(#[from] DbError),
    /// It cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// Take a job in. Answered when it is stored, long before it is worked on.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Task, JobRefused>")]
pub struct Submit {
    /// The job.
    pub task: NewTask,
    /// For the audit log.
    pub act: Act,
}

/// What a job can be told.
#[derive(Debug, Clone, PartialEq)]
pub enum JobOrder {
    /// End it.
    Cancel,
    /// Try again: one that waits for isolation at once, one that is over from its instruction on.
    Retry,
    /// Go on with this instruction, on its branch and in its session; only when it is over or waits for an answer about
    /// its work, which is then rejected with this.
    Continue {
        /// The instruction.
        instruction: String,
        /// Who says so.
        by: String,
    },
    /// A word into the running work.
    Steer {
        /// The words.
        text: String,
    },
    /// A question was answered; its row says so already.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        verdict: Verdict,
        /// In which way.
        choice: Choice,
    },
}

/// Tell a job something. Answered when what follows from it is stored.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), JobRefused>")]
pub struct TellJob {
    /// Which.
    pub job: JobId,
    /// What.
    pub order: JobOrder,
}

/// A second has passed.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct JobsTick;
