//! Beginning what a job wants done. Everything that takes time runs beside the actor; its answer counts only while
//! nothing else was begun since.

use std::time::Duration;

use actix::prelude::*;

use crate::{
    actors::{db::messages::GetBot, kernel::caught},
    domain::{
        bot::Bot,
        engine::Control,
        job::{Closed, Effect, Event, Phase, Wait, Wish},
    },
    ports::job_files::LogEvent,
};

use super::{
    deliver,
    job::{JobActor, Live, Slot},
    messages::{FreeSlot, WantSlot},
    work::{self, Work},
};

/// When isolation is looked for first, and how long it is left alone at most.
const FIRST_LOOK: Duration = Duration::from_secs(30);
const LAST_LOOK: Duration = Duration::from_secs(30 * 60);

impl JobActor {
    /// Begins what an effect asks for.
    pub(super) fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Prepare => match self.live.as_ref().map(|live| live.slot) {
                Some(Slot::Held) => self.prepare(ctx),
                _ => self.want_slot(Some(()), ctx),
            },
            Effect::StartEngine { instruction, session } => self.start_engine(instruction, session, ctx),
            Effect::StopEngine => {
                self.control(Control::Interrupt);
                self.drop_work(ctx);
            }
            Effect::Verify => self.begin(ctx, deliver::verify),
            Effect::Commit => self.begin(ctx, deliver::take_out),
            Effect::Push { commit } => self.begin(ctx, move |work| deliver::push(work, commit)),
            Effect::OpenRequest => self.begin(ctx, deliver::open_request),
            Effect::Park { wait: Wait::Isolation { .. } } => self.look_again(FIRST_LOOK, ctx),
            Effect::Park { wait: Wait::Budget { .. } } => {}
            Effect::EndSandbox => self.end_sandbox(ctx),
            Effect::Finish { closed } => self.finish(&closed),
            // Taken before: they need no doing.
            Effect::Record(_) | Effect::Ask { .. } | Effect::Withdraw { .. } => {}
        }
    }

    /// A job that waits for isolation goes on by itself when there is some; it is looked for ever more rarely.
    fn look_again(&self, after: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(after, move |actor, ctx| {
            let waits = |live: &Live| matches!(live.job.phase(), Phase::Parked(Wait::Isolation { .. }));
            if !actor.live.as_ref().is_some_and(waits) {
                return;
            }
            let test = actor.kit.sandboxes.self_test();
            ctx.spawn(test.into_actor(actor).map(move |evidence, actor, ctx| match evidence {
                Ok(evidence) if evidence.holds() => actor.hear(Event::Retry, ctx),
                _ => actor.look_again((after * 2).min(LAST_LOOK), ctx),
            }));
        });
    }

    /// Asks for room to run; goes on when there is. `then` prepares: else the job is taken up.
    pub(super) fn want_slot(&mut self, then: Option<()>, ctx: &mut Context<Self>) {
        let Some(live) = &mut self.live else { return };
        if live.slot == Slot::Wanted {
            return;
        }
        live.slot = Slot::Wanted;
        let (asked, limits) = (&live.task.asked, &live.project.settings.limits);
        let mut wish = Wish {
            job: self.id.clone(),
            project: asked.project.clone(),
            of_project: limits.parallel_jobs,
            bot: None,
            priority: asked.priority,
            at: asked.at,
        };
        let bot = asked.bot.clone().map(|id| self.kit.doors.bot.ask(GetBot { id }));
        let want = self.kit.doors.want_slot.clone();
        let wanted = async move {
            if let Some(bot) = bot {
                // One that was removed bounds nothing any more; its jobs go on.
                let bot = bot.await.ok().flatten();
                wish.bot = bot.map(|bot: Bot| (bot.id, bot.settings.max_concurrent_stories));
            }
            want.send(WantSlot(wish)).await
        };
        ctx.spawn(wanted.into_actor(self).map(move |granted, actor, ctx| {
            let Some(live) = &mut actor.live else { return };
            match granted {
                Ok(true) => live.slot = Slot::Held,
                Ok(false) => {
                    live.slot = Slot::None;
                    return;
                }
                // The actor of all jobs fell: it asks its children anew by starting them.
                Err(error) => return actor.life.fail(ctx, error),
            }
            match live.job.phase() {
                Phase::Queued => actor.hear(Event::Claimed, ctx),
                Phase::Preparing if then.is_some() => actor.prepare(ctx),
                _ => actor.free_slot(),
            }
        }));
    }

    fn free_slot(&mut self) {
        let Some(live) = &mut self.live else { return };
        if live.slot != Slot::None {
            live.slot = Slot::None;
            let freed = self.kit.doors.free_slot.send(FreeSlot(self.id.clone()));
            actix::spawn(async move {
                if let Err(error) = freed.await {
                    tracing::debug!(%error, "nobody is there to be told that a job runs no more");
                }
            });
        }
    }

    /// Runs work beside the actor; what it comes to is heard, unless something else was begun since.
    pub(super) fn begin<F>(&mut self, ctx: &mut Context<Self>, work: impl FnOnce(Work) -> F + 'static)
    where
        F: Future<Output = Event> + 'static,
    {
        self.drop_work(ctx);
        let Some(mut parts) = self.work(ctx) else { return };
        let Some(live) = &mut self.live else { return };
        let round = live.round;
        let vitals = std::sync::Arc::clone(self.life.vitals());
        let running = async move {
            // What people changed meanwhile counts.
            parts.project =
                work::project_of(&parts.kit, &parts.task).await.map_err(|error| error.to_string())?;
            let project = parts.project.clone();
            let event = caught(&vitals, work(parts)).await.map_err(|error| error.to_string())?;
            Ok((project, event))
        };
        let handle = ctx.spawn(running.into_actor(self).map(move |done: Result<_, String>, actor, ctx| {
            let current = actor.live.as_mut().filter(|live| live.round == round);
            let Some(live) = current else { return };
            live.work = None;
            match done {
                Ok((project, event)) => {
                    live.project = project;
                    actor.hear(event, ctx);
                }
                Err(error) => actor.life.fail(ctx, error),
            }
        }));
        if let Some(live) = &mut self.live {
            live.work = Some(handle);
        }
    }

    /// Ends the sandbox; nothing goes on before its end is confirmed.
    fn end_sandbox(&mut self, ctx: &mut Context<Self>) {
        self.drop_work(ctx);
        let Some(live) = &mut self.live else { return };
        live.busy = true;
        live.hosts_now.clear();
        let closed = self.close_bench();
        ctx.spawn(closed.into_actor(self).map(|closed, actor, ctx| {
            if let Err(error) = closed {
                // It may still run: whoever opens the next one for this job ends it first, and so does the next start.
                tracing::error!(job = %actor.id, error, "a sandbox cannot be ended");
            }
            let Some(live) = &mut actor.live else { return };
            live.busy = false;
            if !matches!(live.todo.front(), Some(Effect::Prepare)) {
                actor.free_slot();
            }
            actor.pump(ctx);
        }));
    }

    fn finish(&mut self, closed: &Closed) {
        tracing::info!(job = %self.id, outcome = closed.outcome.as_str(), why = closed.text, "job is over");
        let text = format!("{}: {}", closed.outcome.as_str(), closed.text);
        self.kit.files.log(&self.id, self.kit.clock.now(), LogEvent::Note { text });
    }
}
