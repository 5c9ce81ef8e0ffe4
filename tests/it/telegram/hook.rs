//! Updates that Telegram brings itself.

use std::{sync::Arc, time::Duration};

use atoll::{
    channels::telegram::{HookRefused, Webhook},
    domain::{
        chat::{Event, Link, Receipt},
        secret::Secret,
    },
    ports::platform::NotNow,
};

use super::kit::{Rig, pauses, text_of};
use crate::support::{telegram::Trouble, until};

const URL: &str = "https://atoll.example/telegram";
const SECRET: &str = "s3cret_of-the-hook";

fn rig() -> Rig {
    Rig::with(pauses(), Some(Webhook { url: URL.into(), secret: Secret::new(SECRET) }))
}

async fn listening() -> Rig {
    let rig = rig();
    rig.listen();
    rig.up().await;
    rig
}

/// Brings the first update that waits, as Telegram does: it waits on when it is refused.
async fn bring(rig: &Rig, secret: &str) -> Result<(), HookRefused> {
    let update = rig.fake.to_bring().unwrap().to_string();
    rig.telegram.hook(secret, update.as_bytes()).await?;
    rig.fake.brought();
    Ok(())
}

#[tokio::test]
async fn updates_are_brought_and_answered_when_they_were_taken() {
    let rig = listening().await;
    rig.taker.notes(false);
    assert_eq!(rig.fake.webhook(), Some((URL.to_owned(), SECRET.to_owned())));
    let set = rig.fake.calls_of("setWebhook").remove(0).fields;
    assert_eq!(set["allowed_updates"].as_array().unwrap().len(), 4);
    assert!(rig.fake.calls_of("getUpdates").is_empty());
    rig.fake.say(42, 42, "hello");
    rig.taker.sticks(42, true);
    let update = rig.fake.to_bring().unwrap().to_string();
    let brought = tokio::spawn(rig.telegram.hook(SECRET, update.as_bytes()));
    let again = tokio::spawn(rig.telegram.hook(SECRET, update.as_bytes()));
    until("it is offered", async || rig.taker.offered().len() == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!brought.is_finished(), "it is answered when it is taken");
    rig.taker.sticks(42, false);
    assert_eq!((brought.await.unwrap(), again.await.unwrap()), (Ok(()), Ok(())));
    assert_eq!((rig.taker.offered().len(), text_of(&rig.taker.taken()[0])), (1, "hello"));
    // Its answer was lost on the way: it is brought again, and known.
    assert_eq!(rig.telegram.hook(SECRET, update.as_bytes()).await, Ok(()));
    assert_eq!(rig.taker.taken().len(), 1);
}

#[tokio::test]
async fn without_the_secret_nothing_is_taken() {
    let rig = listening().await;
    rig.fake.say(42, 42, "hello");
    for bad in ["", "s3cret_of-the-hoo", "s3cret_of-the-hook ", "S3CRET_OF-THE-HOOK"] {
        assert_eq!(bring(&rig, bad).await, Err(HookRefused::Forbidden), "{bad}");
    }
    assert!(rig.taker.offered().is_empty());
    let polls = Rig::listening().await;
    assert_eq!(polls.telegram.hook("", b"{}").await, Err(HookRefused::Forbidden), "it is off there");
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_to_be_brought_again() {
    let rig = rig();
    rig.fake.say(42, 42, "one");
    assert_eq!(bring(&rig, SECRET).await, Err(HookRefused::NotNow), "nobody listens yet");
    rig.listen();
    rig.up().await;
    rig.taker.does(|_| Err(NotNow("the store is busy".into())));
    assert_eq!(bring(&rig, SECRET).await, Err(HookRefused::NotNow));
    rig.taker.does(|_| Ok(Receipt::Taken));
    assert_eq!(bring(&rig, SECRET).await, Ok(()));
    assert_eq!(rig.taker.taken_in(42), ["42:1"]);
}

#[tokio::test]
async fn what_is_no_update_is_not_to_come_again() {
    let rig = listening().await;
    for odd in [&b""[..], b"{", b"[]", b"{\"update_id\": \"x\"}", b"{\"update_id\": 1, \"poll\": {}}"] {
        assert_eq!(rig.telegram.hook(SECRET, odd).await, Ok(()));
    }
    assert!(rig.taker.offered().is_empty());
}

#[tokio::test]
async fn pieces_of_an_album_are_joined_though_each_is_brought_when_the_last_was_answered() {
    let rig = listening().await;
    rig.fake.album(42, 42, &[b"a", b"b", b"c"], "our trip");
    for _ in 0..3 {
        assert_eq!(bring(&rig, SECRET).await, Ok(()));
    }
    rig.taker.after(1).await;
    until("the notes are empty", async || rig.taker.noted() == 0).await;
    assert_eq!(rig.taker.offered(), ["42:1"]);
    let Event::Message { files, .. } = &rig.taker.taken()[0].event else { panic!() };
    assert_eq!(files.len(), 3);
}

#[tokio::test]
async fn what_takes_long_is_noted_so_that_the_next_of_its_chat_is_brought_also_after_a_fall() {
    let rig = listening().await;
    rig.taker.sticks(42, true);
    for words in ["slow", "behind it", "/approve q1"] {
        rig.fake.say(42, 42, words);
    }
    let updates: Vec<String> = std::iter::from_fn(|| {
        let update = rig.fake.to_bring().map(|update| update.to_string());
        rig.fake.brought();
        update
    })
    .take(3)
    .collect();
    for update in &updates {
        assert_eq!(rig.telegram.hook(SECRET, update.as_bytes()).await, Ok(()));
    }
    until("an answer to a question passes by", async || rig.taker.offered() == ["42:1", "42:3"]).await;
    assert_eq!(rig.taker.noted(), 3);
    // Brought again while it is open: it is known.
    assert_eq!(rig.telegram.hook(SECRET, updates[0].as_bytes()).await, Ok(()));
    rig.stop().await;
    rig.taker.sticks(42, false);
    rig.listen();
    until("all is taken, in its order", async || rig.taker.taken_in(42) == ["42:1", "42:3", "42:2"]).await;
    until("the notes are empty", async || rig.taker.noted() == 0).await;
}

#[tokio::test]
async fn what_is_noted_and_cannot_be_taken_now_is_offered_until_it_is() {
    let rig = listening().await;
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "one");
    rig.taker.does(|_| Err(NotNow("the store is busy".into())));
    assert_eq!(bring(&rig, SECRET).await, Ok(()));
    rig.taker.sticks(42, false);
    until("it is offered again", async || rig.taker.offered().len() >= 3).await;
    rig.taker.does(|_| Ok(Receipt::Taken));
    assert_eq!(rig.taker.after(1).await[0].id, "42:1");
}

