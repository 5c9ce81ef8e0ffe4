//! What a message does while a turn runs: it waits, joins the turn, or takes its place.

use serde_json::{Value, json};

use crate::support::*;

/// A model whose first answer waits for the gate; it names the message that it answers.
fn gated() -> (Gate, MockModel) {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |request| {
        let last = request.last_user();
        let words = last.rsplit("\n\n").next().unwrap_or_default();
        let reply = Reply::say(format!("to {words}"));
        if request.number == 1 { hold.then(reply) } else { reply }
    });
    (gate, model)
}

/// A user whose first message is being answered.
async fn busy(model: &MockModel, more: &str) -> (Site, Server, User, Stream) {
    let site = Site::new(&with_anthropic(model, more));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let first = user.open(json!({"message": "first"})).await;
    until("the model is asked", async || model.count() == 1).await;
    (site, server, user, first)
}

async fn say(user: &User, message: &str, mode: Option<&str>) -> Stream {
    let mut body = json!({"message": message});
    if let Some(mode) = mode {
        body["whileBusy"] = mode.into();
    }
    let stream = user.open(body).await;
    assert_eq!(stream.status, 201);
    stream
}

async fn queued(user: &User, message: &str) -> Stream {
    let mut stream = say(user, message, None).await;
    stream.until("status", |data| data["status"] == "queued").await;
    stream
}

async fn end(stream: Stream) -> Value {
    let events = stream.rest().await;
    let last = events.iter().find(|event| matches!(event.name.as_str(), "response" | "error"));
    let last = last.unwrap_or_else(|| panic!("no end: {events:?}"));
    last.data.get("text").unwrap_or(&last.data["code"]).clone()
}

