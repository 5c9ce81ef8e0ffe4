//! What all jobs share: the doors they knock at, the ports they work through, and what bounds them.

use std::sync::Arc;

use crate::{
    actors::{db::messages::*, kernel::Door, outbox::messages::Fresh},
    domain::{engine, review::ReviewLimits},
    ports::{
        clock::Clock, files::Files, job_files::JobFiles, job_places::JobPlaces, metrics::Metrics,
        origin::Origins, repo::Repos, sandbox::SandboxLimits, sandbox_care::SandboxCare,
    },
};

use super::{
    bench::StartBench,
    messages::{FreeSlot, WantSlot},
};

/// Whom a job talks to.
#[derive(Clone)]
pub struct JobDoors {
    /// Store a job.
    pub create: Door<CreateJob>,
    /// Rebuild from rows.
    pub load: Door<LoadJob>,
    /// What is not over.
    pub open: Door<OpenJobs>,
    /// Where a job stands.
    pub task: Door<GetTask>,
    /// Store a step.
    pub write: Door<WriteJob>,
    /// Close questions whose time is over.
    pub expire: Door<ExpireJobs>,
    /// The project of a job.
    pub project: Door<FindProject>,
    /// The bot of a job.
    pub bot: Door<GetBot>,
    /// Write into a bot's journal.
    pub add_entry: Door<AddEntry>,
    /// Send what was stored.
    pub fresh: Door<Fresh>,
    /// To the actor of all jobs.
    pub want_slot: Door<WantSlot>,
    /// To the actor of all jobs.
    pub free_slot: Door<FreeSlot>,
}

/// What bounds jobs.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Jobs that run at once.
    pub parallel: usize,
    /// How often an engine that fell is started again.
    pub restarts: u32,
    /// How long a question stays open, in milliseconds.
    pub approval_ms: i64,
    /// How long a claim on a story holds when nobody renews it, in milliseconds.
    pub lease_ms: i64,
    /// Longest time of one set-up or verify command, in milliseconds.
    pub command_ms: u64,
    /// How long the workspace of a job that is over is kept, in milliseconds; `None` for ever.
    pub keep_ms: Option<i64>,
    /// What a sandbox may use beside what the project says.
    pub sandbox: SandboxLimits,
    /// What one run of an engine may take; its total time is the project's.
    pub engine: engine::Limits,
    /// What a change may be.
    pub review: ReviewLimits,
    /// The address that commits are by.
    pub author_email: String,
}

/// All that jobs share.
pub struct JobKit {
    /// Whom they talk to.
    pub doors: JobDoors,
    /// What bounds them.
    pub settings: JobSettings,
    /// Sandboxes, and whether they may be trusted.
    pub sandboxes: Arc<dyn SandboxCare>,
    /// Repositories of the host.
    pub repos: Arc<dyn Repos>,
    /// What opens the projects' remotes and forges.
    pub origins: Arc<dyn Origins>,
    /// Logs and artefacts.
    pub files: Arc<dyn JobFiles>,
    /// Files that came with jobs.
    pub attachments: Arc<dyn Files>,
    /// Where everything of a job lies.
    pub places: Arc<dyn JobPlaces>,
    /// Starts benches.
    pub start_bench: StartBench,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
}
