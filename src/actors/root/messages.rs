//! What the root takes.

use actix::prelude::*;
use serde_json::Value;

use crate::domain::Millis;

/// Start this actor again. Whatever it had under way goes on from rows.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), NotRestarted>")]
pub struct Restart(pub String);

/// Why an actor was not restarted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRestarted {
    /// There is none of this name.
    #[error("there is no actor `{0}`")]
    Unknown(String),
    /// It works.
    #[error("`{0}` is not parked: only parked actors are restarted by hand")]
    NotParked(String),
}

/// What an actor says of itself. `None` when it is not one of the root's, or does not answer.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Option<Value>")]
pub struct Inspect(pub String);

/// End everything in order: no new work, then what runs, then what goes out, then the store. Answers when all
/// but the store are through; the store is closed by [`Close`].
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Drain {
    /// By when.
    pub deadline: Millis,
}

/// Close the store. The process can end then.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Close;
