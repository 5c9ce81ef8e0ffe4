//! What people write, and what is told of it.

use std::{sync::Arc, time::Duration};

use atoll::{
    domain::chat::{Event, Failure, Link, Media, Receipt},
    ports::platform::{NotNow, Platform},
};
use futures_util::TryStreamExt;

use super::kit::{Bot, Taker, post, words};
use crate::support::{discord::FakeDiscord, until};

#[tokio::test]
async fn messages_come_in_with_who_where_and_for_whom() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    fake.dm("ann", "hello");
    bot.hears(&["hello"]).await;
    fake.say(room, "bob", "lunch?");
    fake.mention(room, "bob", "what is up");
    fake.mention_role(room, "bob", "and you");
    bot.hears(&["hello", "lunch?", "what is up", "and you"]).await;
    let taken = bot.taker.taken();
    let addressed = |at: usize| matches!(taken[at].event, Event::Message { addressed: true, .. });
    assert_eq!([0, 1, 2, 3].map(addressed), [true, false, true, true]);
    assert_eq!([0, 1].map(|at: usize| taken[at].group), [false, true]);
    assert_eq!(taken[0].sender.id, fake.user("ann").to_string());
    assert_eq!(taken[0].place.name(), fake.dm_channel("ann").to_string());
    assert!(taken[0].at > 1_700_000_000_000);
    assert!(matches!(&bot.taker.links()[0], Link::Up { account } if account == "atoll"));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_reply_to_the_bot_and_a_word_in_its_thread_are_for_it() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let first: u64 = bot.discord.post(post(room, "k1", "one")).await.unwrap().parse().unwrap();
    let last: u64 = bot.discord.post(post(room, "k2", "two")).await.unwrap().parse().unwrap();
    // What the bot says itself is told by Discord too, and is not taken.
    fake.reply(room, "ann", first, "to the first");
    fake.reply(room, "ann", last, "to the last");
    let place = bot.discord.thread(&super::kit::at(room), &last.to_string(), "A long task").await.unwrap();
    assert_eq!(place.chat, last.to_string(), "a thread has the id of its message");
    fake.say(last, "bob", "in the thread");
    until("all of it is taken", async || bot.taker.taken().len() == 3).await;
    let mut taken = bot.taker.taken();
    // The thread is a channel of its own, and waits for no other.
    taken.sort_by_key(|incoming| incoming.id.clone());
    let quotes: Vec<_> = taken
        .iter()
        .map(|incoming| match &incoming.event {
            Event::Message { addressed: true, quote, .. } => quote.as_ref().map(|quote| quote.text.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(quotes, [Some("one".to_owned()), None, None]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn files_are_fetched_from_where_discord_keeps_them() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let bytes = vec![7u8; 300_000];
    fake.send_file(channel, "ann", "", ("v.ogg", "audio/ogg", &bytes), true);
    until("the file is told of", async || bot.taker.taken().len() == 1).await;
    let Event::Message { files, .. } = bot.taker.taken()[0].event.clone() else { panic!("no message") };
    assert_eq!((files[0].media, files[0].size), (Media::Voice, Some(300_000)));
    let fetched: Vec<_> = bot.discord.fetch(&files[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(fetched.concat(), bytes);
    let mut elsewhere = files[0].clone();
    elsewhere.reference = "http://127.0.0.1:1/x".into();
    assert!(matches!(bot.discord.fetch(&elsewhere).await, Err(Failure::Refused(_))));
    let mut gone = files[0].clone();
    gone.reference = gone.reference.split('?').next().unwrap().to_owned();
    assert!(matches!(bot.discord.fetch(&gone).await, Err(Failure::Refused(_))));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_correction_comes_after_its_message() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let message = fake.dm("ann", "helo");
    fake.edit(fake.dm_channel("ann"), message, "hello");
    bot.hears(&["helo", "(now) hello"]).await;
    bot.stop().await;
}

#[tokio::test]
async fn order_is_kept_in_a_channel_and_channels_do_not_wait_for_each_other() {
    let fake = FakeDiscord::start();
    let taker = Taker::with(|incoming| {
        let slow = words(incoming).starts_with("slow");
        (if slow { Duration::from_millis(400) } else { Duration::ZERO }, Ok(Receipt::Taken))
    });
    let bot = Bot::up(&fake, &taker).await;
    fake.dm("ann", "slow 1");
    fake.dm("ann", "2");
    for n in 0..20 {
        fake.dm(&format!("user{n}"), "quick");
    }
    until("all is taken", async || taker.taken().len() == 22).await;
    let words = taker.words();
    assert_eq!(words[20..], ["slow 1", "2"]);
    bot.stop().await;
}

#[tokio::test]
async fn what_ends_work_does_not_wait_for_a_channel_that_is_slow() {
    let fake = FakeDiscord::start();
    let taker = Taker::with(|incoming| {
        let slow = words(incoming).starts_with("slow");
        (if slow { Duration::from_secs(4) } else { Duration::ZERO }, Ok(Receipt::Taken))
    });
    let bot = Bot::up(&fake, &taker).await;
    for text in ["slow", "2", "/cancel", "/approve q1"] {
        fake.dm("ann", text);
    }
    bot.hears(&["/approve q1", "/cancel", "slow", "2"]).await;
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_offered_again_and_the_position_waits() {
    let fake = FakeDiscord::start();
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    let taker = Taker::with(move |incoming| {
        let refused = words(incoming) == "first" && is_full.load(std::sync::atomic::Ordering::SeqCst);
        (Duration::ZERO, if refused { Err(NotNow("the disk is full".into())) } else { Ok(Receipt::Taken) })
    });
    let bot = Bot::up(&fake, &taker).await;
    until("a position is stored", async || taker.position().is_some()).await;
    fake.dm("ann", "first");
    fake.dm("bob", "second");
    until("the second is taken", async || taker.words() == ["second"]).await;
    // Something later that is settled at once; the position stays before the first.
    fake.dm("bob", "third");
    until("the third is taken", async || taker.words() == ["second", "third"]).await;
    let sequence = |position: String| {
        let position: serde_json::Value = serde_json::from_str(&position).unwrap();
        position["session"]["seq"].as_u64().unwrap()
    };
    assert!(sequence(taker.position().unwrap()) <= 2, "it passed what is not stored");
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    until("the first is taken", async || taker.words().contains(&"first".to_owned())).await;
    until("the position follows", async || sequence(taker.position().unwrap()) >= 5).await;
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn more_than_can_be_taken_waits_at_discord_and_all_of_it_comes() {
    let fake = FakeDiscord::with_heartbeats(Duration::from_millis(300));
    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_full = Arc::clone(&full);
    let taker = Taker::with(move |_| {
        let refused = is_full.load(std::sync::atomic::Ordering::SeqCst);
        (Duration::ZERO, if refused { Err(NotNow("the disk is full".into())) } else { Ok(Receipt::Taken) })
    });
    let bot = Bot::up(&fake, &taker).await;
    for n in 0..1_500 {
        fake.dm(&format!("user{}", n % 50), &format!("{n}"));
    }
    let beats = fake.calls("gateway heartbeat").len();
    until("heartbeats go on while nothing is read", async || {
        fake.calls("gateway heartbeat").len() > beats + 5
    })
    .await;
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    until("all is taken", async || taker.taken().len() == 1_500).await;
    let mut last = std::collections::HashMap::new();
    for incoming in taker.taken() {
        let n: u32 = words(&incoming).parse().unwrap();
        assert!(last.insert(incoming.place.chat, n).is_none_or(|before| before < n), "{n} came too early");
    }
    assert_eq!(fake.calls("gateway connect").len(), 1, "the connection was given up");
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}
