//! What the actor of one sandbox takes, and what it tells its job.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use actix::prelude::*;
use tokio::sync::mpsc;

use crate::{
    actors::kernel::Unreachable,
    domain::{
        bot,
        budget::Exceeded,
        engine::{Control, EngineEvent, Limits},
        gateway::{EgressLimits, EgressPolicy, EgressRecord},
        ids::JobId,
    },
    ports::{
        engine::Approvals,
        gateway::Terminals,
        repo::BundleFile,
        sandbox::{SandboxError, SandboxLimits},
    },
};

/// Why something could not be done at a bench.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    /// There is no isolation that may be trusted; what to do about it.
    #[error("no isolation: {0}")]
    NoIsolation(String),
    /// The sandbox is gone, and why. A new one can be opened.
    #[error("the sandbox is gone: {0}")]
    Gone(String),
    /// There is no sandbox: it was not opened, or it was closed.
    #[error("there is no open sandbox")]
    NotOpen,
    /// Something else must end first.
    #[error("{0}")]
    Busy(&'static str),
    /// No engine runs that could be told anything.
    #[error("no engine runs")]
    NoEngine,
    /// It failed; how.
    #[error("{0}")]
    Failed(String),
    /// The actor cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

impl From<SandboxError> for BenchError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::NoIsolation(why) => Self::NoIsolation(why),
            SandboxError::Gone(why) => Self::Gone(why),
            SandboxError::Engine(_) => Self::Failed(error.to_string()),
        }
    }
}

/// What a bench is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchSpec {
    /// For which job.
    pub job: JobId,
    /// The image; `None` for the configured one.
    pub image: Option<String>,
    /// What the sandbox may use.
    pub limits: SandboxLimits,
    /// The folder of the host with the work tree.
    pub workspace: PathBuf,
    /// The folder of the host that is the home inside: sessions of engines are kept in it, and work that is handed over
    /// passes through it.
    pub home: PathBuf,
    /// The folder of the host that is the cache of package managers: its project's alone.
    pub cache: Option<PathBuf>,
    /// Environment of everything inside. Holds no secret.
    pub env: BTreeMap<String, String>,
    /// What may be reached.
    pub policy: EgressPolicy,
    /// How much.
    pub egress: EgressLimits,
}

/// What a bench tells without being asked. In order; the job must read it, because what it does not read holds up
/// records of requests.
#[derive(Debug, Clone, PartialEq)]
pub enum BenchEvent {
    /// The sandbox is gone though nobody closed it: it died, or its way out did. Comes once for each that was opened,
    /// and after that nothing more of it. An engine that ran tells its own last event.
    Died {
        /// Why.
        why: String,
    },
    /// A request of the sandbox is over.
    Egress(EgressRecord),
    /// A model call was refused because a budget has no room. Comes once, and once more after each start of an engine.
    OverBudget(Exceeded),
}

/// Makes the sandbox, its relay and its gateway. A sandbox that an earlier life left for the same job is ended first.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Opened, BenchError>")]
pub struct Open {
    /// What is wanted.
    pub spec: BenchSpec,
    /// Where events go.
    pub events: mpsc::Sender<BenchEvent>,
}

/// An open bench.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The sandbox's id with the container engine.
    pub sandbox: String,
    /// The port of the gateway on its loopback.
    pub port: u16,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A line for a shell: `bash` where there is one, else `sh`. Not as a login shell: that would put the system's usual
    /// `PATH` in the place of the image's.
    Shell(String),
    /// A program and its arguments.
    Argv(Vec<String>),
}

/// Runs a command in the workspace to its end. It reads nothing.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<RunOutput, BenchError>")]
pub struct Run {
    /// The command.
    pub program: Program,
    /// Longest time, in milliseconds; rounded up to seconds. Then it is killed, with all that stayed in its process group.
    pub timeout_ms: u64,
    /// Bytes of its output that are kept: the last ones.
    pub max_output: usize,
    /// More environment. Holds no secret.
    pub env: BTreeMap<String, String>,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOutput {
    /// How it ended; `None` when it was ended by its time.
    pub exit: Option<i64>,
    /// The end of what it said, complaints among it in their order.
    pub tail: String,
    /// It said more than that.
    pub truncated: bool,
}

/// Changes what may be reached, from now on.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), BenchError>")]
pub struct SetPolicy {
    /// What may be reached.
    pub policy: EgressPolicy,
}

/// One run of an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineStart {
    /// Which engine.
    pub engine: bot::Engine,
    /// What is to be done.
    pub prompt: String,
    /// What it is told beside that; empty for nothing.
    pub system: String,
    /// The session to go on with; `None` for a new one.
    pub session: Option<String>,
    /// The model; `None` leaves it to the engine. For our own it is a configured model, or the name of a provider; with
    /// `None` any of them answers.
    pub model: Option<String>,
    /// What it may take.
    pub limits: Limits,
    /// When it must ask.
    pub approvals: Approvals,
}

/// Starts an engine; answered at once. One runs at a time.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), BenchError>")]
pub struct StartEngine {
    /// The run.
    pub run: EngineStart,
    /// Where its events go, in order. The last is a [`EngineEvent::Result`], and there is exactly one, whatever happens.
    /// When nobody reads any more, the sandbox is ended.
    pub events: mpsc::Sender<EngineEvent>,
}

/// Tells the running engine something.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), BenchError>")]
pub struct TellEngine {
    /// What.
    pub control: Control,
}

/// Makes a bundle of the work tree; answered when it lies in a folder of the host.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<BundleFile, BenchError>")]
pub struct HandOver {
    /// The commit that the job began with: what the host has already.
    pub base: String,
}

/// Makes terminals possible in the sandbox. Dropping what it gives hangs up all of them.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Result<Arc<dyn Terminals>, BenchError>")]
pub struct OpenTerminals;

/// Ends the sandbox with all that runs in it; answered when it is confirmed dead. Idempotent. After an error it can be
/// asked for again.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Result<(), BenchError>")]
pub struct Close;
