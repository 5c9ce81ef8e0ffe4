//! What an intake takes.

use actix::prelude::*;

pub use super::answers::Answers;

use crate::domain::{
    access::Role,
    ids::{ConversationId, InboundId, UserId},
    inbound::{NewInbound, Refused},
    journal::WhileBusy,
    offer::Offered,
};

/// A message that was received.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Taken, Refused>")]
pub struct Offer {
    /// The message.
    pub message: NewInbound,
    /// What it does while a turn runs; `None` for what was chosen.
    pub while_busy: Option<WhileBusy>,
    /// What whoever sends it may do.
    pub role: Role,
}

/// What came of it. In every case it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It will be answered, or was as a command.
    New,
    /// It was taken before, under this name.
    Duplicate(InboundId),
}

/// What may be typed behind a command, of what this person may see and do.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Vec<Offered>")]
pub struct Suggest {
    /// Whose conversation it is: their own, or a group's.
    pub user: UserId,
    /// Who types.
    pub by: UserId,
    /// What they may do.
    pub role: Role,
    /// The command, without its slash.
    pub command: String,
    /// As which of its options.
    pub option: String,
    /// What is there already.
    pub typed: String,
}

/// End the work of a user, or the running tool, or begin anew; says in how many conversations there was
/// something to do.
#[derive(Message, Debug, Clone)]
#[rtype(result = "usize")]
pub struct Order {
    /// Whose.
    pub user: UserId,
    /// In this conversation; in all of the user's on the channel when there is none.
    pub conversation: Option<ConversationId>,
    /// What.
    pub what: What,
}

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// End the turn and what waits.
    Cancel,
    /// End the running tool.
    Stop,
    /// Begin anew.
    Clear,
}
