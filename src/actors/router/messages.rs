//! What the router takes.

use actix::prelude::*;

use crate::{
    actors::session::messages::{Deliver, Order},
    domain::{
        ids::{ConversationId, UserId},
        inbound::{Accepted, Refused},
    },
};

/// A message for the session of its conversation.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Accepted, Refused>")]
pub struct Route(pub Deliver);

/// Which conversations an order is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// This one; it is started when it is not live.
    One(ConversationId),
    /// All live ones of a user on a channel.
    AllOf {
        /// The channel.
        channel: String,
        /// The user.
        user: UserId,
    },
}

/// Tell sessions to do this; says for how many there was something to do.
#[derive(Message, Debug, Clone)]
#[rtype(result = "usize")]
pub struct Command {
    /// Which.
    pub to: To,
    /// What.
    pub order: Order,
}

/// Start a parked session again. True when it was parked.
#[derive(Message, Debug, Clone)]
#[rtype(result = "bool")]
pub struct RestartSession(pub String);
