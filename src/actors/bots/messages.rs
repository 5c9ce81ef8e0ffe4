//! What the actor of all bots takes.

use actix::prelude::*;

use crate::domain::{Millis, ids::BotId};

/// A bot was started, paused, stopped, changed or removed; the store says how. One that is lost costs time alone.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct BotChanged(pub BotId);

/// How a bot's last look for work went; `None` when it has not looked since Atoll was started.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Option<PollReport>")]
pub struct LookAtBot(pub BotId);

/// A bot looked for work.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct Polled {
    /// Which.
    pub bot: BotId,
    /// How it went.
    pub report: PollReport,
}

/// Look again soon: something changed.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Wake;

/// How a look for work went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollReport {
    /// When.
    pub at: Millis,
    /// Stories that it took.
    pub taken: u32,
    /// Why it takes nothing for now, though nothing is wrong.
    pub waits: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}
