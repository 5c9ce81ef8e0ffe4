//! Plain records that people look at: users, keys, costs, outgoing messages.

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    access::Role,
    ids::{ConversationId, InboundId, KeyId, UserId},
    inbound::State,
    job::Verbosity,
    journal::WhileBusy,
    message::FileRef,
    turn::Outcome,
};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Their name in all channels.
    pub id: UserId,
    /// What they are called.
    pub name: String,
    /// What their message does while a turn runs, if they chose.
    pub while_busy: Option<WhileBusy>,
    /// How much they want to see of the work, if they chose.
    #[serde(default)]
    pub verbosity: Option<Verbosity>,
    /// The model that is to answer them, if they chose.
    #[serde(default)]
    pub model: Option<String>,
    /// When they were first seen.
    pub created_at: Millis,
}

/// Something that a person chooses for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preference {
    /// How much of the work they want to see; `None` for the usual.
    Verbosity(Option<Verbosity>),
    /// Which model is to answer; `None` for any.
    Model(Option<String>),
}

/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// Its id.
    pub id: KeyId,
    /// What it is called.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The user it acts as.
    pub user_id: UserId,
    /// It may act as others too.
    pub acts_for_others: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last shown, to the minute.
    pub last_used_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

/// How costs are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostsBy {
    /// One line a UTC day.
    Day,
    /// One line a model.
    Model,
    /// One line a user.
    User,
    /// One line a conversation.
    Conversation,
}

/// One line of costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostLine {
    /// The day, model, user or conversation.
    pub key: String,
    /// Calls of models.
    pub calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Of these, from prompt caches.
    pub cached_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

/// What became of an accepted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The message.
    pub inbound: InboundId,
    /// Whose it is.
    pub user: UserId,
    /// Where it stands.
    pub state: State,
    /// Its answer, when it has one.
    pub answer: Option<StoredAnswer>,
}

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The event's number.
    pub id: i64,
    /// The words.
    pub text: String,
    /// Files that go with them.
    pub files: Vec<FileRef>,
    /// How the turn ended.
    pub outcome: Outcome,
}

/// Messages of one channel that did not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelQueue {
    /// The channel.
    pub channel: String,
    /// Messages that wait.
    pub waiting: u64,
    /// When the oldest of them was stored.
    pub oldest: Option<Millis>,
    /// Messages that may or may not have arrived.
    pub unknown: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Messages to chats that cannot be reached.
    pub parked: u64,
}

/// How the outbox is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxHealth {
    /// Messages that wait.
    pub waiting: u64,
    /// When the oldest of them was stored.
    pub oldest: Option<Millis>,
    /// Messages to chats that cannot be reached.
    pub parked: u64,
    /// Messages that may or may not have arrived.
    pub unknown: u64,
    /// Messages that were given up.
    pub dead: u64,
}

/// Where a message stands that has not arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxState {
    /// It is sent now, or tried again later.
    Waiting,
    /// Its chat cannot be reached; it goes out when the person writes again from there.
    Parked,
    /// It may or may not have arrived.
    Unknown,
    /// It was refused, or tried too often.
    Dead,
}

impl OutboxState {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Waiting, "waiting"),
        (Self::Parked, "parked"),
        (Self::Unknown, "unknown"),
        (Self::Dead, "dead"),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(state, _)| *state)
    }
}

/// A message that has not arrived, without its words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    /// Its number.
    pub id: i64,
    /// By which channel.
    pub channel: String,
    /// To whom.
    pub user: UserId,
    /// In which conversation.
    pub conversation: ConversationId,
    /// `answer`, `notice`, `approval` or `callback`.
    pub kind: String,
    /// Where it stands.
    pub state: OutboxState,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it did not arrive, the last time that it was tried.
    pub error: Option<String>,
    /// When it was stored.
    pub created_at: Millis,
    /// When it is tried, while it waits; else when it was last tried.
    pub due_at: Millis,
}

/// How the store is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreHealth {
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// Schema version.
    pub schema: u32,
    /// Keys that are valid.
    pub keys: u64,
    /// Conversations.
    pub conversations: u64,
    /// Memories.
    pub memories: u64,
    /// Turns that are parked.
    pub parked: u64,
    /// Questions that nobody has answered.
    pub approvals: u64,
    /// The outbox.
    pub outbox: OutboxHealth,
}
