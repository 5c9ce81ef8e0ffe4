//! What the hub takes and gives.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::mpsc;

use crate::domain::{
    ids::{InboundId, UserId},
    outbound::LiveEvent,
};

/// Something happened.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct Publish(pub Arc<LiveEvent>);

/// What somebody watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// One accepted message: its progress, its answer.
    Inbound(InboundId),
    /// All that goes out to one user.
    User(UserId),
    /// The progress of all messages of one chat platform.
    Channel(String),
}

/// Watch from now on. Who reads too slowly misses pieces of answers first, and is then dropped: the receiver
/// ends, and what went out is read from the store.
#[derive(Message, Debug, Clone)]
#[rtype(result = "mpsc::Receiver<Arc<LiveEvent>>")]
pub struct Subscribe(pub Topic);
