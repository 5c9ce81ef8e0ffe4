//! What the actors of bots share: the doors they knock at, and what bounds them.

use std::sync::Arc;

use crate::{
    actors::{
        db::messages::*,
        jobs::messages::{Submit, TellJob},
        kernel::Door,
    },
    domain::Millis,
    ports::{clock::Clock, metrics::Metrics, origin::Origins},
};

use super::messages::Polled;

/// Whom bots talk to.
#[derive(Clone)]
pub struct BotsDoors {
    /// One bot.
    pub bot: Door<GetBot>,
    /// All bots.
    pub bots: Door<ListBots>,
    /// The next story.
    pub claim: Door<ClaimStory>,
    /// Prolong a claim.
    pub renew: Door<RenewClaim>,
    /// Give a story back.
    pub release: Door<ReleaseClaim>,
    /// A story.
    pub story: Door<GetStory>,
    /// Stories of a project.
    pub stories: Door<ListStories>,
    /// What was done to a story.
    pub history: Door<StoryHistory>,
    /// What columns mean.
    pub board: Door<GetBoard>,
    /// A file of a story.
    pub file: Door<GetFile>,
    /// What a bot remembers.
    pub recall: Door<Recall>,
    /// Write into a bot's journal.
    pub add_entry: Door<AddEntry>,
    /// What a bot spent today.
    pub day: Door<BotDay>,
    /// What a bot proposed.
    pub proposals: Door<WaitingProposals>,
    /// One job.
    pub task: Door<GetTask>,
    /// Jobs.
    pub tasks: Door<ListTasks>,
    /// Jobs that are not over.
    pub open: Door<OpenJobs>,
    /// Schedules whose time came.
    pub due: Door<DueSchedules>,
    /// A schedule came.
    pub ran: Door<ScheduleRan>,
    /// The project of a job.
    pub project: Door<FindProject>,
    /// Pull requests to look at.
    pub watched: Door<WatchedRequests>,
    /// What was seen of one.
    pub note_request: Door<NoteRequest>,
    /// Give a job.
    pub submit: Door<Submit>,
    /// Tell a job something.
    pub tell: Door<TellJob>,
    /// To the actor of all bots, from each of them.
    pub polled: Door<Polled>,
}

/// What bounds bots.
#[derive(Debug, Clone, Copy)]
pub struct BotsSettings {
    /// Running bots take stories by themselves.
    pub take: bool,
    /// How long a claim on a story holds when nobody renews it, in milliseconds.
    pub lease_ms: Millis,
    /// How often pull requests are looked at, in milliseconds.
    pub request_poll_ms: u64,
}

/// All that the actors of bots share.
pub struct BotsKit {
    /// Whom they talk to.
    pub doors: BotsDoors,
    /// What bounds them.
    pub settings: BotsSettings,
    /// Where pull requests live.
    pub origins: Arc<dyn Origins>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
}
