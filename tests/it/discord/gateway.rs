//! Connections that break, sessions that end, refusals.

use std::time::Duration;

use atoll::domain::chat::Link;

use super::kit::{Bot, Taker};
use crate::support::{
    discord::{FakeDiscord, Trouble},
    until,
};

fn refusals(taker: &Taker) -> Vec<String> {
    let why = |link| match link {
        Link::Refused { why } => Some(why),
        Link::Up { .. } | Link::Down { .. } => None,
    };
    taker.links().into_iter().filter_map(why).collect()
}

#[tokio::test]
async fn a_broken_connection_is_made_anew_and_nothing_is_missed() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    fake.dm("ann", "1");
    bot.hears(&["1"]).await;
    fake.drop_sockets();
    fake.dm("ann", "2");
    bot.hears(&["1", "2"]).await;
    fake.ask_reconnect();
    until("it takes the session up", async || fake.calls("gateway resume").len() == 2).await;
    fake.dm("ann", "3");
    fake.invalidate(true);
    bot.hears(&["1", "2", "3"]).await;
    until("it takes the session up again", async || fake.calls("gateway resume").len() == 3).await;
    fake.close(4_000);
    fake.dm("ann", "4");
    bot.hears(&["1", "2", "3", "4"]).await;
    assert_eq!(fake.calls("gateway identify").len(), 1, "the session lasts over all of it");
    assert!(bot.taker.links().iter().any(|link| matches!(link, Link::Down { .. })));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn heartbeats_are_sent_and_missing_answers_are_noticed() {
    let fake = FakeDiscord::with_heartbeats(Duration::from_millis(300));
    let bot = Bot::up(&fake, &Taker::willing()).await;
    fake.dm("ann", "1");
    until("heartbeats say what is stored", async || {
        fake.calls("gateway heartbeat").iter().any(|beat| beat["body"].as_u64() >= Some(3))
    })
    .await;
    fake.zombie(true);
    until("it leaves", async || !fake.calls("gateway close").is_empty()).await;
    assert_eq!(fake.calls("gateway close")[0]["body"], 4_000, "so that the session can be taken up");
    fake.zombie(false);
    fake.dm("ann", "2");
    bot.hears(&["1", "2"]).await;
    assert_eq!(fake.calls("gateway identify").len(), 1);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_session_that_is_gone_is_opened_anew_and_what_was_missed_is_fetched() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let (room, quiet) = (fake.guild_channel(), fake.guild_channel());
    fake.dm("ann", "1");
    fake.mention(room, "bob", "2");
    until("both are taken", async || bot.taker.taken().len() == 2).await;
    fake.gateway_up(false);
    fake.forget_session();
    for n in 0..150 {
        fake.dm("ann", &format!("missed {n}"));
    }
    fake.mention(room, "bob", "missed as well");
    fake.say(quiet, "eve", "nobody speaks to the bot here");
    fake.gateway_up(true);
    until("all of it is fetched", async || bot.taker.taken().len() == 153).await;
    fake.dm("ann", "live");
    until("it listens", async || bot.taker.words().contains(&"live".to_owned())).await;
    let words = bot.taker.words();
    let missed: Vec<&String> =
        words.iter().filter(|word| word.starts_with("missed ") && !word.ends_with("well")).collect();
    assert_eq!(missed.len(), 150);
    assert!(missed.windows(2).all(|pair| {
        let number = |word: &String| word.trim_start_matches("missed ").parse::<u32>().unwrap();
        number(pair[0]) < number(pair[1])
    }));
    let group =
        bot.taker.taken().into_iter().find(|incoming| super::kit::words(incoming) == "missed as well");
    assert!(group.unwrap().group, "what is fetched does not say its guild");
    assert!(!words.contains(&"nobody speaks to the bot here".to_owned()));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn what_was_missed_is_fetched_however_long_discord_is_in_trouble() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    let bot = Bot::up(&fake, &taker).await;
    let (troubled, room, gone) = (fake.dm_channel("ann"), fake.guild_channel(), fake.guild_channel());
    fake.dm("ann", "1");
    fake.mention(room, "bob", "2");
    fake.mention(gone, "bob", "3");
    until("all are taken", async || bot.taker.taken().len() == 3).await;
    fake.gateway_up(false);
    fake.forget_session();
    fake.dm("ann", "missed");
    fake.mention(room, "bob", "missed elsewhere");
    fake.mention(gone, "bob", "missed for good");
    fake.spoil(gone, Some(50_001));
    let path = format!("/channels/{troubled}/messages");
    fake.trouble("GET", &path, Trouble::TooMany(0.01, false), 60);
    fake.trouble("GET", &path, Trouble::Status(503), 2);
    let forever = 1_000_000;
    fake.trouble("GET", &path, Trouble::TooMany(0.5, false), forever);
    fake.gateway_up(true);
    let words = |bot: &Bot| bot.taker.words();
    until("the other is fetched", async || words(&bot).contains(&"missed elsewhere".to_owned())).await;
    // What comes later waits behind it, and a position that was stored does not say that all is there.
    fake.dm("ann", "live");
    fake.mention(room, "bob", "live elsewhere");
    until("a channel without trouble goes on", async || words(&bot).len() == 5).await;
    let asked = || fake.calls(&format!("GET {path}")).len();
    until("it is asked for again and again", async || asked() > 62).await;
    assert!(!words(&bot).iter().any(|words| words == "live" || words == "missed"));
    // Nor does a life after it.
    bot.kill().await;
    let bot = Bot::start(&fake, &taker);
    let before = asked();
    until("it is asked for by the next life", async || asked() > before).await;
    fake.end_troubles();
    until("all of it is there", async || words(&bot).contains(&"live".to_owned())).await;
    let said = words(&bot);
    assert_eq!(said[3..], ["missed elsewhere", "live elsewhere", "missed", "live"]);
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_said_once_with_what_to_do() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    fake.revoke_token();
    until("it is said", async || !refusals(&bot.taker).is_empty()).await;
    let why = refusals(&bot.taker).remove(0);
    assert!(why.contains("developer portal") && why.contains("channels.discord.token"), "{why}");
    let calls = fake.log().len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(fake.log().len(), calls, "it asks again and again");
    assert_eq!(refusals(&bot.taker).len(), 1);
    bot.stop().await;
    let dead = Bot::start(&fake, &Taker::willing());
    until("it is said at the start", async || !refusals(&dead.taker).is_empty()).await;
    dead.stop().await;
}

