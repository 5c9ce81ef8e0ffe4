//! Repositories on the host: mirrors of projects, workspaces for jobs, and the way of a job's work back out.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::domain::{
    Millis,
    branch::BranchName,
    commit::{Author, Message},
    remote::RemoteUrl,
    review::{FileChange, Finding, ReviewLimits},
    secret::Secret,
};

/// What opens a remote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// A token, over https.
    Token {
        /// The name that goes with it. GitHub and GitLab take any, `x-access-token` and `oauth2` by custom.
        user: String,
        /// The token.
        token: Secret,
    },
    /// A key, over ssh.
    Key {
        /// The file with the private key, without a passphrase, readable by its owner only.
        key: PathBuf,
        /// The file with the keys of the hosts that are known.
        known_hosts: PathBuf,
    },
}

/// A project's repository elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where it is.
    pub url: RemoteUrl,
    /// What opens it.
    pub auth: Auth,
}

/// A project and its remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Atoll's id of it: letters, digits, `-` and `_`, at most 64.
    pub id: String,
    /// Where it lives.
    pub remote: Remote,
}

/// A branch and the commit at its tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Its name.
    pub name: BranchName,
    /// The commit.
    pub commit: String,
}

/// What the branches of a remote are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branches {
    /// The branch that a clone begins with.
    pub main: Option<BranchName>,
    /// All of them, in order. Names that Atoll does not take are left out.
    pub all: Vec<Branch>,
}

impl Branches {
    /// The commit of a branch.
    pub fn commit(&self, name: &BranchName) -> Option<&str> {
        self.all.iter().find(|branch| branch.name == *name).map(|branch| branch.commit.as_str())
    }
}

/// A workspace to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare {
    /// The project; its mirror has been updated.
    pub project: String,
    /// Atoll's id of the job: as that of a project.
    pub job: String,
    /// The branch that the job works on. When the remote has it, the job begins at its tip.
    pub branch: BranchName,
    /// Where a new branch begins.
    pub base: BranchName,
    /// Who commits made in the workspace are by.
    pub author: Author,
    /// The user and group that the files are to belong to, when it is not the one that Atoll runs as.
    pub owner: Option<(u32, u32)>,
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The folder, to be mounted. From the moment on at which an agent saw it, the host never runs git in it.
    pub folder: PathBuf,
    /// The branch in it.
    pub branch: BranchName,
    /// The commit that it began with.
    pub base: String,
    /// The tip of the branch at the remote; `None` when the remote does not have it.
    pub remote: Option<String>,
    /// It was there already, and was left as it is.
    pub existed: bool,
}

/// A bundle that came out of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// A folder of the host; an agent may have written everything below it.
    pub folder: PathBuf,
    /// The file in it, as a relative path. No part of it may be a symlink.
    pub file: PathBuf,
    /// The ref of the bundle that is wanted, such as `HEAD` or `refs/heads/atoll/x`.
    pub reference: String,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The commit that the agent made last.
    pub tip: String,
    /// Its tree.
    pub tree: String,
}

/// The commit that is made of what was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The job.
    pub job: String,
    /// The tree.
    pub tree: String,
    /// Who it is by.
    pub author: Author,
    /// What it says.
    pub message: Message,
    /// When. The same seal makes the same commit.
    pub at: Millis,
}

/// What sealing gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// A commit on the base.
    Commit(String),
    /// The tree is that of the base: there is nothing to commit.
    Unchanged,
}

/// A commit, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The commit.
    pub commit: String,
    /// Its tree: what an approval is bound to.
    pub tree: String,
    /// Its one parent, with which it is compared.
    pub base: String,
    /// What it changes.
    pub files: Vec<FileChange>,
    /// Added lines.
    pub added: u64,
    /// Removed lines.
    pub removed: u64,
    /// What a person must know, the worst first.
    pub findings: Vec<Finding>,
}

/// A diff as text, with what looks like a secret masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// The text.
    pub text: String,
    /// It was cut at the limit.
    pub cut: bool,
}

