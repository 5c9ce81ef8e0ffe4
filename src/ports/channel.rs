//! A channel's way out: an adapter that knows how its platform takes a message.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::outbound::{OutboxRow, Sent};

/// Whether a message whose sending was cut off may simply be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It has arrived when it is stored: sending only tells those who listen.
    Never,
    /// Yes: the other side knows a message again, or nobody is harmed.
    Safe,
    /// Only marked as such, and once.
    Marked,
}

/// A platform that messages go out to.
pub trait Channel: Send + Sync {
    /// The channel's name, the first part of its conversations' ids.
    fn name(&self) -> &'static str;

    /// What to do about a message whose sending was cut off.
    fn resend(&self) -> Resend;

    /// Sends one message.
    fn send(&self, row: Arc<OutboxRow>) -> BoxFuture<'static, Sent>;
}
