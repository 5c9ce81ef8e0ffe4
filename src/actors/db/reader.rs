//! An actor that reads, on a connection of its own that cannot write.

use std::path::PathBuf;

use actix::prelude::*;
use rusqlite::Connection;

use crate::{
    actors::kernel::{Life, Mail, messages::*},
    store::{self, schema},
};

use super::messages::DbError;

/// Reads take tens of microseconds; beyond this many senders wait.
const MAILBOX: usize = 1_024;

/// A read.
pub trait ReadOp: Message<Result = Result<Self::Reply, DbError>> + Send + 'static {
    /// What it answers.
    type Reply: Send + 'static;

    /// Does it, on a snapshot.
    fn apply(self, db: &Connection) -> store::Result<Self::Reply>;
}

/// The actor.
pub struct DbReader {
    life: Life,
    path: PathBuf,
    db: Option<Connection>,
}

impl DbReader {
    /// A reader of the store at `path`.
    pub fn new(life: Life, path: PathBuf) -> Self {
        Self { life, path, db: None }
    }
}

impl Actor for DbReader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        match schema::open_reader(&self.path) {
            Ok(db) => self.db = Some(db),
            Err(error) => self.life.fail(ctx, error),
        }
    }
}

impl<R: ReadOp> Handler<Mail<R>> for DbReader {
    type Result = Result<R::Reply, DbError>;

    fn handle(&mut self, mail: Mail<R>, _: &mut Self::Context) -> Self::Result {
        let (op, _ticket) = mail.open();
        let Some(db) = &self.db else { return Err(DbError::Failed("the store is not open".into())) };
        op.apply(db).map_err(DbError::from)
    }
}

impl Handler<Mail<Observe>> for DbReader {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"open": self.db.is_some()}))
    }
}

impl Handler<Mail<Stop>> for DbReader {
    type Result = Drained;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.db = None;
        self.life.stop(ctx);
        Drained
    }
}
