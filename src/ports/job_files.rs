//! What a job leaves on disk: its log, which is bounded and can be read from any place on, and its artefacts.

use std::io;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::domain::{
    Millis,
    engine::EngineEvent,
    gateway::EgressRecord,
    ids::JobId,
    job::{Verbosity, VerifyRun},
};

/// What a line of a log tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LogEvent {
    /// Where the job stands now.
    State {
        /// The word.
        state: String,
        /// Why, where there is a reason.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
    },
    /// Atoll says something.
    Note {
        /// What.
        text: String,
    },
    /// The engine tells something.
    Engine(EngineEvent),
    /// A check of the project ended.
    Check(VerifyRun),
    /// The sandbox asked for something outside.
    Egress(EgressRecord),
}

impl LogEvent {
    /// Who wants to see it: those who want at least so much.
    pub fn verbosity(&self) -> Verbosity {
        match self {
            Self::State { .. } => Verbosity::Quiet,
            Self::Note { .. } | Self::Check(_) => Verbosity::Normal,
            Self::Engine(
                EngineEvent::Text { .. }
                | EngineEvent::ToolCall { .. }
                | EngineEvent::FileChange { .. }
                | EngineEvent::Question(_)
                | EngineEvent::Denied { .. }
                | EngineEvent::Error { .. }
                | EngineEvent::Result(_),
            ) => Verbosity::Normal,
            Self::Engine(_) | Self::Egress(_) => Verbosity::Verbose,
        }
    }
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number, from 0; numbers of lines that were let go are not used again.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// What.
    pub event: LogEvent,
}

/// A piece of a log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogPage {
    /// The lines, in order. The first may have a higher number than was asked for, when those before it were let go.
    pub lines: Vec<LogLine>,
    /// The number to go on from.
    pub next: u64,
}

/// A file that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Artefact {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What jobs leave on disk.
pub trait JobFiles: Send + Sync {
    /// Adds a line. In order for each job; must not block for long. What cannot be written is logged and lost.
    fn log(&self, job: &JobId, at: Millis, event: LogEvent);

    /// Lines from this number on, at most so many.
    fn read(&self, job: &JobId, from: u64, most: usize) -> BoxFuture<'static, io::Result<LogPage>>;

    /// The number of the next line, as it grows. Only lines written by this process are seen by it.
    fn watch(&self, job: &JobId) -> watch::Receiver<u64>;

    /// Keeps an artefact, in the place of one of the same name.
    fn keep(&self, job: &JobId, name: &str, bytes: Bytes) -> BoxFuture<'static, io::Result<()>>;

    /// All artefacts, by name.
    fn artefacts(&self, job: &JobId) -> BoxFuture<'static, io::Result<Vec<Artefact>>>;

    /// One artefact; `None` when there is none of this name.
    fn artefact(&self, job: &JobId, name: &str) -> BoxFuture<'static, io::Result<Option<Bytes>>>;
}
