//! The neighbour: what the store and the jobs would answer, and what they were asked.

use std::cell::OnceCell;

use super::*;
use crate::ports::clock::Clock;

thread_local! {
    /// One for all towns of a test: its time can be stopped once.
    static CLOCK: OnceCell<Arc<dyn Clock>> = const { OnceCell::new() };
}

/// What stands in the store, and what was done.
#[derive(Default)]
pub(super) struct World {
    pub(super) bots: BTreeMap<String, Bot>,
    pub(super) ready: VecDeque<Story>,
    pub(super) held: Vec<Story>,
    pub(super) tasks: Vec<Task>,
    pub(super) spent: Amount,
    pub(super) proposals: u64,
    pub(super) schedules: Vec<Schedule>,
    pub(super) watched: Vec<(Task, Watch)>,
    /// Why jobs are not taken.
    pub(super) refuses: Option<JobRefused>,
    pub(super) claims: u32,
    /// Claims that were renewed, with how many were taken before.
    pub(super) renewed: Vec<(StoryId, u64, u32)>,
    pub(super) given: Vec<NewTask>,
    pub(super) released: Vec<(StoryId, u64, Outcome)>,
    pub(super) told: Vec<(JobId, JobOrder)>,
    pub(super) noted: Vec<(JobId, Watch)>,
    pub(super) journal: BTreeMap<EntryId, Entry>,
    pub(super) ran: Vec<(ScheduleId, i64, Option<i64>)>,
    /// Comings of schedules that the store does not take.
    pub(super) ran_fails: u32,
}

pub(super) type Shared = Arc<Mutex<World>>;

pub(super) struct Neighbour(pub(super) Shared);

impl Actor for Neighbour {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($message:ident, |$ask:ident, $world:ident| $body:expr) => {
        impl Handler<Mail<$message>> for Neighbour {
            type Result = <$message as Message>::Result;

            fn handle(&mut self, mail: Mail<$message>, _: &mut Self::Context) -> Self::Result {
                let ($ask, _ticket) = mail.open();
                let mut guard = self.0.lock().unwrap();
                #[allow(unused_mut, unused_variables, reason = "not all need it")]
                let $world = &mut *guard;
                $body
            }
        }
    };
}

