//! What the scheduler takes.

use actix::prelude::*;

/// It is time to look. Comes about once a second; one that is missed does no harm.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Tick;
