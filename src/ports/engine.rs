//! A coding engine: it works on the tree of a sandbox until it is done, and tells what it does.

use std::sync::Arc;

use tokio::sync::mpsc;

pub use crate::domain::engine::Approvals;
use crate::{
    domain::{
        bot,
        engine::{Control, EngineEvent, Limits},
    },
    ports::{gateway::JobToken, model::Model, sandbox::Sandbox},
};

/// Which session an engine works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A new one. The name is a UUID that was never used; an engine that names its sessions itself does not
    /// use it, and tells its own in [`EngineEvent::Session`].
    New(String),
    /// One that such an event told before, in a sandbox with the same home folder.
    Resume(String),
}

/// One run of an engine.
#[derive(Debug, Clone)]
pub struct EngineRun {
    /// What is to be done.
    pub prompt: String,
    /// What the engine is told about its work beside that; empty for nothing.
    pub system: String,
    /// The session.
    pub session: Session,
    /// The model; `None` leaves it to the engine.
    pub model: Option<String>,
    /// What it may take.
    pub limits: Limits,
    /// When it must ask.
    pub approvals: Approvals,
    /// Where the gateway's model APIs are inside the sandbox, such as `http://127.0.0.1:3128/llm`. Engines add
    /// `/anthropic` or `/openai/v1` to it.
    pub gateway: String,
    /// What the gateway knows the job by.
    pub token: JobToken,
}

/// A run that is under way.
#[derive(Debug)]
pub struct EngineHandle {
    /// What it tells; ends after a [`EngineEvent::Result`]. Dropping it lets the run go; the sandbox is then to
    /// be killed, because what runs inside may run on.
    pub events: mpsc::Receiver<EngineEvent>,
    /// What it is told. Sending fails once the run is over.
    pub control: mpsc::Sender<Control>,
}

/// An engine.
pub trait Engine: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// Starts a run. Whatever goes wrong comes as an event, and at last as the result. Needs a tokio runtime.
    fn start(&self, run: EngineRun, sandbox: Arc<dyn Sandbox>) -> EngineHandle;
}

/// Makes engines.
pub trait Engines: Send + Sync {
    /// The engine of this kind; `model` is whom our own asks, the others bring their own.
    fn engine(&self, kind: bot::Engine, model: Arc<dyn Model>) -> Arc<dyn Engine>;
}