#[tokio::test]
async fn a_webhook_that_is_taken_away_is_set_again_and_told_of() {
    let rig = listening().await;
    rig.fake.set_webhook(Some(("https://elsewhere.example", "x")));
    until("it is set again", async || rig.fake.webhook().is_some_and(|(url, _)| url == URL)).await;
    let told = |link: &Link| matches!(link, Link::Refused { why } if why.contains("the webhook was changed"));
    assert!(rig.taker.links().iter().any(told), "{:?}", rig.taker.links());
    rig.up().await;
}

#[tokio::test]
async fn a_webhook_that_telegram_does_not_take_is_told_of() {
    let rig = Arc::new(rig());
    let why = "Bad Request: bad webhook: Failed to resolve host";
    rig.fake.next("setWebhook", 1, Trouble::Refuse(400, why.into()));
    rig.listen();
    rig.up().await;
    let links = rig.taker.links();
    let Link::Refused { why } = &links[0] else { panic!("{links:?}") };
    assert!(why.contains("Failed to resolve host") && why.contains("channels.telegram.webhook"), "{why}");
}

#[tokio::test]
async fn until_what_an_earlier_run_noted_is_here_again_nothing_is_noted_over_it() {
    let rig = listening().await;
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "slow");
    assert_eq!(bring(&rig, SECRET).await, Ok(()));
    rig.stop().await;
    // The bot is known again before its webhook is set, which fails for a while.
    let why = "Bad Request: bad webhook: Failed to resolve host";
    rig.fake.next("setWebhook", 4, Trouble::Refuse(400, why.into()));
    let heard = rig.taker.links().len();
    rig.listen();
    until("it is refused", async || rig.taker.links().len() > heard).await;
    rig.fake.say(43, 43, "another");
    rig.taker.sticks(43, true);
    let early = rig.fake.to_bring().unwrap().to_string();
    let brought =
        tokio::time::timeout(Duration::from_millis(400), rig.telegram.hook(SECRET, early.as_bytes()));
    assert!(!matches!(brought.await, Ok(Ok(()))), "it is answered as if it were noted");
    assert_eq!(rig.taker.noted(), 1, "what was noted is noted still");
    rig.taker.sticks(42, false);
    rig.taker.sticks(43, false);
    until("it is brought again, and taken", async || bring(&rig, SECRET).await.is_ok()).await;
    until("both are taken", async || rig.taker.taken().len() == 2 && rig.taker.noted() == 0).await;
}

#[tokio::test]
async fn when_listening_has_ended_nothing_more_is_answered_as_taken() {
    let rig = listening().await;
    rig.taker.sticks(42, true);
    rig.taker.notes(false);
    rig.fake.say(42, 42, "slow");
    let update = rig.fake.to_bring().unwrap().to_string();
    let brought = tokio::spawn(rig.telegram.hook(SECRET, update.as_bytes()));
    until("it is offered", async || rig.taker.offered().len() == 1).await;
    rig.stop().await;
    rig.taker.notes(true);
    assert_eq!(brought.await.unwrap(), Err(HookRefused::NotNow));
    assert_eq!((rig.taker.noted(), bring(&rig, SECRET).await), (0, Err(HookRefused::NotNow)));
}
