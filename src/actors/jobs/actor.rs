//! The actor of all jobs: takes them in, keeps an actor for each that is not over, says which may run.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};

use crate::{
    actors::{
        db::messages::{CreateJob, ExpireJobs, OpenJobs},
        kernel::{Fallen, Life, Mail, Nursery, Registry, messages::*},
    },
    domain::{
        Millis,
        approval::{Choice, Verdict},
        ids::JobId,
        job::{Slots, Task},
        restart::Policy,
    },
};

use super::{
    job::JobHandle,
    kit::JobKit,
    messages::{FreeSlot, JobOrder, JobRefused, JobsTick, Submit, TellJob, WantSlot},
    sweep::{self, Old},
};

/// Jobs are told things rarely; this bounds what arrives in one moment.
const MAILBOX: usize = 1_024;
/// Longest wait for the end of what an earlier run left behind.
const SWEEP: Duration = Duration::from_secs(120);
/// How often old workspaces are looked for, in milliseconds.
const OLD_EVERY: Millis = 24 * 60 * 60_000;
/// How often questions whose time is over are looked for, in ticks.
const EXPIRE_EVERY: u64 = 5;

/// Starts the actor of a job on the thread with this number.
pub type StartJob = Arc<dyn Fn(JobId, usize, Life) -> JobHandle + Send + Sync>;

/// What the actor is made of.
#[derive(Clone)]
pub struct JobsKit {
    /// Starts actors of jobs.
    pub start: StartJob,
    /// What they share.
    pub kit: Arc<JobKit>,
    /// All actors.
    pub registry: Registry,
}

/// The actor.
pub struct Jobs {
    life: Life,
    parts: JobsKit,
    jobs: Option<Nursery<JobHandle>>,
    /// True once nothing of an earlier run is left: no job is worked on before.
    swept: watch::Sender<bool>,
    slots: Slots,
    waiting: HashMap<JobId, oneshot::Sender<bool>>,
    ticks: u64,
    next_sweep: Millis,
    /// What is kept of this job is let go of just now: it cannot be taken up in this moment.
    leaving: Option<JobId>,
    draining: bool,
}

impl Jobs {
    /// It takes up what is not over when it starts.
    pub fn new(life: Life, parts: JobsKit) -> Self {
        let slots = Slots::new(parts.kit.settings.parallel);
        Self {
            life,
            parts,
            jobs: None,
            swept: watch::Sender::new(false),
            slots,
            waiting: HashMap::new(),
            ticks: 0,
            next_sweep: 0,
            leaving: None,
            draining: false,
        }
    }

    /// Ends what sandboxes an earlier run left behind, then goes on with its jobs: a job is never worked on twice at once.
    ///
    /// Jobs that are given meanwhile are stored, and are among the open ones that are asked for only afterwards.
    fn take_up(&mut self, ctx: &mut Context<Self>) {
        let strays = tokio::time::timeout(SWEEP, self.parts.kit.sandboxes.end_strays(BTreeSet::new()));
        let swept = async move {
            match strays.await {
                Ok(Ok(ended)) if !ended.is_empty() => {
                    tracing::warn!(
                        sandboxes = ended.len(),
                        "ended sandboxes that an earlier run left behind"
                    );
                }
                // Without Docker there are none, and whoever needs it says so.
                Ok(Ok(_) | Err(_)) => {}
                Err(_) => tracing::warn!(
                    "Docker does not say in time whether sandboxes are left from an earlier run"
                ),
            }
        };
        let open = swept.into_actor(self).then(|(), jobs, _| {
            jobs.swept.send_replace(true);
            jobs.parts.kit.doors.open.ask(OpenJobs {}).into_actor(jobs)
        });
        ctx.spawn(open.map(|open, jobs, ctx| match open {
            Ok(open) => {
                if !open.is_empty() {
                    tracing::info!(jobs = open.len(), "going on with coding jobs where the last run stopped");
                }
                for task in open {
                    jobs.start(&task.asked.id);
                }
            }
            Err(error) => jobs.life.fail(ctx, error),
        }));
    }

