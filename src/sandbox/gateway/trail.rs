//! One record a request, handed on when the request is over, however it ends.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    domain::{
        Millis,
        gateway::{EgressKind, EgressRecord, Verdict},
    },
    ports::{clock::Clock, gateway::Egress},
};

/// Longest name of a host in a record, in characters.
const LONGEST_HOST: usize = 255;

/// Hands records on, and no more refusals than may be.
#[derive(Clone)]
pub(super) struct Trail {
    egress: Arc<dyn Egress>,
    clock: Arc<dyn Clock>,
    refusals_left: Arc<AtomicU64>,
}

impl Trail {
    pub(super) fn new(egress: Arc<dyn Egress>, clock: Arc<dyn Clock>, refusals: u64) -> Self {
        Self { egress, clock, refusals_left: Arc::new(AtomicU64::new(refusals)) }
    }

    /// Begins the record of a request.
    pub(super) fn begin(&self, kind: EgressKind, host: &str) -> Entry {
        let host = host.chars().filter(|letter| !letter.is_control()).take(LONGEST_HOST).collect();
        Entry {
            trail: self.clone(),
            begun: self.clock.now(),
            kind,
            host,
            sent: Arc::default(),
            received: Arc::default(),
            verdict: None,
        }
    }
}

/// The record of a request that is not over.
pub(super) struct Entry {
    trail: Trail,
    begun: Millis,
    kind: EgressKind,
    host: String,
    pub(super) sent: Arc<AtomicU64>,
    pub(super) received: Arc<AtomicU64>,
    verdict: Option<Verdict>,
}

impl Entry {
    /// What came of it; the first verdict that is not good stays.
    pub(super) fn note(&mut self, verdict: Verdict) {
        if self.verdict.as_ref().is_none_or(|known| *known == Verdict::Allowed) {
            self.verdict = Some(verdict);
        }
    }

    /// It is refused; `ask`: a person can allow it.
    pub(super) fn refuse(&mut self, why: &str, ask: bool) {
        self.note(Verdict::Refused { why: why.to_owned(), ask });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let verdict = self.verdict.take().unwrap_or_else(|| Verdict::Failed("it was given up".into()));
        if matches!(verdict, Verdict::Refused { .. }) {
            let left = &self.trail.refusals_left;
            if left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                return;
            }
        }
        self.trail.egress.record(EgressRecord {
            at: self.begun,
            kind: self.kind,
            host: std::mem::take(&mut self.host),
            verdict,
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            ms: u64::try_from(self.trail.clock.now() - self.begun).unwrap_or_default(),
        });
    }
}
