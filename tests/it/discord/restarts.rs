//! The adapter is killed and started again: nothing that was not stored is lost, nothing is answered twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use atoll::{
    domain::chat::Receipt,
    ports::platform::{NotNow, Platform},
};

use super::kit::{Bot, Taker, answer, post, words};
use crate::support::{
    discord::{FakeDiscord, Trouble},
    until,
};

#[tokio::test]
async fn after_a_kill_the_session_goes_on_and_what_was_not_stored_comes_again() {
    let fake = FakeDiscord::with_heartbeats(Duration::from_millis(200));
    let stuck = Arc::new(AtomicBool::new(true));
    let is_stuck = Arc::clone(&stuck);
    let taker = Taker::with(move |incoming| {
        let refused = words(incoming) == "not stored" && is_stuck.load(Ordering::SeqCst);
        (Duration::ZERO, if refused { Err(NotNow("no".into())) } else { Ok(Receipt::Taken) })
    });
    let bot = Bot::up(&fake, &taker).await;
    fake.dm("ann", "stored");
    bot.hears(&["stored"]).await;
    fake.dm("ann", "not stored");
    fake.dm("bob", "later");
    until("the later one is taken", async || taker.words().len() == 2).await;
    let beats = fake.calls("gateway heartbeat").len();
    until("heartbeats go on", async || fake.calls("gateway heartbeat").len() > beats + 2).await;
    bot.kill().await;
    fake.dm("ann", "while it was dead");
    stuck.store(false, Ordering::SeqCst);
    let bot = Bot::start(&fake, &taker);
    until("all is taken", async || taker.words().len() == 4).await;
    let words = taker.words();
    assert_eq!(words[..2], ["stored", "later"]);
    assert_eq!(words[2..], ["not stored", "while it was dead"]);
    assert_eq!(fake.calls("gateway identify").len(), 1, "the session went on");
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_stop_leaves_the_session_to_be_taken_up() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    let bot = Bot::up(&fake, &taker).await;
    fake.dm("ann", "1");
    bot.hears(&["1"]).await;
    bot.stop().await;
    fake.dm("ann", "2");
    let bot = Bot::start(&fake, &taker);
    bot.hears(&["1", "2"]).await;
    assert_eq!((fake.calls("gateway identify").len(), fake.calls("gateway resume").len()), (1, 1));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn when_the_session_is_gone_after_a_restart_what_was_missed_is_fetched() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    let bot = Bot::up(&fake, &taker).await;
    fake.dm("ann", "1");
    bot.hears(&["1"]).await;
    until("its channel is in the position", async || {
        taker.position().unwrap_or_default().contains(&fake.dm_channel("ann").to_string())
    })
    .await;
    bot.kill().await;
    fake.dm("ann", "2");
    fake.forget_session();
    fake.dm("ann", "3");
    let bot = Bot::start(&fake, &taker);
    bot.hears(&["1", "2", "3"]).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_position_that_cannot_be_stored_holds_nothing_up() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    taker.keep_positions(false);
    let bot = Bot::up(&fake, &taker).await;
    fake.dm("ann", "1");
    bot.hears(&["1"]).await;
    taker.keep_positions(true);
    until("it is stored when it can be", async || taker.position().is_some()).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_posted_again_and_stands_there_once() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    fake.trouble("POST", "/messages", Trouble::LoseAnswer, 1);
    let lost = bot.discord.post(post(channel, "key-1", "once")).await;
    assert!(matches!(lost, Err(atoll::domain::chat::Failure::Unknown(_))), "{lost:?}");
    bot.kill().await;
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let id = bot.discord.post(post(channel, "key-1", "once")).await.unwrap();
    let shown = fake.messages(channel);
    assert_eq!((shown.len(), shown[0].id.to_string()), (1, id));
    bot.stop().await;
}

#[tokio::test]
async fn an_answer_to_a_command_that_was_cut_off_is_given_again_in_the_same_place() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    let bot = Bot::up(&fake, &taker).await;
    let channel = fake.dm_channel("ann");
    let interaction = fake.slash(channel, "ann", "cost", &[]);
    until("an answer is promised", async || fake.answered(interaction) == Some(5)).await;
    fake.trouble("PATCH", "@original", Trouble::LoseAnswer, 1);
    let lost = bot.discord.post(answer(channel, "key-1", "3 euro", interaction)).await;
    assert!(lost.is_err(), "{lost:?}");
    bot.kill().await;
    // Posting begins before listening does: it waits for what is owed.
    let mut bot = Bot::deaf(&fake, &taker);
    let again = tokio::spawn(bot.discord.post(answer(channel, "key-1", "3 euro", interaction)));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    bot.listen();
    again.await.unwrap().unwrap();
    assert_eq!(fake.bot_says(channel), ["3 euro"], "it stands there twice");
    bot.discord.post(post(channel, "key-2", "more")).await.unwrap();
    assert_eq!(fake.bot_says(channel), ["3 euro", "more"]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}
