//! The actor of all bots: keeps a poller for each that runs, and ends what a stopped one left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::join_all;

use crate::{
    actors::{
        db::messages::{DbError, GetBoard, GetStory, ListBots, OpenJobs, RenewClaim},
        jobs::messages::{JobOrder, TellJob},
        kernel::{Fallen, Life, Mail, Nursery, Registry, messages::*},
    },
    domain::{
        board::By,
        bot::{BotState, duty},
        ids::{BotId, JobId},
        job::{ForStory, Task},
        restart::Policy,
    },
};

use super::{
    kit::BotsKit,
    messages::{BotChanged, LookAtBot, PollReport, Polled, Wake},
    poller::PollerHandle,
    requests, schedules,
};

/// Bots tell rarely, and may be told again.
const MAILBOX: usize = 256;
/// How often the store is asked which bots run: a change whose message was lost is seen then.
const LOOK: Duration = Duration::from_secs(30);
/// How often schedules are looked at.
const SCHEDULES: Duration = Duration::from_secs(5);
/// Soonest look at pull requests after the start.
const REQUESTS_SOON: Duration = Duration::from_secs(30);

/// Starts the poller of a bot.
pub type StartPoller = Arc<dyn Fn(BotId, Life) -> PollerHandle + Send + Sync>;

/// What the actor is made of.
#[derive(Clone)]
pub struct BotsParts {
    /// Starts pollers.
    pub start: StartPoller,
    /// What they share.
    pub kit: Arc<BotsKit>,
    /// All actors.
    pub registry: Registry,
}

/// The actor.
pub struct Bots {
    life: Life,
    parts: BotsParts,
    pollers: Option<Nursery<PollerHandle>>,
    reports: BTreeMap<BotId, PollReport>,
    /// Bots that changed and were not looked at since.
    changed: BTreeSet<BotId>,
    /// It has not looked since it was started.
    fresh: bool,
    looking: bool,
    scheduling: bool,
    requesting: bool,
    draining: bool,
    /// Jobs that schedules gave.
    scheduled: u64,
    /// Looks at pull requests.
    requested: u64,
}

/// What a look at the store found.
struct Found {
    states: BTreeMap<BotId, BotState>,
    to_end: Vec<JobId>,
}

