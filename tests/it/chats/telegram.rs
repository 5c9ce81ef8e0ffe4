//! A person and the assistant on Telegram: let in, answered, asked, shut out.

use serde_json::json;

use crate::support::{
    telegram::{FakeTelegram, TOKEN},
    *,
};

const ANN: i64 = 42;
const EVE: i64 = 66;

/// The configuration of a bot whom `ANN` may write to.
fn config(model: &MockModel, telegram: &FakeTelegram, more: &str) -> String {
    let chat = format!(
        "channels: {{telegram: {{enabled: true, token: '{TOKEN}', api_url: '{}', allowed_users: [{ANN}]}}}}\n{more}",
        telegram.url()
    );
    with_model(model, &chat)
}

/// What the bot shows in a chat now.
fn shown(telegram: &FakeTelegram, chat: i64) -> Vec<String> {
    telegram.said(chat).into_iter().map(|message| message.text).collect()
}

#[actix_web::test]
async fn a_message_is_answered_and_marked_as_seen() {
    let (model, telegram) = (MockModel::instant("Hello **Ann**!"), FakeTelegram::start());
    let site = Site::new(&config(&model, &telegram, ""));
    let server = site.start();
    let asked = telegram.say(ANN, ANN, "hi");
    until("the answer", async || shown(&telegram, ANN) == ["Hello Ann!"]).await;
    let answer = &telegram.said(ANN)[0];
    assert_eq!(answer.markup, "Hello <b>Ann</b>!");
    until("the mark", async || {
        telegram.messages(ANN).iter().any(|message| message.id == asked && !message.reactions.is_empty())
    })
    .await;
    until("nothing waits at Telegram", async || telegram.waiting().is_empty()).await;
    assert!(telegram.commands().iter().any(|(name, _)| name == "task"));
    assert_eq!(telegram.refused(), Vec::<String>::new());
    server.stop();
    assert!(!site.log().contains(TOKEN));
}

#[actix_web::test]
async fn a_stranger_is_let_in_by_an_owner_and_nobody_else() {
    let (model, telegram) = (MockModel::instant("Welcome."), FakeTelegram::start());
    let site = Site::new(&config(&model, &telegram, ""));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    telegram.say(EVE, EVE, "hello?");
    until("the code", async || shown(&telegram, EVE).len() == 1).await;
    assert_eq!(model.count(), 0, "a stranger reached the model");
    let waiting = owner.get("/api/v1/pairings").await.1;
    let pairing = waiting["pairings"][0]["id"].as_str().unwrap().to_owned();
    let (status, _) = owner.post(&format!("/api/v1/pairings/{pairing}"), json!({"approve": true})).await;
    assert!(status.is_success(), "{status}");
    telegram.say(EVE, EVE, "hello!");
    until("the answer", async || shown(&telegram, EVE).last().is_some_and(|text| text == "Welcome.")).await;
    assert_eq!(telegram.refused(), Vec::<String>::new());
    server.stop();
}

#[actix_web::test]
async fn a_question_is_answered_with_a_button_and_shows_who_decided() {
    let (model, telegram) = (does(&[("bench_pay", json!({"n": 5}))]), FakeTelegram::start());
    let site = Site::new(&config(&model, &telegram, BENCH)).with_bench();
    let server = site.start();
    telegram.say(ANN, ANN, "pay them");
    until("the question", async || telegram.said(ANN).iter().any(|message| !message.buttons.is_empty()))
        .await;
    let question = telegram.said(ANN).into_iter().find(|message| !message.buttons.is_empty()).unwrap();
    telegram.tap(ANN, ANN, question.id, "Approve");
    until("the decision", async || {
        let now = telegram.messages(ANN).into_iter().find(|message| message.id == question.id).unwrap();
        now.buttons.is_empty() && now.text.contains("Approved by")
    })
    .await;
    until("the answer", async || telegram.said(ANN).len() > 1).await;
    assert_eq!(telegram.refused(), Vec::<String>::new());
    server.stop();
}
