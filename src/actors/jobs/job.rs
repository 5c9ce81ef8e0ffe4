//! The actor of one job: its state, its mail. It holds nothing that its journal does not say.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::{
    actors::{
        db::messages::{DbError, FindProject, LoadJob, ProjectOf},
        kernel::{Life, Mail, Nursery, Registry, messages::*},
    },
    domain::{
        approval::Subject,
        ids::{ApprovalId, JobId},
        job::{Answered, Effect, Event, Job, JobRow, Opening, Phase, Question, Task},
        project::Project,
        restart::Policy,
    },
};

use super::{
    bench::Bench,
    bounds::{host_of, limits, not_now},
    kit::JobKit,
    messages::{JobOrder, JobRefused, TellJob},
};

/// A job is told things rarely.
const MAILBOX: usize = 256;
/// How long a job that is over stays in memory.
const LINGER: Duration = Duration::from_secs(2);

/// Hears what came of an order.
pub(super) type Done = oneshot::Sender<Result<(), JobRefused>>;

/// The ways to the actor of a job.
pub struct JobHandle {
    /// For orders.
    pub tell: Recipient<Mail<TellJob>>,
    /// For a look.
    pub observe: Recipient<Mail<Observe>>,
    /// For the end.
    pub stop: Recipient<Mail<Stop>>,
}

/// What is stored next.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) entries: Vec<crate::domain::job::Entry>,
    pub(super) asks: Vec<Question>,
    pub(super) withdraws: Vec<ApprovalId>,
    pub(super) uses: Vec<ApprovalId>,
    /// The claim on the story is to be prolonged, or the row told anew.
    pub(super) touch: bool,
    /// Who waits for it.
    pub(super) waiting: Vec<Done>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let Self { entries, asks, withdraws, uses, touch, waiting } = self;
        entries.is_empty()
            && asks.is_empty()
            && withdraws.is_empty()
            && uses.is_empty()
            && !touch
            && waiting.is_empty()
    }
}

/// Whether the job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// It does not want to.
    None,
    /// It waits for room.
    Wanted,
    /// It may.
    Held,
}

/// A job that was read from its rows.
pub(super) struct Live {
    pub(super) job: Job,
    pub(super) task: Task,
    pub(super) project: Project,
    pub(super) todo: VecDeque<Effect>,
    pub(super) pending: Pending,
    /// Entries that are stored: the journal index of the next one. The machine may be ahead of it.
    pub(super) stored: usize,
    /// A write or the end of a sandbox is under way: nothing else begins.
    pub(super) busy: bool,
    /// What works for the job now; dropped when it is not wanted any more.
    pub(super) work: Option<SpawnHandle>,
    /// Counts what began to work: answers of earlier work are stale.
    pub(super) round: u64,
    pub(super) slot: Slot,
    /// Questions that are open, or answered and not used.
    pub(super) questions: BTreeMap<ApprovalId, Subject>,
    /// Hosts that people were asked about: none is asked about twice.
    pub(super) asked_hosts: BTreeSet<String>,
    /// Hosts that are allowed until the engine ends.
    pub(super) hosts_now: BTreeSet<String>,
    /// Hosts that are allowed for all of the job.
    pub(super) hosts: BTreeSet<String>,
    /// Notes of the engine that ended, for its bot.
    pub(super) notes: Vec<(crate::domain::bot::journal::EntryKind, String)>,
    /// The word for where it stands that was told last.
    pub(super) told: String,
}

/// The actor.
pub struct JobActor {
    pub(super) life: Life,
    pub(super) id: JobId,
    pub(super) kit: Arc<JobKit>,
    registry: Registry,
    pub(super) live: Option<Live>,
    benches: Option<Nursery<Bench>>,
    /// Orders that wait until what was begun before is stored and done.
    early: VecDeque<(JobOrder, Option<Done>)>,
}

impl JobActor {
    /// The actor of a job; it reads its rows when it starts.
    pub fn new(life: Life, id: JobId, kit: Arc<JobKit>, registry: Registry) -> Self {
        Self { life, id, kit, registry, live: None, benches: None, early: VecDeque::new() }
    }

