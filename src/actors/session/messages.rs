//! What a session accepts.

use actix::prelude::*;

use crate::domain::{
    approval::Verdict,
    ids::ApprovalId,
    inbound::{Accepted, NewInbound, Refused},
    journal::WhileBusy,
};

/// A message for this conversation. Answered when it is stored, long before it is worked on.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Accepted, Refused>")]
pub struct Deliver {
    /// The message.
    pub message: NewInbound,
    /// What it does while a turn runs; `None` for what the user or the channel has chosen.
    pub while_busy: Option<WhileBusy>,
}

/// What a session can be told to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// End the turn, those that are parked, and all that waits.
    Cancel,
    /// End the running tools.
    Stop,
    /// Begin the conversation anew.
    Clear,
    /// A question was answered.
    Decided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        verdict: Verdict,
    },
    /// A stored moment has come: see whether a question expired.
    Look,
    /// Leave memory, if nothing is under way.
    Passivate,
}

/// Do this. True when there was something to do.
#[derive(Message, Debug, Clone)]
#[rtype(result = "bool")]
pub struct Tell(pub Order);
