//! A door to an actor: it stays when the actor behind it is replaced, and says so when nobody is there.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::prelude::*;
use arc_swap::ArcSwap;

use super::{mail::Mail, vitals::Vitals};

/// Nobody answered behind a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The actor is down (or being restarted): the message was not delivered.
    #[error("{0} is down")]
    Down(&'static str),
    /// The actor fell while it had the message: what came of it is not known.
    #[error("{0} fell before it answered")]
    Gone(&'static str),
}

/// A message was not taken at an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The mailbox is full.
    #[error("{0} is busy")]
    Full(&'static str),
    /// Nobody is there.
    #[error("{0} is down")]
    Down(&'static str),
}

struct Behind<M>
where
    M: Message + Send,
    M::Result: Send,
{
    recipient: Recipient<Mail<M>>,
    vitals: Arc<Vitals>,
}

struct Slot<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    name: &'static str,
    behind: ArcSwap<Vec<Arc<Behind<M>>>>,
    next: AtomicUsize,
}

/// A way to send one kind of message to one actor, or to a few that do the same work.
pub struct Door<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    slot: Arc<Slot<M>>,
}

impl<M> Clone for Door<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot) }
    }
}

impl<M> Door<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// A door with nobody behind it.
    pub fn closed(name: &'static str) -> Self {
        let behind = ArcSwap::from_pointee(Vec::new());
        Self { slot: Arc::new(Slot { name, behind, next: AtomicUsize::new(0) }) }
    }

    /// A door with this actor behind it.
    pub fn to(name: &'static str, recipient: Recipient<Mail<M>>, vitals: Arc<Vitals>) -> Self {
        let door = Self::closed(name);
        door.open(recipient, vitals);
        door
    }

    /// Puts an actor behind the door, in the place of the one of the same name.
    pub fn open(&self, recipient: Recipient<Mail<M>>, vitals: Arc<Vitals>) {
        let new = Arc::new(Behind { recipient, vitals });
        self.slot.behind.rcu(|old| {
            let mut list: Vec<_> =
                old.iter().filter(|other| other.vitals.name != new.vitals.name).cloned().collect();
            list.push(Arc::clone(&new));
            list
        });
    }

    /// Sends and waits for the answer. The message is on its way when this returns, before it is awaited.
    ///
    /// # Errors
    /// When nobody is behind the door, or who was there ended before answering.
    pub fn send(&self, message: M) -> impl Future<Output = Result<M::Result, Unreachable>> + Send + use<M> {
        let name = self.slot.name;
        let request = self.pick().map(|behind| behind.recipient.send(Mail::new(message, &behind.vitals)));
        async move {
            let Some(request) = request else { return Err(Unreachable::Down(name)) };
            request.await.map_err(|_| Unreachable::Gone(name))
        }
    }

    /// Sends and waits for an answer that may itself be an error.
    ///
    /// # Errors
    /// The answer's own, and those of [`Door::send`].
    pub fn ask<T, E>(&self, message: M) -> impl Future<Output = Result<T, E>> + Send + use<M, T, E>
    where
        M: Message<Result = Result<T, E>>,
        T: Send,
        E: From<Unreachable> + Send,
    {
        let sent = self.send(message);
        async move { sent.await? }
    }

    /// Sends without waiting, for what may be lost.
    ///
    /// # Errors
    /// [`Refused`] when the mailbox is full or nobody is there.
    pub fn try_send(&self, message: M) -> Result<(), Refused> {
        let name = self.slot.name;
        let Some(behind) = self.pick() else { return Err(Refused::Down(name)) };
        behind.recipient.try_send(Mail::new(message, &behind.vitals)).map_err(|error| match error {
            SendError::Full(_) => Refused::Full(name),
            SendError::Closed(_) => Refused::Down(name),
        })
    }

    /// The one with the least mail; of equals, the next in the round.
    fn pick(&self) -> Option<Arc<Behind<M>>> {
        let behind = self.slot.behind.load();
        match behind.as_slice() {
            [] => None,
            [one] => Some(Arc::clone(one)),
            many => {
                let first = self.slot.next.fetch_add(1, Ordering::Relaxed) % many.len();
                let round = many[first..].iter().chain(&many[..first]);
                round.min_by_key(|one| one.vitals.mail().0).cloned()
            }
        }
    }
}
