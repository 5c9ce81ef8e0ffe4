//! What can be seen of an actor from outside, also while it hangs: its mail, its state, its falls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use serde::Serialize;

use crate::{
    domain::{Millis, restart::Cause},
    ports::clock::Clock,
};

/// Where an actor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It waits for its restart.
    Starting,
    /// It works.
    Running,
    /// It does not answer.
    Frozen,
    /// It fell too often: a person may restart it.
    Parked,
    /// It ended as it was told.
    Stopped,
}

impl Standing {
    const ALL: [Self; 5] = [Self::Starting, Self::Running, Self::Frozen, Self::Parked, Self::Stopped];
}

/// One actor's vital signs; they outlive its restarts.
pub struct Vitals {
    /// Its name, unique in the process.
    pub name: Arc<str>,
    /// Its parent's name.
    pub parent: &'static str,
    /// Its kind: all sessions are of one kind.
    pub kind: &'static str,
    clock: Arc<dyn Clock>,
    state: AtomicU8,
    capacity: AtomicUsize,
    waiting: Mutex<Waiting>,
    handled: AtomicU64,
    falls: [AtomicU32; 4],
    last_error: Mutex<Option<(Millis, String)>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Millis>,
}

/// Vital signs as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VitalSigns {
    /// Its name.
    pub name: String,
    /// Its parent's name; empty for the root.
    pub parent: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Where it stands.
    pub state: Standing,
    /// Messages in its mailbox, the one in hand included.
    pub mailbox_depth: usize,
    /// How many its mailbox takes before senders wait.
    pub mailbox_capacity: usize,
    /// Age of the oldest of them, in milliseconds.
    pub oldest_ms: i64,
    /// Messages handled.
    pub handled: u64,
    /// Restarts after panics.
    pub panics: u32,
    /// Restarts after errors.
    pub errors: u32,
    /// Clean stops.
    pub stops: u32,
    /// Replacements after it froze.
    pub freezes: u32,
    /// Its last error.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Millis>,
}

impl Vitals {
    /// Signs of an actor that is about to start.
    pub fn new(name: Arc<str>, parent: &'static str, kind: &'static str, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            name,
            parent,
            kind,
            clock,
            state: AtomicU8::new(0),
            capacity: AtomicUsize::new(0),
            waiting: Mutex::default(),
            handled: AtomicU64::new(0),
            falls: Default::default(),
            last_error: Mutex::default(),
        })
    }

    /// Notes where it stands.
    pub fn set_state(&self, state: Standing) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// Where it stands.
    pub fn state(&self) -> Standing {
        Standing::ALL
            .get(usize::from(self.state.load(Ordering::Relaxed)))
            .copied()
            .unwrap_or(Standing::Frozen)
    }

    /// Notes how large its mailbox is.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Notes a fall.
    pub fn fell(&self, cause: Cause, error: Option<String>) {
        let slot = match cause {
            Cause::Panic => 0,
            Cause::Error => 1,
            Cause::Stop => 2,
            Cause::Frozen => 3,
        };
        self.falls[slot].fetch_add(1, Ordering::Relaxed);
        if let Some(error) = error {
            self.note_error(error);
        }
    }

    /// Notes an error that it survived, or died of.
    pub fn note_error(&self, error: String) {
        *lock(&self.last_error) = Some((self.clock.now(), error));
    }

    pub(super) fn arrived(&self) -> u64 {
        let now = self.clock.now();
        let mut waiting = lock(&self.waiting);
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, now);
        number
    }

    pub(super) fn left(&self, number: u64, handled: bool) {
        lock(&self.waiting).since.remove(&number);
        if handled {
            self.handled.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Messages in the mailbox, and the age of the oldest in milliseconds.
    pub fn mail(&self) -> (usize, i64) {
        let waiting = lock(&self.waiting);
        let oldest = waiting.since.values().next().map_or(0, |since| (self.clock.now() - since).max(0));
        (waiting.since.len(), oldest)
    }

    /// All signs at once.
    pub fn signs(&self) -> VitalSigns {
        let (mailbox_depth, oldest_ms) = self.mail();
        let fall = |slot: usize| self.falls[slot].load(Ordering::Relaxed);
        let error = lock(&self.last_error).clone();
        VitalSigns {
            name: self.name.to_string(),
            parent: self.parent,
            kind: self.kind,
            state: self.state(),
            mailbox_depth,
            mailbox_capacity: self.capacity.load(Ordering::Relaxed),
            oldest_ms,
            handled: self.handled.load(Ordering::Relaxed),
            panics: fall(0),
            errors: fall(1),
            stops: fall(2),
            freezes: fall(3),
            last_error_at: error.as_ref().map(|(at, _)| *at),
            last_error: error.map(|(_, error)| error),
        }
    }
}

/// All actors of the process, by name. Read without asking them: a frozen one is seen too.
#[derive(Clone, Default)]
pub struct Registry {
    actors: Arc<Mutex<BTreeMap<Arc<str>, Arc<Vitals>>>>,
}

impl Registry {
    /// Adds an actor.
    pub fn add(&self, vitals: Arc<Vitals>) {
        lock(&self.actors).insert(Arc::clone(&vitals.name), vitals);
    }

    /// Takes an actor out.
    pub fn remove(&self, name: &str) {
        lock(&self.actors).remove(name);
    }

    /// The signs of all actors, by name.
    pub fn tree(&self) -> Vec<VitalSigns> {
        let actors: Vec<Arc<Vitals>> = lock(&self.actors).values().cloned().collect();
        actors.iter().map(|vitals| vitals.signs()).collect()
    }
}

/// Locks, also after somebody panicked while holding it: the data is plain counters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
