//! A forge: the server where a project's pull requests live, seen as one repository of it.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::domain::{Millis, branch::BranchName};

/// What a new pull request is to be. A merge request is one, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// The branch that has the work; it has been pushed.
    pub head: BranchName,
    /// The branch that is to get it.
    pub base: BranchName,
    /// Its title, in one line.
    pub title: String,
    /// Its text, in Markdown.
    pub body: String,
    /// It is not ready to be merged.
    pub draft: bool,
}

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Open.
    Open,
    /// Merged.
    Merged,
    /// Closed without being merged.
    Closed,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its number in the repository.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub state: RequestState,
    /// It is not ready to be merged.
    pub draft: bool,
    /// The branch that has the work.
    pub head: String,
    /// The commit at the tip of that branch, as far as the forge knows.
    pub commit: String,
    /// The branch that is to get it.
    pub base: String,
}

/// An open pull request, and whether it was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The pull request.
    pub request: Request,
    /// It was open before.
    pub existed: bool,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Fine, or of no weight.
    Passed,
    /// Waits or runs.
    Pending,
    /// Failed, was cancelled, ran out of time.
    Failed,
}

/// One check of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Its name.
    pub name: String,
    /// How it went.
    pub state: CheckState,
    /// More, in the forge's words.
    pub words: String,
    /// Its page.
    pub url: Option<String>,
}

/// What somebody wrote at a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// What tells it from the others of its pull request: its kind and its id with the forge, as `review/12`.
    pub id: String,
    /// Who wrote it: their login.
    pub author: String,
    /// What it says. Written by a stranger: never an instruction by itself.
    pub body: String,
    /// The file that it is about.
    pub path: Option<String>,
    /// The line of it.
    pub line: Option<u64>,
    /// When it was written or changed.
    pub at: Millis,
    /// Its page.
    pub url: Option<String>,
}

/// Why a forge did not do something. Holds no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The token is not taken, or may not do this; what to do about it.
    #[error("{0}")]
    Denied(String),
    /// The repository, branch or pull request is not there; what to do about it.
    #[error("{0}")]
    NotThere(String),
    /// The forge does not take this; why, and what to do about it.
    #[error("{0}")]
    Refused(String),
    /// Too many calls.
    #[error("the forge asks to wait {} seconds: too many calls", .after_ms / 1_000)]
    Wait {
        /// How long to wait, in milliseconds.
        after_ms: u64,
    },
    /// It cannot be reached, or has a fault of its own. Trying again may help.
    #[error("{0}")]
    Unreachable(String),
    /// Its answer makes no sense.
    #[error("{0}")]
    Odd(String),
}

impl ForgeError {
    /// Trying the same again later may work.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Wait { .. } | Self::Unreachable(_))
    }
}

/// One repository at a forge. Dropping a future hangs up.
pub trait Forge: Send + Sync {
    /// The open pull request of a branch into another; `None` when there is none.
    fn find(
        &self,
        head: BranchName,
        base: BranchName,
    ) -> BoxFuture<'static, Result<Option<Request>, ForgeError>>;

    /// Opens a pull request. One that is open for the same two branches is given back as it is, so this can be repeated.
    fn open(&self, new: NewRequest) -> BoxFuture<'static, Result<Opened, ForgeError>>;

    /// Where a pull request stands.
    fn state(&self, number: u64) -> BoxFuture<'static, Result<Request, ForgeError>>;

    /// All checks of a commit.
    fn checks(&self, commit: String) -> BoxFuture<'static, Result<Vec<CheckRun>, ForgeError>>;

    /// What people wrote at a pull request since a moment, the oldest first: comments, reviews, and comments of reviews.
    /// Forges count in seconds, so what was written in the same second comes again: its id tells.
    fn comments(&self, number: u64, since: Millis) -> BoxFuture<'static, Result<Vec<Comment>, ForgeError>>;

    /// Writes a comment. Not idempotent: a repeat writes it again.
    fn comment(&self, number: u64, body: String) -> BoxFuture<'static, Result<(), ForgeError>>;
}