answers!(GetBot, |ask, world| Ok(world.bots.get(ask.id.as_str()).cloned()));
answers!(ListBots, |ask, world| {
    let fits = |bot: &&Bot| ask.state.is_none_or(|state| bot.state == state);
    let found: Vec<Bot> = world.bots.values().filter(fits).cloned().collect();
    let count = found.len() as u64;
    Ok((found, count))
});
answers!(ClaimStory, |ask, world| {
    world.claims += 1;
    let bot = &world.bots[ask.bot.as_str()];
    if bot.state != BotState::Running {
        return Err(Refusal::NotRunning(bot.state.as_str()).into());
    }
    if world.held.len() >= bot.settings.max_concurrent_stories as usize {
        return Ok(None);
    }
    let Some(story) = world.ready.pop_front() else { return Ok(None) };
    let claim = Some(Claim { bot: ask.bot, until: ask.by.at + ask.lease_ms });
    let story = Story { claim, token: story.token + 1, ..story };
    world.held.push(story.clone());
    Ok(Some(Grant { token: story.token, until: ask.by.at + ask.lease_ms, story }))
});
answers!(RenewClaim, |ask, world| {
    world.renewed.push((ask.story.clone(), ask.token, world.claims));
    Err(Refusal::Fenced(ask.token).into())
});
answers!(ReleaseClaim, |ask, world| {
    world.released.push((ask.story.clone(), ask.token, ask.outcome));
    let at = world.held.iter().position(|story| story.id == ask.story).unwrap();
    let free = Story { claim: None, ..world.held.remove(at) };
    world.ready.push_front(free.clone());
    Ok(free)
});
answers!(GetStory, |ask, world| {
    let mut all = world.held.iter().chain(&world.ready);
    Ok(all.find(|story| story.id == ask.id).cloned())
});
answers!(ListStories, |_ask, world| Ok((world.held.clone(), world.held.len() as u64)));
answers!(StoryHistory, |_ask, _world| {
    let (actor, action) = ("bot:b".into(), "claimed".into());
    Ok((vec![Changed { id: 1, version: 2, at: 0, actor, action, changes: vec![] }], 1))
});
answers!(GetBoard, |ask, _world| {
    let columns = ["0", "todo", "doing", "3", "4"].map(ColumnId::new);
    Ok((Board::fresh(BoardId::new("x"), ask.project, columns), BTreeMap::new()))
});
answers!(GetFile, |ask, _world| {
    let file = FileRef { id: ask.id, name: "a.txt".into(), media_type: "text/plain".into(), size: 1 };
    Ok(Some((file, UserId::new("ann"))))
});
answers!(Recall, |_ask, world| Ok(world.journal.values().cloned().collect()));
answers!(AddEntry, |ask, world| Ok(world.journal.entry(ask.entry.id.clone()).or_insert(ask.entry).clone()));
answers!(BotDay, |_ask, world| Ok((world.spent, Amount::ZERO)));
answers!(WaitingProposals, |_ask, world| Ok(world.proposals));
answers!(GetTask, |ask, world| Ok(world.tasks.iter().find(|task| task.asked.id == ask.job).cloned()));
answers!(ListTasks, |ask, world| {
    let fits = |task: &&Task| {
        let filter = &ask.filter;
        let on = task.asked.story.as_ref().map(|on| &on.story);
        filter.over.is_none_or(|over| task.head.over == over)
            && (filter.bot.is_none() || filter.bot == task.asked.bot)
            && (filter.story.is_none() || filter.story.as_ref() == on)
    };
    let found: Vec<Task> = world.tasks.iter().filter(fits).cloned().collect();
    let count = found.len() as u64;
    Ok((found, count))
});
answers!(OpenJobs, |_ask, world| {
    Ok(world.tasks.iter().filter(|task| !task.head.over).cloned().collect())
});
answers!(DueSchedules, |ask, world| {
    let due = |one: &&Schedule| one.next_run_at.is_some_and(|at| at <= ask.now);
    Ok(world.schedules.iter().filter(due).cloned().collect())
});
answers!(ScheduleRan, |ask, world| {
    if world.ran_fails > 0 {
        world.ran_fails -= 1;
        return Err(DbError::Failed("disk full".into()));
    }
    world.ran.push((ask.id.clone(), ask.ran_at, ask.next));
    for one in world.schedules.iter_mut().filter(|one| one.id == ask.id) {
        one.next_run_at = ask.next;
    }
    Ok(())
});
answers!(FindProject, |_ask, _world| Ok(Some(project(true))));
answers!(WatchedRequests, |_ask, world| Ok(world.watched.clone()));
answers!(NoteRequest, |ask, world| {
    world.noted.push((ask.job.clone(), ask.watch.clone()));
    world.watched.retain(|(task, _)| task.asked.id != ask.job);
    Ok(())
});
answers!(Submit, |ask, world| {
    if let Some(refused) = &world.refuses {
        return Err(refused.clone());
    }
    if world.tasks.iter().any(|task| task.asked.id == ask.task.id) {
        let taken = Refusal::Taken { what: "task", name: ask.task.id.to_string() };
        return Err(JobRefused::Store(taken.into()));
    }
    world.given.push(ask.task.clone());
    let task = stored(ask.task, "queued", false);
    world.tasks.push(task.clone());
    Ok(task)
});
answers!(TellJob, |ask, world| {
    world.told.push((ask.job, ask.order));
    Ok(())
});

pub(super) fn stored(asked: NewTask, state: &str, over: bool) -> Task {
    let head = Head { state: state.into(), over, ..Head::default() };
    Task { asked, head, spent: Spent::default(), started_at: None, ended_at: None, updated_at: 0 }
}

/// A running bot that looks each minute.
pub(super) fn bot(change: BotChange) -> Bot {
    let change = BotChange {
        name: Some("fixer".into()),
        state: Some(change.state.unwrap_or(BotState::Running)),
        poll_interval_seconds: Some(60),
        ..change
    };
    Bot::fresh(BotId::new("b"), ProjectId::new("p"), &change, 0).unwrap()
}

