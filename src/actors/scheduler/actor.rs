//! The scheduler.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::join_all;

use crate::{
    actors::{
        db::messages::{DbError, DueWakeups, ExpirePairings, PairingsOver, Prune, WakeupsDone},
        kernel::{Door, Life, Mail, messages::*},
        router::messages::{Command, To},
        session::messages::Order,
    },
    domain::Millis,
    ports::clock::Clock,
};

use super::messages::Tick;

/// Ticks are idempotent: a few that wait are plenty.
const MAILBOX: usize = 4;
/// Moments of one look.
const PAGE: usize = 200;
/// How often the store lets go of what is old, in milliseconds.
const PRUNE_EVERY: Millis = 3_600_000;
/// Rows of each kind that one prune lets go of.
const PRUNE_PAGE: usize = 500;

/// Whom the scheduler talks to.
#[derive(Clone)]
pub struct SchedulerDoors {
    /// Moments that have come.
    pub due: Door<DueWakeups>,
    /// Moments that were seen to.
    pub done: Door<WakeupsDone>,
    /// To the sessions.
    pub command: Door<Command>,
    /// Whether a stranger has waited for too long.
    pub pairings_over: Door<PairingsOver>,
    /// Says so to those who were asked.
    pub expire_pairings: Door<ExpirePairings>,
    /// Lets go of what is old.
    pub prune: Door<Prune>,
}

/// The actor.
pub struct Scheduler {
    life: Life,
    doors: SchedulerDoors,
    clock: Arc<dyn Clock>,
    retention_ms: Option<Millis>,
    looking: bool,
    next_prune: Millis,
    woken: u64,
    draining: bool,
}

impl Scheduler {
    /// A scheduler; what is older than `retention_ms` and done is let go.
    pub fn new(
        life: Life,
        doors: SchedulerDoors,
        clock: Arc<dyn Clock>,
        retention_ms: Option<Millis>,
    ) -> Self {
        // At the first tick: a server that is often started anew would else never come to it.
        let next_prune = clock.now();
        Self { life, doors, clock, retention_ms, looking: false, next_prune, woken: 0, draining: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        let doors = self.doors.clone();
        let now = self.clock.now();
        let looking = async move {
            let due = doors.due.ask(DueWakeups { now, limit: PAGE }).await.map_err(|e| e.to_string())?;
            if due.is_empty() {
                return Ok(0);
            }
            let woken = due.iter().map(|(_, conversation)| {
                doors.command.send(Command { to: To::One(conversation.clone()), order: Order::Look })
            });
            let woken = join_all(woken).await;
            // A conversation that could not look is woken again at the next tick.
            let ids: Vec<i64> =
                due.iter().zip(&woken).filter(|(_, woken)| woken.is_ok()).map(|((id, _), _)| *id).collect();
            let count = ids.len();
            doors.done.ask(WakeupsDone { ids }).await.map_err(|e| e.to_string())?;
            Ok::<_, String>(count)
        };
        ctx.spawn(looking.into_actor(self).map(|outcome, scheduler, _| {
            scheduler.looking = false;
            match outcome {
                Ok(count) => scheduler.woken += count as u64,
                Err(error) => scheduler.life.vitals().note_error(error),
            }
        }));
    }

    fn expire(&self, ctx: &mut Context<Self>) {
        let (doors, now) = (self.doors.clone(), self.clock.now());
        let expiring = async move {
            if doors.pairings_over.ask(PairingsOver { now }).await? {
                doors.expire_pairings.ask(ExpirePairings { now }).await?;
            }
            Ok::<_, DbError>(())
        };
        ctx.spawn(expiring.into_actor(self).map(|outcome, scheduler, _| {
            if let Err(error) = outcome {
                scheduler.life.vitals().note_error(error.to_string());
            }
        }));
    }

    fn prune(&mut self, ctx: &mut Context<Self>) {
        let now = self.clock.now();
        let Some(retention) = self.retention_ms.filter(|_| now >= self.next_prune) else { return };
        self.next_prune = now + PRUNE_EVERY;
        let prune = self.doors.prune.ask(Prune { before: now - retention, limit: PRUNE_PAGE });
        ctx.spawn(prune.into_actor(self).map(|outcome, scheduler, _| match outcome {
            Ok(0) => {}
            // There may be more: go on at the next tick.
            Ok(rows) => {
                tracing::info!(rows, "old rows let go");
                scheduler.next_prune = scheduler.clock.now();
            }
            Err(error) => scheduler.life.vitals().note_error(error.to_string()),
        }));
    }
}

impl Actor for Scheduler {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<Tick>> for Scheduler {
    type Result = ();

    fn handle(&mut self, mail: Mail<Tick>, ctx: &mut Self::Context) {
        let (_, _ticket) = mail.open();
        if !self.draining {
            self.look(ctx);
            self.expire(ctx);
            self.prune(ctx);
        }
    }
}

impl Handler<Mail<Observe>> for Scheduler {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"woken": self.woken, "looking": self.looking}))
    }
}

impl Handler<Mail<Stop>> for Scheduler {
    type Result = Drained;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.draining = true;
        self.life.stop(ctx);
        Drained
    }
}
