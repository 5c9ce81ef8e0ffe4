//! The table of a turn: phase × event → entries and effects.

use crate::domain::{
    Millis,
    approval::{Subject, Verdict},
    budget::{Amount, Exceeded},
    ids::{ApprovalId, InboundId},
    message::{Message, ToolResult},
    model::{Answer, ModelError, Stop},
};

use super::{
    answer::{STOPPED, Why, failed_result},
    entry::{Entry, Held, Outcome},
    event::{CallKey, Effect, Env, Event, Purpose},
    plan::Plan,
    state::{CallState, Opening, Phase, Turn},
};

impl Turn {
    /// Starts a turn on a message. `context` is what the model is told beside it.
    pub fn begin(now: Millis, opening: Opening, context: String) -> (Self, Vec<Effect>) {
        let mut turn = Self::empty(opening);
        let mut entries = Vec::new();
        turn.push(Entry::Began { at: now, context }, &mut entries);
        let effects = turn.ask(Purpose::Answer, entries);
        (turn, effects)
    }

    /// Advances the turn by one event. What does not fit the phase is stale and changes nothing.
    pub fn step(&mut self, now: Millis, env: &Env, event: Event) -> Vec<Effect> {
        if matches!(self.phase, Phase::Over(_)) {
            return Vec::new();
        }
        match event {
            Event::ModelAnswered { ask, answer } => self.on_answer(now, env, ask, answer),
            Event::ModelFailed { ask, error } => self.on_model_failed(ask, error),
            Event::ContextFull { through } => self.on_context_full(through),
            Event::ToolReturned { key, result, activated, took_ms } => {
                self.on_returned(now, env, key, result, activated, took_ms)
            }
            Event::Steer { inbound, text } => self.on_steer(inbound, text),
            Event::Decided { approval, verdict } => self.on_decided(now, env, &approval, verdict),
            Event::OverBudget(exceeded) => self.on_over_budget(now, env, exceeded),
            Event::StopTools => self.on_stop(now, env),
            Event::End(outcome) => self.on_end(env, outcome),
        }
    }

    fn on_answer(&mut self, now: Millis, env: &Env, ask: u32, answer: Answer) -> Vec<Effect> {
        let Phase::Asking(purpose) = self.phase else { return Vec::new() };
        if ask != self.ask {
            return Vec::new();
        }
        let mut entries = Vec::new();
        if let Purpose::Compact { through } = purpose {
            let entry = Entry::Compacted { summary: answer.reply.text, through, cost: answer.cost };
            self.push(entry, &mut entries);
            return self.ask(Purpose::Answer, entries);
        }
        let cut = answer.reply.stop == Stop::Length;
        self.push(Entry::Answered { reply: answer.reply, cost: answer.cost }, &mut entries);
        if cut && self.continuations <= env.limits.continuations {
            return self.ask(Purpose::Answer, entries);
        }
        if !self.calls.is_empty() {
            if self.answers - self.continuations >= env.limits.iterations {
                return self.end(Outcome::OutOfSteps, &Why::Steps(env.limits.iterations), entries);
            }
            return self.act(now, env, entries);
        }
        if !cut && self.has_more_to_read() {
            return self.ask(Purpose::Answer, entries);
        }
        self.end(Outcome::Answered, &Why::Nothing, entries)
    }

    fn on_model_failed(&mut self, ask: u32, error: ModelError) -> Vec<Effect> {
        let Phase::Asking(purpose) = self.phase else { return Vec::new() };
        if ask != self.ask {
            return Vec::new();
        }
        if purpose == Purpose::Answer && matches!(error, ModelError::TooLong(_)) {
            return self.on_context_full(None);
        }
        if let Purpose::Compact { through } = purpose {
            let entry = Entry::Compacted { summary: String::new(), through, cost: Amount::ZERO };
            let mut entries = Vec::new();
            self.push(entry, &mut entries);
            return self.ask(Purpose::Answer, entries);
        }
        self.end(Outcome::ModelFailed, &Why::Model(error), Vec::new())
    }

