//! What the outbox takes.

use actix::prelude::*;

use crate::domain::outbound::OutboxRow;

/// These were stored just now by this run, which holds them: send them.
#[derive(Message, Debug, Clone)]
#[rtype(result = "()")]
pub struct Fresh(pub Vec<OutboxRow>);
