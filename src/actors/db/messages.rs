//! What the store is asked: writes answer after their commit, reads from a snapshot.

use std::path::PathBuf;

use actix::prelude::*;

use crate::{
    actors::kernel::{Door, Unreachable},
    domain::{
        Millis,
        approval::{self, Approval, Refusal, Status},
        audit::{Act, Broken, Row},
        budget::Amount,
        ids::*,
        inbound::{Accepted, NewInbound},
        journal::{ConversationRow, Decided, TakenOver, TurnWrite, TurnWritten, WhileBusy},
        memory::{Memory, MemoryChange, NewMemory},
        message::FileRef,
        outbound::{NewOutbox, OutboxRow, Sent},
        records::{CostLine, CostsBy, Fate, KeyInfo, StoreHealth, User},
    },
};

/// Why the store did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// Somebody else holds the turn, or went on.
    #[error("stale: {0}")]
    Stale(&'static str),
    /// The same `Idempotency-Key` came with other words.
    #[error("this Idempotency-Key was used for a different message")]
    KeyReused,
    /// An approval cannot be answered so.
    #[error(transparent)]
    Approval(#[from] Refusal),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The audit log is broken.
    #[error(transparent)]
    Audit(#[from] Broken),
    /// The store failed; nothing was stored.
    #[error("{0}")]
    Failed(String),
    /// The store is not there now.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? } -> $reply:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
        impl Message for $name {
            type Result = Result<$reply, DbError>;
        }
    };
}

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
    /// The message that came before under the same key.
    First { /// The message.
        message: NewInbound } -> Option<InboundId>
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
    /// Notes what came of sending.
    SettleOutbox { /// Each message with what came of it.
        sent: Vec<(i64, Sent)>, /// When.
        now: Millis } -> ()
);
message!(
    /// Stores a fact; true when it joined one that says the same.
    StoreMemory { /// The fact.
        memory: NewMemory } -> (Memory, bool)
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
    /// The number of the newest message.
    LastEvent {} -> i64
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
message!(
    /// Writes a copy of the store.
    Backup { /// Where to; must not exist.
        target: PathBuf } -> ()
);

macro_rules! doors {
    ($(#[$doc:meta])* $name:ident, $label:literal, $open:ident { $($field:ident: $message:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            $(#[doc = concat!("For [`", stringify!($message), "`].")] pub $field: Door<$message>),*
        }

        impl $name {
            /// Doors with nobody behind them.
            pub fn closed() -> Self {
                Self { $($field: Door::closed($label)),* }
            }

            /// Puts an actor behind all of them.
            pub fn $open<A>(&self, actor: &Addr<A>, vitals: &std::sync::Arc<crate::actors::kernel::Vitals>)
            where
                A: Actor<Context = Context<A>>
                    $(+ Handler<crate::actors::kernel::Mail<$message>>)*,
            {
                $(self.$field.open(actor.clone().recipient(), std::sync::Arc::clone(vitals));)*
            }
        }
    };
}

doors!(
    /// The doors of the actor that writes.
    WriteDoors, "the store", open {
        write_turn: WriteTurn,
        accept: Accept,
        answer_direct: AnswerDirect,
        cancel_queued: CancelQueued,
        clear: ClearConversation,
        take_over: TakeOver,
        decide: Decide,
        expire: Expire,
        claim_outbox: ClaimOutbox,
        settle_outbox: SettleOutbox,
        store_memory: StoreMemory,
        update_memory: UpdateMemory,
        delete_memory: DeleteMemory,
        used_memories: UsedMemories,
        put_user: PutUser,
        create_key: CreateKey,
        revoke_key: RevokeKey,
        touch_key: TouchKey,
        audit: Audit,
        put_file: PutFile,
        wakeups_done: WakeupsDone,
        prune: Prune,
    }
);
doors!(
    /// The doors of the actors that read.
    ReadDoors, "the store's reader", open {
        load: LoadConversation,
        unfinished: Unfinished,
        search_memories: SearchMemories,
        list_memories: ListMemories,
        get_memory: GetMemory,
        list_approvals: ListApprovals,
        costs: Costs,
        today: Today,
        list_users: ListUsers,
        list_keys: ListKeys,
        find_key: FindKey,
        list_audit: ListAudit,
        verify_audit: VerifyAudit,
        replay: Replay,
        last_event: LastEvent,
        fate: FateOf,
        first: First,
        under_way: UnderWay,
        due_wakeups: DueWakeups,
        get_file: GetFile,
        health: Health,
    }
);

/// All doors to the store.
#[derive(Clone)]
pub struct DbDoors {
    /// To the actor that writes.
    pub write: WriteDoors,
    /// To the actors that read.
    pub read: ReadDoors,
    /// To the one that keeps house.
    pub backup: Door<Backup>,
}

impl DbDoors {
    /// Doors with nobody behind them.
    pub fn closed() -> Self {
        Self {
            write: WriteDoors::closed(),
            read: ReadDoors::closed(),
            backup: Door::closed("the store's keeper"),
        }
    }
}
