//! Performing what turns want: records first, everything else when they are stored.

use std::sync::Arc;

use actix::prelude::*;

use crate::{
    actors::db::messages::WriteTurn,
    domain::{
        Millis,
        budget::{self, Amount, Exceeded, Scope},
        ids::InboundId,
        journal::{CloseTurn, TurnState, TurnWrite},
        model::ModelRequest,
        outbound::{Body, NewOutbox, Words},
        turn::{Closed, Effect, Event, Past, Phase, Purpose, ToolRun, compose},
    },
};

use super::{actor::Session, work::Work};

/// What follows a write.
pub(super) enum Then {
    Nothing,
    Ask { ask: u32, request: Arc<ModelRequest>, input: Amount },
    Run(Vec<ToolRun>),
    Park,
    Finish { closed: Closed, past: Past },
}

/// What comes of preparing an effect.
enum Prepared {
    /// It may follow a write that reserves this.
    Write(Then, Amount),
    /// The turn must hear of this instead.
    Instead(Event),
}

impl Session {
    /// Lets a turn hear of an event, and performs what it wants.
    pub(super) fn step(&mut self, seq: i64, event: Event, ctx: &mut Context<Self>) {
        let env = self.kit.env();
        let Some(work) = self.works.get_mut(&seq) else { return };
        let effects = work.turn.step(self.kit.clock.now(), &env, event);
        self.perform(seq, effects, ctx);
    }

    /// Performs effects: what ends something at once, the rest in order behind what waits already.
    pub(super) fn perform(&mut self, seq: i64, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        let now = self.kit.clock.now();
        let Some(work) = self.works.get_mut(&seq) else { return };
        for effect in effects {
            match effect {
                Effect::AbandonModel => work.abandon_model(now),
                Effect::StopTools(keys) => work.stop_tools(&keys, now),
                other => work.todo.push_back(other),
            }
        }
        self.pump(seq, ctx);
    }

    /// Takes effects in order until one of them needs a write.
    pub(super) fn pump(&mut self, seq: i64, ctx: &mut Context<Self>) {
        loop {
            let Some(work) = self.works.get_mut(&seq) else { return };
            if work.writing {
                return;
            }
            let effect = match work.todo.pop_front() {
                Some(Effect::Record(entries)) => {
                    work.entries.extend(entries);
                    continue;
                }
                Some(effect) => effect,
                None if work.entries.is_empty() => return,
                None => {
                    let keep = work.outstanding();
                    return self.write(seq, Then::Nothing, keep, ctx);
                }
            };
            match self.prepared(seq, effect) {
                Prepared::Write(then, reserve) => return self.write(seq, then, reserve, ctx),
                Prepared::Instead(event) => {
                    let env = self.kit.env();
                    let Some(work) = self.works.get_mut(&seq) else { return };
                    let effects = work.turn.step(self.kit.clock.now(), &env, event);
                    for effect in effects.into_iter().rev() {
                        work.todo.push_front(effect);
                    }
                }
            }
        }
    }

    fn prepared(&mut self, seq: i64, effect: Effect) -> Prepared {
        match effect {
            Effect::AskModel { ask, purpose } => self.prepared_question(seq, ask, purpose),
            Effect::RunTools(runs) => {
                let reserve = Amount {
                    tool_calls: runs.len() as u64,
                    time_ms: self.kit.settings.tool_timeout_ms,
                    ..Amount::ZERO
                };
                match self.turn_grant(seq, reserve) {
                    Err(exceeded) => Prepared::Instead(Event::OverBudget(exceeded)),
                    Ok(granted) => Prepared::Write(Then::Run(runs), granted),
                }
            }
            Effect::Park => Prepared::Write(Then::Park, Amount::ZERO),
            Effect::Finish => self.prepared_end(seq),
            Effect::Record(_) | Effect::AbandonModel | Effect::StopTools(_) => {
                Prepared::Write(Then::Nothing, Amount::ZERO)
            }
        }
    }

    fn prepared_question(&mut self, seq: i64, ask: u32, purpose: Purpose) -> Prepared {
        let system = self.kit.personas.system_prompt(&self.user);
        let env = self.kit.env();
        let Some(work) = self.works.get(&seq) else { return Prepared::Write(Then::Nothing, Amount::ZERO) };
        let composed = compose(&work.turn, purpose, &system, &self.history, &env.tools, &env.limits);
        if composed.too_long {
            return Prepared::Instead(Event::ContextFull { through: composed.through });
        }
        let reserve = self.kit.worst_case(composed.tokens, composed.request.max_tokens);
        let reserve = match self.turn_grant(seq, reserve) {
            Err(exceeded) => return Prepared::Instead(Event::OverBudget(exceeded)),
            Ok(granted) => granted,
        };
        let input = Amount {
            tokens: composed.tokens,
            micros: self.kit.settings.worst_price.worst(composed.tokens, 0),
            ..Amount::ZERO
        };
        Prepared::Write(Then::Ask { ask, request: Arc::new(composed.request), input }, reserve)
    }

