//! What an order acknowledges is stored: a crash right after it undoes nothing.

use std::time::Duration;

use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;

use super::{script, stage::Stage};
use crate::support::*;

/// Counts the commits that others make, as this connection sees it.
fn version(db: &Connection) -> i64 {
    db.query_row("PRAGMA data_version", [], |row| row.get(0)).unwrap()
}

/// The writer stands still while the tool returns and the cancel comes, so that the end of the turn must wait for the
/// write before it; then it stands still again, before that end can be stored.
#[tokio::test]
async fn a_cancel_is_acknowledged_only_when_it_is_stored() {
    let stage = Stage::new("a_cancel_is_acknowledged_only_when_it_is_stored", "");
    stage.rise().await;
    let store = stage.site.store();
    store.busy_timeout(Duration::ZERO).unwrap();
    let talk = stage.say("ann/home", "plan[m1]: activate | gate | say");
    let mut talk = std::pin::pin!(talk);
    tokio::select! {
        heard = &mut talk => panic!("{heard:?}"),
        () = stage.until_ran("fx_gate") => {}
    }
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    script::open_gate(&stage.site.home());
    let cancel = async {
        // Nothing outside tells when the result waits for the writer: give it a while.
        for _ in 0..10 {
            client::breathe().await;
        }
        stage.call(Method::POST, "/api/chat/cancel", json!({"userId": "ann"})).await
    };
    let mut cancel = std::pin::pin!(cancel);
    let early = tokio::time::timeout(Duration::from_millis(400), &mut cancel).await;
    assert!(early.is_err(), "acknowledged while nothing could be stored");
    let before = version(&store);
    store.execute_batch("COMMIT").unwrap();
    while version(&store) == before {}
    if store.execute_batch("BEGIN IMMEDIATE").is_ok() {
        let early = tokio::time::timeout(Duration::from_millis(200), &mut cancel).await;
        let over = "SELECT count(*) FROM turns WHERE state = 'over'";
        assert!(early.is_err() || stage.count(over) == 1, "acknowledged, and a crash now would undo it");
        store.execute_batch("COMMIT").unwrap();
        if early.is_ok() {
            return;
        }
    }
    let (status, body) = cancel.await;
    assert!(status.is_success() && body["affected"] == 1, "{status} {body}");
    assert_eq!(talk.await, super::stage::Heard::Withdrawn);
}