    fn load(&mut self, ctx: &mut Context<Self>) {
        let doors = &self.kit.doors;
        let load = doors.load.ask(LoadJob { job: self.id.clone() });
        let project = doors.project.clone();
        let both = async move {
            let row: JobRow = load.await?;
            let of = ProjectOf::Id(row.task.asked.project.clone());
            let project = project.ask(FindProject { of }).await?;
            Ok::<_, DbError>((row, project.ok_or(DbError::NotFound("project"))?))
        };
        ctx.spawn(both.into_actor(self).map(|loaded, actor, ctx| match loaded {
            Ok((row, project)) => actor.loaded(row, project, ctx),
            Err(DbError::NotFound(_)) => {
                for done in std::mem::take(&mut actor.early).into_iter().filter_map(|(_, done)| done) {
                    let _ = done.send(Err(JobRefused::Unknown));
                }
                actor.life.stop(ctx);
            }
            Err(error) => actor.life.fail(ctx, error),
        }));
    }

    fn loaded(&mut self, row: JobRow, project: Project, ctx: &mut Context<Self>) {
        let asked = &row.task.asked;
        let opening = Opening { instruction: asked.instruction.clone(), discovery: asked.discovery };
        let job = match Job::rebuild(opening, &row.entries) {
            Ok(job) => job,
            // The journal is kept as it is, for a person to look at; the actor is parked after a few falls.
            Err(fault) => return self.life.fail(ctx, fault),
        };
        let mut questions: BTreeMap<_, _> = row.pending.into_iter().collect();
        let answered = |one: &Answered| (one.approval.clone(), one.subject.clone());
        questions.extend(row.answered.iter().map(answered));
        let told = row.task.head.state.clone();
        let mut live = Live {
            stored: job.next_entry(),
            job,
            task: row.task,
            project,
            todo: VecDeque::new(),
            pending: Pending { touch: true, ..Pending::default() },
            busy: false,
            work: None,
            round: 0,
            slot: Slot::None,
            asked_hosts: questions.values().filter_map(host_of).collect(),
            questions,
            hosts_now: BTreeSet::new(),
            hosts: row.hosts.into_iter().collect(),
            notes: Vec::new(),
            told,
        };
        let limits = limits(&live.project, &self.kit);
        live.todo.extend(live.job.resume(&limits));
        live.pending.touch = live.task.asked.story.is_some() && !live.task.head.over;
        self.live = Some(live);
        for one in row.answered.into_iter().rev() {
            let Answered { approval, verdict, choice, .. } = one;
            self.early.push_front((JobOrder::Decided { approval, verdict, choice }, None));
        }
        self.pump(ctx);
    }

    /// Takes the next order that waits, if there is one.
    pub(super) fn next_order(&mut self, ctx: &mut Context<Self>) -> bool {
        let next = self.early.pop_front();
        let any = next.is_some();
        if let Some((order, done)) = next {
            self.obey(order, done, ctx);
        }
        any
    }

    /// Lets the job hear of something, and does what it wants.
    pub(super) fn hear(&mut self, event: Event, ctx: &mut Context<Self>) {
        let Some(live) = &mut self.live else { return };
        let limits = limits(&live.project, &self.kit);
        let effects = live.job.step(&limits, event);
        live.todo.extend(effects);
        self.pump(ctx);
    }

    fn obey(&mut self, order: JobOrder, done: Option<Done>, ctx: &mut Context<Self>) {
        let now = matches!(order, JobOrder::Cancel | JobOrder::Steer { .. });
        let rests = |live: &&mut Live| now || !live.busy && live.todo.is_empty() && live.pending.is_empty();
        let Some(live) = self.live.as_mut().filter(rests) else {
            self.early.push_back((order, done));
            return;
        };
        let event = match order {
            JobOrder::Decided { approval, verdict, choice } => {
                return self.decided(approval, verdict, choice, done, ctx);
            }
            JobOrder::Steer { text } => {
                self.steer(text, done);
                return self.pump(ctx);
            }
            JobOrder::Cancel => Event::Cancel,
            JobOrder::Retry => Event::Retry,
            JobOrder::Continue { instruction } => Event::Continue { instruction },
        };
        let limits = limits(&live.project, &self.kit);
        let effects = live.job.step(&limits, event.clone());
        if effects.is_empty() {
            if let Some(done) = done {
                let _ = done.send(Err(JobRefused::NotNow(not_now(&event, live.job.phase()))));
            }
            return self.pump(ctx);
        }
        if event == Event::Cancel {
            // Nothing that was to be done is done any more; what was decided stays decided.
            live.todo.retain(|effect| matches!(effect, Effect::Record(_) | Effect::Withdraw { .. }));
            self.drop_work(ctx);
        }
        let Some(live) = &mut self.live else { return };
        live.todo.extend(effects);
        live.pending.waiting.extend(done);
        self.pump(ctx);
    }

