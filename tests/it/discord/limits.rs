//! Discord's limits: what is short is waited for, what is long is said.

use std::time::{Duration, Instant};

use atoll::{domain::chat::Failure, ports::platform::Platform};

use super::kit::{Bot, Taker, post};
use crate::support::discord::{FakeDiscord, Trouble};

#[tokio::test]
async fn a_bucket_that_is_used_up_is_not_asked_again() {
    let fake = FakeDiscord::start();
    fake.limit(3, Duration::from_secs(30));
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let (channel, other) = (fake.dm_channel("ann"), fake.dm_channel("bob"));
    for n in 0..3 {
        bot.discord.post(post(channel, &format!("k{n}"), "x")).await.unwrap();
    }
    let slow = bot.discord.post(post(channel, "k3", "x")).await;
    let Err(Failure::Slow { after_ms, chat_only: true }) = slow else { panic!("{slow:?}") };
    assert!((20_000..=30_000).contains(&after_ms), "{after_ms}");
    assert_eq!(fake.calls("POST /channels").len(), 3, "Discord was asked");
    bot.discord.post(post(other, "k4", "x")).await.unwrap();
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn short_waits_are_waited_for() {
    let fake = FakeDiscord::start();
    fake.limit(2, Duration::from_millis(400));
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let (channel, began) = (fake.dm_channel("ann"), Instant::now());
    for n in 0..6 {
        bot.discord.post(post(channel, &format!("k{n}"), "x")).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    fake.trouble("POST", "/messages", Trouble::TooMany(0.2, false), 1);
    fake.limit(100, Duration::from_secs(1));
    bot.discord.post(post(fake.dm_channel("bob"), "k9", "x")).await.unwrap();
    bot.stop().await;
}

#[tokio::test]
async fn too_much_is_said_with_the_wait_that_discord_wants() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let (channel, other) = (fake.dm_channel("ann"), fake.dm_channel("bob"));
    fake.trouble("POST", "/messages", Trouble::TooMany(7.25, false), 1);
    let slow = bot.discord.post(post(channel, "k1", "x")).await;
    assert_eq!(slow, Err(Failure::Slow { after_ms: 7_250, chat_only: true }));
    fake.trouble("POST", "/messages", Trouble::TooMany(9.5, true), 1);
    let slow = bot.discord.post(post(other, "k2", "x")).await;
    assert_eq!(slow, Err(Failure::Slow { after_ms: 9_500, chat_only: false }));
    let all = bot.discord.typing(&super::kit::at(other)).await;
    assert!(matches!(all, Err(Failure::Slow { chat_only: false, .. })), "{all:?}");
    // Interactions are not counted.
    let interaction = fake.slash(other, "bob", "help", &[]);
    crate::support::until("it is answered", async || fake.answered(interaction).is_some()).await;
    bot.stop().await;
}
