//! After a write: go on with what waited for it, or give up the session when the store says so.

use std::time::Duration;

use actix::prelude::*;

use crate::{
    actors::{db::messages::DbError, outbox::messages::Fresh},
    domain::{
        budget::Amount,
        inbound::Accepted,
        journal::{Source, TurnWritten},
        outbound::{OutboxRow, Progress},
        turn::{Closed, Event, Outcome, Past, Phase, Turn},
    },
};

use super::{actor::Session, begin::refused, effects::Then};

/// How often a turn looks whether others gave back what it needs of a budget.
const ROOM: Duration = Duration::from_millis(250);

impl Session {
    pub(super) fn written(
        &mut self,
        seq: i64,
        (then, reserve): (Then, Amount),
        written: Result<TurnWritten, DbError>,
        ctx: &mut Context<Self>,
    ) {
        let Some(work) = self.works.get_mut(&seq) else { return };
        work.writing = false;
        let opening = work.opening.take();
        let written = match (written, opening) {
            (Ok(written), None) => written,
            (Ok(written), Some((_, acceptance))) => {
                let accepted = written.accepted.clone();
                if let Some(acceptance) = acceptance {
                    let _ = acceptance.send(Ok(accepted.clone()));
                }
                if matches!(accepted, Accepted::Duplicate { .. }) {
                    return self.drop_unopened(seq, ctx);
                }
                self.last_seq = seq;
                self.show_status(seq, "processing");
                written
            }
            (Err(error), Some((open, acceptance))) => {
                if let Some(acceptance) = acceptance {
                    let _ = acceptance.send(Err(refused(error.clone())));
                }
                return match (error, open.source) {
                    // Refused for what it says, or withdrawn meanwhile: nothing of it is stored.
                    (DbError::KeyReused, _) | (DbError::Stale(_), Source::Queued(_)) => {
                        self.drop_unopened(seq, ctx);
                    }
                    (error, _) => self.fail(ctx, error),
                };
            }
            (Err(error), None) => return self.fail(ctx, error),
        };
        self.hand_over(written.outbox, ctx);
        if let Some(work) = self.works.get_mut(&seq) {
            work.reserved = written.granted;
            // One that is not there any more is no reason to answer nothing.
            let models = &self.kit.settings.models;
            work.model = written.model.filter(|model| models.contains(model)).map(Into::into);
            if written.lease > 0 {
                work.lease = written.lease;
            }
        }
        match written.exceeded {
            Some(_) if written.crowded => self.wait_for_room(seq, then, reserve, ctx),
            Some(exceeded) => self.step(seq, Event::OverBudget(exceeded), ctx),
            None => {
                if !matches!(then, Then::Nothing) {
                    self.limit_time(seq, written.granted.time_ms, ctx);
                }
                self.follow(seq, then, ctx);
            }
        }
        self.pump(seq, ctx);
    }

    /// Other turns of the user hold the room and give some of it back soon: asks again in a moment, instead of
    /// asking a person. The turn's own time limit bounds the wait.
    fn wait_for_room(&mut self, seq: i64, then: Then, reserve: Amount, ctx: &mut Context<Self>) {
        ctx.run_later(ROOM, move |session, ctx| {
            let Some(work) = session.works.get(&seq) else { return };
            if work.writing {
                return session.wait_for_room(seq, then, reserve, ctx);
            }
            if is_wanted(&work.turn, &then) {
                session.write(seq, then, reserve, ctx);
            }
        });
    }

    /// A budget may grant less time than a step could take: then the step ends with it.
    fn limit_time(&mut self, seq: i64, granted_ms: u64, ctx: &mut Context<Self>) {
        let settings = &self.kit.settings;
        let capped = settings.limits.turn_caps.time_ms.or(settings.user_caps.time_ms).is_some();
        if granted_ms == 0 || !capped {
            return;
        }
        let limit = ctx.run_later(Duration::from_millis(granted_ms), move |session, ctx| {
            session.step(seq, Event::End(Outcome::OutOfBudget), ctx);
        });
        if let Some(work) = self.works.get_mut(&seq) {
            work.time_limit = Some(limit);
        }
    }

