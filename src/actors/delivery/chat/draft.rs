//! One answer while it grows: a task of its own that listens, shows what there is now and then, and hands the message
//! over when the answer is there.

use std::sync::Arc;

use crate::domain::{
    ids::{ConversationId, InboundId},
    outbound::Progress,
};

use super::courier::Courier;

/// An answer that grows.
pub(super) struct Drafting;

impl Drafting {
    pub(super) fn begin(_courier: Arc<Courier>, _inbound: InboundId, _conversation: ConversationId) -> Self {
        Self
    }
    pub(super) fn hear(&self, _progress: Progress) {}
    pub(super) async fn finish(self) -> Option<String> {
        None
    }
}

pub(super) async fn sweep(_courier: &Courier) {}
