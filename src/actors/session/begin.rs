//! Taking messages up: at once when the conversation is free, else as the user has chosen.

use actix::prelude::*;

use crate::{
    actors::db::messages::{Accept, DbError, SearchMemories},
    domain::{
        ids::TurnId,
        inbound::{Accepted, Inbound, NewInbound, Refused, State},
        journal::{OpenTurn, Source, WhileBusy},
        memory::Memory,
        outbound::Progress,
        persona,
        turn::{Event, Opening, Outcome, Phase, Turn},
    },
};

use super::{
    actor::{Ready, Session},
    messages::Deliver,
    work::{Acceptance, Work},
};

/// Most of a message that memories are looked up by, in characters.
const QUERY: usize = 1_000;

impl Session {
    pub(super) fn deliver(&mut self, deliver: Deliver, acceptance: Acceptance, ctx: &mut Context<Self>) {
        if self.draining.is_some() {
            let _ = acceptance.send(Err(Refused::Draining));
            return;
        }
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.push((deliver, acceptance));
            return;
        }
        if self.is_busy() || !self.queue.is_empty() {
            return self.line_up(deliver, acceptance, ctx);
        }
        self.prepare(Source::New(deliver.message), Some(acceptance), ctx);
    }

    /// Stores a message that comes while another is worked on, then does with it what was chosen.
    fn line_up(&mut self, deliver: Deliver, acceptance: Acceptance, ctx: &mut Context<Self>) {
        let waiting = self.queue.len() + self.lining_up;
        if waiting >= self.kit.settings.queue_limit {
            let _ = acceptance.send(Err(Refused::Busy { waiting }));
            return;
        }
        let message = deliver.message;
        let (wanted, usual) =
            (deliver.while_busy, self.kit.settings.while_busy.get(&message.channel).copied());
        let accept = self.kit.doors.accept.ask(Accept { message: message.clone() });
        self.lining_up += 1;
        ctx.spawn(accept.into_actor(self).map(move |accepted, session, ctx| {
            session.lining_up -= 1;
            let accepted = accepted.map(|(accepted, chosen)| {
                if accepted == Accepted::New {
                    let mode = wanted.or(chosen).or(usual).unwrap_or(WhileBusy::Queue);
                    session.lined_up(stored(message), mode, ctx);
                }
                accepted
            });
            let _ = acceptance.send(accepted.map_err(refused));
            session.end_drain_if_done(ctx);
        }));
    }

    fn lined_up(&mut self, inbound: Inbound, mode: WhileBusy, ctx: &mut Context<Self>) {
        let running = self.current.filter(|seq| {
            self.works.get(seq).is_some_and(|work| !matches!(work.turn.phase(), Phase::Over(_)))
        });
        match (mode, running) {
            (WhileBusy::Steer, Some(seq)) if inbound.attachments.is_empty() => {
                self.show(
                    vec![inbound.id.clone()],
                    Progress::Status { status: "processing", approval: None },
                );
                self.step(seq, Event::Steer { inbound: inbound.id, text: inbound.text }, ctx);
            }
            (WhileBusy::Interrupt, Some(seq)) => {
                self.queue.push_front(inbound);
                self.step(seq, Event::End(Outcome::Interrupted), ctx);
            }
            (WhileBusy::Interrupt, None) if self.preparing.is_some() => {
                self.queue.push_front(inbound);
                self.preparing = Some(Some(Outcome::Interrupted));
            }
            (WhileBusy::Queue | WhileBusy::Steer | WhileBusy::Interrupt, _) => {
                self.show(vec![inbound.id.clone()], Progress::Status { status: "queued", approval: None });
                self.queue.push_back(inbound);
                self.next(ctx);
            }
        }
    }

    /// Goes on with what waits, when nothing runs: first turns that were parked and may go on, then messages.
    pub(super) fn next(&mut self, ctx: &mut Context<Self>) {
        if self.current.is_some() || self.preparing.is_some() {
            return;
        }
        if self.draining.is_some() {
            return self.end_drain_if_done(ctx);
        }
        while let Some((seq, ready)) = self.ready.pop_front() {
            let Some(work) = self.works.get(&seq) else { continue };
            if let Ready::Event(Event::Decided { approval, .. }) = &ready
                && !work.turn.open_approvals().contains(approval)
            {
                continue;
            }
            self.make_current(seq, ctx);
            match ready {
                Ready::Event(event) => self.step(seq, event, ctx),
                Ready::Effects(effects) => self.perform(seq, effects, ctx),
            }
            return;
        }
        if let Some(inbound) = self.queue.pop_front() {
            self.prepare_queued(inbound, ctx);
        }
    }

    fn prepare_queued(&mut self, inbound: Inbound, ctx: &mut Context<Self>) {
        let (text, attachments) = (inbound.text.clone(), inbound.attachments.clone());
        self.gather(Source::Queued(inbound.id), text, attachments, None, ctx);
    }

    fn prepare(&mut self, source: Source, acceptance: Option<Acceptance>, ctx: &mut Context<Self>) {
        if let Source::New(message) = &source {
            let (text, attachments) = (message.text.clone(), message.attachments.clone());
            self.gather(source, text, attachments, acceptance, ctx);
        }
    }

    /// Looks for memories that may matter, then begins.
    fn gather(
        &mut self,
        source: Source,
        text: String,
        attachments: Vec<crate::domain::message::FileRef>,
        acceptance: Option<Acceptance>,
        ctx: &mut Context<Self>,
    ) {
        self.preparing = Some(None);
        let limit = self.kit.settings.retrieval_limit;
        if limit == 0 {
            return self.begin(source, text, attachments, Vec::new(), acceptance, ctx);
        }
        let query = text.chars().take(QUERY).collect();
        let (user, now) = (self.user.clone(), self.kit.clock.now());
        let search = self.kit.doors.search.ask(SearchMemories { user, query, now, limit });
        ctx.spawn(search.into_actor(self).map(move |found, session, ctx| {
            let memories = found.unwrap_or_else(|error| {
                tracing::warn!(%error, "memories cannot be read; the turn goes on without");
                Vec::new()
            });
            session.begin(source, text, attachments, memories, acceptance, ctx);
        }));
    }

    fn begin(
        &mut self,
        source: Source,
        text: String,
        attachments: Vec<crate::domain::message::FileRef>,
        memories: Vec<Memory>,
        acceptance: Option<Acceptance>,
        ctx: &mut Context<Self>,
    ) {
        let ended = self.preparing.take().flatten();
        let now = self.kit.clock.now();
        let inbound = match &source {
            Source::New(message) => message.id.clone(),
            Source::Queued(id) => id.clone(),
        };
        let turn = TurnId::new(crate::domain::ids::encode(self.kit.clock.fresh()));
        let opening = Opening { turn, inbound, text, attachments, activated: self.activated.clone() };
        let touched = memories.iter().map(|memory| memory.id.clone()).collect();
        let facts: Vec<(String, String)> =
            memories.into_iter().map(|memory| (memory.category, memory.content)).collect();
        let time = chrono::DateTime::from_timestamp_millis(now)
            .map(|utc| utc.format("%A, %Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default();
        let (turn, effects) = Turn::begin(now, opening, persona::context(&time, &facts));
        let seq = self.last_seq + 1;
        let open = OpenTurn { source, seq, touched };
        self.works.insert(seq, Work::begun(turn, (&self.id, &self.user), seq, open, acceptance));
        self.make_current(seq, ctx);
        self.perform(seq, effects, ctx);
        if let Some(outcome) = ended {
            self.step(seq, Event::End(outcome), ctx);
        }
        self.acknowledge();
    }

    /// Puts a turn in the place of the one that runs, with a time limit of its own.
    pub(super) fn make_current(&mut self, seq: i64, ctx: &mut Context<Self>) {
        self.current = Some(seq);
        self.kit.metrics.turns_running.inc();
        let limit = std::time::Duration::from_millis(self.kit.settings.limits.turn_ms);
        let deadline = ctx.run_later(limit, move |session, ctx| {
            session.step(seq, Event::End(Outcome::TimedOut), ctx);
        });
        if let Some(work) = self.works.get_mut(&seq) {
            work.deadline = Some(deadline);
        }
    }

    /// Takes the turn out of the place of the one that runs.
    pub(super) fn release(&mut self, seq: i64, ctx: &mut Context<Self>) {
        if self.current == Some(seq) {
            self.current = None;
            self.kit.metrics.turns_running.dec();
        }
        if let Some(deadline) = self.works.get_mut(&seq).and_then(|work| work.deadline.take()) {
            ctx.cancel_future(deadline);
        }
    }
}

fn stored(message: NewInbound) -> Inbound {
    Inbound {
        id: message.id,
        text: message.text,
        attachments: message.attachments,
        state: State::Queued,
        turn: None,
        received_at: message.received_at,
    }
}

/// What a person is told when the store did not take a message.
pub(super) fn refused(error: DbError) -> Refused {
    match error {
        DbError::KeyReused => Refused::KeyReused,
        other => Refused::Unavailable(other.to_string()),
    }
}