    /// Does what waited for the write, unless the turn has moved on meanwhile.
    fn follow(&mut self, seq: i64, then: Then, ctx: &mut Context<Self>) {
        let Some(work) = self.works.get(&seq) else { return };
        match then {
            Then::Nothing => {}
            Then::Ask { ask, request, input } => {
                if is_asking(&work.turn, ask) {
                    self.ask(seq, ask, request, input, ctx);
                }
            }
            Then::Run(runs) => {
                let running = work.turn.running();
                for run in runs {
                    if running.contains(&run.key) {
                        self.run(seq, run, ctx);
                    }
                }
            }
            Then::Park => self.parked(seq, ctx),
            Then::Finish { closed, past } => self.finished(seq, closed, past, ctx),
        }
    }

    fn parked(&mut self, seq: i64, ctx: &mut Context<Self>) {
        let Some(work) = self.works.get(&seq) else { return };
        if work.turn.open_approvals().is_empty() || !work.todo.is_empty() {
            // Somebody decided while this was stored: the turn goes on.
            return;
        }
        let approval = work.turn.open_approvals().into_iter().next();
        self.show(work.turn.serves().to_vec(), Progress::Status { status: "waiting_approval", approval });
        self.release(seq, ctx);
        self.next(ctx);
    }

    fn finished(&mut self, seq: i64, closed: Closed, past: Past, ctx: &mut Context<Self>) {
        self.release(seq, ctx);
        let Some(work) = self.works.remove(&seq) else { return };
        self.turns_done += 1;
        self.kit.metrics.turns.with_label_values(&[closed.outcome.as_str()]).inc();
        let (spent, _) = work.turn.spent();
        let _turn = work.span.enter();
        tracing::info!(
            outcome = closed.outcome.as_str(),
            answers = work.turn.answers(),
            tokens = spent.tokens,
            micro_usd = spent.micros,
            "turn ended"
        );
        if seq > self.cleared_seq {
            if let Some((summary, through)) = work.turn.summary() {
                self.history.compact(summary.to_owned(), through);
            }
            self.activated = work.turn.activated().clone();
            let next = self.history.next;
            self.history.push(past, self.kit.settings.limits.history_messages);
            self.history.next = next;
        }
        if closed.outcome.is_silent() {
            self.show(work.turn.serves().to_vec(), Progress::Withdrawn { outcome: closed.outcome });
        }
        self.acknowledge();
        self.next(ctx);
    }

    /// Forgets a turn that never began.
    fn drop_unopened(&mut self, seq: i64, ctx: &mut Context<Self>) {
        self.release(seq, ctx);
        self.works.remove(&seq);
        self.acknowledge();
        self.next(ctx);
    }

    pub(super) fn show_status(&self, seq: i64, status: &'static str) {
        if let Some(work) = self.works.get(&seq) {
            self.show(work.turn.serves().to_vec(), Progress::Status { status, approval: None });
        }
    }

    /// Hands stored messages to the outbox. If it is down it finds them when it is up again.
    fn hand_over(&mut self, rows: Vec<OutboxRow>, ctx: &mut Context<Self>) {
        if rows.is_empty() {
            return;
        }
        let sent = self.kit.doors.fresh.send(Fresh(rows));
        ctx.spawn(sent.into_actor(self).map(|sent, session, _| {
            if let Err(error) = sent {
                session.life.vitals().note_error(error.to_string());
            }
        }));
    }
}

/// True while the turn waits for the answer to this question.
fn is_asking(turn: &Turn, ask: u32) -> bool {
    matches!(turn.phase(), Phase::Asking(_)) && turn.last_ask() == ask
}

/// True while the turn still wants what waited for a write.
fn is_wanted(turn: &Turn, then: &Then) -> bool {
    match then {
        Then::Ask { ask, .. } => is_asking(turn, *ask),
        Then::Run(runs) => {
            let running = turn.running();
            runs.iter().any(|run| running.contains(&run.key))
        }
        Then::Nothing | Then::Park | Then::Finish { .. } => false,
    }
}
