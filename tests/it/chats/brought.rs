//! The real binary, to which Telegram brings its updates: who gets in at that door, and when it is told that it may forget.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{sees, stand::Stand};
use crate::support::telegram::FakeTelegram;
use crate::support::{telegram::Trouble, *};

const ROUTE: &str = "/api/channels/telegram/webhook";
const URL: &str = "https://atoll.example/api/channels/telegram/webhook";
const SECRET: &str = "s3cret_of-the-hook";
const HEADER: &str = "X-Telegram-Bot-Api-Secret-Token";

/// A bot that ann may write to, and to which updates are brought.
fn site(model: &MockModel, fake: &FakeTelegram) -> Site {
    let keys = fake.keys(&["ann"]);
    let keys = keys.trim_end_matches('}');
    let more = format!("channels: {{{keys}, webhook_url: '{URL}', webhook_secret: '{SECRET}'}}}}");
    Site::new(&with_model(model, &more))
}

async fn start(site: &Site, fake: &FakeTelegram, env: &[(&str, &str)]) -> Server {
    let server = site.start_with(env);
    until("the webhook is set", async || fake.webhook().is_some_and(|(url, _)| url == URL)).await;
    server
}

/// Posts an update as Telegram does. `None` when there was no answer.
async fn post(server: &Server, secret: Option<&str>, body: &str) -> Option<StatusCode> {
    let mut request = User::new(&server.base, "").bare(Method::POST, ROUTE).timeout(PATIENCE);
    request = request.header("content-type", "application/json").body(body.to_owned());
    if let Some(secret) = secret {
        request = request.header(HEADER, secret);
    }
    Some(request.send().await.ok()?.status())
}

/// Brings the first update that waits; it waits on until it is taken.
async fn bring(server: &Server, fake: &FakeTelegram) -> Option<StatusCode> {
    let update = fake.to_bring().unwrap().to_string();
    let status = post(server, Some(SECRET), &update).await;
    if status == Some(StatusCode::OK) {
        fake.brought();
    }
    status
}

#[actix_web::test]
async fn updates_are_taken_at_the_door_once_each() {
    let (model, fake) = (MockModel::instant("Here."), FakeTelegram::start());
    let site = site(&model, &fake);
    let server = start(&site, &fake, &[]).await;
    assert_eq!(fake.webhook(), Some((URL.to_owned(), SECRET.to_owned())));
    let set = fake.calls_of("setWebhook").remove(0).fields;
    assert_eq!(
        set["allowed_updates"],
        json!(["message", "edited_message", "callback_query", "my_chat_member"])
    );
    until("the list of commands", async || !fake.commands().is_empty()).await;
    Stand::say(&fake, "ann", "hi");
    let update = fake.to_bring().unwrap().to_string();
    assert_eq!(bring(&server, &fake).await, Some(StatusCode::OK));
    assert_eq!(site.number("SELECT count(*) FROM inbound"), 1, "it is stored when it is answered");
    sees(&fake, "ann", &["Here."]).await;
    // Its answer was lost on the way, at Telegram's side.
    assert_eq!(post(&server, Some(SECRET), &update).await, Some(StatusCode::OK));
    Stand::say(&fake, "ann", "and now?");
    assert_eq!(bring(&server, &fake).await, Some(StatusCode::OK));
    sees(&fake, "ann", &["Here.", "Here."]).await;
    assert_eq!((site.number("SELECT count(*) FROM inbound"), model.count()), (2, 2));
    assert!(fake.calls_of("getUpdates").is_empty() && fake.calls_of("deleteWebhook").is_empty());
    assert_eq!(fake.refused(), [] as [String; 0]);
    server.stop();
    assert!(!site.log().contains(SECRET), "the secret is in the log");
}