    /// Starts the actor of a job, unless it lives already, or it is too early or too late.
    fn start(&mut self, id: &JobId) {
        if self.draining || !*self.swept.borrow() {
            return;
        }
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let thread = (hasher.finish() % 1_024) as usize;
        let (start, id) = (Arc::clone(&self.parts.start), id.clone());
        if let Some(jobs) = &mut self.jobs {
            jobs.start(&name_of(&id), "job", |life| start(id, thread, life));
        }
    }

    /// Sends an order to the actor of a job, started when it is not there.
    fn tell(&mut self, tell: TellJob) -> impl Future<Output = Result<(), JobRefused>> + use<> {
        let name = name_of(&tell.job);
        let known = self.jobs.as_ref().is_some_and(|jobs| jobs.vitals(&name).is_some());
        if !known && self.leaving.as_ref() != Some(&tell.job) {
            self.start(&tell.job);
        }
        let living = self.jobs.as_ref().and_then(|jobs| Some((jobs.get(&name)?, jobs.vitals(&name)?)));
        let sent = living.map(|(handle, vitals)| handle.tell.send(Mail::new(tell, vitals)));
        async move {
            let away = || JobRefused::NotNow("the task is being restarted: try again in a moment".into());
            match sent {
                Some(sent) => sent.await.map_err(|_| away())?,
                None => Err(away()),
            }
        }
    }

    /// Lets run whatever there is room for.
    fn grant(&mut self) {
        while let Some(job) = self.slots.grant() {
            let told = self.waiting.remove(&job).is_some_and(|waiting| waiting.send(true).is_ok());
            if !told {
                self.slots.free(&job);
            }
        }
    }

    fn free(&mut self, job: &JobId) {
        self.slots.free(job);
        if let Some(waiting) = self.waiting.remove(job) {
            let _ = waiting.send(false);
        }
        self.grant();
    }

    /// Lets go of old workspaces, one after the other.
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let (kit, now) = (Arc::clone(&self.parts.kit), self.parts.kit.clock.now());
        let Some(keep_ms) = kit.settings.keep_ms.filter(|_| now >= self.next_sweep) else { return };
        self.next_sweep = now.saturating_add(OLD_EVERY);
        let old = sweep::old(kit, now.saturating_sub(keep_ms));
        ctx.spawn(old.into_actor(self).map(|old, jobs, ctx| match old {
            Ok(old) => jobs.let_go(old.into(), ctx),
            Err(error) => tracing::warn!(error, "old workspaces of jobs cannot be looked for"),
        }));
    }

    fn let_go(&mut self, mut old: VecDeque<Old>, ctx: &mut Context<Self>) {
        self.leaving = None;
        // Whoever is told something now is not old any more.
        let lives =
            |old: &Old| self.jobs.as_ref().is_some_and(|jobs| jobs.vitals(&name_of(&old.job)).is_some());
        while old.front().is_some_and(lives) {
            old.pop_front();
        }
        let Some(next) = old.pop_front().filter(|_| !self.draining) else { return };
        self.leaving = Some(next.job.clone());
        let gone = sweep::let_go(Arc::clone(&self.parts.kit), next);
        ctx.spawn(gone.into_actor(self).map(move |_, jobs, ctx| jobs.let_go(old, ctx)));
    }

    fn expire(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.kit.clock.now();
        let expired = self.parts.kit.doors.expire.ask(ExpireJobs { now });
        ctx.spawn(expired.into_actor(self).map(|expired, jobs, _| match expired {
            Ok(expired) => {
                for (job, approval) in expired {
                    let order =
                        JobOrder::Decided { approval, verdict: Verdict::Expired, choice: Choice::default() };
                    actix::spawn(jobs.tell(TellJob { job, order }));
                }
            }
            Err(error) => tracing::warn!(%error, "questions of jobs cannot be looked through"),
        }));
    }
}

/// The name of the actor of a job.
fn name_of(id: &JobId) -> Arc<str> {
    Arc::from(format!("job/{id}"))
}

impl Actor for Jobs {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.jobs = Some(Nursery::new(
            "jobs",
            ctx.address().recipient(),
            Policy::default(),
            Arc::clone(&self.parts.kit.clock),
            self.parts.registry.clone(),
            self.parts.kit.metrics.clone(),
        ));
        self.take_up(ctx);
    }
}

impl Handler<Mail<Submit>> for Jobs {
    type Result = ResponseActFuture<Self, Result<Task, JobRefused>>;

