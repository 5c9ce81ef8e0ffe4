//! What a job hears, and what it wants done.

use crate::domain::{approval::Verdict, ids::ApprovalId};

use super::entry::{Candidate, Closed, Entry, VerifyRun, Wait};

/// Bounds on a job, from its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How often an engine that fell is started again.
    pub restarts: u32,
    /// How often failing checks go back to the engine.
    pub rounds: u32,
    /// A person approves before anything leaves the machine.
    pub needs_approval: bool,
    /// What is approved is pushed.
    pub pushes: bool,
    /// A pull request is opened for what was pushed.
    pub requests: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it up.
    Claimed,
    /// Workspace and sandbox are there.
    Prepared {
        /// The commit that it builds on.
        base: String,
        /// The branch that it works on.
        branch: String,
    },
    /// They cannot be made: never, as things are.
    NotPrepared {
        /// Why.
        why: String,
    },
    /// There is no isolation.
    NoIsolation {
        /// What to do about it.
        why: String,
    },
    /// The engine named its session.
    Session {
        /// The name.
        id: String,
    },
    /// The engine is through; whether it did what it claims is seen by the tree.
    EngineEnded {
        /// What it claims.
        claim: String,
    },
    /// The engine gave up.
    EngineFailed {
        /// Why.
        why: String,
    },
    /// The engine or its sandbox fell.
    EngineLost {
        /// Why.
        why: String,
    },
    /// The checks ran; none when the project has none.
    Verified {
        /// All of them.
        runs: Vec<VerifyRun>,
    },
    /// The work came out of the sandbox.
    Committed {
        /// What came out.
        candidate: Candidate,
    },
    /// Nothing was changed.
    Unchanged,
    /// What came out is refused: it would be dangerous, or too large.
    Refused {
        /// Why.
        why: String,
    },
    /// A person was asked under this name.
    Asked {
        /// The question.
        approval: ApprovalId,
    },
    /// A question was answered. `tree` is what the answer was about.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        verdict: Verdict,
        /// Without a pull request.
        no_request: bool,
    },
    /// The commit is on the remote.
    Pushed,
    /// The remote has gone on, or refuses it for good.
    NotPushed {
        /// Why.
        why: String,
    },
    /// The pull request is there.
    Requested {
        /// Its address.
        url: String,
    },
    /// It cannot be opened; the branch is pushed all the same.
    NotRequested {
        /// Why.
        why: String,
    },
    /// A budget is spent; a person was asked under this name.
    OverBudget {
        /// The question.
        approval: ApprovalId,
        /// Which, in words.
        why: String,
    },
    /// A person lets a job try again: one that waits for isolation, or one that is over.
    Retry,
    /// A person ends it.
    Cancel,
    /// A person gives it a new instruction.
    Continue {
        /// The instruction.
        instruction: String,
    },
}

/// Something that is to be done, after the entries before it are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Store these.
    Record(Vec<Entry>),
    /// Make workspace and sandbox, or take up those that are there.
    Prepare,
    /// Start the engine with this instruction, in this session if it has one.
    StartEngine {
        /// The instruction.
        instruction: String,
        /// The session to resume.
        session: Option<String>,
    },
    /// End the engine; the sandbox stays.
    StopEngine,
    /// Run the project's checks in the sandbox.
    Verify,
    /// Take the work out of the sandbox and look at it.
    Commit,
    /// Ask a person about this; everything about it is in the journal.
    Ask {
        /// What is asked about.
        candidate: Candidate,
    },
    /// Withdraw a question.
    Withdraw {
        /// The question.
        approval: ApprovalId,
    },
    /// Push exactly this commit. The remote is looked at first: one that has it already is not pushed to again.
    Push {
        /// The commit.
        commit: String,
    },
    /// Open the pull request, or find the one that is open.
    OpenRequest,
    /// Wait for a person.
    Park {
        /// For what.
        wait: Wait,
    },
    /// End the sandbox; the branch and the logs stay.
    EndSandbox,
    /// Tell who wants to know.
    Finish {
        /// How it ended.
        closed: Closed,
    },
}