#[actix_web::test]
async fn whoever_does_not_know_the_secret_finds_no_door() {
    let (model, fake) = (MockModel::instant("no"), FakeTelegram::start());
    let site = site(&model, &fake);
    let server = start(&site, &fake, &[]).await;
    Stand::say(&fake, "ann", "hi");
    let update = fake.to_bring().unwrap().to_string();
    let wrong = ["", "s3cret_of-the-hoo", "s3cret_of-the-hookk", "S3CRET_OF-THE-HOOK"];
    for secret in wrong.map(Some).into_iter().chain([None]) {
        assert_eq!(post(&server, secret, &update).await, Some(StatusCode::NOT_FOUND), "{secret:?}");
    }
    let user = User::new(&server.base, &site.key("ann", "owner"));
    let said = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        (response.status(), response.json::<Value>().await.unwrap())
    };
    // Not even somebody with a key learns more, and it is as if there were no such path.
    let nobody = said(user.request(Method::POST, "/api/channels/telegram/elsewhere").body("x")).await;
    assert_eq!(said(user.request(Method::POST, ROUTE).body("x")).await, nobody);
    assert_eq!(said(user.bare(Method::POST, ROUTE).header(HEADER, "x").body("x")).await, nobody);
    let large = "x".repeat(600_000);
    assert_eq!(post(&server, Some(SECRET), &large).await, Some(StatusCode::PAYLOAD_TOO_LARGE));
    // What is no update would never be one: it is not to come again.
    assert_eq!(post(&server, Some(SECRET), "{").await, Some(StatusCode::OK));
    assert_eq!((site.number("SELECT count(*) FROM inbound"), model.count()), (0, 0));
    server.stop();
}

#[actix_web::test]
async fn there_is_no_door_when_updates_are_asked_for() {
    let (model, fake) = (MockModel::instant("Here."), FakeTelegram::start());
    fake.set_webhook(Some((URL, SECRET)));
    let site = super::site(&model, &fake, "");
    let server = site.start();
    Stand::say(&fake, "ann", "hi");
    sees(&fake, "ann", &["Here."]).await;
    assert_eq!(fake.webhook(), None, "what waited there is asked for");
    let update = json!({"update_id": 1, "message": {}}).to_string();
    for secret in [Some(SECRET), Some(""), None] {
        assert_eq!(post(&server, secret, &update).await, Some(StatusCode::NOT_FOUND), "{secret:?}");
    }
    server.stop();
}

#[actix_web::test]
async fn what_cannot_be_taken_now_is_to_come_again() {
    let (model, fake) = (MockModel::instant("Here."), FakeTelegram::start());
    let site = site(&model, &fake);
    fake.next("getMe", 1_000, Trouble::Refuse(502, "Bad Gateway".into()));
    let server = site.start();
    Stand::say(&fake, "ann", "hi");
    assert_eq!(bring(&server, &fake).await, Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(site.number("SELECT count(*) FROM inbound"), 0);
    fake.calm();
    until("it is taken", async || bring(&server, &fake).await == Some(StatusCode::OK)).await;
    sees(&fake, "ann", &["Here."]).await;
    server.stop();
}

#[actix_web::test]
async fn a_death_between_storing_and_answering_makes_nothing_twice() {
    for fault in ["before_commit:began", "after_commit:began"] {
        let (model, fake) = (MockModel::instant("Here."), FakeTelegram::start());
        let site = site(&model, &fake);
        let mut server = start(&site, &fake, &[("ATOLL_FAULT", fault)]).await;
        Stand::say(&fake, "ann", "hi");
        until("the end", async || {
            // It may not be listening yet; but it is never told that the update was taken.
            assert_ne!(bring(&server, &fake).await, Some(StatusCode::OK), "{fault}");
            server.is_dead()
        })
        .await;
        let stored = i64::from(fault == "after_commit:began");
        assert_eq!(site.number("SELECT count(*) FROM inbound"), stored, "{fault}");
        let server = start(&site, &fake, &[]).await;
        until("it is taken", async || bring(&server, &fake).await == Some(StatusCode::OK)).await;
        sees(&fake, "ann", &["Here."]).await;
        let all = site.number("SELECT count(*) FROM inbound");
        assert_eq!((all, model.count()), (1, 1), "{fault}");
        server.stop();
        assert_eq!(fake.seen("ann").len(), 1, "{fault}");
    }
}
