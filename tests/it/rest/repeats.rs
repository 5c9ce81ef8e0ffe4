//! `Idempotency-Key`: what comes again is answered, and not done again.

use serde_json::json;

use super::begin;
use crate::support::*;

fn slowly(words: &[&str]) -> Reply {
    Reply::Slowly(words.iter().map(|word| (*word).to_owned()).collect(), 100)
}

fn id_of(stream: &Stream) -> String {
    stream.headers["x-message-id"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeat_of_a_finished_message_gives_the_same_answer_without_a_model() {
    let (model, site, server, user) = begin("", |request| Reply::say(format!("answer {}", request.number)));
    let first = user.open_keyed("k", json!({"message": "hi"})).await;
    let id = id_of(&first);
    let first = first.rest().await;
    for _ in 0..2 {
        let again = user.open_keyed("k", json!({"message": "hi"})).await;
        assert_eq!((again.status.as_u16(), id_of(&again)), (201, id.clone()));
        let again = again.rest().await;
        let response = |events: &[Event]| events.iter().find(|event| event.name == "response").cloned();
        assert_eq!(response(&again), response(&first));
        assert_eq!(again.last().unwrap().name, "done");
    }
    assert!(server.stop().success());
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    let again = user.open_keyed("k", json!({"message": "hi"})).await;
    assert_eq!(id_of(&again), id);
    assert_eq!(answer_of(&again.rest().await).unwrap(), "answer 1");
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (1, 1));
    assert_eq!(site.number("SELECT count(*) FROM turns"), 1);
}

#[tokio::test]
async fn a_repeat_of_a_running_message_is_attached_to_it_even_when_no_more_may_wait() {
    let (model, site, _server, user) =
        begin("agent: {queue_limit: 0}", |_| slowly(&["slow ", "but ", "sure ", "it ", "comes"]));
    let mut first = user.open_keyed("k", json!({"message": "hi"})).await;
    first.until("progress", |_| true).await;
    let second = user.open_keyed("k", json!({"message": "hi"})).await;
    assert_eq!((second.status.as_u16(), id_of(&second)), (201, id_of(&first)));
    let (first, second) = tokio::join!(first.rest(), second.rest());
    assert_eq!(answer_of(&first).unwrap(), "slow but sure it comes");
    assert_eq!(answer_of(&second), answer_of(&first));
    assert_eq!((model.count(), site.number("SELECT count(*) FROM turns")), (1, 1));
}

#[tokio::test]
async fn many_at_once_under_one_key_are_one_message() {
    let (model, site, _server, user) = begin("", |_| slowly(&["one ", "answer"]));
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let user = user.clone();
            tokio::spawn(async move { user.open_keyed("k", json!({"message": "hi"})).await.rest().await })
        })
        .collect();
    for task in tasks {
        assert_eq!(answer_of(&task.await.unwrap()).unwrap(), "one answer");
    }
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (1, 1));
}

#[tokio::test]
async fn one_key_for_two_messages_is_refused() {
    let (model, site, _server, user) = begin("", |_| Reply::say("fine"));
    let file = |bytes: &str| json!([{"filename": "a.txt", "mediaType": "text/plain", "data": bytes}]);
    user.open_keyed("k", json!({"message": "hi"})).await.rest().await;
    user.open_keyed("f", json!({"message": "hi", "attachments": file("aGk=")})).await.rest().await;
    for (key, body) in [
        ("k", json!({"message": "ho"})),
        ("k", json!({"message": "hi", "conversationId": "other"})),
        ("k", json!({"message": "/help"})),
        ("k", json!({"message": "hi", "attachments": file("aGk=")})),
        ("f", json!({"message": "hi"})),
        ("f", json!({"message": "hi", "attachments": file("aGkgdGhlcmU=")})),
    ] {
        let request = user.request(reqwest::Method::POST, "/api/chat").header("idempotency-key", key);
        let response = request.json(&body).send().await.unwrap();
        assert_eq!(response.status(), 422, "{body}");
        assert_eq!(code_of(&response.json().await.unwrap()), "idempotency_key_reused");
    }
    let again = user.open_keyed("f", json!({"message": "hi", "attachments": file("aGk=")})).await;
    assert_eq!(answer_of(&again.rest().await).unwrap(), "fine");
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (2, 2));
}

