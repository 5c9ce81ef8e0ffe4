//! Calls that go wrong: whether they arrived, and what to do about them.

use std::time::Duration;

use atoll::channels::telegram::Pauses;
use atoll::domain::chat::Failure;
use atoll::ports::platform::Platform;

use super::kit::{Rig, pauses, place, post, words};
use crate::support::telegram::{Limits, Trouble};

#[tokio::test]
async fn an_answer_that_is_lost_leaves_it_open_whether_the_message_arrived() {
    let rig = Rig::new();
    rig.fake.open(42);
    rig.fake.next("sendMessage", 1, Trouble::LoseAnswer);
    let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure}");
    assert_eq!(rig.fake.said(42).len(), 1, "it did");
    rig.fake.next("sendMessage", 1, Trouble::HangUp);
    let failure = rig.telegram.post(post(42, words("two"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure}");
    assert_eq!(rig.fake.said(42).len(), 1, "it did not");
}

#[tokio::test]
async fn an_answer_that_is_late_is_not_waited_for() {
    let rig = Rig::with(Pauses { patience: Duration::from_millis(200), ..pauses() }, None);
    rig.fake.open(42);
    rig.fake.next("sendMessage", 1, Trouble::Delay(Duration::from_secs(30)));
    let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
    assert_eq!(failure, Failure::Unknown("no answer from Telegram in time".into()));
}

#[tokio::test]
async fn what_may_be_done_twice_is_simply_done_later() {
    let rig = Rig::new();
    rig.fake.open(42);
    let id = rig.say(42, "one").await;
    for method in ["editMessageText", "deleteMessage", "sendChatAction"] {
        rig.fake.next(method, 1, Trouble::HangUp);
    }
    let edited = rig.telegram.edit(&place(42), &id, words("two")).await.unwrap_err();
    let typed = rig.telegram.typing(&place(42)).await.unwrap_err();
    let removed = rig.telegram.remove(&place(42), &id).await.unwrap_err();
    for failure in [edited, typed, removed] {
        assert!(matches!(failure, Failure::Later(_)), "{failure}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_or_gone_certainly_did_nothing() {
    let rig = Rig::new();
    rig.fake.open(42);
    for trouble in [Trouble::Page(502), Trouble::Refuse(500, "Internal Server Error".into())] {
        rig.fake.next("sendMessage", 1, trouble.clone());
        let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
        assert!(matches!(failure, Failure::Later(_)), "{failure} for {trouble:?}");
    }
    let Rig { fake, telegram, .. } = rig;
    let address = fake.url().trim_start_matches("http://").to_owned();
    drop(fake);
    crate::support::until("it is gone", async || tokio::net::TcpStream::connect(&address).await.is_err())
        .await;
    // A line that was kept open breaks first: that one may have arrived.
    let mut failure = telegram.post(post(42, words("two"))).await.unwrap_err();
    if matches!(failure, Failure::Unknown(_)) {
        failure = telegram.post(post(42, words("two"))).await.unwrap_err();
    }
    assert!(matches!(&failure, Failure::Later(why) if why.contains("cannot be reached")), "{failure}");
}

#[tokio::test]
async fn whoever_is_too_fast_is_told_how_long_to_wait() {
    let rig = Rig::new();
    rig.fake.open(42);
    rig.fake.open(43);
    let window = Duration::from_secs(3_600);
    rig.fake.limit(Limits { chat: Some((2, window)), all: Some((3, window)), retry_after: 7 });
    rig.say(42, "one").await;
    let id = rig.say(42, "two").await;
    let slow = |chat_only| Failure::Slow { after_ms: 7_000, chat_only };
    assert_eq!(rig.telegram.post(post(42, words("three"))).await, Err(slow(true)));
    assert_eq!(rig.telegram.edit(&place(42), &id, words("four")).await, Err(slow(true)));
    rig.say(43, "one").await;
    // Two chats at once: as far as can be seen, it is all of them.
    assert_eq!(rig.telegram.post(post(43, words("two"))).await, Err(slow(false)));
}

#[tokio::test]
async fn a_chat_that_is_shut_is_known_as_such() {
    let rig = Rig::new();
    for (code, why) in [
        (403, "Forbidden: bot was blocked by the user"),
        (403, "Forbidden: user is deactivated"),
        (403, "Forbidden: bot was kicked from the supergroup chat"),
        (400, "Bad Request: group chat was upgraded to a supergroup chat"),
    ] {
        rig.fake.shut(42, Some((code, why)));
        let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
        assert_eq!(failure, Failure::NoChat(why.into()));
    }
    rig.fake.shut(42, None);
    rig.say(42, "there again").await;
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_known_as_such() {
    let rig = Rig::new();
    rig.fake.open(42);
    rig.fake.revoke(true);
    let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
    assert!(matches!(failure, Failure::NoToken(_)), "{failure}");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_it_open() {
    let rig = Rig::new();
    rig.fake.open(42);
    rig.fake.next("sendMessage", 1, Trouble::Page(200));
    let failure = rig.telegram.post(post(42, words("one"))).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure}");
}