#[tokio::test]
async fn by_default_messages_wait_and_are_answered_in_their_order() {
    let (gate, model) = gated();
    let (site, _server, user, first) = busy(&model, "").await;
    let (second, third) = (queued(&user, "second").await, queued(&user, "third").await);
    assert!(user.ask("/tasks queued").await.contains("[queued] third"));
    gate.open();
    assert_eq!(end(first).await, "to first");
    assert_eq!(end(second).await, "to second");
    assert_eq!(end(third).await, "to third");
    let order = "SELECT inbound.text FROM turns JOIN inbound ON inbound.id = inbound_id ORDER BY seq";
    assert_eq!(site.column(order), ["first", "second", "third"]);
    let last = model.requests().pop().unwrap().text();
    assert!(last.find("to first").unwrap() < last.find("to second").unwrap());
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn what_waits_is_answered_in_its_order_after_a_crash() {
    let (_gate, model) = gated();
    let (site, server, user, _first) = busy(&model, "").await;
    let (_second, _third) = (queued(&user, "second").await, queued(&user, "third").await);
    server.kill();
    let _server = site.start();
    until("all are answered", async || {
        site.value::<i64>("SELECT count(*) FROM inbound WHERE state = 'answered'") == 3
    })
    .await;
    let answers = site.column("SELECT json_extract(body, '$.text') FROM outbox ORDER BY id");
    assert_eq!(answers, ["to first", "to second", "to third"]);
    assert_eq!(model.count(), 4, "only the call that was cut off is made again");
}

#[tokio::test]
async fn a_steered_message_is_read_at_the_next_step_of_the_running_turn() {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |request| match request.number {
        1 => hold.then(Reply::call("clock", json!({}))),
        _ => Reply::say(format!("read {}", request.text().contains("in French please"))),
    });
    let (site, _server, user, first) = busy(&model, "").await;
    let mut steered = say(&user, "in French please", Some("steer")).await;
    steered.until("status", |data| data["status"] == "processing").await;
    gate.open();
    assert_eq!(end(first).await, "read true");
    assert_eq!(end(steered).await, "read true");
    assert_eq!(model.count(), 2);
    assert_eq!(site.value::<i64>("SELECT count(*) FROM turns"), 1, "both are one turn");
    assert_eq!(site.value::<i64>("SELECT count(*) FROM outbox"), 1, "and have one answer");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_message_that_is_steered_into_the_last_answer_is_answered_too() {
    let (gate, model) = gated();
    let (site, _server, user, first) = busy(&model, "agent: {while_busy: steer}\n").await;
    let mut steered = say(&user, "and this", None).await;
    steered.until("status", |data| data["status"] == "processing").await;
    gate.open();
    assert_eq!(end(first).await, "to first\n\nto and this");
    assert_eq!(end(steered).await, "to first\n\nto and this");
    assert_eq!(site.column("SELECT state FROM inbound"), ["answered", "answered"]);
    assert_eq!(user.ask("next").await, "to next");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_steered_message_is_not_lost_when_the_process_dies() {
    let (_gate, model) = gated();
    let (site, server, user, _first) = busy(&model, "").await;
    let mut steered = say(&user, "and this", Some("steer")).await;
    steered.until("status", |data| data["status"] == "processing").await;
    until("it is in the journal", async || {
        site.value::<i64>("SELECT count(*) FROM inbound WHERE state = 'running'") == 2
    })
    .await;
    server.kill();
    let _server = site.start();
    until("both are answered", async || {
        site.value::<i64>("SELECT count(*) FROM inbound WHERE state = 'answered'") == 2
    })
    .await;
    let read = model.requests().iter().skip(1).any(|request| request.text().contains("and this"));
    assert!(read, "the model is given what was steered");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn an_interrupt_ends_the_running_turn_and_goes_before_what_waits() {
    let (_gate, model) = gated();
    let (site, _server, user, first) = busy(&model, "").await;
    let second = queued(&user, "second").await;
    let urgent = say(&user, "urgent", Some("interrupt")).await;
    assert_eq!(end(first).await, "interrupted");
    assert_eq!(end(urgent).await, "to urgent");
    assert_eq!(end(second).await, "to second");
    let order = "SELECT inbound.text FROM turns JOIN inbound ON inbound.id = inbound_id ORDER BY seq";
    assert_eq!(site.column(order), ["first", "urgent", "second"]);
    let told = model.requests()[1].text();
    assert!(told.contains("[interrupted by a newer message of the user]"), "{told}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn an_interrupt_ends_a_running_tool_with_its_processes() {
    let model = does(&[("bench_hang", json!({}))]);
    let site = Site::new(&with_anthropic(&model, BENCH)).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let first = user.open(json!({"message": "hang"})).await;
    until("the tool runs", async || site.pids().len() == 2).await;
    let urgent = say(&user, "urgent", Some("interrupt")).await;
    assert_eq!(end(first).await, "interrupted");
    assert_eq!(end(urgent).await, "done");
    until("the processes are gone", async || gone(&site.pids())).await;
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn the_channel_decides_before_the_agent_and_the_message_before_both() {
    let (_gate, model) = gated();
    let config = "agent: {while_busy: steer}\nchannels: {api: {while_busy: interrupt}}\n";
    let (_site, _server, user, first) = busy(&model, config).await;
    let second = say(&user, "second", None).await;
    assert_eq!(end(first).await, "interrupted", "the channel says so");
    assert_eq!(end(second).await, "to second");
    let (gate, model) = gated();
    let (_site, _server, user, first) = busy(&model, config).await;
    let mut second = say(&user, "second", Some("queue")).await;
    second.until("status", |data| data["status"] == "queued").await;
    gate.open();
    assert_eq!(end(first).await, "to first", "the message says otherwise");
    assert_eq!(end(second).await, "to second");
}

#[tokio::test]
async fn the_terminal_decides_for_itself() {
    let (_gate, model) = gated();
    let (site, server, user, _first) = busy(&model, "channels: {terminal: {while_busy: interrupt}}\n").await;
    let _waits = queued(&user, "over rest it waits").await;
    let key = std::fs::read_to_string(site.home().join("run/local.key")).unwrap();
    let local = User::new(&server.base, key.trim());
    model.becomes(|request| if request.text().contains("urgent") { Reply::say("fine") } else { Reply::Hang });
    let first = say(&local, "a long story", None).await;
    until("the model is asked", async || model.count() == 2).await;
    let urgent = say(&local, "urgent", None).await;
    assert_eq!(end(first).await, "interrupted");
    assert_eq!(end(urgent).await, "fine");
    let channels = "SELECT channel || ' ' || state FROM inbound ORDER BY id";
    let expected = ["api running", "api queued", "terminal cancelled", "terminal answered"];
    assert_eq!(site.column(channels), expected);
}

#[tokio::test]
async fn what_a_user_chose_goes_before_the_configuration() {
    let (_gate, model) = gated();
    let site = Site::new(&with_anthropic(&model, "channels: {api: {while_busy: steer}}\n"));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    user.ask("/help").await;
    let me = site.value::<String>("SELECT user_id FROM inbound");
    let (status, body) = user.patch(&format!("/api/v1/users/{me}"), json!({"whileBusy": "interrupt"})).await;
    assert!(status.is_success(), "{status} {body}");
    let first = say(&user, "first", None).await;
    until("the model is asked", async || model.count() == 1).await;
    let second = say(&user, "second", None).await;
    assert_eq!(end(first).await, "interrupted");
    assert_eq!(end(second).await, "to second");
}

#[tokio::test]
async fn conversations_run_side_by_side_also_of_one_user() {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |_| hold.say("at last"));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut streams = Vec::new();
    for name in 0..8 {
        let place = format!("talk-{name}");
        streams.push(user.open(json!({"message": "hello", "conversationId": place})).await);
    }
    until("all are asked at the same time", async || model.count() == 8).await;
    gate.open();
    for stream in streams {
        assert_eq!(end(stream).await, "at last");
    }
}

#[tokio::test]
async fn messages_are_answered_one_by_one_in_the_order_in_which_they_were_accepted() {
    let model = MockModel::start(|request| {
        let last = request.last_user();
        Reply::say(format!("to {}", last.rsplit("\n\n").next().unwrap_or_default()))
    });
    let site = Site::new(&with_anthropic(&model, "agent: {queue_limit: 100}\n"));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut streams = Vec::new();
    for at in 0..60 {
        // Accepted when the headers are there, answered some time later.
        streams.push(say(&user, &format!("message {at}"), None).await);
    }
    for (at, stream) in streams.into_iter().enumerate() {
        assert_eq!(end(stream).await, format!("to message {at}"));
    }
    assert_eq!(model.count(), 60);
    let order = "SELECT inbound.text FROM turns JOIN inbound ON inbound.id = inbound_id ORDER BY seq";
    let expected: Vec<String> = (0..60).map(|at| format!("message {at}")).collect();
    assert_eq!(site.column(order), expected);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}
