//! A place where untrusted programs run: no network, no secrets, limits that bite. Coding jobs use it, and
//! later skills.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

/// Where things are seen inside a sandbox.
pub mod place {
    /// The work: where programs start unless told otherwise. In memory when nothing is mounted there.
    pub const WORKSPACE: &str = "/workspace";
    /// The home of whoever works, which is `HOME`. In memory when nothing is mounted there.
    pub const HOME: &str = "/home/agent";
    /// What package managers fetched, when there is a cache.
    pub const CACHE: &str = "/cache";
    /// The program of the relay.
    pub const RELAY: &str = "/opt/atoll/relay";
}

/// For whom a sandbox is, as its labels say: a restart finds it by them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// `job`, `skill`, `check` or `warm`.
    pub kind: String,
    /// Which one.
    pub id: String,
}

/// A folder of the host that is seen inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The folder. Made by Atoll, never named by a person or a model.
    pub host: PathBuf,
    /// Where it is seen.
    pub inside: String,
    /// It cannot be written from inside.
    pub read_only: bool,
}

/// What a sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SandboxLimits {
    /// Memory, in bytes; there is no swap.
    pub memory_bytes: u64,
    /// Processors.
    pub cpus: f64,
    /// Processes of its user.
    pub processes: u64,
    /// Open files of a process.
    pub open_files: u64,
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// `/tmp`, in bytes; charged to the memory.
    pub tmp_bytes: u64,
}

/// What a sandbox is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSpec {
    /// For whom.
    pub owner: Owner,
    /// The image; `None` for the configured one.
    pub image: Option<String>,
    /// What it may use.
    pub limits: SandboxLimits,
    /// What it sees of the host.
    pub mounts: Vec<Mount>,
    /// Environment of everything inside. Holds no secret.
    pub env: BTreeMap<String, String>,
}

impl SandboxSpec {
    /// With the relay, whose program is this file of the host.
    #[must_use]
    pub fn with_relay(mut self, program: PathBuf) -> Self {
        self.mounts.push(Mount { host: program, inside: place::RELAY.to_owned(), read_only: true });
        self
    }

    /// With a folder of the host as the cache of npm, pip and cargo; it is made when it is not there. Whatever ran with it before may have written
    /// there what it liked: it is for one project alone. It counts as what the sandbox stores, and is emptied before
    /// the sandbox is made when it holds more than half of what that may be and no other sandbox uses it.
    #[must_use]
    pub fn with_cache(mut self, folder: PathBuf) -> Self {
        self.mounts.push(Mount { host: folder, inside: place::CACHE.to_owned(), read_only: false });
        let places = [("npm_config_cache", "npm"), ("PIP_CACHE_DIR", "pip"), ("CARGO_HOME", "cargo")];
        let env = places.map(|(name, folder)| (name.to_owned(), format!("{}/{folder}", place::CACHE)));
        self.env.extend(env);
        self
    }
}

/// Who runs a program inside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExecUser {
    /// The one who does the work, and owns its folders.
    #[default]
    Agent,
    /// The relay, and nobody else: its streams are the way out, and whoever does the work cannot touch them.
    Relay,
}

/// A program to run inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// More environment.
    pub env: BTreeMap<String, String>,
    /// Where it starts; `None` for the workspace.
    pub folder: Option<String>,
    /// Who runs it.
    pub user: ExecUser,
}

impl ExecSpec {
    /// The relay that carries connections, in a sandbox that was made [`with_relay`](SandboxSpec::with_relay).
    pub fn relay() -> Self {
        Self { user: ExecUser::Relay, ..Self::in_root(&[place::RELAY]) }
    }

    /// The relay that carries terminals, in such a sandbox.
    pub fn terminals() -> Self {
        Self { folder: None, ..Self::in_root(&[place::RELAY, "-"]) }
    }

    fn in_root(argv: &[&str]) -> Self {
        let argv = argv.iter().map(|part| (*part).to_owned()).collect();
        Self { argv, folder: Some("/".to_owned()), ..Self::default() }
    }
}

/// A program that runs inside. Dropping the streams does not end it: the sandbox is what is killed.
pub struct Exec {
    /// What it reads; dropped for the end of input.
    pub stdin: mpsc::Sender<Bytes>,
    /// What it says.
    pub stdout: mpsc::Receiver<Bytes>,
    /// What it complains of.
    pub stderr: mpsc::Receiver<Bytes>,
    /// How it ended; dropped unsent when the sandbox died under it.
    pub exit: oneshot::Receiver<i64>,
}

/// Why something did not work with a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// There is no isolation that may be trusted; what to do about it.
    #[error("no isolation: {0}")]
    NoIsolation(String),
    /// The sandbox is gone.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// The container engine failed.
    #[error("the container engine failed: {0}")]
    Engine(String),
}

/// A sandbox that a restart found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSandbox {
    /// Its id with the engine.
    pub id: String,
    /// For whom it was made.
    pub owner: Owner,
    /// It still runs.
    pub running: bool,
}

/// One check of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// It holds.
    pub ok: bool,
    /// What was seen.
    pub seen: String,
}

/// What the self-test of the sandbox showed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// The runtime that was asked for.
    pub runtime: String,
    /// All checks.
    pub checks: Vec<Check>,
    /// When, in milliseconds since the epoch.
    pub at: crate::domain::Millis,
}

impl Evidence {
    /// Everything held.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.ok)
    }
}

/// One running sandbox.
pub trait Sandbox: Send + Sync {
    /// Its id with the engine.
    fn id(&self) -> &str;

    /// Starts a program inside.
    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Exec, SandboxError>>;

    /// Kills everything inside and removes it; answers when it is confirmed dead. Idempotent.
    fn kill(&self) -> BoxFuture<'static, Result<(), SandboxError>>;

    /// Answers when it died, and why, as far as the engine says.
    fn died(&self) -> BoxFuture<'static, String>;
}

/// Makes sandboxes.
pub trait Sandboxes: Send + Sync {
    /// Makes and starts one.
    fn create(&self, spec: SandboxSpec) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>>;

    /// All that bear our labels, running or not.
    fn found(&self) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>>;

    /// Takes up one that was found running.
    fn adopt(&self, id: &str) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>>;

    /// Shows, in a throw-away sandbox just like a job's, that the isolation holds.
    fn self_test(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>>;
}
