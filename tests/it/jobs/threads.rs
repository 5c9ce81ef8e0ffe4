//! A task that is given in a channel of Discord, from the command to the pushed branch: card, thread, question, decision.

use serde_json::json;

use super::kit::*;
use crate::{
    on_discord::kit::{heard, keys, own},
    support::{
        discord::{FakeDiscord, Shown},
        *,
    },
};

/// The headline of a card.
fn headline(shown: &Shown) -> &str {
    shown.embeds[0]["title"].as_str().unwrap_or_default()
}

/// What a button of a message stands for.
fn button(shown: &Shown, label: &str) -> String {
    let buttons = shown.buttons.iter().flatten();
    buttons.into_iter().find(|(known, _)| known == label).unwrap().1.clone()
}

#[tokio::test]
async fn a_task_of_a_channel_is_decided_in_its_thread_once_by_those_who_may() {
    let fake = FakeDiscord::start();
    let discord = keys(&fake, &["ann", "dan"]);
    let shop = Shop::at(Site::new(&config("llm: {provider: rehearsal}", &discord))).await;
    heard(&fake).await;
    own(&shop.site, &fake, "own").await;
    let remote = shop.project(json!({})).await;
    let member = format!("/api/v1/projects/app/members/discord:{}", fake.user("ann"));
    assert_eq!(shop.owner().patch(&member, json!({"role": "developer"})).await.0, 200);
    let room = fake.guild_channel();

    let given = fake.slash(room, "ann", "task", &[("instruction", MEND), ("project", "app")]);
    until("it is taken", async || fake.bot_says(room).iter().any(|text| text.contains("is taken"))).await;
    assert_eq!(fake.answered(given), Some(5));
    let taken = fake.bot_says(room).into_iter().find(|text| text.contains("is taken")).unwrap();
    let id = taken.strip_prefix("Task ").unwrap().split(' ').next().unwrap().to_owned();
    shop.asked(&id).await;
    let card = || fake.messages(room).into_iter().find(|shown| !headline(shown).is_empty());
    until("the card", async || card().is_some_and(|card| headline(&card) == "Waits for your answer")).await;
    let thread = card().unwrap().id;
    let question = || fake.messages(thread).into_iter().find(|shown| shown.content.contains("Push commit"));
    until("the question", async || question().is_some()).await;
    let asked = question().unwrap();
    assert!(asked.content.contains("Changed: 1 file"), "what changed stands in it: {}", asked.content);
    let (approve, reject) = (button(&asked, "Approve"), button(&asked, "Reject"));

    // Somebody who is not in the project, a stranger, those who may; and all that come too late.
    let wrong = fake.tap(thread, "dan", asked.id, &approve);
    until("he is told", async || fake.said(wrong) == ["This is not for you to decide."]).await;
    let stranger = fake.tap(thread, "eve", asked.id, &approve);
    until("she is told", async || fake.said(stranger) == ["You are not among those who may decide this."])
        .await;
    assert_eq!(shop.look(&id).await["status"], "awaiting_approval");
    let decided = fake.tap(thread, "own", asked.id, &approve);
    until("it is decided", async || fake.said(decided) == ["Approved."]).await;
    let late = fake.tap_late(thread, "ann", asked.id, &reject);
    until("she is told", async || !fake.said(late).is_empty()).await;
    assert_eq!(fake.said(late), ["Already approved by own (api-default)."]);

    let branch = shop.wait(&id, &["done"]).await["branch"].as_str().unwrap().to_owned();
    assert!(branches(&remote).contains(&branch), "{branch}");
    until("the question says who decided", async || {
        let question = question().unwrap();
        question.buttons.is_empty() && question.content.contains("Approved by own")
    })
    .await;
    until("the card says that it is done", async || headline(&card().unwrap()) == "Done").await;
    let ends = |shown: &Shown| shown.content.contains("Task done");
    until("the end is told in the thread", async || fake.messages(thread).iter().any(ends)).await;
    assert_eq!(fake.messages(room).len(), 2, "in the channel stand the answer and the card");

    // In the thread the bot is spoken to without being named; it is a conversation of its own.
    let before = fake.bot_says(thread).len();
    fake.say(room, "ann", "is it not nice?");
    fake.say(thread, "ann", "and now?");
    until("an answer in the thread", async || fake.bot_says(thread).len() == before + 1).await;
    let conversation = shop.site.text("SELECT conversation_id FROM inbound WHERE text LIKE '%and now?'");
    assert_eq!(conversation, format!("discord/discord:group:{thread}/{thread}"));
    assert_eq!(shop.site.number("SELECT count(*) FROM inbound WHERE text LIKE '%nice%'"), 0);
    assert_eq!(fake.faults(), [""; 0]);
    shop.stop();
}
