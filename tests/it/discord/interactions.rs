//! Commands, buttons, and what is typed: answered in three seconds, once.

use std::time::Duration;

use atoll::{
    domain::chat::{Content, Event, Receipt},
    ports::platform::Platform,
};
use futures_util::TryStreamExt;

use super::kit::{Bot, Taker, answer, at, button, post, words};
use crate::support::{
    discord::{FakeDiscord, Trouble},
    until,
};

#[tokio::test]
async fn a_command_gets_its_answer_where_discord_waits_for_it() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let interaction = fake.slash(room, "ann", "reject", &[("reason", "too risky now"), ("id", "a1")]);
    bot.hears(&["/reject a1 too risky now"]).await;
    // The answer may be there before Discord knows that one follows.
    let id = bot.discord.post(answer(room, "k1", "rejected", interaction)).await.unwrap();
    assert_eq!(fake.answered(interaction), Some(5));
    let shown = fake.messages(room);
    assert_eq!((shown.len(), shown[0].content.as_str(), shown[0].thinking), (1, "rejected", false));
    assert_eq!(id, shown[0].id.to_string());
    assert_eq!(fake.calls("POST /channels").len(), 0);
    // It is a message as any other.
    let content = Content { markup: "rejected, and why".into(), ..Content::default() };
    bot.discord.edit(&at(room), &id, content).await.unwrap();
    bot.discord.post(post(room, "k2", "something else")).await.unwrap();
    assert_eq!(fake.bot_says(room), ["rejected, and why", "something else"]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_command_with_a_file_brings_the_file() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let options = [("project", "app"), ("instruction", "mend it")];
    fake.slash_with_file(channel, "ann", "task", &options, ("file", "log.txt", b"line 1"));
    bot.hears(&["/task app mend it"]).await;
    let Event::Command { files, .. } = bot.taker.taken()[0].event.clone() else { panic!("no command") };
    let fetched: Vec<_> = bot.discord.fetch(&files[0]).await.unwrap().try_collect().await.unwrap();
    assert_eq!((files[0].name.as_str(), fetched.concat()), ("log.txt", b"line 1".to_vec()));
    bot.stop().await;
}