    /// First a summary by the model, where there is history to summarise; then plain cuts, each harder;
    /// then the end.
    fn on_context_full(&mut self, through: Option<i64>) -> Vec<Effect> {
        const PLAIN_CUTS: u32 = 3;
        if self.phase != Phase::Asking(Purpose::Answer) {
            return Vec::new();
        }
        if let Some(through) = through
            && self.squeezed == 0
        {
            return self.ask(Purpose::Compact { through }, Vec::new());
        }
        let mut entries = Vec::new();
        if self.squeezed > PLAIN_CUTS {
            let error = ModelError::TooLong("even its shortest form does not fit".into());
            return self.end(Outcome::ModelFailed, &Why::Model(error), entries);
        }
        self.push(Entry::Squeezed, &mut entries);
        self.ask(Purpose::Answer, entries)
    }

    fn on_returned(
        &mut self,
        now: Millis,
        env: &Env,
        key: CallKey,
        result: ToolResult,
        activated: Option<String>,
        took_ms: u64,
    ) -> Vec<Effect> {
        if self.phase != Phase::Acting || !self.running().contains(&key) {
            return Vec::new();
        }
        let mut entries = Vec::new();
        self.push(Entry::Returned { index: key.index, result, activated, took_ms }, &mut entries);
        self.act(now, env, entries)
    }

    fn on_steer(&mut self, inbound: InboundId, text: String) -> Vec<Effect> {
        let mut entries = Vec::new();
        self.push(Entry::Steered { inbound, text }, &mut entries);
        vec![Effect::Record(entries)]
    }

    fn on_decided(&mut self, now: Millis, env: &Env, approval: &ApprovalId, verdict: Verdict) -> Vec<Effect> {
        if !self.open_approvals().contains(approval) {
            return Vec::new();
        }
        let mut entries = Vec::new();
        if let Phase::OverBudget { exceeded, .. } = self.phase.clone() {
            let reason = match &verdict {
                Verdict::Approved { .. } => None,
                Verdict::Rejected { by, .. } => Some(format!("{by} refused to raise it")),
                Verdict::Expired => Some("nobody raised it in time".to_owned()),
            };
            self.push(Entry::BudgetDecided { approval: approval.clone(), verdict }, &mut entries);
            return match reason {
                Some(reason) => self.end(Outcome::OutOfBudget, &Why::Budget(exceeded, reason), entries),
                None => self.go_on(now, env, entries),
            };
        }
        let Some(index) = self.calls.iter().position(
            |call| matches!(&call.state, CallState::Held { approval: asked, .. } if asked == approval),
        ) else {
            return Vec::new();
        };
        let call = self.calls[index].call.clone();
        let refused = match &verdict {
            Verdict::Approved { .. } => None,
            Verdict::Rejected { by, reason: Some(reason) } => Some(format!("Error: {by} refused: {reason}")),
            Verdict::Rejected { by, reason: None } => Some(format!("Error: {by} refused this call.")),
            Verdict::Expired => Some("Error: nobody allowed this call in time.".to_owned()),
        };
        self.push(Entry::Decided { index, approval: approval.clone(), verdict }, &mut entries);
        if let Some(output) = refused {
            let result = failed_result(&call.id, &call.name, output);
            self.push(Entry::Returned { index, result, activated: None, took_ms: 0 }, &mut entries);
        }
        self.act(now, env, entries)
    }

    fn on_over_budget(&mut self, now: Millis, env: &Env, exceeded: Exceeded) -> Vec<Effect> {
        if matches!(self.phase, Phase::OverBudget { .. }) {
            return Vec::new();
        }
        let preview = format!(
            "raise the {} budget from {} by {}: {} are used, and the next step may need {}",
            exceeded.scope.as_words(),
            exceeded.dimension.show(exceeded.cap),
            exceeded.dimension.show(exceeded.raise),
            exceeded.dimension.show(exceeded.used),
            exceeded.dimension.show(exceeded.asked),
        );
        let held = Held {
            approval: ApprovalId::new(format!("{}-b{}", self.id(), self.entries)),
            subject: Subject::Budget { exceeded },
            preview,
            asked_at: now,
            expires_at: now.saturating_add(i64::try_from(env.limits.approval_ms).unwrap_or(i64::MAX)),
        };
        let mut entries = Vec::new();
        self.push(Entry::OverBudget { exceeded, held }, &mut entries);
        vec![Effect::Record(entries), Effect::Park]
    }

