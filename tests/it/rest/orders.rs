//! Orders beside the conversation: cancel, stop, clear; and the list of skills.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::begin;
use crate::support::*;

const ORDERS: [&str; 3] = ["/api/chat/cancel", "/api/chat/stop", "/api/session/clear"];

/// Posts without any body.
async fn bare(user: &User, path: &str) -> (u16, Value) {
    let response = user.request(reqwest::Method::POST, path).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn an_order_with_nothing_to_do_succeeds_with_or_without_a_body() {
    let (_model, _site, _server, user) = begin("", |_| Reply::say("never"));
    for path in ORDERS {
        let (status, body) = bare(&user, path).await;
        assert_eq!((status, &body["success"]), (201, &json!(true)), "{path}");
        for order in [json!({}), json!({"userId": "ann"}), json!({"conversationId": "x"})] {
            let (status, body) = user.post(path, order).await;
            assert_eq!((status.as_u16(), &body["success"]), (201, &json!(true)), "{path}");
            assert!(body["affected"].is_u64(), "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_refused_and_not_carried_out() {
    let (model, site, _server, user) = begin("", |_| Reply::Hang);
    let mut stream = user.open(json!({"message": "work"})).await;
    until("the model is asked", async || model.count() == 1).await;
    for path in ORDERS {
        let bad = [
            ("application/json", "{", 400),
            ("application/json", r#"{"conversatonId": "other"}"#, 400),
            ("application/json", r#"{"userId": 7}"#, 400),
            ("application/json", r#"{"conversationId": "a/b"}"#, 400),
            ("text/plain", r#"{"conversationId": "other"}"#, 415),
        ];
        for (kind, body, status) in bad {
            assert_eq!(super::refused(&user, path, kind, body).await.0, status, "{path} {body}");
        }
    }
    assert_eq!(site.text("SELECT state FROM inbound"), "running");
    assert_eq!(user.post("/api/chat/cancel", json!({"conversationId": "other"})).await.1["affected"], 0);
    let began = Instant::now();
    let (status, body) = bare(&user, "/api/chat/cancel").await;
    assert_eq!((status, body), (201, json!({"success": true, "affected": 1})));
    let error = stream.until("error", |_| true).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(error.data, json!({"message": "Cancelled", "code": "cancelled"}));
    assert!(stream.next().await.is_none(), "the stream ends");
    until("it is stored", async || site.text("SELECT state FROM inbound") == "cancelled").await;
}

#[tokio::test]
async fn a_cleared_conversation_is_forgotten_by_the_model_and_kept_in_the_store() {
    let (model, site, server, user) = begin("", |request| Reply::say(format!("answer {}", request.number)));
    user.ask("the word is heron").await;
    user.ask_as(json!({"message": "the word is teal", "conversationId": "other"})).await;
    assert_eq!(bare(&user, "/api/session/clear").await.1["success"], true);
    user.ask("which word?").await;
    user.ask_as(json!({"message": "and here?", "conversationId": "other"})).await;
    let requests = model.requests();
    assert!(!requests[2].text().contains("heron") && !requests[2].text().contains("answer 1"));
    assert!(requests[3].text().contains("teal"), "only the default conversation was cleared");
    drop(server);
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    user.ask("once more: which word?").await;
    let last = model.requests().pop().unwrap().text();
    assert!(!last.contains("heron") && last.contains("answer 3"), "{last}");
    let kept = "SELECT count(*) FROM history WHERE messages LIKE '%heron%'";
    assert_eq!(site.number(kept), 1);
    assert!(model.refused().is_empty());
}

#[tokio::test]
async fn orders_reach_only_the_user_that_they_name() {
    let (model, site, server, owner) = begin("", |_| Reply::Hang);
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let _anns = ann.open(json!({"message": "ann's"})).await;
    let _owners = owner.open(json!({"message": "owner's"})).await;
    until("both run", async || model.count() == 2).await;
    for path in ORDERS {
        let (status, body) = ann.post(path, json!({"userId": "api-default"})).await;
        assert_eq!((status.as_u16(), code_of(&body)), (403, "forbidden"), "{path}");
    }
    assert_eq!(ann.post("/api/chat/cancel", json!({})).await.1["affected"], 1);
    let state = |user: &str| site.text(&format!("SELECT state FROM inbound WHERE user_id = '{user}'"));
    until("ann's is cancelled", async || state("ann") == "cancelled").await;
    assert_eq!(state("api-default"), "running");
    let _again = ann.open(json!({"message": "ann's second", "conversationId": "b"})).await;
    until("it runs", async || model.count() == 3).await;
    let (status, body) = owner.post("/api/chat/cancel", json!({"userId": "ann"})).await;
    assert_eq!((status.as_u16(), &body["affected"]), (201, &json!(1)));
    assert_eq!(state("api-default"), "running");
}

#[tokio::test]
async fn skills_are_listed_in_the_shape_that_clients_know() {
    let model = MockModel::start(|_| Reply::say("never"));
    let site = Site::new(&with_model(&model, "skills: {beta: {enabled: false}}"));
    for name in ["alpha", "beta"] {
        let folder = site.home().join("skills").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("---\nname: {name}\ndescription: The skill {name}.\n---\nDo it.\n");
        std::fs::write(folder.join("SKILL.md"), text).unwrap();
    }
    let server = site.start();
    let viewer = User::new(&server.base, &site.key("v", "viewer"));
    let list = viewer.look("/api/skills").await;
    let find = |name: &str| list.as_array().unwrap().iter().find(|skill| skill["name"] == name).cloned();
    let alpha = json!({"name": "alpha", "description": "The skill alpha.", "active": true, "toolCount": 0});
    assert_eq!(find("alpha"), Some(alpha));
    assert!(find("beta").is_none_or(|beta| beta["active"] == false), "{list}");
}
