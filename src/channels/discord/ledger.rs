//! How far everything that came is settled: the position never passes an event that is not.

use std::{collections::BTreeMap, sync::Arc};

use super::known::Life;

/// A session at the gateway, as long as it lasts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LifeName {
    pub(super) id: String,
    pub(super) url: Option<String>,
}

/// A place in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) life: Arc<LifeName>,
    pub(super) seq: u64,
}

impl Mark {
    pub(super) fn life(&self) -> Life {
        Life { id: self.life.id.clone(), seq: self.seq, url: self.life.url.clone() }
    }
}

/// What is under way, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: u64,
    /// Where each of them leaves the session, and whether it is settled.
    open: BTreeMap<u64, (Mark, bool)>,
    reached: Option<Mark>,
}

impl Ledger {
    /// Goes on from a stored position.
    pub(super) fn from(mark: Option<Mark>) -> Self {
        Self { reached: mark, ..Self::default() }
    }

    /// Something came; when it and all before it are settled, `mark` is reached.
    pub(super) fn begin(&mut self, mark: Mark) -> u64 {
        self.next += 1;
        self.open.insert(self.next, (mark, false));
        self.next
    }

    /// It is settled: stored, refused for good, or nothing for us.
    pub(super) fn done(&mut self, ticket: u64) {
        if let Some(entry) = self.open.get_mut(&ticket) {
            entry.1 = true;
        }
        while let Some(first) = self.open.first_entry()
            && first.get().1
        {
            self.reached = Some(first.remove().0);
        }
    }

    /// How far everything is settled.
    pub(super) fn reached(&self) -> Option<&Mark> {
        self.reached.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(life: &str, seq: u64) -> Mark {
        Mark { life: Arc::new(LifeName { id: life.into(), url: None }), seq }
    }

    #[test]
    fn a_new_session_counts_only_when_the_old_one_is_settled() {
        let mut ledger = Ledger::default();
        let (one, two) = (ledger.begin(mark("a", 1)), ledger.begin(mark("a", 2)));
        let new = ledger.begin(mark("b", 1));
        ledger.done(new);
        ledger.done(one);
        assert_eq!(ledger.reached(), Some(&mark("a", 1)));
        ledger.done(two);
        assert_eq!(ledger.reached(), Some(&mark("b", 1)));
    }

    proptest! {
        #[test]
        fn the_position_never_passes_what_is_open(order in Just((1u64..30).collect::<Vec<_>>()).prop_shuffle()) {
            let mut ledger = Ledger::default();
            let tickets: Vec<u64> = (1..30).map(|seq| ledger.begin(mark("a", seq))).collect();
            let mut open: Vec<u64> = (1..30).collect();
            for seq in order {
                ledger.done(tickets[seq as usize - 1]);
                open.retain(|other| *other != seq);
                let reached = ledger.reached().map_or(0, |mark| mark.seq);
                prop_assert_eq!(reached, open.iter().min().map_or(29, |first| first - 1));
            }
        }
    }
}