    fn on_stop(&mut self, now: Millis, env: &Env) -> Vec<Effect> {
        let running = self.running();
        if running.is_empty() {
            return Vec::new();
        }
        let mut entries = Vec::new();
        for key in &running {
            let call = &self.calls[key.index].call;
            let result = failed_result(&call.id, &call.name, STOPPED);
            self.push(
                Entry::Returned { index: key.index, result, activated: None, took_ms: 0 },
                &mut entries,
            );
        }
        let mut effects = vec![Effect::StopTools(running)];
        effects.extend(self.act(now, env, entries));
        effects
    }

    fn on_end(&mut self, env: &Env, outcome: Outcome) -> Vec<Effect> {
        let mut effects = match self.phase {
            Phase::Asking(_) => vec![Effect::AbandonModel],
            Phase::Acting => vec![Effect::StopTools(self.running())],
            Phase::OverBudget { .. } | Phase::Over(_) => Vec::new(),
        };
        let why = match outcome {
            Outcome::TimedOut => Why::Time(env.limits.turn_ms),
            Outcome::OutOfBudget => Why::TimeBudget,
            Outcome::Poisoned => Why::Crashes(env.limits.resumes),
            _ => Why::Nothing,
        };
        effects.extend(self.end(outcome, &why, Vec::new()));
        effects
    }

    /// Goes on with whatever the phase asks for, after entries that changed it.
    pub(super) fn go_on(&mut self, now: Millis, env: &Env, entries: Vec<Entry>) -> Vec<Effect> {
        match self.phase {
            Phase::Asking(purpose) => self.ask(purpose, entries),
            Phase::Acting => self.act(now, env, entries),
            Phase::OverBudget { .. } => record(entries, Some(Effect::Park)),
            Phase::Over(_) => record(entries, Some(Effect::Finish)),
        }
    }

    /// Lets the calls go on: start what may start, and when all are done, ask the model again.
    pub(super) fn act(&mut self, now: Millis, env: &Env, mut entries: Vec<Entry>) -> Vec<Effect> {
        match self.plan(now, env, &mut entries) {
            Plan::Wait => record(entries, None),
            Plan::Start(batch) => record(entries, Some(Effect::RunTools(batch))),
            Plan::Hold => record(entries, Some(Effect::Park)),
            Plan::Done => {
                if let Some((tool, times, output)) = self.stuck(env.limits.repeated_failures) {
                    return self.end(Outcome::StuckCall, &Why::Stuck { tool, times, output }, entries);
                }
                self.ask(Purpose::Answer, entries)
            }
        }
    }

    /// The call that failed `limit` times in a row, if one did.
    fn stuck(&self, limit: u32) -> Option<(String, u32, String)> {
        let (_, times) = self.failing.as_ref().filter(|(_, times)| *times >= limit)?;
        let Some(Message::Tool { results }) = self.transcript.last() else {
            return None;
        };
        let last = results.last()?;
        Some((last.name.clone(), *times, last.output.clone()))
    }

    pub(super) fn ask(&mut self, purpose: Purpose, entries: Vec<Entry>) -> Vec<Effect> {
        self.phase = Phase::Asking(purpose);
        self.ask += 1;
        record(entries, Some(Effect::AskModel { ask: self.ask, purpose }))
    }

    pub(super) fn end(&mut self, outcome: Outcome, why: &Why, mut entries: Vec<Entry>) -> Vec<Effect> {
        let closed = self.closed(outcome, why);
        self.push(Entry::Ended { closed }, &mut entries);
        vec![Effect::Record(entries), Effect::Finish]
    }

    /// Applies an entry of our own making and keeps it for the journal.
    pub(super) fn push(&mut self, entry: Entry, entries: &mut Vec<Entry>) {
        let applied = self.apply(&entry);
        debug_assert!(applied.is_ok(), "{applied:?}");
        if applied.is_ok() {
            entries.push(entry);
        }
    }
}

/// First the entries, if there are any, then the effect.
pub(super) fn record(entries: Vec<Entry>, effect: Option<Effect>) -> Vec<Effect> {
    let record = (!entries.is_empty()).then_some(Effect::Record(entries));
    record.into_iter().chain(effect).collect()
}
