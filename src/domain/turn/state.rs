//! What a turn knows: a fold over its journal, nothing else.

use std::collections::BTreeSet;

use crate::domain::{
    approval::{Subject, Verdict},
    budget::{Amount, Exceeded, Scope},
    ids::{ApprovalId, InboundId, TurnId},
    message::{FileRef, Message, ToolCall, ToolResult},
    model::Stop,
    skill::{EffectClass, action_hash},
};

use super::{
    answer,
    entry::{Closed, Entry},
    event::{CallKey, Purpose},
};

/// What a turn begins with; stored in its inbound row and its first entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// The turn.
    pub turn: TurnId,
    /// The message that is answered.
    pub inbound: InboundId,
    /// Its words.
    pub text: String,
    /// Its files.
    pub attachments: Vec<FileRef>,
    /// Skills that earlier turns of the conversation activated.
    pub activated: BTreeSet<String>,
}

/// Where a call stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallState {
    /// Nothing was decided about it.
    New,
    /// A person was asked.
    Held { approval: ApprovalId, action: String },
    /// A person allowed it.
    Allowed,
    /// Its intent is stored; it may be running.
    Started(EffectClass),
    /// It came to its end.
    Done(ToolResult),
}

/// A call of the last answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) call: ToolCall,
    pub(super) state: CallState,
}

/// What a turn waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The model.
    Asking(Purpose),
    /// Tools, or people who must allow them.
    Acting,
    /// A person who may raise a budget.
    OverBudget {
        /// The question.
        approval: ApprovalId,
        /// Which budget.
        exceeded: Exceeded,
    },
    /// Nothing: it is over.
    Over(Closed),
}

/// Why a journal cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {at} ({kind}) does not follow from those before it")]
pub struct JournalFault {
    /// Place in the journal, from 0.
    pub at: usize,
    /// Kind of entry.
    pub kind: &'static str,
}

/// One agent turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    pub(super) opening: Opening,
    /// Messages of this turn, the user's first; the last group may be open while calls run.
    pub(super) transcript: Vec<Message>,
    pub(super) phase: Phase,
    pub(super) calls: Vec<Call>,
    /// Entries applied; the journal index of the next one.
    pub(super) entries: usize,
    /// Number of the last question to a model; answers to older ones are stale.
    pub(super) ask: u32,
    /// Answers that count against the limit.
    pub(super) answers: u32,
    pub(super) continuations: u32,
    /// Where in the transcript the parts of a cut-off answer begin.
    pub(super) parts_from: Option<usize>,
    pub(super) failing: Option<(String, u32)>,
    /// Words of newer messages that the model has not been given.
    pub(super) unread: Vec<String>,
    /// Answers that were followed by a newer message; they go out together with the last one.
    pub(super) said: Vec<String>,
    /// All messages that this turn answers.
    pub(super) serves: Vec<InboundId>,
    pub(super) activated: BTreeSet<String>,
    pub(super) files: Vec<FileRef>,
    pub(super) spent: Amount,
    pub(super) raised: Amount,
    pub(super) summary: Option<(String, i64)>,
    pub(super) squeezed: u32,
    /// It asked people something.
    pub(super) asked: bool,
}

impl Turn {
    pub(super) fn empty(opening: Opening) -> Self {
        Self {
            serves: vec![opening.inbound.clone()],
            activated: opening.activated.clone(),
            opening,
            transcript: Vec::new(),
            phase: Phase::Asking(Purpose::Answer),
            calls: Vec::new(),
            entries: 0,
            ask: 0,
            answers: 0,
            continuations: 0,
            parts_from: None,
            failing: None,
            unread: Vec::new(),
            said: Vec::new(),
            files: Vec::new(),
            spent: Amount::ZERO,
            raised: Amount::ZERO,
            summary: None,
            squeezed: 0,
            asked: false,
        }
    }

    /// The turn's name.
    pub fn id(&self) -> &TurnId {
        &self.opening.turn
    }

    /// What it waits for.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Messages that it answers, the first one first.
    pub fn serves(&self) -> &[InboundId] {
        &self.serves
    }

    /// What it has spent, and what its caps were raised by.
    pub fn spent(&self) -> (Amount, Amount) {
        (self.spent, self.raised)
    }

    /// Skills that are active now.
    pub fn activated(&self) -> &BTreeSet<String> {
        &self.activated
    }

    /// All skills that are active now, if this turn activated any.
    pub fn newly_activated(&self) -> Option<BTreeSet<String>> {
        (self.activated != self.opening.activated).then(|| self.activated.clone())
    }

    /// True when it asked people something.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// The summary that it made of older turns, and the place of the last turn that this covers.
    pub fn summary(&self) -> Option<(&str, i64)> {
        self.summary.as_ref().map(|(text, through)| (text.as_str(), *through))
    }