#[tokio::test]
async fn a_bot_that_may_not_read_says_which_switch_to_flip() {
    let fake = FakeDiscord::start();
    fake.message_content(false);
    let bot = Bot::start(&fake, &Taker::willing());
    until("it is said", async || !refusals(&bot.taker).is_empty()).await;
    assert!(refusals(&bot.taker)[0].contains("Message Content Intent"));
    bot.stop().await;
}

#[tokio::test]
async fn no_network_is_no_busy_loop() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    fake.gateway_up(false);
    let downs = || bot.taker.links().iter().filter(|link| matches!(link, Link::Down { .. })).count();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let tried = downs();
    assert!((1..=4).contains(&tried), "{tried} times in two and a half seconds");
    fake.dm("ann", "while it was away");
    fake.gateway_up(true);
    bot.hears(&["while it was away"]).await;
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn commands_are_registered_with_what_may_be_typed() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    until("they are registered", async || fake.commands().is_array()).await;
    let names: Vec<String> =
        fake.commands().as_array().unwrap().iter().map(|c| c["name"].to_string()).collect();
    assert!(names.contains(&"\"task\"".to_owned()) && names.len() >= 17, "{names:?}");
    let place = |c: &serde_json::Value| (c["integration_types"].to_string(), c["contexts"].to_string());
    let places: Vec<_> = fake.commands().as_array().unwrap().iter().map(place).collect();
    assert!(places.iter().all(|place| *place == ("[0]".into(), "[0,1]".into())), "{places:?}");
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_gateway_that_is_set_is_used() {
    let fake = FakeDiscord::start();
    let bot = Bot::at_gateway(&fake, &Taker::willing(), Some(fake.gateway_url()));
    fake.dm("ann", "before it listened");
    until("it listens", async || fake.is_listened_to()).await;
    fake.dm("ann", "1");
    bot.hears(&["1"]).await;
    assert_eq!(fake.calls("GET /gateway/bot").len(), 0);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn no_session_is_opened_when_there_were_too_many_today() {
    let fake = FakeDiscord::start();
    fake.sessions_left(0);
    let bot = Bot::start(&fake, &Taker::willing());
    let told = |link: &Link| matches!(link, Link::Down { why } if why.contains("too many sessions"));
    until("it is said", async || bot.taker.links().iter().any(told)).await;
    assert_eq!(fake.calls("gateway").len(), 0, "Discord resets the token of whoever goes on");
    fake.sessions_left(5);
    until("it listens after the wait that Discord wants", async || fake.is_listened_to()).await;
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}
