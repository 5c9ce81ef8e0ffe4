//! Rebuilding a conversation from its rows, and going on where it stopped.

use actix::prelude::*;

use crate::{
    actors::db::messages::{LoadConversation, TakeOver},
    domain::{
        inbound::Refused,
        journal::{ConversationRow, OpenTurnRow, TakenOver},
        turn::{Effect, Event, Opening, Outcome, Turn},
    },
};

use super::{
    actor::{Ready, Session},
    work::Work,
};

impl Session {
    pub(super) fn load(&mut self, ctx: &mut Context<Self>) {
        let messages = self.kit.settings.limits.history_messages;
        let load = LoadConversation { conversation: self.id.clone(), messages };
        ctx.spawn(self.kit.doors.load.ask(load).into_actor(self).map(|loaded, session, ctx| match loaded {
            Ok(row) if row.open.is_empty() => session.loaded(row, &[], ctx),
            Ok(row) => session.take_over(row, ctx),
            Err(error) => session.give_up(error.to_string(), ctx),
        }));
    }

    fn take_over(&mut self, row: ConversationRow, ctx: &mut Context<Self>) {
        let take = TakeOver { conversation: self.id.clone() };
        ctx.spawn(self.kit.doors.take_over.ask(take).into_actor(self).map(
            |taken, session, ctx| match taken {
                Ok(taken) => session.loaded(row, &taken, ctx),
                Err(error) => session.give_up(error.to_string(), ctx),
            },
        ));
    }

    fn give_up(&mut self, error: String, ctx: &mut Context<Self>) {
        for (_, acceptance) in self.arrivals.take().into_iter().flatten() {
            let _ = acceptance.send(Err(Refused::Unavailable(error.clone())));
        }
        self.fail(ctx, error);
    }

    fn loaded(&mut self, row: ConversationRow, taken: &[TakenOver], ctx: &mut Context<Self>) {
        (self.last_seq, self.cleared_seq) = (row.last_seq, row.cleared_seq);
        self.activated = row.activated;
        self.history.summary = row.summary;
        self.history.past = row.past.into_iter().map(std::sync::Arc::new).collect();
        self.history.next = row.next;
        self.reading.through = row.extracted_through;
        self.queue = row.queued.into();
        for open in row.open {
            match taken.iter().find(|taken| taken.turn == open.turn) {
                Some(taken) => self.take_up(open, taken),
                None => tracing::warn!(turn = %open.turn, "turn ended while it was read"),
            }
        }
        let arrivals = self.arrivals.take().unwrap_or_default();
        for (order, done) in std::mem::take(&mut self.orders) {
            self.obey(order, done, ctx);
        }
        for (deliver, acceptance) in arrivals {
            self.deliver(deliver, acceptance, ctx);
        }
        self.next(ctx);
    }

    /// Takes a turn up again from its journal; what it wants to do waits for its place.
    fn take_up(&mut self, mut open: OpenTurnRow, taken: &TakenOver) {
        open.entries.extend(taken.lost.clone());
        let opening = Opening {
            turn: open.turn.clone(),
            inbound: open.inbound.id.clone(),
            text: open.inbound.text.clone(),
            attachments: open.inbound.attachments.clone(),
            activated: self.activated.clone(),
        };
        let (now, env) = (self.kit.clock.now(), self.kit.env());
        let (turn, effects) = match Turn::rebuild(opening.clone(), &open.entries) {
            Ok(mut turn) => {
                let effects = turn.resume(now, &env, taken.resumes);
                (turn, effects)
            }
            Err(fault) => {
                tracing::error!(turn = %open.turn, %fault, "journal cannot be followed; the turn is ended");
                let Ok(mut turn) = Turn::rebuild(opening, &open.entries[..fault.at]) else { return };
                let effects = turn.step(now, &env, Event::End(Outcome::Poisoned));
                (turn, effects)
            }
        };
        let stored = open.entries.len();
        let mut work = Work::resumed(turn, (&self.id, &self.user), open.seq, taken.lease);
        work.span.in_scope(|| tracing::info!(resumes = taken.resumes, "turn taken up again"));
        work.first = stored;
        self.works.insert(open.seq, work);
        if effects != [Effect::Park] {
            self.ready.push_back((open.seq, Ready::Effects(effects)));
        }
        for (approval, verdict) in open.verdicts {
            self.ready.push_back((open.seq, Ready::Event(Event::Decided { approval, verdict })));
        }
    }
}
