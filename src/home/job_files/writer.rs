//! The thread that writes all logs of a home: in order, one line at a time, with a bound on what waits for it.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use tokio::sync::{oneshot, watch};

use crate::{
    domain::{Millis, ids::JobId},
    ports::job_files::LogEvent,
};

use super::{
    line::{encode, frame},
    log::Log,
    log_folder,
};

/// Bytes that may wait to be written: a disk that hangs must not fill the memory.
const WAITING: usize = 32 * 1024 * 1024;
/// Most logs that are open at a time.
const OPEN: usize = 64;

/// What the thread is given.
pub(super) enum Item {
    /// A line.
    Line {
        /// Whose.
        job: JobId,
        /// When.
        at: Millis,
        /// What, in JSON.
        event: Vec<u8>,
    },
    /// Say when all before this is done.
    Settle(oneshot::Sender<()>),
}

/// What the thread and those who use it share.
#[derive(Default)]
pub(super) struct Shared {
    waiting: AtomicUsize,
    /// Lines that were lost, by job, and not yet noted in its log.
    lost: Mutex<HashMap<JobId, u64>>,
    watched: Mutex<HashMap<JobId, watch::Sender<u64>>>,
}

impl Shared {
    /// True when there is room for a line to wait; else it is lost, and counted.
    pub(super) fn admit(&self, job: &JobId, bytes: usize) -> bool {
        let fits = |waiting: usize| (waiting + bytes <= WAITING).then_some(waiting + bytes);
        let admitted = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if !admitted {
            self.lose(job, 1);
        }
        admitted
    }

    fn lose(&self, job: &JobId, lines: u64) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        *lost.entry(job.clone()).or_default() += lines;
    }

    fn take_lost(&self, job: &JobId) -> u64 {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(job).unwrap_or(0)
    }

    /// The number of the next line of a job, as it grows.
    pub(super) fn watch(&self, job: &JobId) -> watch::Receiver<u64> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who hung up are not kept in mind.
        watched.retain(|known, sender| known == job || sender.receiver_count() > 0);
        watched.entry(job.clone()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    fn tell(&self, job: &JobId, next: u64) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(job) {
            sender.send_replace(next);
        }
    }
}

/// The one who writes.
pub(super) struct Writer {
    folder: PathBuf,
    most: u64,
    shared: Arc<Shared>,
    /// Open logs, with the turn in which each was used last.
    open: HashMap<JobId, (Log, u64)>,
    turn: u64,
}

impl Writer {
    pub(super) fn new(folder: PathBuf, most: u64, shared: Arc<Shared>) -> Self {
        Self { folder, most, shared, open: HashMap::new(), turn: 0 }
    }

    /// Writes until nobody gives anything any more.
    pub(super) fn run(mut self, items: mpsc::Receiver<Item>) {
        for item in items {
            match item {
                Item::Line { job, at, event } => {
                    self.shared.waiting.fetch_sub(event.len(), Ordering::Relaxed);
                    self.line(&job, at, &event);
                }
                Item::Settle(settled) => drop(settled.send(())),
            }
        }
    }

    fn line(&mut self, job: &JobId, at: Millis, event: &[u8]) {
        let lost = self.shared.take_lost(job);
        if lost > 0 {
            let text = format!("{lost} lines could not be written and are lost");
            let note = encode(&LogEvent::Note { text });
            if self.write(job, at, &note).is_err() {
                return self.shared.lose(job, lost + 1);
            }
        }
        if let Err(error) = self.write(job, at, event) {
            if lost == 0 {
                tracing::error!(%error, %job, "log of a job cannot be written");
            }
            self.shared.lose(job, 1);
        }
    }

    fn write(&mut self, job: &JobId, at: Millis, event: &[u8]) -> io::Result<()> {
        self.turn += 1;
        // What failed is opened anew: there its end is looked for.
        let mut log = match self.open.remove(job) {
            Some((log, _)) => log,
            None => Log::open(log_folder(&self.folder, job)?)?,
        };
        log.add(&frame(log.next, at, event), self.most)?;
        self.shared.tell(job, log.next);
        self.open.insert(job.clone(), (log, self.turn));
        if self.open.len() > OPEN {
            let oldest = self.open.iter().min_by_key(|(_, (_, turn))| *turn).map(|(job, _)| job.clone());
            oldest.and_then(|job| self.open.remove(&job));
        }
        Ok(())
    }
}