    /// Lets go of what works for the job now; its answer would be stale.
    pub(super) fn drop_work(&mut self, ctx: &mut Context<Self>) {
        let Some(live) = &mut self.live else { return };
        live.round += 1;
        if let Some(work) = live.work.take() {
            ctx.cancel_future(work);
        }
    }

    /// Leaves memory when the job is over and nobody came back to it.
    pub(super) fn linger(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(LINGER, |actor, ctx| {
            let idle = |live: &Live| {
                let over = matches!(live.job.phase(), Phase::Over(_));
                over && !live.busy && live.todo.is_empty() && live.pending.is_empty()
            };
            if actor.live.as_ref().is_some_and(idle) {
                actor.life.stop(ctx);
            }
        });
    }

    /// The way to the bench, which is started when it is not there.
    pub(super) fn bench(&mut self) -> Option<Bench> {
        let name = self.bench_name();
        let bench = self.benches.as_mut()?.start(&name, "sandbox", |life| (self.kit.start_bench)(life));
        Some(bench.clone())
    }

    /// The way to the bench, if it was started.
    pub(super) fn known_bench(&self) -> Option<Bench> {
        self.benches.as_ref()?.get(&self.bench_name()).cloned()
    }

    fn bench_name(&self) -> Arc<str> {
        Arc::from(format!("sandbox/{}", self.id))
    }
}

impl Actor for JobActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.benches = Some(Nursery::new(
            "job",
            ctx.address().recipient(),
            Policy::default(),
            Arc::clone(&self.kit.clock),
            self.registry.clone(),
            self.kit.metrics.clone(),
        ));
        self.load(ctx);
        let every = Duration::from_millis((self.kit.settings.lease_ms / 4).max(1_000).unsigned_abs());
        ctx.run_interval(every, |actor, ctx| {
            let Some(live) = &mut actor.live else { return };
            if live.task.asked.story.is_some() && !matches!(live.job.phase(), Phase::Over(_)) {
                live.pending.touch = true;
                actor.pump(ctx);
            }
        });
    }
}

impl Handler<Mail<TellJob>> for JobActor {
    type Result = ResponseFuture<Result<(), JobRefused>>;

    fn handle(&mut self, mail: Mail<TellJob>, ctx: &mut Self::Context) -> Self::Result {
        let (TellJob { order, .. }, _ticket) = mail.open();
        let (done, told) = oneshot::channel();
        self.obey(order, Some(done), ctx);
        Box::pin(async move {
            let away = || JobRefused::NotNow("the task was interrupted: look where it stands".into());
            told.await.unwrap_or_else(|_| Err(away()))
        })
    }
}

impl Handler<ChildDown> for JobActor {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let name = Arc::clone(&down.name);
        let why = down.error.clone().unwrap_or_else(|| "its sandbox ended".into());
        let Some(benches) = &mut self.benches else { return };
        let fallen = benches.fell(down);
        // It holds nothing that outlives it: the next one begins afresh, when there is a need.
        benches.retire(&name);
        if !matches!(fallen, crate::actors::kernel::Fallen::Stopped) {
            self.drop_work(ctx);
            self.hear(Event::EngineLost { why }, ctx);
        }
    }
}

impl Handler<Mail<Observe>> for JobActor {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let Some(live) = &self.live else { return Snapshot(serde_json::json!({"phase": "loading"})) };
        Snapshot(serde_json::json!({
            "phase": live.job.phase().as_str(),
            "project": live.task.asked.project,
            "entries": live.job.next_entry(),
            "questions": live.questions.len(),
            "running": live.slot == Slot::Held,
        }))
    }
}

impl Handler<Mail<Stop>> for JobActor {
    type Result = ResponseActFuture<Self, Drained>;

    /// Ends the sandbox. What was under way is in the journal and goes on at the next start.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        self.drop_work(ctx);
        if let Some(live) = &mut self.live {
            live.todo.clear();
            live.busy = true;
        }
        let closed = self.close_bench();
        Box::pin(closed.into_actor(self).map(|_, actor, ctx| {
            actor.life.stop(ctx);
            Drained
        }))
    }
}
