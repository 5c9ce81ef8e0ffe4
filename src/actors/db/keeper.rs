//! The store's housekeeper: empties the log and copies the store, on a connection and thread of its own.

use std::{path::PathBuf, time::Duration};

use actix::prelude::*;
use rusqlite::Connection;

use crate::{
    actors::kernel::{Life, Mail, messages::*},
    store::{schema, upkeep},
};

use super::messages::{Backup, DbError};

/// How often the log is moved into the store's file.
const EVERY: Duration = Duration::from_secs(2);
/// Backups come one at a time.
const MAILBOX: usize = 8;

/// The actor.
pub struct DbKeeper {
    life: Life,
    path: PathBuf,
    db: Option<Connection>,
}

impl DbKeeper {
    /// A keeper of the store at `path`.
    pub fn new(life: Life, path: PathBuf) -> Self {
        Self { life, path, db: None }
    }

    fn keep(&mut self) {
        if let Some(db) = &self.db
            && let Err(error) = upkeep::checkpoint(db)
        {
            tracing::warn!(%error, "the store's log cannot be emptied");
            self.life.vitals().note_error(error.to_string());
        }
    }
}

impl Actor for DbKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        match schema::open_keeper(&self.path) {
            Ok(db) => self.db = Some(db),
            Err(error) => return self.life.fail(ctx, error),
        }
        ctx.run_interval(EVERY, |keeper, _| keeper.keep());
    }
}

impl Handler<Mail<Backup>> for DbKeeper {
    type Result = Result<(), DbError>;

    fn handle(&mut self, mail: Mail<Backup>, _: &mut Self::Context) -> Self::Result {
        let (backup, _ticket) = mail.open();
        let Some(db) = &self.db else { return Err(DbError::Failed("the store is not open".into())) };
        schema::backup(db, &backup.target).map_err(DbError::from)
    }
}

impl Handler<Mail<Observe>> for DbKeeper {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"open": self.db.is_some()}))
    }
}

impl Handler<Mail<Stop>> for DbKeeper {
    type Result = Drained;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.db = None;
        self.life.stop(ctx);
        Drained
    }
}