#[tokio::test]
async fn keys_belong_to_their_user() {
    let (model, site, server, owner) = begin("", |request| Reply::say(format!("answer {}", request.number)));
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let say = json!({"message": "hi"});
    assert_eq!(answer_of(&owner.open_keyed("k", say.clone()).await.rest().await).unwrap(), "answer 1");
    assert_eq!(answer_of(&ann.open_keyed("k", say.clone()).await.rest().await).unwrap(), "answer 2");
    // The owner as ann is ann: the same message.
    let as_ann = owner.open_keyed("k", json!({"message": "hi", "userId": "ann"})).await;
    assert_eq!(answer_of(&as_ann.rest().await).unwrap(), "answer 2");
    assert_eq!(model.count(), 2);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let (model, _site, _server, user) = begin("", |_| Reply::say("fine"));
    for key in ["", &"k".repeat(201)] {
        let request = user.request(reqwest::Method::POST, "/api/chat").header("idempotency-key", key);
        let response = request.json(&json!({"message": "hi"})).send().await.unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(code_of(&response.json().await.unwrap()), "bad_request");
    }
    assert_eq!(model.count(), 0);
    let longest = user.open_keyed(&"k".repeat(200), json!({"message": "hi"})).await;
    assert_eq!(answer_of(&longest.rest().await).unwrap(), "fine");
}

#[tokio::test]
async fn a_command_that_comes_twice_is_carried_out_once() {
    let (model, _site, _server, user) = begin("", |request| Reply::say(format!("answer {}", request.number)));
    let first = user.open_keyed("clear", json!({"message": "/clear"})).await.rest().await;
    user.ask("the word is heron").await;
    let again = user.open_keyed("clear", json!({"message": "/clear"})).await.rest().await;
    assert_eq!(answer_of(&again), answer_of(&first));
    user.ask("which word?").await;
    let last = model.requests().pop().unwrap().text();
    assert!(last.contains("heron"), "the repeat cleared again: {last}");
    assert_eq!(model.count(), 2);
}

#[tokio::test]
async fn a_repeat_of_what_failed_or_was_cancelled_says_so_again() {
    let (model, _site, _server, user) = begin("", |_| Reply::Status(400, vec![], "{}".into()));
    let failed = user.open_keyed("fails", json!({"message": "hi"})).await.rest().await;
    let again = user.open_keyed("fails", json!({"message": "hi"})).await.rest().await;
    assert_eq!(failed.last().unwrap().name, "error");
    assert_eq!(again.last(), failed.last());
    assert_eq!(model.count(), 1);
    model.becomes(|_| Reply::Hang);
    let stream = user.open_keyed("hangs", json!({"message": "hi"})).await;
    until("the model is asked", async || model.count() == 2).await;
    user.post("/api/chat/cancel", json!({})).await;
    let cancelled = stream.rest().await;
    let again = user.open_keyed("hangs", json!({"message": "hi"})).await.rest().await;
    assert_eq!(cancelled.last().unwrap().data["code"], "cancelled");
    assert_eq!(again.last(), cancelled.last());
    assert_eq!(model.count(), 2);
}

#[tokio::test]
async fn a_repeat_whose_answer_is_not_kept_any_more_is_told_so() {
    let (model, site, _server, user) = begin("", |_| Reply::say("fine"));
    user.open_keyed("k", json!({"message": "hi"})).await.rest().await;
    site.store().execute("DELETE FROM outbox", []).unwrap();
    let again = user.open_keyed("k", json!({"message": "hi"})).await.rest().await;
    let last = again.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("answer_gone")), "{again:#?}");
    assert_eq!(model.count(), 1);
}