pub(super) fn project(watch: bool) -> Project {
    let forge = ForgeSettings { kind: ForgeKind::Github, api_url: None, token_env: None };
    let change = ProjectChange {
        name: Some("P".into()),
        repo_url: Some("https://github.com/o/r".into()),
        forge: Some(Some(forge)),
        watch_requests: Some(watch),
        ..Default::default()
    };
    Project::fresh(ProjectId::new("p"), &change, 0).unwrap()
}

/// A place where no project comes from, or one with this forge.
pub(super) struct Places(pub(super) Option<Arc<dyn Forge>>);

impl Origins for Places {
    fn remote(&self, _: &Project) -> Result<Remote, String> {
        Err("there are none here".into())
    }

    fn forge(&self, _: &Project) -> Result<Option<Arc<dyn Forge>>, String> {
        Ok(self.0.clone())
    }
}

pub(super) struct Town {
    pub(super) bots: Addr<Bots>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) world: Shared,
}

/// Starts the actor of all bots beside this world.
pub(super) fn town(world: World) -> Town {
    town_with(world, None)
}

pub(super) fn town_with(world: World, forge: Option<Arc<dyn Forge>>) -> Town {
    let clock = CLOCK.with(|clock| Arc::clone(clock.get_or_init(testing::TestClock::start)));
    let world = Arc::new(Mutex::new(world));
    let neighbour = Neighbour(Arc::clone(&world)).start();
    let (life, vitals) = testing::orphan("bots", &clock);
    let polled = Door::closed("bots");
    macro_rules! door {
        () => {
            Door::to("neighbour", neighbour.clone().recipient(), Arc::clone(&vitals))
        };
    }
    let doors = BotsDoors {
        bot: door!(),
        bots: door!(),
        claim: door!(),
        renew: door!(),
        release: door!(),
        story: door!(),
        stories: door!(),
        history: door!(),
        board: door!(),
        file: door!(),
        recall: door!(),
        add_entry: door!(),
        day: door!(),
        proposals: door!(),
        task: door!(),
        tasks: door!(),
        open: door!(),
        due: door!(),
        ran: door!(),
        project: door!(),
        watched: door!(),
        note_request: door!(),
        submit: door!(),
        tell: door!(),
        polled: polled.clone(),
    };
    let metrics = Metrics::new().unwrap();
    let settings = BotsSettings { take: true, lease_ms: 600_000, request_poll_ms: 300_000 };
    let kit = Arc::new(BotsKit { doors, settings, origins: Arc::new(Places(forge)), clock, metrics });
    let of_pollers = Arc::clone(&kit);
    let parts = BotsParts {
        start: Arc::new(move |bot, life| {
            let addr = Poller::new(life, bot, Arc::clone(&of_pollers)).start();
            PollerHandle {
                wake: addr.clone().recipient(),
                observe: addr.clone().recipient(),
                stop: addr.recipient(),
            }
        }),
        kit,
        registry: Registry::default(),
    };
    let bots = Bots::new(life, parts).start();
    polled.open(bots.clone().recipient(), Arc::clone(&vitals));
    Town { bots, vitals, world }
}

impl Town {
    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Changes the bot as people do, and says so.
    pub(super) async fn change(&self, state: BotState) {
        if let Some(bot) = self.world.lock().unwrap().bots.get_mut("b") {
            bot.state = state;
        }
        self.bots.send(Mail::new(BotChanged(BotId::new("b")), &self.vitals)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    pub(super) async fn report(&self) -> messages::PollReport {
        let asked = self.bots.send(Mail::new(LookAtBot(BotId::new("b")), &self.vitals));
        asked.await.unwrap().unwrap_or_default()
    }

    pub(super) fn given(&self) -> Vec<String> {
        self.world.lock().unwrap().given.iter().map(|task| task.title.clone()).collect()
    }
}

/// A world with a bot and these stories ready.
pub(super) fn with(bot: Bot, ready: &[&str]) -> World {
    let ready = ready.iter().map(|title| Story { title: (*title).into(), ..story(title, "todo") });
    World { bots: [("b".into(), bot)].into(), ready: ready.collect(), ..World::default() }
}
