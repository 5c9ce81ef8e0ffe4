//! REST as clients see it: the wire shapes, who may do what, what hanging up does.

mod orders;
mod repeats;

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_message_is_answered_in_the_shape_that_clients_know() {
    let model = MockModel::start(|request| Reply::say(format!("hello **{}**", request.number)));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut stream = user.open(json!({"message": "hi"})).await;
    assert_eq!(stream.status, 201);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-cache");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("status", &json!({"status": "processing"})));
    let events = stream.rest().await;
    let response = events.iter().find(|event| event.name == "response").unwrap();
    assert_eq!(response.data["text"], "hello **1**");
    assert_eq!(response.data["files"], json!([]));
    assert_eq!(events.last().unwrap().name, "done");
    assert_eq!(events.last().unwrap().data, json!({}));
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    assert!(server.stop().success());
}

/// A model that says this, a server, and an owner.
fn begin(
    config: &str,
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (MockModel, Site, Server, User) {
    let model = MockModel::start(script);
    let site = Site::new(&with_model(&model, config));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (model, site, server, user)
}

/// Sends bytes under a content type, and gives status and code of the refusal.
async fn refused(user: &User, path: &str, content_type: &str, body: &str) -> (u16, String) {
    let request = user.request(reqwest::Method::POST, path).header("content-type", content_type);
    let response = request.body(body.to_owned()).send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/json", "{path} {body}");
    (status, code_of(&response.json().await.unwrap()).to_owned())
}

#[tokio::test]
async fn a_body_that_does_not_fit_is_refused_in_one_shape_and_nothing_is_kept() {
    let (model, site, _server, user) = begin("", |_| Reply::say("never"));
    let before = site.number("SELECT count(*) FROM audit");
    let json = "application/json";
    let bad: &[(&str, &str, u16, &str)] = &[
        (json, r#"{"message": "hi""#, 400, "bad_request"),
        (json, "", 400, "bad_request"),
        (json, "null", 400, "bad_request"),
        (json, r#"{"message": 7}"#, 400, "bad_request"),
        (json, r"{}", 400, "bad_request"),
        (json, r#"{"message": "hi", "colour": "red"}"#, 400, "bad_request"),
        (json, r#"{"message": "hi", "userId": "a/b"}"#, 400, "bad_request"),
        (json, r#"{"message": "hi", "userId": ""}"#, 400, "bad_request"),
        (json, r#"{"message": "hi", "conversationId": "../x"}"#, 400, "bad_request"),
        (json, r#"{"message": "hi", "whileBusy": "panic"}"#, 400, "bad_request"),
        (json, r#"{"message": ""}"#, 400, "input_empty"),
        (json, "{\"message\": \" \\n\\t\"}", 400, "input_empty"),
        ("text/plain", r#"{"message": "hi"}"#, 415, "not_json"),
        ("application/x-www-form-urlencoded", "message=hi", 415, "not_json"),
    ];
    for (content_type, body, status, code) in bad {
        let told = refused(&user, "/api/chat", content_type, body).await;
        assert_eq!(told, (*status, (*code).to_owned()), "{content_type} {body}");
    }
    let (approve, reject) = ("/api/v1/approvals/none/approve", "/api/v1/approvals/none/reject");
    for path in ["/api/v1/memories", "/api/v1/keys", "/api/v1/actors/restart", approve, reject] {
        assert_eq!(refused(&user, path, json, "{").await, (400, "bad_request".into()), "{path}");
        assert_eq!(refused(&user, path, "text/plain", "{}").await, (415, "not_json".into()), "{path}");
    }
    assert_eq!(site.number("SELECT count(*) FROM inbound"), 0);
    assert_eq!(site.number("SELECT count(*) FROM audit"), before);
    assert_eq!(model.count(), 0);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_shape() {
    let (_model, _site, _server, user) = begin("", |_| Reply::say("never"));
    for (status, body) in [
        user.get("/api/nothing").await,
        user.get("/api/chat").await,
        user.delete("/api/v1/memories").await,
        user.get("/api/v1/memories/no-such").await,
        user.delete("/api/v1/keys/no-such").await,
        user.post("/api/v1/approvals/no-such/approve", json!({})).await,
    ] {
        assert_eq!((status.as_u16(), code_of(&body)), (404, "not_found"));
    }
    for query in ["?limit=many", "?colour=red", "?limit=-1"] {
        let (status, body) = user.get(&format!("/api/v1/memories{query}")).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{query}");
    }
}

#[tokio::test]
async fn the_longest_message_is_counted_in_characters() {
    let (model, site, _server, user) = begin("agent: {max_input_length: 10}", |_| Reply::say("fine"));
    assert_eq!(user.ask("ö🙂語ö🙂語ö🙂語ö").await, "fine");
    let (status, body) = user.post("/api/chat", json!({"message": "ö🙂語ö🙂語ö🙂語öx"})).await;
    assert_eq!((status.as_u16(), code_of(&body)), (400, "input_too_long"));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("11") && message.contains("10") && message.contains("agent.max_input_length"));
    assert_eq!(site.number("SELECT count(*) FROM inbound"), 1);
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn pieces_of_the_answer_come_between_status_and_response_and_are_its_words() {
    let pieces = ["one ", "two ", "three"].map(str::to_owned).to_vec();
    let (model, _site, _server, user) = begin("", move |_| Reply::Slowly(pieces.clone(), 5));
    let events = user.chat(json!({"message": "count"})).await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!((names[0], names[names.len() - 2], names[names.len() - 1]), ("status", "response", "done"));
    let middle = &events[1..events.len() - 2];
    assert!(
        middle.iter().all(|event| event.name == "progress" && event.data["kind"] == "delta"),
        "{middle:#?}"
    );
    assert!(middle.len() > 1, "it came in one piece");
    let shown: String = middle.iter().map(|event| event.data["text"].as_str().unwrap()).collect();
    assert_eq!(shown, "one two three");
    assert_eq!(answer_of(&events).unwrap(), shown);
    assert!(model.refused().is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_nothing() {
    let pieces = ["slow ", "but ", "sure"].map(str::to_owned).to_vec();
    let (model, site, server, user) = begin("", move |_| Reply::Slowly(pieces.clone(), 150));
    let mut stream = user.open_keyed("once", json!({"message": "take your time"})).await;
    let id = stream.headers["x-message-id"].to_str().unwrap().to_owned();
    stream.until("progress", |_| true).await;
    drop(stream);
    until("the turn ends", async || {
        site.number("SELECT count(*) FROM inbound WHERE state = 'answered' AND answer_id IS NOT NULL") == 1
    })
    .await;
    let body = site.text("SELECT body FROM outbox");
    assert!(body.contains("slow but sure"), "{body}");
    let mut missed = Stream::of(user.request(reqwest::Method::GET, "/api/events/api-default?after=0")).await;
    let event = missed.next().await.unwrap();
    assert_eq!((event.name.as_str(), &event.data["text"]), ("response", &json!("slow but sure")));
    assert_eq!(event.data["answers"], json!([id]));
    let again = user.open_keyed("once", json!({"message": "take your time"})).await.rest().await;
    assert_eq!(answer_of(&again).unwrap(), "slow but sure");
    assert_eq!(model.count(), 1, "{:?}", model.refused());
    drop(missed);
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_failure_of_the_model_is_an_error_event_and_the_next_message_is_answered() {
    let (model, site, _server, user) =
        begin("", |_| Reply::Status(400, vec![], json!({"error": {"message": "no such thing"}}).to_string()));
    let events = user.chat(json!({"message": "hi"})).await;
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("model_failed")), "{events:#?}");
    assert!(last.data["message"].as_str().unwrap().contains("no such thing"), "{last:?}");
    assert!(events.iter().all(|event| event.name != "response" && event.name != "done"));
    assert_eq!(site.text("SELECT outcome FROM turns"), "model_failed");
    model.becomes(|_| Reply::say("well again"));
    assert_eq!(user.ask("still there?").await, "well again");
    assert!(model.refused().is_empty());
}

#[tokio::test]
async fn conversations_of_one_user_do_not_mix() {
    let (model, _site, _server, user) = begin("", |request| Reply::say(format!("answer {}", request.number)));
    user.ask_as(json!({"message": "the word is heron", "conversationId": "one"})).await;
    user.ask_as(json!({"message": "the word is teal", "conversationId": "two"})).await;
    user.ask_as(json!({"message": "which word?", "conversationId": "one"})).await;
    let last = model.requests().pop().unwrap().text();
    assert!(last.contains("heron") && last.contains("answer 1"), "{last}");
    assert!(!last.contains("teal") && !last.contains("answer 2"), "{last}");
    assert!(model.refused().is_empty());
}
