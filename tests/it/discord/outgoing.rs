//! Messages going out, and what Discord says to them.

use atoll::{
    domain::chat::{Card, Content, Failure, Post, Tone},
    ports::{channel::Resend, platform::Platform},
};

use super::kit::{Bot, Taker, answer, at, button, post};
use crate::support::discord::{FakeDiscord, Right, TOKEN, Trouble};

#[tokio::test]
async fn a_message_is_posted_changed_and_removed() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let asked = fake.dm("ann", "how is it going?");
    let channel = fake.dm_channel("ann");
    let mut card = post(channel, "k1", "**Job 7** is done");
    card.reply_to = Some(asked.to_string());
    card.silent = true;
    card.content.buttons = vec![vec![button("Look", "d:y:7"); 1]];
    card.content.card = Some(Card {
        title: "Job 7".into(),
        fields: vec![("state".into(), "done".into()), (String::new(), "x".repeat(2_000))],
        tone: Tone::Good,
    });
    bot.discord.typing(&at(channel)).await.unwrap();
    let id = bot.discord.post(card).await.unwrap();
    let shown = fake.messages(channel).pop().unwrap();
    assert_eq!((shown.content.as_str(), shown.reply_to), ("**Job 7** is done", Some(asked)));
    assert_eq!(shown.embeds[0]["fields"][0]["value"], "done");
    assert_eq!(shown.buttons, [[("Look".to_owned(), "d:y:7".to_owned())]]);
    let content = Content { markup: "seen".into(), ..Content::default() };
    bot.discord.edit(&at(channel), &id, content).await.unwrap();
    let shown = fake.messages(channel).pop().unwrap();
    assert_eq!((shown.content.as_str(), shown.edited, shown.buttons.len()), ("seen", true, 0));
    assert_eq!(shown.embeds, serde_json::json!([]));
    bot.discord.remove(&at(channel), &id).await.unwrap();
    assert_eq!(fake.messages(channel).len(), 1);
    let gone =
        bot.discord.edit(&at(channel), &id, Content { markup: "x".into(), ..Content::default() }).await;
    assert!(matches!(gone, Err(Failure::NoMessage(_))), "{gone:?}");
    assert!(matches!(bot.discord.remove(&at(channel), &id).await, Err(Failure::NoMessage(_))));
    assert_eq!(bot.discord.abilities().resend, Resend::Safe);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn other_words_under_a_key_that_is_known_take_the_place_of_those_that_stand_there() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let first = bot.discord.post(post(room, "k1", "half of it \n")).await.unwrap();
    assert_eq!(bot.discord.post(post(room, "k1", "half of it")).await.as_ref(), Ok(&first));
    assert_eq!(fake.calls("PATCH"), [] as [serde_json::Value; 0], "it says that already");
    fake.trouble("PATCH", "/messages", Trouble::LoseAnswer, 1);
    let lost = bot.discord.post(post(room, "k1", "all of it")).await;
    assert!(matches!(lost, Err(Failure::Unknown(_))), "{lost:?}");
    assert_eq!(bot.discord.post(post(room, "k1", "all of it")).await.as_ref(), Ok(&first));
    assert_eq!(fake.bot_says(room), ["all of it"]);
    // A draft that comes late is not put over what is there.
    let draft = Post { draft: true, ..post(room, "k1", "half of") };
    assert_eq!(bot.discord.post(draft).await, Ok(first));
    assert_eq!(fake.bot_says(room), ["all of it"]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_a_reply_is_posted_by_itself() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let asked = fake.mention(room, "ann", "how is it going?");
    let reply = |key: &str, text: &str| {
        let mut reply = post(room, key, text);
        reply.reply_to = Some(asked.to_string());
        reply
    };
    bot.discord.post(reply("k1", "a reply")).await.unwrap();
    // What it answers is gone, and Discord says so, though it is asked not to.
    fake.trouble("POST", "/messages", Trouble::RefuseField("message_reference", "Unknown message"), 1);
    bot.discord.post(reply("k2", "no reply")).await.unwrap();
    fake.forbid(room, Right::ReadHistory);
    bot.discord.post(reply("k3", "well")).await.unwrap();
    let said = fake.messages(room).into_iter().filter(|shown| shown.own);
    let said: Vec<_> = said.map(|shown| (shown.content, shown.reply_to)).collect();
    let wanted = [("a reply", Some(asked)), ("no reply", None), ("well", None)];
    assert_eq!(said, wanted.map(|(words, to)| (words.to_owned(), to)));
    assert_eq!(fake.calls("POST /channels").len(), 5, "once more, and no more");
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_file_goes_out_whole_and_a_large_one_does_not() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let bytes: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut message = post(channel, "k1", "");
    message.content.file = Some(bot.file("ä b.png", "image/png", bytes.clone()).await);
    let first = bot.discord.post(message.clone()).await.unwrap();
    assert_eq!(bot.discord.post(message.clone()).await.unwrap(), first, "the same key is the same message");
    let shown = fake.messages(channel);
    assert_eq!((shown.len(), shown[0].files[0].0.as_str()), (1, "ä b.png"));
    assert_eq!(shown[0].files[0].1, bytes);
    let closed = fake.guild_channel();
    fake.forbid(closed, Right::AttachFiles);
    message.place = at(closed);
    let refused = bot.discord.post(message.clone()).await;
    assert!(matches!(&refused, Err(Failure::NoFiles(why)) if why.contains("Attach Files")), "{refused:?}");
    message.place = at(channel);
    let large = bot.file("large", "x/y", vec![0; 10 * 1024 * 1024 + 1]).await;
    message.content.file = Some(large);
    assert!(matches!(bot.discord.post(message).await, Err(Failure::TooLarge(_))));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn the_answer_to_a_command_can_be_a_file() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let interaction = fake.slash(channel, "ann", "status", &[]);
    bot.hears(&["/status"]).await;
    let mut message = answer(channel, "k1", "the log", interaction);
    message.content.file = Some(bot.file("log.txt", "text/plain", b"all is well".to_vec()).await);
    bot.discord.post(message).await.unwrap();
    let shown = fake.messages(channel);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].files, [("log.txt".to_owned(), b"all is well".to_vec())]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn threads_are_opened_where_there_are_any() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let message = fake.mention(room, "ann", "do this");
    let title = "Mend the test ".repeat(20);
    let place = bot.discord.thread(&at(room), &message.to_string(), &title).await.unwrap();
    assert_eq!(place, at(message));
    assert_eq!(bot.discord.thread(&at(room), &message.to_string(), "again").await, Ok(place.clone()));
    let inner: u64 = bot.discord.post(post(message, "k1", "I begin")).await.unwrap().parse().unwrap();
    assert_eq!(bot.discord.thread(&place, &inner.to_string(), "x").await, Ok(place));
    let alone = fake.dm("ann", "and this");
    let here = at(fake.dm_channel("ann"));
    assert_eq!(bot.discord.thread(&here, &alone.to_string(), "x").await, Ok(here));
    fake.spoil(room, Some(50_013));
    let denied = bot.discord.thread(&at(room), &message.to_string(), "x").await;
    assert!(matches!(denied, Err(Failure::Refused(why)) if why.contains("Create Public Threads")));
    bot.stop().await;
}

