//! What the actor tree is made of, and the doors to it.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        bots::messages::{BotChanged, LookAtBot, Polled},
        db::messages::DbDoors,
        delivery::messages::Deliver,
        event_hub::messages::{Publish, Subscribe},
        intake::messages::{Answers, Offer, Order, Suggest},
        jobs::messages::{FreeSlot, JobsTick, Submit, TellJob, WantSlot},
        kernel::{Door, Placement},
        llm_pool::messages::{Complete, Providers},
        outbox::messages::Fresh,
        reception::messages::Report,
        router::messages::{Command, RestartSession, Route},
        scheduler::messages::Tick,
        skill_host::messages::{ListSkills, RunTool},
    },
    channels::CallbackChannel,
    config::Config,
    domain::{
        chat::PLATFORMS,
        file_link::FileLinks,
        outbound::{CALLBACK_CHANNEL, STREAM_CHANNELS},
        webhook::Kind,
    },
    ports::{
        clock::Clock, metrics::Metrics, model::Model, persona::Personas, platform::Platform,
        tool::SharedSkills, transcriber::Transcriber,
    },
};

use super::jobs::Coding;

/// What the actors of the store are made of.
#[derive(Clone)]
pub struct Base {
    /// The store's file; its schema is up to date.
    pub store: PathBuf,
    /// The number of this run of the process.
    pub boot: i64,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
    /// On which threads.
    pub placement: Placement,
    /// Links to files, when people can reach the server.
    pub links: Option<FileLinks>,
    /// What the webhook is told of what is written; `None` when there is none.
    pub told: Option<BTreeSet<Kind>>,
}

/// What the whole tree is made of.
pub struct Parts {
    /// What the store needs.
    pub base: Base,
    /// The configuration.
    pub config: Config,
    /// Who answers, in order.
    pub models: Vec<Arc<dyn Model>>,
    /// Skills.
    pub skills: SharedSkills,
    /// Who the assistant is.
    pub personas: Arc<dyn Personas>,
    /// What coding jobs are worked on with.
    pub coding: Coding,
    /// Posts what happens to tasks.
    pub callbacks: Arc<CallbackChannel>,
    /// Chat platforms that are listened to.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// Who writes down what is said in recordings.
    pub transcriber: Option<Arc<dyn Transcriber>>,
}

/// All doors of the tree.
#[derive(Clone)]
pub struct Doors {
    /// To the store.
    pub db: DbDoors,
    /// To the hub.
    pub publish: Door<Publish>,
    /// To the hub.
    pub subscribe: Door<Subscribe>,
    /// To the deliveries, by channel.
    pub deliveries: HashMap<&'static str, Door<Deliver>>,
    /// To the outbox.
    pub fresh: Door<Fresh>,
    /// Told when nobody waits any more for messages that wait for their platform.
    pub(super) ending: CancellationToken,
    /// To the models.
    pub complete: Door<Complete>,
    /// To the models.
    pub providers: Door<Providers>,
    /// To the tools.
    pub tool: Door<RunTool>,
    /// To the skills.
    pub skills: Door<ListSkills>,
    /// To the router.
    pub route: Door<Route>,
    /// To the router.
    pub command: Door<Command>,
    /// To the router.
    pub restart_session: Door<RestartSession>,
    /// To the jobs.
    pub submit: Door<Submit>,
    /// To the jobs.
    pub jobs_tick: Door<JobsTick>,
    /// To the jobs, from each of them.
    pub(super) want_slot: Door<WantSlot>,
    /// To the jobs, from each of them.
    pub(super) free_slot: Door<FreeSlot>,
    /// To the jobs.
    pub tell_job: Door<TellJob>,
    /// To the bots.
    pub bot_changed: Door<BotChanged>,
    /// To the bots.
    pub look_at_bot: Door<LookAtBot>,
    /// To the bots, from each of them.
    pub(super) polled: Door<Polled>,
    /// To the intakes, by channel.
    pub offer: HashMap<&'static str, Door<Offer>>,
    /// To the intakes, by channel.
    pub order: HashMap<&'static str, Door<Order>>,
    /// To the intakes, by channel.
    pub suggest: HashMap<&'static str, Door<Suggest>>,
    /// To the receptions, by channel.
    pub reports: HashMap<&'static str, Door<Report>>,
    /// To the scheduler.
    pub tick: Door<Tick>,
}

impl Doors {
    /// Where answers to questions go.
    pub(super) fn answers(&self) -> Answers {
        Answers {
            decide: self.db.write.decide.clone(),
            project: self.db.read.find_project.clone(),
            command: self.command.clone(),
            tell_job: self.tell_job.clone(),
        }
    }

    /// Doors with nobody behind them yet: [`assemble`](super::assemble) opens them.
    pub fn closed() -> Self {
        fn by_channel<T>(door: impl Fn() -> T) -> HashMap<&'static str, T> {
            STREAM_CHANNELS.into_iter().chain(PLATFORMS).map(|channel| (channel, door())).collect()
        }
        Self {
            db: DbDoors::closed(),
            publish: Door::closed("the event hub"),
            subscribe: Door::closed("the event hub"),
            deliveries: STREAM_CHANNELS
                .into_iter()
                .chain([CALLBACK_CHANNEL])
                .chain(PLATFORMS)
                .map(|channel| (channel, Door::closed("the delivery")))
                .collect(),
            fresh: Door::closed("the outbox"),
            ending: CancellationToken::new(),
            complete: Door::closed("the model pool"),
            providers: Door::closed("the model pool"),
            tool: Door::closed("the skill host"),
            skills: Door::closed("the skill host"),
            route: Door::closed("the router"),
            command: Door::closed("the router"),
            restart_session: Door::closed("the router"),
            submit: Door::closed("the jobs"),
            jobs_tick: Door::closed("the jobs"),
            want_slot: Door::closed("the jobs"),
            free_slot: Door::closed("the jobs"),
            tell_job: Door::closed("the jobs"),
            bot_changed: Door::closed("the bots"),
            look_at_bot: Door::closed("the bots"),
            polled: Door::closed("the bots"),
            offer: by_channel(|| Door::closed("the intake")),
            order: by_channel(|| Door::closed("the intake")),
            suggest: by_channel(|| Door::closed("the intake")),
            reports: PLATFORMS.map(|channel| (channel, Door::closed("the reception"))).into(),
            tick: Door::closed("the scheduler"),
        }
    }
}
