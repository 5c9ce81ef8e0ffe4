//! The ear of a reception: what a platform's adapter tells goes to the actor, in the order in which it is told.

use futures_util::future::BoxFuture;

use crate::{
    actors::kernel::Door,
    domain::chat::{Incoming, Link, Receipt},
    ports::platform::{NotNow, Sink},
};

use super::messages::{Reached, Take, Told};

/// What an adapter speaks to.
pub(super) struct Ear {
    pub(super) take: Door<Take>,
    pub(super) reached: Door<Reached>,
    pub(super) told: Door<Told>,
}

impl Sink for Ear {
    fn take(&self, incoming: Incoming) -> BoxFuture<'static, Result<Receipt, NotNow>> {
        // On its way now: calls keep their order.
        let taken = self.take.send(Take(incoming));
        Box::pin(async move { taken.await.unwrap_or_else(|error| Err(NotNow(error.to_string()))) })
    }

    fn reached(&self, position: String) -> BoxFuture<'static, Result<(), NotNow>> {
        let reached = self.reached.send(Reached(position));
        Box::pin(async move { reached.await.unwrap_or_else(|error| Err(NotNow(error.to_string()))) })
    }

    fn link(&self, link: Link) {
        // Lost when the mailbox is full: the next update tells as much.
        let _ = self.told.try_send(Told(link));
    }
}
