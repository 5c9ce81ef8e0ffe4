//! Taking what a job wants in order: what it records is stored before what follows is done.

use actix::prelude::*;

use crate::{
    actors::{
        db::messages::{AddEntry, DbError, WriteJob},
        outbox::messages::Fresh,
    },
    domain::{
        bot::journal::Entry as Note,
        ids::{EntryId, encode},
        job::{Effect, Head, JobWrite, JobWritten, Phase},
    },
    ports::job_files::LogEvent,
};

use super::{
    job::{JobActor, Pending, Slot},
    messages::JobRefused,
};

impl JobActor {
    /// Takes effects in order until one of them needs a write, or takes its time.
    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        loop {
            let Some(live) = &mut self.live else { return };
            if live.busy {
                return;
            }
            match live.todo.pop_front() {
                Some(Effect::Record(entries)) => live.pending.entries.extend(entries),
                Some(Effect::Withdraw { approval }) => {
                    live.questions.remove(&approval);
                    live.pending.withdraws.push(approval);
                }
                Some(Effect::Ask { candidate }) => self.ask_for_commit(&candidate),
                Some(effect) if live.pending.is_empty() => self.perform(effect, ctx),
                Some(effect) => return self.write(Some(effect), ctx),
                None if live.pending.is_empty() => return self.rest(ctx),
                None => return self.write(None, ctx),
            }
        }
    }

    /// Nothing is to be done: a job that waits for a worker asks for one, one that is over leaves in a while.
    fn rest(&mut self, ctx: &mut Context<Self>) {
        if self.next_order(ctx) {
            return;
        }
        let Some(live) = &mut self.live else { return };
        match live.job.phase() {
            Phase::Queued if live.slot == Slot::None => self.want_slot(None, ctx),
            Phase::Over(_) => self.linger(ctx),
            _ => {}
        }
    }

    /// Stores all that the job has decided: what came while something was under way stands behind other effects, and its
    /// state holds it already.
    fn write(&mut self, then: Option<Effect>, ctx: &mut Context<Self>) {
        let (now, lease_ms) = (self.kit.clock.now(), self.kit.settings.lease_ms);
        let Some(live) = &mut self.live else { return };
        live.busy = true;
        for effect in std::mem::take(&mut live.todo) {
            match effect {
                Effect::Record(entries) => live.pending.entries.extend(entries),
                Effect::Withdraw { approval } => {
                    live.questions.remove(&approval);
                    live.pending.withdraws.push(approval);
                }
                other => live.todo.push_back(other),
            }
        }
        let Pending { entries, asks, withdraws, uses, touch: _, waiting } = std::mem::take(&mut live.pending);
        let step = JobWrite {
            job: self.id.clone(),
            first: live.stored,
            entries,
            head: Head::of(&live.job),
            asks,
            withdraws,
            uses,
            now,
            lease_ms,
        };
        let stored = step.first + step.entries.len();
        let written = self.kit.doors.write.ask(WriteJob { step });
        ctx.spawn(written.into_actor(self).map(move |written: Result<JobWritten, DbError>, actor, ctx| {
            match written {
                Ok(written) => {
                    for done in waiting {
                        let _ = done.send(Ok(()));
                    }
                    actor.written(written, stored, then, ctx);
                }
                Err(error) => {
                    for done in waiting {
                        let _ = done.send(Err(JobRefused::Store(error.clone())));
                    }
                    actor.life.fail(ctx, error);
                }
            }
        }));
    }

    fn written(&mut self, written: JobWritten, stored: usize, then: Option<Effect>, ctx: &mut Context<Self>) {
        if !written.outbox.is_empty() {
            // Lost when the outbox is down: it finds the rows by itself.
            let _ = self.kit.doors.fresh.try_send(Fresh(written.outbox));
        }
        let Some(live) = &mut self.live else { return };
        live.busy = false;
        live.stored = stored;
        live.task = written.task;
        let head = &live.task.head;
        if live.told != head.state {
            live.told.clone_from(&head.state);
            let event = LogEvent::State { state: head.state.clone(), text: head.text.clone() };
            self.kit.files.log(&self.id, self.kit.clock.now(), event);
        }
        self.store_notes(ctx);
        if let Some(effect) = then {
            self.perform(effect, ctx);
        }
        self.pump(ctx);
    }

    /// Puts what the engine noted into its bot's journal. The words are in the job's own journal already.
    fn store_notes(&mut self, ctx: &mut Context<Self>) {
        let Some(live) = &mut self.live else { return };
        let (notes, story) = (std::mem::take(&mut live.notes), live.task.asked.story.clone());
        let Some(bot) = live.task.asked.bot.clone() else { return };
        for (kind, summary) in notes {
            let entry = Note {
                id: EntryId::new(encode(self.kit.clock.fresh())),
                bot: bot.clone(),
                kind,
                summary,
                details: String::new(),
                story: story.as_ref().map(|story| story.story.clone()),
                job: Some(self.id.clone()),
                at: self.kit.clock.now(),
            };
            let added = self.kit.doors.add_entry.ask(AddEntry { entry });
            ctx.spawn(added.into_actor(self).map(|added, actor, _| {
                if let Err(error) = added {
                    tracing::warn!(job = %actor.id, %error, "a note cannot be put into the bot's journal");
                }
            }));
        }
    }
}