#[tokio::test]
async fn errors_are_what_they_mean() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let say = |text: &str| bot.discord.post(post(channel, "k1", text));
    for code in [50_007, 50_001, 10_003, 50_013] {
        fake.spoil(channel, Some(code));
        assert!(matches!(say("x").await, Err(Failure::NoChat(_))), "{code}");
    }
    fake.spoil(channel, None);
    let long = say(&"x".repeat(2_001)).await;
    assert!(matches!(&long, Err(Failure::Markup(why)) if why.contains("content: Must be 2000")), "{long:?}");
    assert!(matches!(say("").await, Err(Failure::Refused(_))));
    fake.trouble("POST", "/messages", Trouble::Status(503), 1);
    assert!(matches!(say("x").await, Err(Failure::Later(_))));
    fake.trouble("POST", "/messages", Trouble::HangUp, 1);
    assert!(matches!(say("x").await, Err(Failure::Unknown(_))));
    fake.trouble("PATCH", "/messages", Trouble::HangUp, 1);
    let content = Content { markup: "y".into(), ..Content::default() };
    assert!(matches!(bot.discord.edit(&at(channel), "5", content).await, Err(Failure::Later(_))));
    let nowhere = bot.discord.post(post(0, "k1", "x")).await;
    assert!(matches!(nowhere, Err(Failure::NoChat(_))));
    fake.revoke_token();
    let refused = say("x").await;
    assert!(matches!(&refused, Err(Failure::NoToken(why)) if !why.contains(TOKEN)), "{refused:?}");
    bot.stop().await;
}
