//! What a turn knows: a fold over its journal, nothing else.

use std::collections::BTreeSet;

use crate::domain::{
    budget::{Amount, Exceeded},
    ids::{ApprovalId, InboundId, TurnId},
    message::{FileRef, Message, ToolCall, ToolResult},
    skill::EffectClass,
};

use super::{
    entry::Closed,
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
    /// The calls whose intent is stored were running when a crash came; `None` while none came. They were not
    /// when nothing was reserved for them: a budget had refused them in the same write.
    pub(super) cut_off: Option<bool>,
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
            cut_off: None,
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

    /// True when the last message is one that the model has not answered.
    pub(super) fn has_more_to_read(&self) -> bool {
        matches!(self.transcript.last(), Some(Message::User { .. }))
    }
}
