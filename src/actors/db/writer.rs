//! The actor that writes. Writes that arrive while a commit runs share the next one; a reply leaves only
//! after its commit.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, rc::Rc, sync::Arc};

use actix::{
    dev::{MessageResponse, OneshotSender},
    prelude::*,
};
use rusqlite::Connection;

use crate::{
    actors::kernel::{Life, Mail, fault, messages::*},
    domain::webhook::Kind,
    ports::{clock::Clock, metrics::Metrics},
    store::{self, StoreError, schema, upkeep, webhook},
};

use super::messages::DbError;

/// Writers wait beyond this many messages. A commit takes about a quarter of a millisecond, so a full
/// mailbox is worked off in a few of them.
const MAILBOX: usize = 4_096;
/// Most writes of one commit: bounds the wait of the first of them.
const MAX_BATCH: usize = 512;
/// The log is emptied by the writer itself beyond this size; below it the keeper does that beside it.
const MAX_LOG: u64 = 64 * 1024 * 1024;
/// How often the size of the log is looked at, in commits.
const LOOK_AT_LOG: u64 = 512;

/// A write: what it does inside the transaction, and what it is called.
pub trait WriteOp: Message<Result = Result<Self::Reply, DbError>> + Send + 'static {
    /// What it answers.
    type Reply: Send + 'static;

    /// Short name, for fault points.
    fn label(&self) -> &'static str;

    /// Does it, in the open transaction.
    fn apply(self, db: &Connection, boot: i64) -> store::Result<Self::Reply>;
}

type Answer = Box<dyn FnOnce(Result<(), DbError>)>;

/// Answers that wait for the commit.
#[derive(Default)]
struct Batch {
    answers: Vec<Answer>,
    labels: Vec<&'static str>,
}

/// The actor.
pub struct Db {
    life: Life,
    path: PathBuf,
    boot: i64,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    db: Option<Connection>,
    batch: Rc<RefCell<Batch>>,
    open: bool,
    /// Set when the transaction was lost with writes in it that wait for its commit.
    lost: Option<DbError>,
    commits: u64,
    /// What the webhook is told of what is written; `None` when there is none.
    told: Option<BTreeSet<Kind>>,
}

impl Db {
    /// A writer of the store at `path`, in run number `boot` of the process.
    pub fn new(life: Life, path: PathBuf, boot: i64, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let batch = Rc::default();
        let (db, open, lost, commits, told) = (None, false, None, 0, None);
        Self { life, path, boot, clock, metrics, db, batch, open, lost, commits, told }
    }

    /// It stores with all that it writes what the webhook is to be told of it.
    #[must_use]
    pub fn telling(self, told: Option<BTreeSet<Kind>>) -> Self {
        Self { told, ..self }
    }

    fn perform<W: WriteOp>(&mut self, op: W, ctx: &mut Context<Self>) -> Deferred<W::Reply> {
        if self.batch.borrow().answers.len() >= MAX_BATCH {
            self.flush();
        }
        let label = op.label();
        let outcome = self.savepoint(op);
        if outcome.is_ok() {
            self.batch.borrow_mut().labels.push(label);
        }
        if self.batch.borrow().answers.is_empty() {
            // Polled when the mailbox is empty: all that arrived meanwhile shares the commit.
            ctx.spawn(fut::ready(()).map(|(), db: &mut Self, _| db.flush()));
        }
        Deferred { batch: Rc::clone(&self.batch), outcome }
    }

    /// One write inside the shared transaction: its failure takes back nothing but itself.
    fn savepoint<W: WriteOp>(&mut self, op: W) -> Result<W::Reply, DbError> {
        let Some(db) = &self.db else { return Err(DbError::Failed("the store is not open".into())) };
        // The first write of a batch has nothing before it that its failure could take back.
        let (begin, keep, undo) = if self.open {
            ("SAVEPOINT op", Some("RELEASE op"), "ROLLBACK TO op; RELEASE op")
        } else {
            ("BEGIN IMMEDIATE", None, "ROLLBACK")
        };
        let first = !self.open;
        run(db, begin)?;
        self.open = true;
        let told = self.told.as_ref();
        let applied = op.apply(db, self.boot).and_then(|reply| {
            told.map_or(Ok(()), |kinds| webhook::mirror(db, kinds, self.clock.now()))?;
            Ok(reply)
        });
        match applied {
            Ok(reply) => {
                keep.map_or(Ok(()), |keep| run(db, keep))?;
                Ok(reply)
            }
            Err(error) => {
                // On a full disk SQLite takes back the whole transaction by itself.
                let _ = db.execute_batch(undo);
                self.open = !db.is_autocommit();
                if !first && !self.open {
                    self.lost = Some(DbError::Failed(error.to_string()));
                }
                Err(error.into())
            }
        }
    }