    fn turn_grant(&self, seq: i64, reserve: Amount) -> Result<Amount, Exceeded> {
        let Some(work) = self.works.get(&seq) else { return Ok(reserve) };
        let (_, raised) = work.turn.spent();
        let caps = &self.kit.settings.limits.turn_caps;
        budget::grant(Scope::Turn, caps, raised, work.spent(), reserve)
    }

    fn prepared_end(&mut self, seq: i64) -> Prepared {
        let Some(work) = self.works.get(&seq) else { return Prepared::Write(Then::Nothing, Amount::ZERO) };
        let Phase::Over(closed) = work.turn.phase().clone() else {
            return Prepared::Write(Then::Nothing, Amount::ZERO);
        };
        let past = Past::new(seq, self.history.next, work.turn.closing_messages(&closed));
        // The place is taken now: another turn of this conversation may end while this is stored.
        self.history.next += past.messages.len() as i64;
        Prepared::Write(Then::Finish { closed, past }, Amount::ZERO)
    }

    pub(super) fn write(&mut self, seq: i64, then: Then, reserve: Amount, ctx: &mut Context<Self>) {
        let Some(work) = self.works.get_mut(&seq) else { return };
        work.writing = true;
        let keeps = matches!(then, Then::Nothing);
        if let Some(limit) = work.time_limit.take_if(|_| !keeps) {
            ctx.cancel_future(limit);
        }
        let entries = std::mem::take(&mut work.entries);
        for entry in &entries {
            self.kit.metrics.steps.with_label_values(&[entry.kind()]).inc();
        }
        let (spent, caps) = (work.spent(), &self.kit.settings.limits.turn_caps);
        let step = TurnWrite {
            turn: work.turn.id().clone(),
            conversation: self.id.clone(),
            user: self.user.clone(),
            lease: work.lease,
            now: self.kit.clock.now(),
            open: work.opening.as_ref().map(|(open, _)| open.clone()),
            first: work.first,
            calls: std::mem::take(&mut work.calls),
            settle: spent - work.settled,
            reserve,
            keeps,
            warnings: budget::crossed(caps, work.turn.spent().1, work.settled, spent),
            user_caps: self.kit.settings.user_caps,
            state: match &then {
                Then::Park => TurnState::Parked,
                Then::Finish { .. } => TurnState::Over,
                Then::Nothing | Then::Ask { .. } | Then::Run(_) => TurnState::Running,
            },
            close: match &then {
                Then::Finish { closed, past } => {
                    let look_again_at = self.reading.turn_ends(self.kit.clock.now());
                    let look_again_at = look_again_at.filter(|_| self.kit.settings.auto_extraction);
                    Some(close(work, &self.user, &self.id, closed, past, look_again_at))
                }
                Then::Nothing | Then::Ask { .. } | Then::Run(_) | Then::Park => None,
            },
            entries,
        };
        work.first += step.entries.len();
        work.settled = spent;
        let write = self.kit.doors.write.ask(WriteTurn { step });
        ctx.spawn(write.into_actor(self).map(move |written, session, ctx| {
            session.written(seq, (then, reserve), written, ctx);
        }));
    }
}

fn close(
    work: &Work,
    user: &crate::domain::ids::UserId,
    conversation: &crate::domain::ids::ConversationId,
    closed: &Closed,
    past: &Past,
    look_again_at: Option<Millis>,
) -> CloseTurn {
    let serves: Vec<InboundId> = work.turn.serves().to_vec();
    let answer = (!closed.outcome.is_silent()).then(|| NewOutbox {
        user: user.clone(),
        conversation: conversation.clone(),
        turn: Some(work.turn.id().clone()),
        answers: serves.clone(),
        body: Body::Answer {
            text: closed.text.clone(),
            files: closed.files.clone(),
            outcome: closed.outcome,
            words: Words::Markup,
        },
    });
    CloseTurn {
        serves,
        outcome: closed.outcome,
        past: past.clone(),
        summary: work.turn.summary().map(|(text, through)| (text.to_owned(), through)),
        activated: work.turn.newly_activated(),
        asked: work.turn.has_asked(),
        answer,
        look_again_at,
    }
}
