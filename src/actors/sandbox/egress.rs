//! The trail of a sandbox's requests: to the store a few at a time, to the job at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::messages::BenchEvent;
use crate::{
    actors::{
        db::messages::{AddEgress, DbError},
        kernel::{Door, Unreachable},
    },
    domain::{gateway::EgressRecord, ids::JobId},
    ports::gateway::Egress,
};

/// Records that may wait to be taken; more are lost, and counted.
const QUEUE: usize = 4_096;
/// Records that are stored at once.
const BATCH: usize = 200;
/// Records that wait for a store that is not there; the oldest are lost beyond that.
const HELD: usize = 2_000;
/// Longest wait of a record before it is stored.
const EVERY: Duration = Duration::from_millis(500);
/// Longest wait for the last ones to be stored.
const LAST: Duration = Duration::from_secs(5);

enum Note {
    Record(EgressRecord),
    Flush(oneshot::Sender<()>),
}

/// Takes the records of one job's gateway. When nobody holds it any more, what is left is stored.
pub struct JobEgress {
    to: mpsc::Sender<Note>,
    lost: Arc<AtomicU64>,
}

impl JobEgress {
    /// For this job. Needs a tokio runtime.
    pub fn start(job: JobId, store: Door<AddEgress>, events: mpsc::Sender<BenchEvent>) -> Self {
        let (to, notes) = mpsc::channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let keeper = Keeper { job, store, events, held: Vec::new(), lost: Arc::clone(&lost) };
        tokio::spawn(keeper.keep(notes));
        Self { to, lost }
    }

    /// Answers when what came before is stored, or when that takes too long.
    pub async fn flush(&self) {
        let (done, stored) = oneshot::channel();
        let work = async {
            if self.to.send(Note::Flush(done)).await.is_ok() {
                let _ = stored.await;
            }
        };
        let _ = timeout(LAST, work).await;
    }
}

impl Egress for JobEgress {
    fn record(&self, record: EgressRecord) {
        if self.to.try_send(Note::Record(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Keeper {
    job: JobId,
    store: Door<AddEgress>,
    events: mpsc::Sender<BenchEvent>,
    held: Vec<EgressRecord>,
    lost: Arc<AtomicU64>,
}

impl Keeper {
    async fn keep(mut self, mut notes: mpsc::Receiver<Note>) {
        let mut due = Instant::now();
        loop {
            let waits = !self.held.is_empty();
            tokio::select! {
                note = notes.recv() => match note {
                    Some(Note::Record(record)) => {
                        if !waits {
                            due = Instant::now() + EVERY;
                        }
                        self.held.push(record.clone());
                        // A job that is gone hears nothing; the store still does.
                        let _ = self.events.send(BenchEvent::Egress(record)).await;
                        if self.held.len().is_multiple_of(BATCH) {
                            self.store().await;
                        }
                    }
                    Some(Note::Flush(done)) => {
                        self.store().await;
                        let _ = done.send(());
                    }
                    None => {
                        self.store().await;
                        return;
                    }
                },
                () = sleep_until(due), if waits => {
                    self.store().await;
                    due = Instant::now() + EVERY;
                }
            }
        }
    }

    async fn store(&mut self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(job = %self.job, lost, "requests of a sandbox came too fast to be recorded");
        }
        if self.held.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.held);
        match self.store.ask(AddEgress { job: self.job.clone(), records: records.clone() }).await {
            Ok(()) => {}
            Err(DbError::Failed(_) | DbError::Unreachable(Unreachable::Down(_))) => {
                let over = records.len().saturating_sub(HELD);
                self.lost.fetch_add(over as u64, Ordering::Relaxed);
                self.held = records.into_iter().skip(over).collect();
            }
            Err(error) => {
                tracing::warn!(job = %self.job, %error, "requests of a sandbox cannot be recorded");
            }
        }
    }
}