    fn flush(&mut self) {
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        if batch.answers.is_empty() {
            return;
        }
        let outcome = self.commit(&batch.labels);
        for answer in batch.answers {
            answer(outcome.clone());
        }
        self.commits += 1;
        if self.commits.is_multiple_of(LOOK_AT_LOG) {
            self.bound_log();
        }
    }

    fn commit(&mut self, labels: &[&'static str]) -> Result<(), DbError> {
        if let Some(lost) = self.lost.take() {
            return Err(lost);
        }
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let Some(db) = &self.db else { return Ok(()) };
        for label in labels {
            fault::point("before_commit", label);
        }
        let began = self.clock.now();
        if let Err(error) = run(db, "COMMIT") {
            tracing::error!(%error, "the store cannot commit");
            self.life.vitals().note_error(error.to_string());
            let _ = db.execute_batch("ROLLBACK");
            return Err(error);
        }
        self.metrics.commits.inc();
        self.metrics.commit_batch.observe(labels.len() as f64);
        self.metrics.commit_seconds.observe((self.clock.now() - began).max(0) as f64 / 1000.0);
        for label in labels {
            fault::point("after_commit", label);
        }
        Ok(())
    }

    /// Under constant load the keeper never finds a quiet moment to empty the log: the writer makes one.
    fn bound_log(&self) {
        let log = self.path.with_extension("db-wal");
        let size = std::fs::metadata(log).map_or(0, |found| found.len());
        if let (true, Some(db)) = (size > MAX_LOG, &self.db)
            && let Err(error) = upkeep::checkpoint(db)
        {
            tracing::warn!(%error, "the store's log cannot be emptied");
        }
    }
}

impl Actor for Db {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        let opened = schema::open_writer(&self.path).and_then(|db| {
            self.told.as_ref().map_or(Ok(()), |_| webhook::watch(&db))?;
            Ok(db)
        });
        match opened {
            Ok(db) => self.db = Some(db),
            Err(error) => self.life.fail(ctx, error),
        }
    }
}

impl<W: WriteOp> Handler<Mail<W>> for Db {
    type Result = Deferred<W::Reply>;

    fn handle(&mut self, mail: Mail<W>, ctx: &mut Self::Context) -> Self::Result {
        let (op, _ticket) = mail.open();
        self.perform(op, ctx)
    }
}

impl Handler<Mail<Observe>> for Db {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"commits": self.commits, "boot": self.boot}))
    }
}

impl Handler<Mail<Stop>> for Db {
    type Result = Drained;

    /// Commits what waits, empties the log, closes the store.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.flush();
        if let Some(db) = self.db.take() {
            if let Err(error) = upkeep::checkpoint_all(&db) {
                tracing::warn!(%error, "the store's log cannot be emptied at the end");
            }
            let _ = db.close();
        }
        self.life.stop(ctx);
        Drained
    }
}

/// A reply that waits for the commit.
pub struct Deferred<R> {
    batch: Rc<RefCell<Batch>>,
    outcome: Result<R, DbError>,
}

impl<R, M> MessageResponse<Db, M> for Deferred<R>
where
    R: Send + 'static,
    M: Message<Result = Result<R, DbError>>,
{
    fn handle(self, _: &mut Context<Db>, tx: Option<OneshotSender<M::Result>>) {
        let outcome = self.outcome;
        let answer: Answer = Box::new(move |committed| {
            if let Some(tx) = tx {
                let _ = tx.send(committed.and(outcome));
            }
        });
        self.batch.borrow_mut().answers.push(answer);
    }
}

/// Runs one statement that is used again and again.
fn run(db: &Connection, sql: &str) -> Result<(), DbError> {
    db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(|_| ()).map_err(failed)
}

fn failed(error: rusqlite::Error) -> DbError {
    DbError::from(StoreError::from(error))
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale(why) => Self::Stale(why),
            StoreError::KeyReused => Self::KeyReused,
            StoreError::Approval(refusal) => Self::Approval(refusal),
            StoreError::NotFound(what) => Self::NotFound(what),
            StoreError::Board(refusal) => Self::Board(refusal),
            StoreError::Identity(refusal) => Self::Identity(refusal),
            StoreError::Audit(broken) => Self::Audit(broken),
            StoreError::Sqlite(_) | StoreError::Corrupt(_) | StoreError::Schema(_) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