    /// Journal index of the next entry.
    pub fn next_entry(&self) -> usize {
        self.entries
    }

    /// Number of the last question to a model.
    pub fn last_ask(&self) -> u32 {
        self.ask
    }

    /// Answers of the model so far.
    pub fn answers(&self) -> u32 {
        self.answers
    }

    /// The questions that wait for a person.
    pub fn open_approvals(&self) -> Vec<ApprovalId> {
        match &self.phase {
            Phase::OverBudget { approval, .. } => vec![approval.clone()],
            Phase::Acting => self
                .calls
                .iter()
                .filter_map(|call| match &call.state {
                    CallState::Held { approval, .. } => Some(approval.clone()),
                    CallState::New | CallState::Allowed | CallState::Started(_) | CallState::Done(_) => None,
                })
                .collect(),
            Phase::Asking(_) | Phase::Over(_) => Vec::new(),
        }
    }

    /// Calls whose intent is stored and whose result is not.
    pub fn running(&self) -> Vec<CallKey> {
        let started = |call: &Call| matches!(call.state, CallState::Started(_));
        let keys = self.calls.iter().enumerate().filter(|(_, call)| started(call));
        keys.map(|(index, _)| self.key(index)).collect()
    }

    pub(super) fn key(&self, index: usize) -> CallKey {
        CallKey { answer: self.answers, index }
    }