impl Bots {
    /// It looks at the store when it starts.
    pub fn new(life: Life, parts: BotsParts) -> Self {
        Self {
            life,
            parts,
            pollers: None,
            reports: BTreeMap::new(),
            changed: BTreeSet::new(),
            fresh: true,
            looking: false,
            scheduling: false,
            requesting: false,
            draining: false,
            scheduled: 0,
            requested: 0,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.draining || std::mem::replace(&mut self.looking, true) {
            return;
        }
        let changed = std::mem::take(&mut self.changed);
        let found = find(Arc::clone(&self.parts.kit), changed.clone(), self.fresh);
        ctx.spawn(found.into_actor(self).map(move |found, bots, ctx| {
            bots.looking = false;
            match found {
                Ok(found) => {
                    bots.fresh = false;
                    bots.found(found, &changed);
                }
                // The next look sees the same.
                Err(error) => bots.life.vitals().note_error(error.to_string()),
            }
            if !bots.changed.is_empty() {
                bots.look(ctx);
            }
        }));
    }

    fn found(&mut self, found: Found, changed: &BTreeSet<BotId>) {
        if self.draining {
            return;
        }
        let take = self.parts.kit.settings.take;
        let runs = |(_, state): &(&BotId, &BotState)| take && **state == BotState::Running;
        let running: Vec<BotId> = found.states.iter().filter(runs).map(|(bot, _)| bot.clone()).collect();
        let Some(pollers) = &mut self.pollers else { return };
        let names: BTreeSet<Arc<str>> = running.iter().map(name_of).collect();
        for (name, handle) in pollers.living().filter(|(name, _)| !names.contains(*name)) {
            if let Some(vitals) = pollers.vitals(name) {
                let stop = Stop { deadline: self.parts.kit.clock.now() };
                actix::spawn(drop_answer(handle.stop.send(Mail::new(stop, vitals))));
            }
        }
        self.reports.retain(|bot, _| found.states.contains_key(bot));
        let mut fresh = Vec::new();
        for bot in &running {
            let name = name_of(bot);
            match (pollers.get(&name), pollers.vitals(&name)) {
                (Some(handle), Some(vitals)) if changed.contains(bot) => {
                    actix::spawn(drop_answer(handle.wake.send(Mail::new(Wake, vitals))));
                }
                // One that fell is started again when its pause is over.
                (_, Some(_)) => {}
                (_, None) => fresh.push(name),
            }
        }
        for name in fresh {
            self.start(&name);
        }
        for job in found.to_end {
            self.end(job);
        }
    }

    fn start(&mut self, name: &Arc<str>) {
        let bot = BotId::new(name.trim_start_matches("bot/"));
        let start = Arc::clone(&self.parts.start);
        if let Some(pollers) = &mut self.pollers {
            pollers.start(name, "bot", |life| start(bot, life));
        }
    }

    fn end(&self, job: JobId) {
        let told = self.parts.kit.doors.tell.ask(TellJob { job: job.clone(), order: JobOrder::Cancel });
        actix::spawn(async move {
            match told.await {
                Ok(()) => {
                    tracing::info!(%job, "ended: its bot was stopped, or its story is not its own any more");
                }
                // It is over by now, or the next look tries again.
                Err(error) => tracing::debug!(%job, %error, "a job of a bot was not ended"),
            }
        });
    }

    fn run_schedules(&mut self, ctx: &mut Context<Self>) {
        if self.draining || std::mem::replace(&mut self.scheduling, true) {
            return;
        }
        let ran = schedules::run_due(Arc::clone(&self.parts.kit));
        ctx.spawn(ran.into_actor(self).map(|ran, bots, _| {
            bots.scheduling = false;
            match ran {
                Ok(ran) => bots.scheduled += ran,
                Err(error) => bots.life.vitals().note_error(error),
            }
        }));
    }

    fn look_at_requests(&mut self, ctx: &mut Context<Self>) {
        if self.draining || std::mem::replace(&mut self.requesting, true) {
            return;
        }
        let looked = requests::look(Arc::clone(&self.parts.kit));
        ctx.spawn(looked.into_actor(self).map(|looked, bots, _| {
            bots.requesting = false;
            match looked {
                Ok(looked) => bots.requested += looked,
                Err(error) => bots.life.vitals().note_error(error),
            }
        }));
    }
}

/// How bots stand, and which jobs are to end: those that are not their bot's business any more, and of bots that were
/// stopped or removed just now all that is at work.
///
/// The first time, claims of jobs that go on are renewed before any bot may look: they may have lapsed while nobody was
/// there, and the jobs themselves may have to wait until what an earlier run left behind has ended.
async fn find(kit: Arc<BotsKit>, changed: BTreeSet<BotId>, fresh: bool) -> Result<Found, DbError> {
    let doors = &kit.doors;
    let ask = ListBots { member: None, project: None, state: None, limit: usize::MAX, offset: 0 };
    let (bots, _) = doors.bots.ask(ask).await?;
    let states: BTreeMap<BotId, BotState> = bots.into_iter().map(|bot| (bot.id, bot.state)).collect();
    let mut to_end = Vec::new();
    for task in doors.open.ask(OpenJobs {}).await? {
        if fresh {
            renew(&kit, &task).await?;
        }
        let Some(bot) = task.asked.bot.as_ref().filter(|_| task.head.at_work()) else { continue };
        let state = states.get(bot).copied();
        let stopped_now = changed.contains(bot) && matches!(state, None | Some(BotState::Stopped));
        if stopped_now || is_to_end(&kit, &task, state).await? {
            to_end.push(task.asked.id);
        }
    }
    Ok(Found { states, to_end })
}

async fn renew(kit: &BotsKit, task: &Task) -> Result<(), DbError> {
    let Some(ForStory { story, token }) = task.asked.story.clone() else { return Ok(()) };
    let by = By { actor: "system".into(), at: kit.clock.now() };
    let renew = RenewClaim { story, token, lease_ms: kit.settings.lease_ms, job: None, by };
    match kit.doors.renew.ask(renew).await {
        // It ended, or somebody else has it.
        Ok(_) | Err(DbError::Board(_) | DbError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn is_to_end(kit: &BotsKit, task: &Task, state: Option<BotState>) -> Result<bool, DbError> {
    let Some(on) = &task.asked.story else { return Ok(duty::is_to_end(task, state, None)) };
    let Some(story) = kit.doors.story.ask(GetStory { id: on.story.clone() }).await? else {
        return Ok(duty::is_to_end(task, state, None));
    };
    let (board, _) = kit.doors.board.ask(GetBoard { project: story.project.clone() }).await?;
    Ok(duty::is_to_end(task, state, Some((&story, board.role(&story.column)))))
}

/// The name of the poller of a bot.
fn name_of(id: &BotId) -> Arc<str> {
    Arc::from(format!("bot/{id}"))
}

async fn drop_answer<T, E>(sent: impl Future<Output = Result<T, E>>) {
    // Who is gone needs no telling.
    let _ = sent.await;
}

impl Actor for Bots {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        let kit = &self.parts.kit;
        self.pollers = Some(Nursery::new(
            "bots",
            ctx.address().recipient(),
            Policy::default(),
            Arc::clone(&kit.clock),
            self.parts.registry.clone(),
            kit.metrics.clone(),
        ));
        let every = Duration::from_millis(kit.settings.request_poll_ms.max(1));
        self.look(ctx);
        ctx.run_interval(LOOK, Self::look);
        ctx.run_interval(SCHEDULES, Self::run_schedules);
        ctx.run_later(every.min(REQUESTS_SOON), Self::look_at_requests);
        ctx.run_interval(every, Self::look_at_requests);
    }
}

impl Handler<Mail<BotChanged>> for Bots {
    type Result = ();

    fn handle(&mut self, mail: Mail<BotChanged>, ctx: &mut Self::Context) {
        let (BotChanged(bot), _ticket) = mail.open();
        self.changed.insert(bot);
        self.look(ctx);
    }
}

impl Handler<Mail<LookAtBot>> for Bots {
    type Result = Option<PollReport>;

    fn handle(&mut self, mail: Mail<LookAtBot>, _: &mut Self::Context) -> Self::Result {
        let (LookAtBot(bot), _ticket) = mail.open();
        self.reports.get(&bot).cloned()
    }
}

impl Handler<Mail<Polled>> for Bots {
    type Result = ();

    fn handle(&mut self, mail: Mail<Polled>, _: &mut Self::Context) {
        let (Polled { bot, report }, _ticket) = mail.open();
        self.reports.insert(bot, report);
    }
}

impl Handler<ChildDown> for Bots {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let name = Arc::clone(&down.name);
        match self.pollers.as_mut().map(|pollers| pollers.fell(down)) {
            Some(Fallen::Stopped) => {
                if let Some(pollers) = &mut self.pollers {
                    pollers.retire(&name);
                }
                // It may have been started again meanwhile.
                self.look(ctx);
            }
            Some(Fallen::RestartAt(at)) if !self.draining => {
                let wait = (at - self.parts.kit.clock.now()).max(0).unsigned_abs();
                // If it does not run any more, the next look ends it.
                ctx.run_later(Duration::from_millis(wait), move |bots, _| bots.start(&name));
            }
            _ => {}
        }
    }
}

impl Handler<Mail<Observe>> for Bots {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let running = self.pollers.as_ref().map_or(0, Nursery::len);
        let (scheduled, requested) = (self.scheduled, self.requested);
        Snapshot(
            serde_json::json!({"running": running, "scheduled": scheduled, "requestsLookedAt": requested}),
        )
    }
}

impl Handler<Mail<Stop>> for Bots {
    type Result = ResponseActFuture<Self, Drained>;

    /// Takes no more stories; looks that are under way come to their end.
    fn handle(&mut self, mail: Mail<Stop>, _: &mut Self::Context) -> Self::Result {
        let (stop, _ticket) = mail.open();
        self.draining = true;
        let pollers = self.pollers.iter().flat_map(|pollers| {
            pollers.living().filter_map(|(name, handle)| Some((pollers.vitals(name)?, handle)))
        });
        let ends: Vec<_> =
            pollers.map(|(vitals, handle)| handle.stop.send(Mail::new(stop, vitals))).collect();
        Box::pin(join_all(ends).into_actor(self).map(|_, bots, ctx| {
            bots.life.stop(ctx);
            Drained
        }))
    }
}
