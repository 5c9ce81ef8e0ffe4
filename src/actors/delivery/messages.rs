//! What a delivery takes.

use std::sync::Arc;

use actix::prelude::*;

use crate::domain::outbound::{OutboxRow, Sent};

/// Send this, and say what came of it.
#[derive(Message, Debug, Clone)]
#[rtype(result = "Sent")]
pub struct Deliver(pub Arc<OutboxRow>);
