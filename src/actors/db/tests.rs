//! The actor that writes, alone on a real store: commits are shared, failures are not.

use std::{path::Path, sync::Arc};

use actix::prelude::*;
use futures_util::future::join_all;

use super::{Db, messages::*};
use crate::{
    actors::kernel::{Mail, Vitals, messages::Stop, testing},
    domain::{
        audit::Act,
        ids::{MemoryId, UserId},
    },
    ports::metrics::Metrics,
    store::schema,
};

struct Desk {
    db: Addr<Db>,
    vitals: Arc<Vitals>,
    metrics: Metrics,
    folder: tempfile::TempDir,
}

impl Desk {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("atoll.db");
        schema::open_writer(&path).unwrap();
        let clock = testing::TestClock::start();
        let (life, vitals) = testing::orphan("db", &clock);
        let metrics = Metrics::new().unwrap();
        let db = Db::new(life, path, 1, clock, metrics.clone()).start();
        Self { db, vitals, metrics, folder }
    }

    fn ask<M, R>(&self, message: M) -> impl Future<Output = Result<R, DbError>> + use<M, R>
    where
        M: Message<Result = Result<R, DbError>> + Send + 'static,
        R: Send + 'static,
        Db: Handler<Mail<M>>,
    {
        let sent = self.db.send(Mail::new(message, &self.vitals));
        async move { sent.await.unwrap() }
    }
}

fn act(number: usize) -> Audit {
    let act = Act {
        at: 1,
        actor: "ann".into(),
        action: "test".into(),
        subject: number.to_string(),
        details: String::new(),
    };
    Audit { act }
}

fn rows(path: &Path) -> i64 {
    let db = rusqlite::Connection::open(path.join("atoll.db")).unwrap();
    db.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap()
}

#[actix::test]
async fn writes_that_come_together_share_a_commit_and_keep_their_order() {
    let desk = Desk::open();
    let written = join_all((0..200).map(|number| desk.ask(act(number)))).await;
    let subjects: Vec<_> = written.into_iter().map(|row| row.unwrap().act.subject).collect();
    assert_eq!(subjects, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(desk.metrics.commits.get() < 10, "200 writes took {} commits", desk.metrics.commits.get());
    assert_eq!(rows(desk.folder.path()), 200);
}

#[actix::test]
async fn an_answer_comes_only_after_its_commit() {
    let desk = Desk::open();
    for number in 0..20 {
        desk.ask(act(number)).await.unwrap();
        assert_eq!(rows(desk.folder.path()), number as i64 + 1, "answered before it was stored");
    }
}

#[actix::test]
async fn a_write_that_fails_takes_back_nothing_but_itself() {
    let desk = Desk::open();
    let nothing = DeleteMemory { user: UserId::parse("ann").unwrap(), id: MemoryId::new("none") };
    let (first, failed, last) = (desk.ask(act(1)), desk.ask(nothing), desk.ask(act(2)));
    let (first, failed, last) = futures_util::join!(first, failed, last);
    assert!(first.is_ok() && last.is_ok());
    assert_eq!(failed, Err(DbError::NotFound("memory")));
    assert_eq!(rows(desk.folder.path()), 2);
}

#[actix::test]
async fn the_end_commits_what_waits_and_empties_the_log() {
    let desk = Desk::open();
    let waiting = desk.ask(act(1));
    let stop = desk.db.send(Mail::new(Stop { deadline: 1_000 }, &desk.vitals));
    let (written, stopped) = futures_util::join!(waiting, stop);
    written.unwrap();
    stopped.unwrap();
    assert_eq!(rows(desk.folder.path()), 1);
    let log = std::fs::metadata(desk.folder.path().join("atoll.db-wal")).map_or(0, |log| log.len());
    assert_eq!(log, 0, "the log was left full");
}
