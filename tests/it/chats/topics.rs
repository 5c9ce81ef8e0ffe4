//! Topics of a group on Telegram, and what people show with a reaction, on the real binary.

use serde_json::json;

use super::{
    site,
    stand::{Platform, Stand},
    start,
};
use crate::support::{
    telegram::{FakeTelegram, Shown},
    *,
};

const GROUP: i64 = -100_500;

/// What the bot says in a topic; `None` for what is said beside all topics.
fn said(fake: &FakeTelegram, topic: Option<i64>) -> Vec<Shown> {
    fake.said(GROUP).into_iter().filter(|shown| shown.thread == topic).collect()
}

async fn hears(fake: &FakeTelegram, topic: Option<i64>, text: &str) -> Shown {
    let found = || said(fake, topic).into_iter().find(|shown| shown.text == text);
    until(&format!("{text} in {topic:?}"), async || found().is_some()).await;
    found().unwrap()
}

#[actix_web::test]
async fn topics_of_a_group_are_conversations_of_their_own() {
    let gate = Gate::new();
    let held = gate.clone();
    let model = MockModel::start(move |request| {
        let (last, all) = (request.last_user(), request.text());
        let known: Vec<&str> =
            ["vermilion", "indigo", "chartreuse"].into_iter().filter(|word| all.contains(word)).collect();
        let answer = Reply::say(format!("I know {}.", known.join(" and ")));
        if last.contains("wait for it") { held.then(answer) } else { answer }
    });
    let fake = FakeTelegram::start();
    let site = site(&model, &fake, "agent: {memory: {auto_extraction: false}}\n");
    let server = start(&site, &fake, &[]).await;
    let (ann, bob) = (fake.id("ann").parse().unwrap(), fake.id("bob").parse().unwrap());
    let say =
        |topic: i64, who: i64, text: &str| fake.say_in_topic(GROUP, topic, who, &format!("@AtollBot {text}"));
    let first = say(10, ann, "the word is vermilion");
    assert_eq!(hears(&fake, Some(10), "I know vermilion.").await.reply_to, Some(first));
    say(20, bob, "the word is indigo");
    hears(&fake, Some(20), "I know indigo.").await;
    fake.say(GROUP, ann, "@AtollBot the word is chartreuse");
    hears(&fake, None, "I know chartreuse.").await;
    // One that takes long holds up no other, and what ends the work of one leaves the others alone.
    let long = say(10, ann, "wait for it");
    until("it is worked on", async || model.count() == 4).await;
    say(20, ann, "which word?");
    until("the answer", async || said(&fake, Some(20)).len() == 2).await;
    say(20, ann, "/cancel");
    until("the answer to the order", async || said(&fake, Some(20)).len() == 3).await;
    gate.open();
    until("the long answer", async || said(&fake, Some(10)).len() == 2).await;
    let texts = |topic| said(&fake, topic).into_iter().map(|shown| shown.text).collect::<Vec<_>>();
    assert_eq!(
        texts(Some(10)),
        ["I know vermilion.", "I know vermilion."],
        "and what is said in the others is not known"
    );
    assert_eq!(texts(Some(20))[..2], ["I know indigo.", "I know indigo."]);
    assert_eq!(texts(None), ["I know chartreuse."]);
    assert_eq!(said(&fake, Some(10))[1].reply_to, Some(long));
    let names = site.column("SELECT DISTINCT conversation_id FROM inbound ORDER BY 1");
    let group = format!("telegram/telegram:group:{GROUP}/{GROUP}");
    assert_eq!(names, [group.clone(), format!("{group}:10"), format!("{group}:20")]);
    assert_eq!(fake.refused(), [] as [String; 0]);
    server.stop();
}

#[actix_web::test]
async fn what_was_taken_is_marked_at_once_and_a_reaction_decides_nothing() {
    let gate = Gate::new();
    let held = gate.clone();
    let bench = does(&[("bench_pay", json!({"n": 5}))]);
    let fake = FakeTelegram::start();
    let paying = site(&bench, &fake, BENCH).with_bench();
    let server = start(&paying, &fake, &[]).await;
    Stand::say(&fake, "ann", "pay them");
    until("a question", async || fake.seen("ann").iter().any(|seen| !seen.buttons.is_empty())).await;
    let question = fake.seen("ann").into_iter().find(|seen| !seen.buttons.is_empty()).unwrap();
    let ann: i64 = fake.id("ann").parse().unwrap();
    let mut reaction = json!({
        "chat": {"id": ann, "type": "private", "first_name": "ann"}, "message_id": question.id, "date": 1_700_000_000,
        "user": {"id": ann, "is_bot": false, "first_name": "ann"}, "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": "👍"}],
    });
    fake.raw(json!({"message_reaction": reaction}));
    reaction["new_reaction"][0]["emoji"] = "👎".into();
    fake.raw(json!({"message_reaction": reaction}));
    // Both are behind it when this is answered.
    Stand::say(&fake, "ann", "/cost");
    until("the cost", async || fake.seen("ann").len() == 2).await;
    assert_eq!(paying.text("SELECT group_concat(status) FROM approvals"), "pending");
    assert!(!fake.seen("ann")[0].buttons.is_empty(), "its buttons are there");
    Stand::tap(&fake, "ann", &question, "Approve");
    until("the end", async || paying.text("SELECT group_concat(status) FROM approvals") == "consumed").await;
    server.stop();

    let model = MockModel::start(move |_| held.say("Done."));
    let fake = FakeTelegram::start();
    let site = site(&model, &fake, "");
    let server = start(&site, &fake, &[]).await;
    let marked = |fake: &FakeTelegram| {
        let all = fake.messages(ann).into_iter().filter(|shown| !shown.own);
        all.map(|shown| shown.reactions.concat()).collect::<Vec<_>>()
    };
    Stand::say(&fake, "ann", "begin");
    Stand::say(&fake, "ann", "and this too");
    Stand::say(&fake, "eve", "let me in");
    until("both are marked", async || marked(&fake) == ["👀", "👀"]).await;
    assert!(fake.seen("ann").is_empty(), "nothing is answered yet");
    gate.open();
    until("an answer", async || fake.texts("ann").contains(&"Done.".to_owned())).await;
    let eve = fake.messages(fake.id("eve").parse().unwrap());
    assert!(eve.iter().all(|shown| shown.reactions.is_empty()), "strangers are shown nothing");
    assert_eq!(fake.refused(), [] as [String; 0]);
    server.stop();
}
