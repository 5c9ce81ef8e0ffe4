//! Albums: several updates, one message.

use std::time::Duration;

use atoll::channels::telegram::Pauses;
use atoll::domain::chat::{Event, Incoming};

use super::kit::{Rig, pauses};
use crate::support::until;

fn album(incoming: &Incoming) -> (&str, &str, Vec<&str>) {
    let Event::Message { message, text, files, .. } = &incoming.event else { panic!("{incoming:?}") };
    (message, text, files.iter().map(|file| &*file.reference).collect())
}

#[tokio::test]
async fn an_album_is_one_message_and_keeps_its_place() {
    let rig = Rig::new();
    rig.fake.say(42, 42, "before");
    rig.fake.album(42, 42, &[b"a", b"b", b"c"], "our trip");
    rig.fake.say(42, 42, "after");
    rig.listen();
    let taken = rig.taker.after(3).await;
    assert_eq!(taken[1].id, "42:2");
    assert_eq!(album(&taken[1]), ("2", "our trip", vec!["file-2", "file-4", "file-6"]));
    assert_eq!(taken.iter().map(|one| &*one.id).collect::<Vec<_>>(), ["42:1", "42:2", "42:5"]);
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
}

#[tokio::test]
async fn pieces_that_come_in_several_answers_are_joined_before_any_is_acknowledged() {
    let rig = Rig::with(Pauses { album: Duration::from_secs(2), ..pauses() }, None);
    rig.listen();
    rig.up().await;
    // The server gives what it has; the second half of the album comes a moment later.
    rig.fake.album(42, 42, &[b"a", b"b"], "our trip");
    until("the first half was given", async || rig.fake.calls_of("getUpdates").len() >= 2).await;
    assert!(rig.taker.taken().is_empty());
    let piece = serde_json::json!({
        "photo": [{"file_id": "late", "file_unique_id": "u", "width": 9, "height": 9}], "media_group_id": "album-1",
    });
    rig.fake.send(42, 42, piece);
    assert_eq!(rig.fake.waiting().len(), 3);
    let taken = rig.taker.after(1).await;
    assert_eq!(album(&taken[0]), ("1", "our trip", vec!["file-2", "file-4", "late"]));
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    assert_eq!(rig.taker.offered(), ["42:1"]);
}

#[tokio::test]
async fn an_album_that_comes_again_has_the_same_id() {
    let rig = Rig::listening().await;
    rig.fake.album(42, 42, &[b"a", b"b"], "");
    rig.taker.after(1).await;
    until("it is acknowledged", async || rig.fake.waiting().is_empty()).await;
    rig.fake.redeliver(2);
    until("it is offered again", async || rig.taker.offered().len() == 2).await;
    assert_eq!(rig.taker.offered(), ["42:1", "42:1"]);
}
