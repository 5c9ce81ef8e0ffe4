//! What a reception takes.

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        Millis,
        chat::{Incoming, Link, Receipt},
    },
    ports::platform::NotNow,
};

/// Something came in. Answered when it is stored, or refused for good.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<Receipt, NotNow>")]
pub struct Take(pub Incoming);

/// Listening went on to here.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Result<(), NotNow>")]
pub struct Reached(pub String);

/// How listening goes.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct Told(pub Link);

/// How is the channel doing?
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "ChannelReport")]
pub struct Report;

/// How a channel is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, actix::MessageResponse)]
#[serde(rename_all = "camelCase")]
pub struct ChannelReport {
    /// The channel.
    pub channel: String,
    /// `connecting`, `up`, `down` or `refused`.
    pub state: String,
    /// Since when it is so.
    pub since: Millis,
    /// The bot's own name at the platform.
    pub account: Option<String>,
    /// When something came last.
    pub last_update: Option<Millis>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<Millis>,
    /// Who may write.
    pub policy: String,
    /// What came in and was taken since the start.
    pub taken: u64,
}
