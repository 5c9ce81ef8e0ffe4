//! What the actor that writes is asked, and the one that keeps house.

use std::path::PathBuf;

use crate::domain::{
    Millis, approval,
    audit::{Act, Row},
    budget::{Amount, Caps},
    ids::*,
    inbound::{Accepted, NewInbound},
    journal::{Decided, KeptFacts, TakenOver, TurnWrite, TurnWritten, WhileBusy},
    memory::{Memory, MemoryChange, NewMemory},
    message::FileRef,
    outbound::{NewOutbox, OutboxRow, Sent},
    records::{KeyInfo, Outgoing, User},
};

use super::message;

message!(
    /// One step of a turn.
    WriteTurn { /// The step.
        step: TurnWrite } -> TurnWritten
);
message!(
    /// Accepts a message that waits for its turn; says also what its user chose that such messages do.
    Accept { /// The message.
        message: NewInbound } -> (Accepted, Option<WhileBusy>)
);
message!(
    /// Accepts a message and stores its answer with it: for commands.
    AnswerDirect { /// The message.
        message: NewInbound, /// The answer.
        answer: NewOutbox } -> (Accepted, Option<OutboxRow>)
);
message!(
    /// Withdraws all messages that wait in a conversation.
    CancelQueued { /// The conversation.
        conversation: ConversationId } -> Vec<InboundId>
);
message!(
    /// Begins a conversation anew.
    ClearConversation { /// The conversation.
        conversation: ConversationId, /// Whose it is.
        user: UserId, /// When.
        now: Millis } -> ()
);
message!(
    /// Takes over all open turns of a conversation.
    TakeOver { /// The conversation.
        conversation: ConversationId } -> Vec<TakenOver>
);
message!(
    /// Answers a question.
    Decide { /// The answer.
        answer: approval::Answer } -> Decided
);
message!(
    /// Closes the questions of a conversation whose time is over.
    Expire { /// The conversation.
        conversation: ConversationId, /// When.
        now: Millis } -> Vec<ApprovalId>
);
message!(
    /// Claims messages that are due; the flag says that an earlier run may have sent it.
    ClaimOutbox { /// When.
        now: Millis, /// How many at most.
        limit: usize } -> Vec<(OutboxRow, bool)>
);
message!(
    /// Finds messages that this run holds.
    HeldOutbox { /// Beyond this number.
        after: i64, /// How many at most.
        limit: usize } -> Vec<OutboxRow>
);
message!(
    /// Notes what came of sending.
    SettleOutbox { /// Each message with what came of it.
        sent: Vec<(i64, Sent)>, /// When.
        now: Millis } -> ()
);
message!(
    /// Has a message that did not arrive sent again.
    ResendOutbox { /// Which.
        id: i64, /// For the audit log.
        act: Act } -> Outgoing
);
message!(
    /// Stores a fact; true when it joined one that says the same.
    StoreMemory { /// The fact.
        memory: NewMemory } -> (Memory, bool)
);
message!(
    /// Takes from a user's day what reading a conversation may cost; says what was taken, if there was room.
    Prepay { /// Who.
        user: UserId, /// The caps of a day.
        caps: Caps, /// What it may cost at worst.
        worst: Amount, /// When.
        now: Millis } -> Option<Amount>
);
message!(
    /// Keeps the facts of a conversation; says how many were new.
    KeepFacts { /// What was read.
        kept: KeptFacts } -> usize
);
message!(
    /// Changes a fact.
    UpdateMemory { /// Whose.
        user: UserId, /// Which.
        id: MemoryId, /// What.
        change: MemoryChange, /// When.
        now: Millis } -> Memory
);
message!(
    /// Forgets a fact.
    DeleteMemory { /// Whose.
        user: UserId, /// Which.
        id: MemoryId } -> ()
);
message!(
    /// Counts the use of facts.
    UsedMemories { /// Which.
        ids: Vec<MemoryId> } -> ()
);
message!(
    /// Notes a person, or changes what is known of them.
    PutUser { /// Who.
        id: UserId, /// What they are called.
        name: Option<String>, /// What they wish; `Some(None)` for nothing special.
        while_busy: Option<Option<WhileBusy>>, /// For the audit log.
        act: Act } -> User
);
message!(
    /// Stores a key's hash.
    CreateKey { /// The key.
        key: KeyInfo, /// Its SHA-256.
        hash: Vec<u8>, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Makes a key worthless.
    RevokeKey { /// Which.
        id: KeyId, /// For the audit log.
        act: Act } -> KeyInfo
);
message!(
    /// Notes that a key was used.
    TouchKey { /// Which.
        id: KeyId, /// When.
        now: Millis } -> ()
);
message!(
    /// Appends to the audit log.
    Audit { /// What happened.
        act: Act } -> Row
);
message!(
    /// Notes a stored file.
    PutFile { /// Whose.
        user: UserId, /// The file.
        file: FileRef, /// When.
        now: Millis } -> ()
);
message!(
    /// Forgets moments whose conversations have looked.
    WakeupsDone { /// Which.
        ids: Vec<i64> } -> ()
);
message!(
    /// Lets go of what is old and done; says how many rows.
    Prune { /// What ended before this.
        before: Millis, /// How many of each kind at most.
        limit: usize } -> usize
);
message!(
    /// Writes a copy of the store.
    Backup { /// Where to; must not exist.
        target: PathBuf } -> ()
);
