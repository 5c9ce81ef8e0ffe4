//! Beginning what a job wants done. Everything that takes time runs beside the actor; its answer counts only while
//! nothing else was begun since.

use actix::prelude::*;

use crate::{
    actors::{db::messages::GetBot, kernel::caught},
    domain::{
        bot::Bot,
        engine::Control,
        job::{Closed, Effect, Event, Phase, Wish},
    },
    ports::job_files::LogEvent,
};

use super::{
    deliver,
    job::{JobActor, Slot},
    messages::{FreeSlot, WantSlot},
    work::{self, Work},
};

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
            Effect::Park { .. } => {}
            Effect::EndSandbox => self.end_sandbox(ctx),
            Effect::Finish { closed } => self.finish(&closed),
            // Taken before: they need no doing.
            Effect::Record(_) | Effect::Ask { .. } | Effect::Withdraw { .. } => {}
        }
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
