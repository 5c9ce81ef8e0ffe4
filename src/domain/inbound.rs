//! Messages on their way in: accepted once, durably, before anybody is told so.

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    ids::{ConversationId, InboundId, TurnId, UserId},
    message::FileRef,
};

/// A message that is to be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInbound {
    /// Its name.
    pub id: InboundId,
    /// The channel it came in on.
    pub channel: String,
    /// The sender's own name of it, unique on its channel: an update id, or user and `Idempotency-Key`.
    pub external_id: Option<String>,
    /// Whose it is: who sent it, or the group that it was said in.
    pub user: UserId,
    /// Who said it, in a group.
    pub speaker: Option<UserId>,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Its words.
    pub text: String,
    /// Its files.
    pub attachments: Vec<FileRef>,
    /// The chat platform's id of the message, where it was written as one.
    pub message: Option<String>,
    /// When it came.
    pub received_at: Millis,
}

impl NewInbound {
    /// Who says it.
    pub fn by(&self) -> &UserId {
        self.speaker.as_ref().unwrap_or(&self.user)
    }
}

/// Where an accepted message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// A turn works on it (or is parked with it).
    Running,
    /// Its answer is stored.
    Answered,
    /// It was withdrawn.
    Cancelled,
}

impl State {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Running, Self::Answered, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// An accepted message, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Its name.
    pub id: InboundId,
    /// Its words.
    pub text: String,
    /// Its files.
    pub attachments: Vec<FileRef>,
    /// Where it stands.
    pub state: State,
    /// The turn that took it up.
    pub turn: Option<TurnId>,
    /// When it came.
    pub received_at: Millis,
}

/// What came of offering a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored and will be answered.
    New,
    /// It was stored before, under this name; it is not done again.
    Duplicate {
        /// The first one's name.
        first: InboundId,
    },
}

/// Why a message was not accepted; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too many messages already wait in this conversation.
    #[error("{waiting} messages already wait in this conversation; try again when one is answered")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// It has too many characters.
    #[error("the message has {length} characters, and at most {limit} are taken (`agent.max_input_length`)")]
    TooLong {
        /// How many it has.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// It says nothing.
    #[error("the message is empty")]
    Empty,
    /// Too many messages in a short time.
    #[error("too many messages; try again in {} s", .retry_after_ms.div_ceil(1000))]
    TooFast {
        /// Milliseconds to wait.
        retry_after_ms: u64,
    },
    /// The same `Idempotency-Key` came with other words.
    #[error("this Idempotency-Key was used for a different message")]
    KeyReused,
    /// The process is on its way out.
    #[error("shutting down; send it again in a moment")]
    Draining,
    /// A part that is needed is not there now.
    #[error("not now: {0}; nothing was accepted, send it again")]
    Unavailable(String),
}
