//! What every actor answers, and what a parent hears of its children.

use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;

use crate::domain::{Millis, restart::Cause};

/// Asks an actor how it is doing. Always answered at once.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Snapshot")]
pub struct Observe;

/// What an actor says of itself.
#[derive(Debug, Clone, Serialize, actix::MessageResponse)]
pub struct Snapshot(pub serde_json::Value);

/// Asks an actor to end: finish what can be finished by the deadline, store the rest, then stop.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Drained")]
pub struct Stop {
    /// When it must be over.
    pub deadline: Millis,
}

/// An actor has nothing under way any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, actix::MessageResponse)]
pub struct Drained;

/// Sent to the parent when a child is gone, for whatever reason.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct ChildDown {
    /// The child.
    pub name: Arc<str>,
    /// Which of its lives ended.
    pub incarnation: u64,
    /// Why.
    pub cause: Cause,
    /// Its last error, for panics and errors.
    pub error: Option<String>,
}
