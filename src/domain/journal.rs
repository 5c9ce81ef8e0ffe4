//! What a session stores in one transaction, and what it gets back.

use std::collections::BTreeSet;

use super::{
    Millis,
    approval::{Approval, Verdict},
    budget::{Amount, Caps, Exceeded, Warning},
    ids::{ApprovalId, ConversationId, InboundId, MemoryId, TurnId, UserId},
    inbound::{Accepted, Inbound, NewInbound},
    memory::NewMemory,
    model::Usage,
    outbound::{NewOutbox, OutboxRow},
    turn::{Entry, Outcome, Past},
};

/// A growing number that names the holder of a turn: a write with an older one is refused.
pub type Lease = i64;

/// The message that a turn takes up.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A new one, accepted in the same transaction.
    New(NewInbound),
    /// One that waited in the queue.
    Queued(InboundId),
}

/// The beginning of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTurn {
    /// The message.
    pub source: Source,
    /// The turn's number in its conversation: one more than the last. Refused when somebody else took it.
    pub seq: i64,
    /// Memories that were put into the context: their use is counted.
    pub touched: Vec<MemoryId>,
}

/// One call of a model, for the cost log.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCall {
    /// Provider that answered.
    pub provider: String,
    /// Model that answered.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// Cost and time.
    pub cost: Amount,
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseTurn {
    /// The messages that it answers, or that are withdrawn with it.
    pub serves: Vec<InboundId>,
    /// How it ended.
    pub outcome: Outcome,
    /// The turn as later turns see it.
    pub past: Past,
    /// A summary that it made of older turns, and the place of the last turn that this covers.
    pub summary: Option<(String, i64)>,
    /// Skills that are active from now on, when that changed.
    pub activated: Option<BTreeSet<String>>,
    /// It asked questions: those that are open are withdrawn.
    pub asked: bool,
    /// The answer that goes out.
    pub answer: Option<NewOutbox>,
    /// When the conversation is to be read for facts, when that is not noted yet.
    pub look_again_at: Option<Millis>,
}

/// Where a turn stands, for those that look from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnState {
    /// Somebody works on it.
    Running,
    /// It waits for a person; its conversation goes on without it.
    Parked,
    /// It ended.
    Over,
}

impl TurnState {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Over => "over",
        }
    }
}

/// Everything that one step of a turn stores, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnWrite {
    /// The turn.
    pub turn: TurnId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Whose it is.
    pub user: UserId,
    /// The lease under which it writes; ignored when `open` begins the turn.
    pub lease: Lease,
    /// When.
    pub now: Millis,
    /// Set when the turn begins with this write.
    pub open: Option<OpenTurn>,
    /// Journal index of the first entry.
    pub first: usize,
    /// New journal entries.
    pub entries: Vec<Entry>,
    /// Calls of models that `entries` pay for.
    pub calls: Vec<ModelCall>,
    /// What was really spent since the last write; the reservation of that write is given back.
    pub settle: Amount,
    /// What the next step may cost at worst.
    pub reserve: Amount,
    /// `reserve` is the rest of what is reserved already, for what is still under way: it is never refused.
    pub keeps: bool,
    /// The user's caps for a day.
    pub user_caps: Caps,
    /// Where it uses up four fifths of what the turn may spend.
    pub warnings: Vec<Warning>,
    /// Where the turn stands after this.
    pub state: TurnState,
    /// Set when the turn ends with this write.
    pub close: Option<CloseTurn>,
}

/// What a stored step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnWritten {
    /// The lease to write under from now on.
    pub lease: Lease,
    /// What came of accepting its message, when the turn began with one.
    pub accepted: Accepted,
    /// Set when the user's budget has no room for `reserve`: nothing was reserved, all else is stored.
    pub exceeded: Option<Exceeded>,
    /// The room is there, but other turns of the user hold it reserved: some of it comes back when they settle.
    pub crowded: bool,
    /// What was reserved for the next step. Of time it may be less than what was asked for.
    pub granted: Amount,
    /// The model that the user chose.
    pub model: Option<String>,
    /// Messages that are to go out now.
    pub outbox: Vec<OutboxRow>,
}

/// What the holder of a taken-over turn needs to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenOver {
    /// The turn.
    pub turn: TurnId,
    /// The lease that it is now written under.
    pub lease: Lease,
    /// How often it was taken up again, this time included; a parked turn does not count.
    pub resumes: u32,
    /// What was added to its journal: what the step that was cut off may have cost.
    pub lost: Option<Entry>,
}

/// A turn that is not over, as it is found in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTurnRow {
    /// The turn.
    pub turn: TurnId,
    /// Its number.
    pub seq: i64,
    /// The message it began with.
    pub inbound: Inbound,
    /// Its journal.
    pub entries: Vec<Entry>,
    /// Answers to its questions that it has not consumed.
    pub verdicts: Vec<(ApprovalId, Verdict)>,
}

/// A conversation, as it is found in the store.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConversationRow {
    /// The number of the last turn that began.
    pub last_seq: i64,
    /// The number of the last turn before it was cleared.
    pub cleared_seq: i64,
    /// Summary of older turns, and the place of the last turn that it covers.
    pub summary: Option<(String, i64)>,
    /// Skills that are active.
    pub activated: BTreeSet<String>,
    /// The place in the history up to which it was read for facts.
    pub extracted_through: i64,
    /// Finished turns, oldest first.
    pub past: Vec<Past>,
    /// Place of the next message.
    pub next: i64,
    /// Turns that are not over.
    pub open: Vec<OpenTurnRow>,
    /// Messages that wait, oldest first.
    pub queued: Vec<Inbound>,
}

/// What came of reading a conversation for facts, stored in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptFacts {
    /// Whose it is.
    pub user: UserId,
    /// The conversation.
    pub conversation: ConversationId,
    /// The facts.
    pub facts: Vec<NewMemory>,
    /// The place up to which it was read.
    pub through: i64,
    /// The call of a model that this took.
    pub call: Option<ModelCall>,
    /// What was charged for it beforehand, and when.
    pub prepaid: Amount,
    /// When that was.
    pub prepaid_at: Millis,
    /// When.
    pub now: Millis,
}

/// What a new message does while a turn runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileBusy {
    /// It waits.
    Queue,
    /// It is given to the model at the next step.
    Steer,
    /// It ends the turn and takes its place.
    Interrupt,
}

impl WhileBusy {
    /// The word that is stored and configured.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Steer => "steer",
            Self::Interrupt => "interrupt",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queue, Self::Steer, Self::Interrupt].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// An approval that was decided, and the turn that is to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The approval as it stands now.
    pub approval: Approval,
    /// The decision.
    pub verdict: Verdict,
}
