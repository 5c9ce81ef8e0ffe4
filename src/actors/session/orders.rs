//! Orders: cancel, stop, clear, answers to questions, leaving memory.

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::{
    actors::db::messages::{CancelQueued, ClearConversation, Expire},
    domain::{
        approval::Verdict,
        ids::ApprovalId,
        outbound::Progress,
        turn::{Event, Outcome, Phase},
    },
};

use super::{
    actor::{Ready, Session},
    messages::Order,
};

/// Who waits to hear whether there was something to do.
pub(super) type Done = oneshot::Sender<bool>;

impl Session {
    pub(super) fn obey(&mut self, order: Order, done: Done, ctx: &mut Context<Self>) {
        if self.arrivals.is_some() {
            // What it is about is not read yet.
            self.orders.push((order, done));
            return;
        }
        match order {
            Order::Cancel => self.cancel(done, ctx),
            Order::Stop => {
                let running = self
                    .current
                    .filter(|seq| self.works.get(seq).is_some_and(|work| !work.turn.running().is_empty()));
                if let Some(seq) = running {
                    self.step(seq, Event::StopTools, ctx);
                }
                let _ = done.send(running.is_some());
            }
            Order::Clear => self.clear(done, ctx),
            Order::Decided { approval, verdict } => {
                let _ = done.send(self.decided(approval, verdict, ctx));
            }
            Order::Look => self.look(done, ctx),
            Order::Passivate => {
                let alone = self.life.vitals().mail().0 <= 1;
                let leaves = alone && self.is_idle();
                let _ = done.send(leaves);
                if leaves {
                    self.life.stop(ctx);
                }
            }
        }
    }

    /// Ends everything: the turn that runs, those that are parked, all that waits.
    fn cancel(&mut self, done: Done, ctx: &mut Context<Self>) {
        let mut any = self.preparing.is_some();
        self.preparing = self.preparing.map(|_| Some(Outcome::Cancelled));
        self.ready.clear();
        for seq in self.works.keys().copied().collect::<Vec<_>>() {
            any = true;
            self.step(seq, Event::End(Outcome::Cancelled), ctx);
        }
        let withdraw = CancelQueued { conversation: self.id.clone() };
        ctx.spawn(self.kit.doors.cancel_queued.ask(withdraw).into_actor(self).map(
            move |withdrawn, session, _| {
                match withdrawn {
                    Ok(ids) => {
                        session.queue.retain(|inbound| !ids.contains(&inbound.id));
                        any |= !ids.is_empty();
                        if !ids.is_empty() {
                            session.show(ids, Progress::Withdrawn { outcome: Outcome::Cancelled });
                        }
                    }
                    Err(error) => tracing::error!(%error, "what waits cannot be withdrawn"),
                }
                if any {
                    session.cancels.push(done);
                    session.acknowledge();
                } else {
                    let _ = done.send(false);
                }
            },
        ));
    }

    /// Tells those who cancelled that it is done, as soon as all of it is stored: a crash cannot undo it then.
    pub(super) fn acknowledge(&mut self) {
        let mut turns = self.works.values().map(|work| work.turn.phase());
        if self.preparing.is_none() && !turns.any(|phase| matches!(phase, Phase::Over(_))) {
            for done in self.cancels.drain(..) {
                let _ = done.send(true);
            }
        }
    }

    fn clear(&mut self, done: Done, ctx: &mut Context<Self>) {
        self.read_for_facts(ctx);
        let clear = ClearConversation {
            conversation: self.id.clone(),
            user: self.user.clone(),
            now: self.kit.clock.now(),
        };
        ctx.spawn(self.kit.doors.clear.ask(clear).into_actor(self).map(move |cleared, session, ctx| {
            match cleared {
                Ok(()) => {
                    session.history.clear();
                    session.activated.clear();
                    session.cleared_seq = session.last_seq;
                    let _ = done.send(true);
                }
                Err(error) => {
                    drop(done);
                    session.fail(ctx, error);
                }
            }
        }));
    }

    /// Lets the turn that asked hear of an answer, now or when the running one is through.
    pub(super) fn decided(
        &mut self,
        approval: ApprovalId,
        verdict: Verdict,
        ctx: &mut Context<Self>,
    ) -> bool {
        let asked = self.works.values().find(|work| work.turn.open_approvals().contains(&approval));
        let Some(seq) = asked.map(|work| work.seq) else { return false };
        let event = Event::Decided { approval, verdict };
        if self.current == Some(seq) {
            self.step(seq, event, ctx);
        } else {
            self.ready.push_back((seq, Ready::Event(event)));
            self.next(ctx);
        }
        true
    }

    fn look(&mut self, done: Done, ctx: &mut Context<Self>) {
        let expire = Expire { conversation: self.id.clone(), now: self.kit.clock.now() };
        ctx.spawn(self.kit.doors.expire.ask(expire).into_actor(self).map(move |expired, session, ctx| {
            match expired {
                Ok(ids) => {
                    let any = !ids.is_empty();
                    for approval in ids {
                        session.decided(approval, Verdict::Expired, ctx);
                    }
                    let _ = done.send(any);
                    session.read_when_quiet(ctx);
                }
                Err(error) => {
                    drop(done);
                    session.fail(ctx, error);
                }
            }
        }));
    }
}