    /// Applies an entry that this turn made or that was stored.
    ///
    /// # Errors
    /// [`JournalFault`] when the entry cannot follow; the turn is then unchanged.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), JournalFault> {
        let fault = JournalFault { at: self.entries, kind: entry.kind() };
        let fits = match entry {
            Entry::Began { context, .. } => self.apply_began(context),
            Entry::Answered { reply, cost } => self.apply_answered(reply, *cost),
            Entry::Intent { index, class } => self.apply_intent(*index, *class),
            Entry::Returned { index, result, activated, took_ms } => {
                self.spent.time_ms += took_ms;
                self.apply_returned(*index, result, activated.as_deref())
            }
            Entry::Held { index, held } => self.apply_held(*index, &held.approval, &held.subject),
            Entry::Decided { index, approval, verdict } => self.apply_decided(*index, approval, verdict),
            Entry::OverBudget { exceeded, held } => self.apply_over_budget(&held.approval, exceeded),
            Entry::BudgetDecided { approval, verdict } => self.apply_budget_decided(approval, verdict),
            Entry::Steered { inbound, text } => {
                self.serves.push(inbound.clone());
                self.unread.push(text.clone());
                true
            }
            Entry::Compacted { summary, through, cost } => {
                self.spent += *cost;
                self.squeezed += 1;
                if !summary.is_empty() {
                    self.summary = Some((summary.clone(), *through));
                }
                self.phase = Phase::Asking(Purpose::Answer);
                self.read_unread();
                true
            }
            Entry::Squeezed => {
                self.squeezed += 1;
                true
            }
            Entry::Resumed { lost } => {
                self.apply_resumed(*lost);
                true
            }
            Entry::Ended { closed } => {
                self.phase = Phase::Over(closed.clone());
                true
            }
        };
        self.asked |= entry.asks().is_some();
        if !fits || matches!(entry, Entry::Began { .. }) != (self.entries == 0) {
            return Err(fault);
        }
        self.entries += 1;
        Ok(())
    }

    fn apply_began(&mut self, context: &str) -> bool {
        let words = &self.opening.text;
        let text = if context.is_empty() { words.clone() } else { format!("{context}\n\n{words}") };
        self.transcript = vec![Message::User { text, attachments: self.opening.attachments.clone() }];
        true
    }

    fn apply_answered(&mut self, reply: &crate::domain::model::Reply, cost: Amount) -> bool {
        if !matches!(self.phase, Phase::Asking(_)) {
            return false;
        }
        self.spent += cost;
        self.answers += 1;
        if reply.stop == Stop::Length {
            // The call that was being written is worthless; the words are kept and joined later.
            self.continuations += 1;
            self.parts_from.get_or_insert(self.transcript.len());
            self.transcript.push(Message::assistant(reply.text.clone()));
            self.transcript.push(Message::user(answer::CONTINUE));
            return true;
        }
        let mut text = reply.text.clone();
        if let Some(from) = self.parts_from.take() {
            text = answer::join_parts(&self.transcript[from..]) + &text;
            self.transcript.truncate(from);
        }
        let calls = reply.calls.clone();
        if calls.is_empty() && !self.unread.is_empty() {
            // The answer came before a newer message was read: it stands, and the model reads on.
            self.said.push(text.clone());
        }
        self.transcript.push(Message::Assistant { text, calls: calls.clone() });
        if calls.is_empty() {
            self.read_unread();
        } else {
            self.calls = calls.into_iter().map(|call| Call { call, state: CallState::New }).collect();
            self.phase = Phase::Acting;
        }
        true
    }

    fn apply_intent(&mut self, index: usize, class: EffectClass) -> bool {
        let Some(call) = self.calls.get_mut(index) else { return false };
        if !matches!(call.state, CallState::New | CallState::Allowed) {
            return false;
        }
        call.state = CallState::Started(class);
        true
    }

    fn apply_returned(&mut self, index: usize, result: &ToolResult, activated: Option<&str>) -> bool {
        let Some(call) = self.calls.get_mut(index) else { return false };
        if matches!(call.state, CallState::Done(_)) {
            return false;
        }
        if matches!(call.state, CallState::Started(_)) {
            self.spent.tool_calls += 1;
        }
        call.state = CallState::Done(result.clone());
        self.files.extend(result.files.iter().cloned());
        self.activated.extend(activated.map(str::to_owned));
        if self.calls.iter().all(|call| matches!(call.state, CallState::Done(_))) {
            self.close_group();
        }
        true
    }

    /// A call that is not run again is counted when its unknown outcome is noted, not here too.
    fn apply_resumed(&mut self, lost: Amount) {
        let once = |call: &&Call| matches!(call.state, CallState::Started(EffectClass::Once));
        let noted = self.calls.iter().filter(once).count() as u64;
        self.spent += lost - Amount { tool_calls: noted, ..Amount::ZERO };
    }

    /// Puts the results behind their calls, in call order, and counts failures in that order too.
    fn close_group(&mut self) {
        let mut results = Vec::with_capacity(self.calls.len());
        for call in std::mem::take(&mut self.calls) {
            let CallState::Done(result) = call.state else { continue };
            if result.failed {
                let mark = action_hash(&call.call.name, &call.call.args);
                let times = match &self.failing {
                    Some((last, times)) if *last == mark => times + 1,
                    _ => 1,
                };
                self.failing = Some((mark, times));
            } else {
                self.failing = None;
            }
            results.push(result);
        }
        self.transcript.push(Message::Tool { results });
        self.read_unread();
        self.phase = Phase::Asking(Purpose::Answer);
    }

    /// Gives the model what arrived since it was asked last. Happens while entries are applied, never
    /// between them, so that a rebuilt turn asks with the same words.
    fn read_unread(&mut self) {
        if !self.unread.is_empty() && self.parts_from.is_none() {
            let words = self.unread.drain(..).collect::<Vec<_>>().join("\n\n");
            self.transcript.push(Message::user(words));
        }
    }

    /// True when the last message is one that the model has not answered.
    pub(super) fn has_more_to_read(&self) -> bool {
        matches!(self.transcript.last(), Some(Message::User { .. }))
    }

    fn apply_held(&mut self, index: usize, approval: &ApprovalId, subject: &Subject) -> bool {
        let Subject::Tool { action, .. } = subject else { return false };
        let Some(call) = self.calls.get_mut(index) else { return false };
        if call.state != CallState::New {
            return false;
        }
        call.state = CallState::Held { approval: approval.clone(), action: action.clone() };
        true
    }

    fn apply_decided(&mut self, index: usize, approval: &ApprovalId, verdict: &Verdict) -> bool {
        let Some(call) = self.calls.get_mut(index) else { return false };
        match &call.state {
            CallState::Held { approval: asked, action } if asked == approval => {
                let same = *action == action_hash(&call.call.name, &call.call.args);
                if matches!(verdict, Verdict::Approved { .. }) {
                    call.state = CallState::Allowed;
                }
                same
            }
            CallState::New
            | CallState::Held { .. }
            | CallState::Allowed
            | CallState::Started(_)
            | CallState::Done(_) => false,
        }
    }

    /// The calls whose intent was stored together with the refused reservation never ran.
    fn apply_over_budget(&mut self, approval: &ApprovalId, exceeded: &Exceeded) -> bool {
        for call in &mut self.calls {
            if matches!(call.state, CallState::Started(_)) {
                call.state = CallState::Allowed;
            }
        }
        self.phase = Phase::OverBudget { approval: approval.clone(), exceeded: *exceeded };
        true
    }

    fn apply_budget_decided(&mut self, approval: &ApprovalId, verdict: &Verdict) -> bool {
        let Phase::OverBudget { approval: asked, exceeded } = self.phase.clone() else { return false };
        if asked != *approval {
            return false;
        }
        if matches!(verdict, Verdict::Approved { .. }) {
            if exceeded.scope == Scope::Turn {
                self.raised += Amount::only(exceeded.dimension, exceeded.raise);
            }
            if self.calls.is_empty() {
                self.phase = Phase::Asking(Purpose::Answer);
                self.read_unread();
            } else {
                self.phase = Phase::Acting;
            }
        }
        true
    }
}
