//! How listening goes: what is said when it does not, and that it goes on.

use std::time::{Duration, Instant};

use atoll::domain::chat::Link;

use super::kit::{Rig, pauses};
use crate::support::{telegram::Trouble, until};

/// The reasons that were told, each once, in their order.
fn reasons(rig: &Rig) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for link in rig.taker.links() {
        let (Link::Refused { why } | Link::Down { why }) = link else { continue };
        if reasons.last() != Some(&why) {
            reasons.push(why);
        }
    }
    reasons
}

#[tokio::test]
async fn a_token_that_is_revoked_is_told_with_what_to_do_and_is_tried_again() {
    let rig = Rig::listening().await;
    rig.fake.revoke(true);
    until("it is told", async || matches!(rig.taker.links().last(), Some(Link::Refused { .. }))).await;
    let reasons = reasons(&rig);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    for word in ["token", "Unauthorized", "@BotFather", "channels.telegram.token"] {
        assert!(reasons[0].contains(word), "{reasons:?}");
    }
    rig.fake.say(42, 42, "still there?");
    rig.fake.revoke(false);
    rig.taker.after(1).await;
    rig.up().await;
}

#[tokio::test]
async fn a_refused_token_is_tried_slowly() {
    let rig = Rig::with(
        atoll::channels::telegram::Pauses { refused: Duration::from_secs(3_600), ..pauses() },
        None,
    );
    rig.fake.revoke(true);
    rig.listen();
    until("it is told", async || !rig.taker.links().is_empty()).await;
    rig.fake.revoke(false);
    rig.fake.say(42, 42, "hello?");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.taker.links().len(), 1);
    assert!(rig.fake.calls().is_empty(), "nobody else is asked meanwhile");
    rig.stop().await;
}

#[tokio::test]
async fn somebody_else_who_listens_is_told_of() {
    let rig = Rig::listening().await;
    let why =
        "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
    rig.fake.next("getUpdates", 3, Trouble::Refuse(409, why.into()));
    until("it is told", async || !reasons(&rig).is_empty()).await;
    let told = reasons(&rig);
    assert!(told[0].contains("end the other program") && told[0].contains("terminated by other"), "{told:?}");
    rig.fake.say(42, 42, "hello");
    rig.taker.after(1).await;
    rig.up().await;
    // Between the conflicts nothing said that all is well.
    let links = rig.taker.links();
    let first = links.iter().position(|link| matches!(link, Link::Refused { .. })).unwrap();
    assert!(links[first..first + 3].iter().all(|link| matches!(link, Link::Refused { .. })), "{links:?}");
}

#[tokio::test]
async fn two_of_the_same_bot_get_a_conflict_from_the_server() {
    let (rig, other) = (Rig::listening().await, reqwest::Client::new());
    let url = format!("{}/bot{}/getUpdates", rig.fake.url(), crate::support::telegram::TOKEN);
    let asked = other.post(url).json(&serde_json::json!({"timeout": 0})).send().await.unwrap();
    assert_eq!(asked.status(), 200);
    until("it is told", async || !reasons(&rig).is_empty()).await;
    assert!(reasons(&rig)[0].contains("409"), "{:?}", reasons(&rig));
    rig.up().await;
}

#[tokio::test]
async fn a_webhook_that_somebody_sets_is_told_of_and_taken_away() {
    let rig = Rig::listening().await;
    rig.fake.set_webhook(Some(("https://elsewhere.example", "s")));
    until("it is told", async || !reasons(&rig).is_empty()).await;
    assert!(reasons(&rig)[0].contains("webhook is active"), "{:?}", reasons(&rig));
    rig.fake.say(42, 42, "hello");
    rig.taker.after(1).await;
    assert_eq!(rig.fake.webhook(), None);
}

#[tokio::test]
async fn lost_lines_are_made_anew_with_pauses_and_nothing_is_missed() {
    let rig = Rig::listening().await;
    rig.fake.next("getUpdates", 1, Trouble::HangUp);
    rig.fake.next("getMe", 3, Trouble::HangUp);
    let began = Instant::now();
    // The question that is held is answered with this; the next one breaks.
    rig.fake.say(42, 42, "one");
    until("it is told", async || !reasons(&rig).is_empty()).await;
    rig.fake.say(42, 42, "two");
    rig.taker.after(2).await;
    rig.up().await;
    let told = reasons(&rig);
    assert!(told.iter().all(|why| why.contains("connection to Telegram broke")), "{told:?}");
    // Four failures, each with a pause of at least half of 500, 1000, 2000 and 4000 ms.
    assert!(began.elapsed() >= Duration::from_millis(3_000), "no busy loop: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_is_down_or_slow_to_take_more_is_waited_for() {
    let rig = Rig::listening().await;
    rig.fake.next("getUpdates", 1, Trouble::Page(502));
    until("it is told", async || reasons(&rig).iter().any(|why| why.contains("502"))).await;
    rig.up().await;
    rig.fake.next("getUpdates", 1, Trouble::Slow(2));
    rig.fake.say(42, 42, "one");
    until("it is told", async || reasons(&rig).iter().any(|why| why.contains("429"))).await;
    let began = Instant::now();
    rig.fake.say(42, 42, "two");
    rig.taker.after(2).await;
    assert!(began.elapsed() >= Duration::from_millis(1_500), "the wait is honoured: {:?}", began.elapsed());
}

#[tokio::test]
async fn it_stops_at_once_and_leaves_what_was_not_taken() {
    let rig = Rig::listening().await;
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "one");
    until("it is offered", async || rig.taker.offered().len() == 1).await;
    let began = Instant::now();
    rig.stop().await;
    assert!(began.elapsed() < Duration::from_millis(500));
    assert_eq!(rig.fake.waiting().len(), 1);
}
