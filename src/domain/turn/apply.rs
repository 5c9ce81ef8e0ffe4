//! How each entry of the journal changes a turn: the same way when it is made and when it is read again.

use crate::domain::{
    approval::{Subject, Verdict},
    budget::{Amount, Exceeded, Scope},
    ids::ApprovalId,
    message::{Message, ToolResult},
    model::{Reply, Stop},
    skill::{EffectClass, action_hash},
};

use super::{
    answer,
    entry::Entry,
    event::Purpose,
    state::{Call, CallState, JournalFault, Phase, Turn},
};

impl Turn {
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

    fn apply_answered(&mut self, reply: &Reply, cost: Amount) -> bool {
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
        self.cut_off = None;
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
        self.cut_off = Some(self.cut_off == Some(true) || lost.tool_calls > 0);
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
