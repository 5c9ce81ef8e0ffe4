//! What the actors that read are asked.

use crate::domain::{
    Millis,
    approval::{Approval, Status},
    audit::Row,
    budget::Amount,
    ids::*,
    inbound::NewInbound,
    journal::ConversationRow,
    memory::Memory,
    message::FileRef,
    outbound::OutboxRow,
    records::{CostLine, CostsBy, Fate, KeyInfo, OutboxState, Outgoing, StoreHealth, User},
};

use super::message;

message!(
    /// Everything that a session needs.
    LoadConversation { /// Which.
        conversation: ConversationId, /// How many messages of its history.
        messages: usize } -> ConversationRow
);
message!(
    /// Conversations in which something is to be done.
    Unfinished {} -> Vec<ConversationId>
);
message!(
    /// The facts that fit a query best.
    SearchMemories { /// Whose.
        user: UserId, /// The query.
        query: String, /// When.
        now: Millis, /// How many at most.
        limit: usize } -> Vec<Memory>
);
message!(
    /// Facts, newest first.
    ListMemories { /// Whose.
        user: UserId, /// Of this category.
        category: Option<String>, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> Vec<Memory>
);
message!(
    /// The categories of a user's facts, the largest first.
    MemoryCategories { /// Whose.
        user: UserId } -> Vec<String>
);
message!(
    /// One fact.
    GetMemory { /// Whose.
        user: UserId, /// Which.
        id: MemoryId } -> Option<Memory>
);
message!(
    /// Questions, newest first.
    ListApprovals { /// Of this user.
        user: Option<UserId>, /// In this state.
        status: Option<Status>, /// How many at most.
        limit: usize } -> Vec<Approval>
);
message!(
    /// What models cost.
    Costs { /// Of this user.
        user: Option<UserId>, /// From.
        from: Millis, /// Until.
        to: Millis, /// Summed up by.
        by: CostsBy } -> Vec<CostLine>
);
message!(
    /// What a user spent today, holds reserved, and was granted beyond the caps.
    Today { /// Who.
        user: UserId, /// When.
        now: Millis } -> (Amount, Amount, Amount)
);
message!(
    /// All people.
    ListUsers {} -> Vec<User>
);
message!(
    /// All keys.
    ListKeys {} -> Vec<KeyInfo>
);
message!(
    /// The valid key with this hash, and the hash as it is stored.
    FindKey { /// SHA-256 of what was shown.
        hash: Vec<u8> } -> Option<(KeyInfo, Vec<u8>)>
);
message!(
    /// Rows of the audit log.
    ListAudit { /// After this number.
        after: i64, /// How many at most.
        limit: usize } -> Vec<Row>
);
message!(
    /// Checks the audit log: how many rows, and the last hash.
    VerifyAudit {} -> (i64, String)
);
message!(
    /// A user's messages after an event number; and the number to go on from, when there may be more.
    Replay { /// Who.
        user: UserId, /// On these channels.
        channels: Vec<&'static str>, /// After this number.
        after: i64, /// Among how many of the next messages of everybody.
        limit: usize } -> (Vec<OutboxRow>, Option<i64>)
);
message!(
    /// Messages that did not arrive, newest first.
    ListOutbox { /// Of this user.
        user: Option<UserId>, /// In this state; by default in every one that somebody has to look at.
        state: Option<OutboxState>, /// Below this number.
        before: Option<i64>, /// How many at most.
        limit: usize } -> Vec<Outgoing>
);
message!(
    /// The number of the newest message.
    LastEvent {} -> i64
);
message!(
    /// The message that was accepted before under the same external id.
    Known { /// The one that comes now.
        message: NewInbound } -> Option<InboundId>
);
message!(
    /// What became of an accepted message.
    FateOf { /// Which.
        inbound: InboundId } -> Option<Fate>
);
message!(
    /// What is under way for a user: state, words, since when.
    UnderWay { /// Who.
        user: UserId } -> Vec<(String, String, Millis)>
);
message!(
    /// Moments that have come.
    DueWakeups { /// When.
        now: Millis, /// How many at most.
        limit: usize } -> Vec<(i64, ConversationId)>
);
message!(
    /// A stored file, and whose it is.
    GetFile { /// Which.
        id: FileId } -> Option<(FileRef, UserId)>
);
message!(
    /// How the store is doing.
    Health {} -> StoreHealth
);
