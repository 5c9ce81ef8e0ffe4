//! The channel of clients that read a stream: REST and the terminal. A message has arrived when it is stored,
//! for clients fetch what they missed by its number; those who listen now are told at once.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    domain::outbound::{OutboxRow, Sent},
    ports::channel::{Channel, Resend},
};

/// Tells those who listen now.
pub type Publish = Arc<dyn Fn(Arc<OutboxRow>) -> BoxFuture<'static, ()> + Send + Sync>;

/// The adapter.
pub struct StreamChannel {
    name: &'static str,
    publish: Publish,
}

impl StreamChannel {
    /// A channel of this name.
    pub fn new(name: &'static str, publish: Publish) -> Self {
        Self { name, publish }
    }
}

impl Channel for StreamChannel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn resend(&self) -> Resend {
        Resend::Never
    }

    fn send(&self, row: Arc<OutboxRow>) -> BoxFuture<'static, Sent> {
        let told = (self.publish)(row);
        Box::pin(async move {
            told.await;
            Sent::Done
        })
    }
}
