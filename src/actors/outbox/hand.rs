//! What is on its way to a platform, and what came of it. It outlives the actor: what was sent is known when that falls.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::domain::{Millis, outbound::Sent};

/// One message.
#[derive(Debug)]
struct Held {
    since: Millis,
    /// What came of it, until that is stored.
    sent: Option<Sent>,
}

/// The messages that an outbox has in hand, by their numbers.
#[derive(Debug, Default)]
pub struct Hand(Mutex<BTreeMap<i64, Held>>);

impl Hand {
    fn open(&self) -> MutexGuard<'_, BTreeMap<i64, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message. False when it is here already.
    pub(super) fn take(&self, id: i64, now: Millis) -> bool {
        let mut held = self.open();
        let new = !held.contains_key(&id);
        if new {
            held.insert(id, Held { since: now, sent: None });
        }
        new
    }

    /// Notes what came of one.
    pub(super) fn note(&self, id: i64, sent: Sent) {
        if let Some(held) = self.open().get_mut(&id) {
            held.sent = Some(sent);
        }
    }

    /// Lets go of one: what came of it is stored, or is nobody's business.
    pub(super) fn release(&self, id: i64) {
        self.open().remove(&id);
    }

    /// What came of those that are over.
    pub(super) fn over(&self) -> Vec<(i64, Sent)> {
        self.open().iter().filter_map(|(id, held)| Some((*id, held.sent.clone()?))).collect()
    }

    /// How many are on their way, how many of them are over, and since when the first waits.
    pub(super) fn look(&self) -> (usize, usize, Option<Millis>) {
        let held = self.open();
        let over = held.values().filter(|held| held.sent.is_some()).count();
        let first = held.values().find(|held| held.sent.is_none()).map(|held| held.since);
        (held.len() - over, over, first)
    }
}
