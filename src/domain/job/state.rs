//! What a job knows: a fold over its journal, nothing else.

use super::entry::{Candidate, Closed, VerifyRun, Wait};
use crate::domain::ids::ApprovalId;

/// What a job begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What is to be done.
    pub instruction: String,
    /// It only looks: it ends with what its engine says, and nothing is taken out of its sandbox.
    pub discovery: bool,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a worker.
    Queued,
    /// Workspace and sandbox are being made.
    Preparing,
    /// The engine works.
    Running,
    /// The project's checks run.
    Verifying,
    /// The work is being taken out.
    Committing,
    /// A person is asked; the question has a name once it is stored.
    Awaiting {
        /// The question.
        approval: Option<ApprovalId>,
    },
    /// The commit is on its way.
    Pushing,
    /// The pull request is being opened.
    Requesting,
    /// It waits for a person, with all that it has.
    Parked(Wait),
    /// It is over.
    Over(Closed),
}

impl Phase {
    /// The word that is stored and shown.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Committing => "committing",
            Self::Awaiting { .. } => "awaiting_approval",
            Self::Pushing => "pushing",
            Self::Requesting => "requesting",
            Self::Parked(_) => "parked",
            Self::Over(closed) => closed.outcome.as_str(),
        }
    }
}

/// Why a journal cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {at} ({kind}) does not follow from those before it")]
pub struct JournalFault {
    /// Place in the journal, from 0.
    pub at: usize,
    /// Kind of entry.
    pub kind: &'static str,
}

/// One coding job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub(super) phase: Phase,
    pub(super) discovery: bool,
    /// What the engine is told next, or was told last.
    pub(super) instruction: String,
    pub(super) session: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) claim: String,
    /// The engine came to an end since it was started last: after a crash its work is checked, not done again.
    pub(super) ended: bool,
    pub(super) runs: Vec<VerifyRun>,
    pub(super) candidate: Option<Candidate>,
    /// Rounds in which failing checks went back to the engine, since the last instruction of a person.
    pub(super) rounds: u32,
    /// Falls of the engine since it last came to an end.
    pub(super) falls: u32,
    pub(super) url: Option<String>,
    pub(super) no_request: bool,
    pub(super) pushed: bool,
    /// What a person asked for last.
    pub(super) wanted: String,
    /// Its workspace was made since then.
    pub(super) prepared: bool,
    /// A commit of it was pushed before then: it goes on from there, in a fresh workspace.
    pub(super) pushed_before: bool,
    /// Its commit could not be pushed: the branch at the remote may have gone on without it.
    pub(super) stranded: bool,
    /// Entries applied; the journal index of the next one.
    pub(super) entries: usize,
}

impl Job {
    /// A job that waits for a worker.
    pub fn new(opening: Opening) -> Self {
        Self {
            phase: Phase::Queued,
            discovery: opening.discovery,
            wanted: opening.instruction.clone(),
            instruction: opening.instruction,
            session: None,
            branch: None,
            claim: String::new(),
            ended: false,
            runs: Vec::new(),
            candidate: None,
            rounds: 0,
            falls: 0,
            url: None,
            no_request: false,
            pushed: false,
            prepared: false,
            pushed_before: false,
            stranded: false,
            entries: 0,
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What came out of the sandbox last.
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// What the checks came to last.
    pub fn evidence(&self) -> &[VerifyRun] {
        &self.runs
    }

    /// What the engine claims to have done.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// The branch that it works on.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// The engine's session.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The pull request.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What a person asked for last.
    pub fn wanted(&self) -> &str {
        &self.wanted
    }

    /// Its workspace holds what was pushed before, and nothing of what was asked for since: it is to be made anew.
    pub fn needs_fresh_workspace(&self) -> bool {
        self.pushed_before && !self.prepared
    }

    /// Its last commit could not be pushed, and it was asked for something since: where the branch at the remote went on,
    /// its workspace is to be made anew on that.
    pub fn may_be_outdated(&self) -> bool {
        self.stranded && !self.prepared
    }

    /// Journal index of the next entry.
    pub fn next_entry(&self) -> usize {
        self.entries
    }

    /// The question that waits for a person.
    pub fn open_approval(&self) -> Option<&ApprovalId> {
        match &self.phase {
            Phase::Awaiting { approval } => approval.as_ref(),
            Phase::Parked(Wait::Budget { approval, .. }) => Some(approval),
            _ => None,
        }
    }
}
