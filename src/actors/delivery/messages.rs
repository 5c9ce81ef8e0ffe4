//! What a delivery takes.

use std::sync::Arc;

use actix::prelude::*;

use crate::domain::outbound::{OutboxRow, Sent};

/// Send this, and say what came of it.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Sent")]
pub struct Deliver {
    /// The message.
    pub row: Arc<OutboxRow>,
    /// An earlier run may have sent it already.
    pub cut_off: bool,
}
