//! Looking after sandboxes: whether they can be made at all, the image, what was left behind. For operators, and
//! for whoever takes work up again after a restart.

use std::{collections::BTreeSet, path::PathBuf};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

use super::sandbox::{Evidence, FoundSandbox, SandboxError, Sandboxes};

/// How it stands with sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// They can be made.
    Ready,
    /// Not set up: whoever wants coding jobs has something to do first.
    Off,
    /// They cannot be trusted as they are.
    Doubtful,
}

/// What a cheap look at the container engine shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How it stands.
    pub readiness: Readiness,
    /// What was found.
    pub details: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// What an image is to be built of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildSpec {
    /// The image below it; `None` for the usual one.
    pub base: Option<String>,
    /// Take in Claude Code.
    pub claude_code: bool,
    /// Take in Codex.
    pub codex: bool,
    /// The engine's network that the build uses; `None` for its default.
    pub network: Option<String>,
    /// A certificate that the build trusts beside the usual ones when it fetches engines, in PEM.
    pub extra_ca: Option<Vec<u8>>,
}

/// What a build says. The last one is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStep {
    /// A piece of its output.
    Output(String),
    /// It is built; the image's name.
    Done(String),
    /// It is not built, and why.
    Failed(String),
}

/// Looks after sandboxes.
pub trait SandboxCare: Sandboxes {
    /// Looks whether sandboxes can be made, without making one. Answers within seconds.
    fn look(&self) -> BoxFuture<'static, Look>;

    /// The self-test, also when a stored one would do.
    fn test_anew(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>>;

    /// Ends and removes all sandboxes of this home but those `claimed` by their id; gives those that it ended.
    fn end_strays(
        &self,
        claimed: BTreeSet<String>,
    ) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>>;

    /// Removes a folder of the host that a sandbox could write to, whoever owns what is in it now. No sandbox may
    /// have it mounted any more. Idempotent.
    fn remove_folder(&self, folder: PathBuf) -> BoxFuture<'static, Result<(), SandboxError>>;

    /// Builds the configured image.
    fn build(&self, spec: BuildSpec) -> BoxFuture<'static, Result<mpsc::Receiver<BuildStep>, SandboxError>>;
}
