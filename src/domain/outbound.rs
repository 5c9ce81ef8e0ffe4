//! Messages on their way out, and what a person sees while a turn works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    approval::{Approval, Status},
    identity::{Pairing, PairingState},
    ids::{ApprovalId, ConversationId, InboundId, JobId, TurnId, UserId},
    message::FileRef,
    turn::Outcome,
};

/// Channels whose clients fetch what is stored: a message has arrived there when it is stored.
pub const STREAM_CHANNELS: [&str; 2] = ["api", "terminal"];

/// The channel of what is posted to addresses that were given with tasks, and to the webhook's.
pub const CALLBACK_CHANNEL: &str = "callback";

/// True for one of [`STREAM_CHANNELS`].
pub fn is_stream(channel: &str) -> bool {
    STREAM_CHANNELS.contains(&channel)
}

/// How the words of an answer are meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// CommonMark, as a model writes it.
    #[default]
    Markup,
    /// As they stand: they quote what is stored, and a star in it is a star.
    Plain,
    /// As they stand, with a code in them: they go to the chat that they are for, and are told nowhere else.
    Secret,
}

impl Words {
    fn is_marked_up(&self) -> bool {
        *self == Self::Markup
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// The answer to a message.
    Answer {
        /// The words.
        text: String,
        /// Files that go with them.
        #[serde(default)]
        files: Vec<FileRef>,
        /// How the turn ended.
        outcome: Outcome,
        /// How the words are meant.
        #[serde(default, skip_serializing_if = "Words::is_marked_up")]
        words: Words,
    },
    /// Something worth knowing that nobody asked for.
    Notice {
        /// One line.
        title: String,
        /// More.
        body: String,
        /// Names and values that say more; a platform with cards shows them as one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<(String, String)>,
    },
    /// Where a coding task stands. In a chat one message shows that, and is changed as the task moves.
    Standing {
        /// The task.
        task: JobId,
        /// What it is called.
        title: String,
        /// Where it stands, in the word of its row.
        state: String,
        /// Names and values that say more.
        facts: Vec<(String, String)>,
    },
    /// Somebody unknown asks to be let in; owners are shown this.
    Pairing {
        /// The id of the pairing.
        pairing: String,
        /// Who, and what to do, in plain words.
        text: String,
    },
    /// Somebody who asked to be let in does not wait any more: a message that owners were shown says so, and loses its
    /// buttons.
    PairingOver {
        /// The platform's id of the message.
        message: String,
        /// What they call themselves, cleaned.
        name: String,
        /// The platform's id of them.
        external: String,
        /// The platform that they are on.
        channel: String,
        /// Where it stands now.
        state: PairingState,
        /// Who decided.
        #[serde(default)]
        by: Option<String>,
    },
    /// A question that only a person can answer.
    Approval {
        /// The question.
        approval: ApprovalId,
        /// What exactly is asked for.
        preview: String,
        /// When it expires.
        expires_at: Millis,
    },
    /// A question that was posted as a message is not open any more: the message shows that, and loses its buttons.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The platform's id of the message.
        message: String,
        /// What was asked for.
        preview: String,
        /// Where the question stands now.
        status: Status,
        /// Who decided.
        #[serde(default)]
        by: Option<String>,
        /// Why, in their words.
        #[serde(default)]
        reason: Option<String>,
    },
    /// What happened to a task, for the address that was given with it; or what happened at all, for the webhook.
    Callback {
        /// The address; empty for that of the webhook, which is configured.
        url: String,
        /// The body of the request, byte by byte: it is what is signed.
        payload: String,
    },
}

/// A message that is to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutbox {
    /// To whom.
    pub user: UserId,
    /// Where; its channel is the one that delivers.
    pub conversation: ConversationId,
    /// The turn that it comes from.
    pub turn: Option<TurnId>,
    /// The messages that it answers.
    pub answers: Vec<InboundId>,
    /// What is sent.
    pub body: Body,
}

/// A stored outgoing message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number; grows.
    pub id: i64,
    /// The message.
    pub message: NewOutbox,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was stored.
    pub created_at: Millis,
}

/// What is at a chat platform already about a message: what it answers, and what earlier attempts left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Before {
    /// The platform's ids of the parts that were posted; `None` for one that was begun a second time, because nobody knows
    /// whether the first one arrived.
    pub parts: BTreeMap<u32, Option<String>>,
    /// The message that shows the answer as it grew.
    pub draft: Option<String>,
    /// The question, when the message is one.
    pub approval: Option<Approval>,
    /// Who asks to be let in, when the message is about that.
    pub pairing: Option<Pairing>,
    /// The platform's own name of what came in and is answered.
    pub received: Option<String>,
    /// The platform's id of the first message that it answers.
    pub asked: Option<String>,
}

/// A part of a message that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPost {
    /// The message.
    pub outbox: i64,
    /// Which part, from 0.
    pub part: u32,
    /// Where.
    pub conversation: ConversationId,
    /// The platform's id of it; `None` when it is about to be posted a second time.
    pub message: Option<String>,
    /// The question that it shows, with its buttons.
    pub approval: Option<ApprovalId>,
    /// The pairing that it shows, with its buttons.
    pub pairing: Option<String>,
    /// When.
    pub at: Millis,
}

/// What came of sending one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It arrived.
    Done,
    /// It may have arrived; it cannot be known.
    Unknown(String),
    /// Not now; try again after this many milliseconds.
    Later {
        /// Milliseconds to wait.
        after_ms: u64,
        /// Why.
        why: String,
    },
    /// Nothing arrives there: it waits until the person writes again from there, or somebody sends it again.
    Parked(String),
    /// Never.
    Refused(String),
}

/// What happens to a message while it is worked on; not stored, only shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// It was taken up, waits, or is parked.
    Status {
        /// `processing`, `queued`, `waiting_approval`.
        status: &'static str,
        /// The question that it waits for.
        #[serde(skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalId>,
    },
    /// A piece of the answer.
    Delta {
        /// The words.
        text: String,
    },
    /// What was shown so far is void: another model began anew.
    Restart,
    /// A tool begins or ends.
    Tool {
        /// Its name.
        name: String,
        /// `started`, `finished`, `failed`.
        phase: &'static str,
    },
    /// The message was withdrawn.
    Withdrawn {
        /// How: cancelled, interrupted.
        outcome: Outcome,
    },
}

/// Something that somebody may be watching for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// Progress of these messages.
    Progress {
        /// Where they belong.
        conversation: ConversationId,
        /// Which.
        inbounds: Vec<InboundId>,
        /// What.
        progress: Progress,
    },
    /// A stored message went out.
    Sent(std::sync::Arc<OutboxRow>),
}