    fn handle(&mut self, mail: Mail<Submit>, _: &mut Self::Context) -> Self::Result {
        let (Submit { task, act }, _ticket) = mail.open();
        if self.draining {
            let refused = JobRefused::NotNow("Atoll is shutting down: give the task again later".into());
            return Box::pin(fut::err(refused));
        }
        let lease_ms = self.parts.kit.settings.lease_ms;
        let stored = self.parts.kit.doors.create.ask(CreateJob { task, lease_ms, act });
        Box::pin(stored.into_actor(self).map(|stored, jobs, _| {
            let task = stored?;
            jobs.start(&task.asked.id);
            Ok(task)
        }))
    }
}

impl Handler<Mail<TellJob>> for Jobs {
    type Result = ResponseActFuture<Self, Result<(), JobRefused>>;

    fn handle(&mut self, mail: Mail<TellJob>, _: &mut Self::Context) -> Self::Result {
        let (tell, _ticket) = mail.open();
        let mut swept = self.swept.subscribe();
        let swept = async move {
            // Fails only without the actor, and then nobody waits.
            let _ = swept.wait_for(|swept| *swept).await;
        };
        Box::pin(swept.into_actor(self).then(|(), jobs, _| jobs.tell(tell).into_actor(jobs)))
    }
}

impl Handler<Mail<WantSlot>> for Jobs {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, mail: Mail<WantSlot>, _: &mut Self::Context) -> Self::Result {
        let (WantSlot(wish), _ticket) = mail.open();
        let (granted, answer) = oneshot::channel();
        self.waiting.insert(wish.job.clone(), granted);
        self.slots.want(wish);
        self.grant();
        Box::pin(async move { answer.await.unwrap_or(false) })
    }
}

impl Handler<Mail<FreeSlot>> for Jobs {
    type Result = ();

    fn handle(&mut self, mail: Mail<FreeSlot>, _: &mut Self::Context) {
        let (FreeSlot(job), _ticket) = mail.open();
        self.free(&job);
    }
}

impl Handler<Mail<JobsTick>> for Jobs {
    type Result = ();

    fn handle(&mut self, mail: Mail<JobsTick>, ctx: &mut Self::Context) {
        let (JobsTick, _ticket) = mail.open();
        self.ticks += 1;
        self.sweep(ctx);
        if self.ticks.is_multiple_of(EXPIRE_EVERY) {
            self.expire(ctx);
        }
    }
}

impl Handler<ChildDown> for Jobs {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let name = Arc::clone(&down.name);
        let id = JobId::new(name.trim_start_matches("job/"));
        let fallen = self.jobs.as_mut().map(|jobs| jobs.fell(down));
        match fallen {
            Some(Fallen::Stopped) => {
                if let Some(jobs) = &mut self.jobs {
                    jobs.retire(&name);
                }
            }
            Some(Fallen::RestartAt(at)) => {
                let wait = (at - self.parts.kit.clock.now()).max(0).unsigned_abs();
                let id = id.clone();
                ctx.run_later(Duration::from_millis(wait), move |jobs, _| jobs.start(&id));
            }
            Some(Fallen::Stale) | None => return,
            _ => {}
        }
        self.free(&id);
    }
}

impl Handler<Mail<Observe>> for Jobs {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let (running, waiting) = self.slots.counts();
        let open = self.jobs.as_ref().map_or(0, Nursery::len);
        Snapshot(serde_json::json!({"open": open, "running": running, "waiting": waiting}))
    }
}

impl Handler<Mail<Stop>> for Jobs {
    type Result = ResponseActFuture<Self, Drained>;

    /// Takes no more jobs, lets all end their sandboxes, then ends itself. Their journals go on at the next start.
    fn handle(&mut self, mail: Mail<Stop>, _: &mut Self::Context) -> Self::Result {
        let (stop, _ticket) = mail.open();
        self.draining = true;
        let jobs = self
            .jobs
            .iter()
            .flat_map(|jobs| jobs.living().filter_map(|(name, handle)| Some((jobs.vitals(name)?, handle))));
        let ends: Vec<_> = jobs.map(|(vitals, handle)| handle.stop.send(Mail::new(stop, vitals))).collect();
        Box::pin(join_all(ends).into_actor(self).map(|_, jobs, ctx| {
            jobs.life.stop(ctx);
            Drained
        }))
    }
}