/// A commit to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The job that has it.
    pub job: String,
    /// Where to.
    pub remote: Remote,
    /// The commit: exactly this one.
    pub commit: String,
    /// The tree that was approved; another one is refused.
    pub tree: String,
    /// The branch.
    pub branch: BranchName,
    /// The tip that the branch must have; `None` when it must not be there.
    pub expected: Option<String>,
}

/// What pushing gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The branch is at the commit now.
    Now,
    /// It was there already: an earlier push had come through.
    Before,
}

/// Why something did not work with a repository. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoError {
    /// The remote does not let us in; what to do about it.
    #[error("{0}")]
    Denied(String),
    /// A repository, branch or commit is not there; what to do about it.
    #[error("{0}")]
    NotThere(String),
    /// The remote cannot be reached, or took too long. Trying again may help.
    #[error("{0}")]
    Unreachable(String),
    /// The branch at the remote is not where it was.
    #[error(
        "the branch `{branch}` at the remote is at {at} instead of {expected}: take the job up again on its new state"
    )]
    Moved {
        /// The branch.
        branch: BranchName,
        /// Where it is.
        at: String,
        /// Where it was expected.
        expected: String,
    },
    /// The remote does not take the commit; its words.
    #[error("the remote refuses the push: {0}")]
    Rejected(String),
    /// What came out of the sandbox is broken or forbidden.
    #[error("the work cannot be taken over: {0}")]
    Broken(String),
    /// Larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Git or the disk failed.
    #[error("{0}")]
    Failed(String),
}

impl RepoError {
    /// Trying the same again later may work.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }
}

/// Repositories of the host. Dropping a future kills the processes behind it.
pub trait Repos: Send + Sync {
    /// Makes the project's mirror, or brings it up to date.
    fn update(&self, project: Project) -> BoxFuture<'static, Result<Branches, RepoError>>;

    /// Makes a job's workspace and its repository of the host. One that is there stays as it is.
    fn prepare(&self, prepare: Prepare) -> BoxFuture<'static, Result<Workspace, RepoError>>;

    /// The commit that a job began with.
    fn base(&self, job: String) -> BoxFuture<'static, Result<String, RepoError>>;

    /// Takes a bundle over into the job's repository of the host, checked object by object.
    fn import(&self, job: String, bundle: BundleFile) -> BoxFuture<'static, Result<Imported, RepoError>>;

    /// Makes one commit of an imported tree on the job's base. The agent's own commits stay behind: they may hold what
    /// the last tree does not show.
    fn seal(&self, seal: Seal) -> BoxFuture<'static, Result<Sealed, RepoError>>;

    /// Looks at a commit of the job's repository.
    fn inspect(
        &self,
        job: String,
        commit: String,
        limits: ReviewLimits,
    ) -> BoxFuture<'static, Result<Inspection, RepoError>>;

    /// The diff of a commit to its parent, up to so many bytes.
    fn diff(&self, job: String, commit: String, most: usize) -> BoxFuture<'static, Result<Diff, RepoError>>;

    /// The commit that was sealed last as a git bundle: whoever has its parent can fetch it from there.
    fn bundle(&self, job: String, commit: String) -> BoxFuture<'static, Result<Vec<u8>, RepoError>>;

    /// Pushes one commit to one branch. Asks the remote before and after, so that a push that was cut off is not repeated.
    fn push(&self, push: Push) -> BoxFuture<'static, Result<Pushed, RepoError>>;

    /// The branches of a remote.
    fn branches(&self, remote: Remote) -> BoxFuture<'static, Result<Branches, RepoError>>;

    /// Removes a job's workspace and repository. Idempotent.
    fn remove(&self, job: String) -> BoxFuture<'static, Result<(), RepoError>>;

    /// Removes a project's mirror. Its jobs' repositories must be gone. Idempotent.
    fn forget(&self, project: String) -> BoxFuture<'static, Result<(), RepoError>>;
}
