//! One whole conversation, and every call that it took.

use atoll::domain::chat::{Button, Content, Event, Post, Receipt, Tone};
use atoll::ports::platform::Platform;
use serde_json::{Value, json};

use super::kit::{Rig, place, post, words};
use crate::support::until;

#[tokio::test]
async fn every_call_of_a_conversation() {
    let rig = Rig::listening().await;
    rig.taker.does(|incoming| {
        Ok(match &incoming.event {
            Event::Tap { .. } => Receipt::Said("Done.".into()),
            _ => Receipt::Taken,
        })
    });
    rig.telegram.register(&[("help".into(), "What I can do".into())]).await.unwrap();
    rig.fake.name(42, "Ann");
    let asked = rig.fake.say(42, 42, "mend the test");
    until("it is marked", async || rig.fake.calls_of("setMessageReaction").len() == 1).await;
    rig.telegram.typing(&place(42)).await.unwrap();
    let draft = Post { reply_to: Some(asked.to_string()), ..post(42, words("I look…")) };
    let id = rig.telegram.post(draft).await.unwrap();
    rig.telegram.edit(&place(42), &id, words("I look… <code>cargo test</code>")).await.unwrap();
    let button = |label: &str, data: &str, tone| Button { label: label.into(), data: data.into(), tone };
    let buttons = vec![vec![button("Yes", "d:y:a1", Tone::Good), button("No", "d:n:a1", Tone::Bad)]];
    let question = Content { buttons, ..words("May I push <b>3 files</b>?") };
    let question: i64 = rig.telegram.post(post(42, question)).await.unwrap().parse().unwrap();
    rig.fake.tap(42, 42, question, "Yes");
    until("the tap is answered", async || rig.fake.answers().len() == 1).await;
    let answered = words("May I push <b>3 files</b>?\n\nYes, says Ann.");
    rig.telegram.edit(&place(42), &question.to_string(), answered).await.unwrap();
    let file = rig.file("diff.txt", "text/plain", b"+ mended").await;
    let report = Content { file: Some(file), ..words("What I changed") };
    rig.telegram.post(Post { silent: true, ..post(42, report) }).await.unwrap();
    rig.telegram.remove(&place(42), &id).await.unwrap();

    let calls = rig.fake.calls().into_iter().filter(|call| call.method != "getUpdates");
    let calls: Vec<Value> = calls.map(|call| json!({"method": call.method, "fields": call.fields})).collect();
    insta::assert_json_snapshot!(calls);
    let seen: Vec<String> = rig.fake.messages(42).into_iter().map(|shown| shown.text).collect();
    assert_eq!(seen, ["mend the test", "May I push 3 files?\n\nYes, says Ann.", "What I changed"]);
    assert_eq!(rig.fake.refused(), [] as [String; 0]);
}
