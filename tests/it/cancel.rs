//! Cancel and stop: at once, with the process behind a tool, and without harm to what comes later.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::*;

/// How a person asks for it.
#[derive(Clone, Copy)]
enum How {
    Rest,
    Message,
}

/// Orders it, and checks that the answer came in under a second.
async fn order(user: &User, how: How, what: &str) -> String {
    let began = Instant::now();
    let said = match how {
        How::Rest => {
            let (status, body) = user.post(&format!("/api/chat/{what}"), json!({})).await;
            assert_eq!(status, 201, "{body}");
            assert_eq!(body["success"], true);
            body["affected"].to_string()
        }
        How::Message => user.ask(&format!("/{what}")).await,
    };
    assert!(began.elapsed() < Duration::from_secs(1), "/{what} took {:?}", began.elapsed());
    said
}

/// The end of a stream of a message that was withdrawn.
async fn withdrawn(stream: Stream, code: &str) {
    let events = stream.rest().await;
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!(code)), "{events:?}");
}

async fn cancelled_while(reply: Reply, how: How) {
    let model = MockModel::start(move |_| reply.clone());
    // One call at a time: the next one is answered only if the cancelled one is really over.
    let one = with_anthropic(&model, "").replace("model: mock", "model: mock, max_concurrent: 1");
    let site = Site::new(&one);
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut stream = user.open(json!({"message": "a long story"})).await;
    stream.until("status", |data| data["status"] == "processing").await;
    until("the model is asked", async || model.count() == 1).await;
    let said = order(&user, how, "cancel").await;
    assert!(["1", "Cancelled."].contains(&said.as_str()), "{said}");
    withdrawn(stream, "cancelled").await;
    assert_eq!(site.value::<String>("SELECT outcome FROM turns"), "cancelled");
    let state = "SELECT state FROM inbound WHERE text = 'a long story'";
    assert_eq!(site.value::<String>(state), "cancelled");
    model.becomes(|_| Reply::say("fine"));
    assert_eq!(user.ask("and now?").await, "fine");
    let next = model.requests().pop().unwrap();
    assert!(next.text().contains("a long story") && next.text().contains("[cancelled by the user]"));
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_hanging_model_is_left_at_once_when_rest_says_so() {
    cancelled_while(Reply::Hang, How::Rest).await;
}

#[tokio::test]
async fn a_hanging_model_is_left_at_once_when_a_message_says_so() {
    cancelled_while(Reply::Hang, How::Message).await;
}

fn slow() -> Reply {
    Reply::Slowly(vec!["word ".into(); 2_000], 20)
}

#[tokio::test]
async fn a_slow_stream_is_left_at_once_when_rest_says_so() {
    cancelled_while(slow(), How::Rest).await;
}

#[tokio::test]
async fn a_slow_stream_is_left_at_once_when_a_message_says_so() {
    cancelled_while(slow(), How::Message).await;
}

/// A user whose tool hangs, with the processes behind it.
async fn hanging(model: &MockModel) -> (Site, Server, User, Stream, Vec<u32>) {
    let site = Site::new(&with_anthropic(model, BENCH)).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let stream = user.open(json!({"message": "hang on"})).await;
    until("the tool runs", async || site.pids().len() == 2).await;
    let pids = site.pids();
    assert!(!gone(&pids));
    (site, server, user, stream, pids)
}

fn hang_then_note() -> MockModel {
    does(&[("bench_hang", json!({})), ("bench_note", json!({"n": 7}))])
}

async fn tool_cancelled(how: How) {
    let model = hang_then_note();
    let (site, server, user, stream, pids) = hanging(&model).await;
    order(&user, how, "cancel").await;
    withdrawn(stream, "cancelled").await;
    until("the processes are gone", async || gone(&pids)).await;
    assert_eq!(site.ledger(), ["bench_hang {}"], "what came after it does not run");
    assert_eq!(user.ask("and now?").await, "done");
    assert_eq!(model.count(), 3);
    let next = model.requests().pop().unwrap().text();
    assert!(next.contains("not run, the turn ended first"), "{next}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_running_tool_and_its_children_are_gone_when_rest_cancels() {
    tool_cancelled(How::Rest).await;
}

#[tokio::test]
async fn a_running_tool_and_its_children_are_gone_when_a_message_cancels() {
    tool_cancelled(How::Message).await;
}

async fn tool_stopped(how: How) {
    let model = hang_then_note();
    let (site, _server, user, stream, pids) = hanging(&model).await;
    let said = order(&user, how, "stop").await;
    assert!(["1", "Stopped the running tool."].contains(&said.as_str()), "{said}");
    assert_eq!(answer_of(&stream.rest().await).as_deref(), Some("done"), "the turn goes on");
    until("the processes are gone", async || gone(&pids)).await;
    assert_eq!(site.ledger(), ["bench_hang {}", "bench_note {\"n\":7}"], "the next call runs");
    let results = model.requests()[2].results();
    assert!(results[0].contains("stopped by the user"), "{results:?}");
    assert_eq!(results[1], "noted {\"n\":7}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn stop_over_rest_ends_the_tool_and_lets_the_turn_go_on() {
    tool_stopped(How::Rest).await;
}

#[tokio::test]
async fn stop_as_a_message_ends_the_tool_and_lets_the_turn_go_on() {
    tool_stopped(How::Message).await;
}

#[tokio::test]
async fn what_waits_behind_a_cancelled_turn_is_withdrawn_with_it() {
    let model = MockModel::start(|_| Reply::Hang);
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let first = user.open(json!({"message": "first"})).await;
    until("the model is asked", async || model.count() == 1).await;
    let mut waiting = user.open(json!({"message": "second"})).await;
    waiting.until("status", |data| data["status"] == "queued").await;
    order(&user, How::Message, "cancel").await;
    withdrawn(first, "cancelled").await;
    withdrawn(waiting, "cancelled").await;
    server.kill();
    model.becomes(|_| Reply::say("fine"));
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    assert_eq!(user.ask("third").await, "fine");
    assert_eq!(model.count(), 2, "nothing that was cancelled comes back after a restart");
    let states = site.column("SELECT text || ' ' || state FROM inbound ORDER BY id");
    let expected = ["first cancelled", "second cancelled", "/cancel answered", "third answered"];
    assert_eq!(states, expected);
}

async fn conversation(user: &User, name: &str) -> Stream {
    let mut stream = user.open(json!({"message": format!("in {name}"), "conversationId": name})).await;
    stream.until("status", |data| data["status"] == "processing").await;
    stream
}

#[tokio::test]
async fn cancel_without_a_conversation_ends_all_of_this_user_and_nothing_of_another() {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |_| hold.say("late"));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let bob = User::new(&server.base, &site.key("bob", "developer"));
    let (one, two) = (conversation(&ann, "one").await, conversation(&ann, "two").await);
    let other = conversation(&bob, "one").await;
    until("all are asked", async || model.count() == 3).await;
    let (status, _) = bob.post("/api/chat/cancel", json!({"userId": "ann"})).await;
    assert_eq!(status, 403, "another's work is not his to end");
    let (_, body) = ann.post("/api/chat/cancel", json!({"conversationId": "one"})).await;
    assert_eq!(body["affected"], 1);
    withdrawn(one, "cancelled").await;
    assert_eq!(order(&ann, How::Rest, "cancel").await, "1");
    withdrawn(two, "cancelled").await;
    gate.open();
    assert_eq!(answer_of(&other.rest().await).as_deref(), Some("late"));
    assert_eq!(order(&ann, How::Rest, "cancel").await, "0", "there is nothing left to do");
}

#[tokio::test]
async fn cancel_and_stop_say_so_when_there_is_nothing_to_do() {
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(user.ask("/cancel").await, "There is nothing to cancel.");
    assert_eq!(user.ask("/stop").await, "No tool is running.");
    assert_eq!(order(&user, How::Rest, "stop").await, "0");
    assert_eq!(model.count(), 0);
}

#[tokio::test]
async fn a_stopped_server_ends_the_processes_of_tools() {
    let model = hang_then_note();
    let site = Site::new(&with_model(&model, &format!("server: {{port: 0, drain_seconds: 0}}\n{BENCH}")));
    let site = site.with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let _stream = user.open(json!({"message": "hang on"})).await;
    until("the tool runs", async || site.pids().len() == 2).await;
    let pids = site.pids();
    assert!(server.stop().success());
    until("the processes are gone", async || gone(&pids)).await;
    let open: Value = site.value::<i64>("SELECT count(*) FROM turns WHERE state = 'running'").into();
    assert_eq!(open, 1, "the turn goes on at the next start");
}