#[tokio::test]
async fn what_is_for_one_person_is_told_to_one_person() {
    let fake = FakeDiscord::start();
    let taker = Taker::with(|_| (Duration::ZERO, Ok(Receipt::Said("Not so fast.".into()))));
    let bot = Bot::up(&fake, &taker).await;
    let room = fake.guild_channel();
    let interaction = fake.slash(room, "ann", "cost", &[]);
    until("she is told", async || fake.said(interaction) == ["Not so fast."]).await;
    assert_eq!(fake.messages(room), []);
    // Nothing is owed: what is posted next is posted by itself.
    bot.discord.post(post(room, "k1", "hello")).await.unwrap();
    assert_eq!(fake.calls("POST /channels").len(), 1);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_command_that_is_not_taken_is_answered_too() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::with(|_| (Duration::ZERO, Ok(Receipt::Ignored)))).await;
    let (room, alone) = (fake.guild_channel(), fake.dm_channel("eve"));
    let words = "I cannot do this for you now. If there is more to say, it comes as a message.";
    for (channel, words) in [(room, "You cannot use this here now."), (alone, words)] {
        let interaction = fake.slash(channel, "eve", "start", &[]);
        until("she alone is told", async || fake.said(interaction) == [words]).await;
        assert_eq!(fake.answered(interaction), Some(4));
        assert_eq!(fake.messages(channel), []);
        // Nothing is owed: what is posted next is posted by itself.
        bot.discord.post(post(channel, &format!("k{}", channel % 1_000), "Your code")).await.unwrap();
        assert_eq!(fake.bot_says(channel), ["Your code"]);
    }
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn what_takes_long_is_promised_first() {
    let fake = FakeDiscord::start();
    let taker = Taker::with(|incoming| {
        let receipt = match words(incoming).as_str() {
            "/cost" => Receipt::Said("Later, please.".into()),
            "/skills" => Receipt::Ignored,
            _ => Receipt::Taken,
        };
        (Duration::from_millis(2_600), Ok(receipt))
    });
    let bot = Bot::up(&fake, &taker).await;
    let rooms = [fake.guild_channel(), fake.guild_channel(), fake.guild_channel()];
    let said = fake.slash(rooms[0], "ann", "cost", &[]);
    let taken = fake.slash(rooms[1], "ann", "help", &[]);
    let ignored = fake.slash(rooms[2], "eve", "skills", &[]);
    for interaction in [said, taken, ignored] {
        until("an answer is promised", async || fake.answered(interaction) == Some(5)).await;
    }
    assert!(bot.taker.taken().is_empty(), "a promise says nothing of whether it is taken");
    until("she alone is told", async || fake.said(said) == ["Later, please."]).await;
    until("the stranger alone is told", async || fake.said(ignored) == ["You cannot use this here now."])
        .await;
    assert_eq!(fake.messages(rooms[2]), []);
    assert_eq!(fake.messages(rooms[0]), []);
    until("it is taken", async || bot.taker.words().contains(&"/help".to_owned())).await;
    bot.discord.post(answer(rooms[1], "k1", "help is near", taken)).await.unwrap();
    assert_eq!(fake.messages(rooms[1]).len(), 1);
    assert_eq!(fake.bot_says(rooms[1]), ["help is near"]);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_given_there_is_posted_by_itself() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let interaction = fake.slash(channel, "ann", "help", &[]);
    until("an answer is promised", async || fake.answered(interaction) == Some(5)).await;
    fake.trouble("PATCH", "@original", Trouble::Status(404), 1);
    bot.discord.post(answer(channel, "k1", "help", interaction)).await.unwrap();
    assert_eq!(fake.bot_says(channel), ["help"]);
    assert_eq!(fake.calls("POST /channels").len(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_whose_answer_is_lost_is_not_made_twice() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    fake.trouble("POST", "/callback", Trouble::LoseAnswer, 1);
    let interaction = fake.slash(channel, "ann", "help", &[]);
    bot.hears(&["/help"]).await;
    bot.discord.post(answer(channel, "k1", "help", interaction)).await.unwrap();
    assert_eq!(fake.messages(channel).len(), 1);
    assert_eq!(fake.bot_says(channel), ["help"]);
    bot.stop().await;
}

#[tokio::test]
async fn buttons_are_pressed_and_answered() {
    let fake = FakeDiscord::start();
    let taker = Taker::with(|incoming| {
        let receipt = if words(incoming).contains("d:n") {
            Receipt::Said("It is not yours to decide.".into())
        } else {
            Receipt::Taken
        };
        (Duration::ZERO, Ok(receipt))
    });
    let bot = Bot::up(&fake, &taker).await;
    let room = fake.guild_channel();
    let mut question = post(room, "k1", "May I?");
    question.content.buttons = vec![vec![button("Yes", "d:y:1"), button("No", "d:n:1")]];
    let message: u64 = bot.discord.post(question).await.unwrap().parse().unwrap();
    let yes = fake.tap(room, "ann", message, "d:y:1");
    let no = fake.tap(room, "eve", message, "d:n:1");
    until("both are answered", async || fake.answered(yes).is_some() && fake.answered(no).is_some()).await;
    assert_eq!((fake.answered(yes), fake.said(yes)), (Some(6), Vec::new()));
    assert_eq!(fake.said(no), ["It is not yours to decide."]);
    let taken = bot.taker.taken();
    let tap = taken.iter().find(|incoming| words(incoming) == "(tap) d:y:1").unwrap();
    assert!(matches!(&tap.event, Event::Tap { message: at, .. } if *at == message.to_string()));
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn words_are_offered_while_somebody_types() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let channel = fake.dm_channel("ann");
    let typing = fake.typing_behind(channel, "ann", "task", ("project", "ap"));
    until("words are offered", async || fake.answered(typing) == Some(8)).await;
    assert_eq!(fake.offered(typing), ["app", "apple"]);
    assert!(bot.taker.taken().is_empty());
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn an_answer_is_given_to_the_command_that_it_answers() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::willing()).await;
    let room = fake.guild_channel();
    let first = fake.slash(room, "ann", "cost", &[]);
    until("an answer is promised", async || fake.answered(first) == Some(5)).await;
    // Promises to people who ask at once come in any order: he asks when she has hers.
    let second = fake.slash(room, "bob", "help", &[]);
    until("another is promised", async || fake.answered(second) == Some(5)).await;
    // What has nothing to do with them, then the answers in another order.
    bot.discord.post(post(room, "k1", "a task has ended")).await.unwrap();
    bot.discord.post(answer(room, "k2", "help for bob", second)).await.unwrap();
    bot.discord.post(answer(room, "k3", "3 euro for ann", first)).await.unwrap();
    assert_eq!(fake.bot_says(room), ["3 euro for ann", "help for bob", "a task has ended"]);
    assert_eq!(fake.calls("POST /channels").len(), 1);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_promise_that_nothing_keeps_is_ended_with_a_word_also_after_a_restart() {
    let fake = FakeDiscord::start();
    let taker = Taker::willing();
    let bot = Bot::up(&fake, &taker).await;
    let (here, there) = (fake.dm_channel("ann"), fake.dm_channel("bob"));
    let word = "This takes a while. The answer comes by itself.";
    let late = fake.slash(here, "ann", "help", &[]);
    until("a word takes its place", async || fake.bot_says(here) == [word]).await;
    bot.discord.post(answer(here, "k1", "help", late)).await.unwrap();
    assert_eq!(fake.bot_says(here), [word, "help"], "the answer comes by itself");
    let lost = fake.slash(there, "bob", "help", &[]);
    until("an answer is promised", async || fake.answered(lost) == Some(5)).await;
    until("the promise is stored", async || taker.position().unwrap_or_default().contains(&lost.to_string()))
        .await;
    bot.kill().await;
    assert_eq!(fake.bot_says(there), [""; 0]);
    let bot = Bot::up(&fake, &taker).await;
    until("a word takes its place", async || fake.bot_says(there) == [word]).await;
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}

#[tokio::test]
async fn a_command_that_comes_again_is_promised_nothing() {
    let fake = FakeDiscord::start();
    let bot = Bot::up(&fake, &Taker::with(|_| (Duration::ZERO, Ok(Receipt::Known)))).await;
    let channel = fake.dm_channel("ann");
    let again = fake.slash(channel, "ann", "help", &[]);
    until("she is told", async || fake.said(again) == ["I have this already."]).await;
    assert_eq!(fake.messages(channel), []);
    bot.stop().await;
    assert_eq!(fake.faults(), [""; 0]);
}
