//! Limits: each with what it is by default, and with a value that changes what happens.

use serde_json::{Value, json};

use crate::support::*;

fn place(model: &MockModel, more: &str) -> (Site, Server, User) {
    let site = Site::new(&with_anthropic(model, &format!("{BENCH}{more}"))).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

/// Says something, and gives the answer's words and how the turn ended.
async fn outcome(user: &User, message: &str) -> (String, String) {
    let events = user.chat(json!({"message": message})).await;
    let response =
        events.iter().find(|event| event.name == "response").unwrap_or_else(|| panic!("{events:?}"));
    let word = |key: &str| response.data[key].as_str().unwrap().to_owned();
    (word("text"), word("outcome"))
}

#[tokio::test]
async fn a_turn_has_fifty_steps_or_as_many_as_are_configured() {
    for (more, steps) in [("", 50), ("agent: {max_iterations: 3}\n", 3)] {
        let model = MockModel::start(|_| Reply::call("clock", json!({})));
        let (site, _server, user) = place(&model, more);
        let (text, end) = outcome(&user, "for ever").await;
        assert_eq!((end.as_str(), model.count()), ("out_of_steps", steps));
        assert!(
            text.contains(&format!("after {steps} steps")) && text.contains("agent.max_iterations"),
            "{text}"
        );
        assert_eq!(site.value::<i64>("SELECT spent_tool_calls FROM spend"), steps as i64 - 1);
        model.becomes(|_| Reply::say("fine"));
        assert_eq!(user.ask("go on").await, "fine");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn a_message_has_4096_characters_or_as_many_as_are_configured() {
    for (more, limit) in [("", 4_096), ("agent: {max_input_length: 10}\n", 10)] {
        let model = MockModel::start(|_| Reply::say("fine"));
        let (site, _server, user) = place(&model, more);
        assert_eq!(user.ask(&"ä".repeat(limit)).await, "fine");
        let (status, body) = user.post("/api/chat", json!({"message": "ä".repeat(limit + 1)})).await;
        assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (400, Some("input_too_long")));
        assert!(body["error"]["message"].as_str().unwrap().contains("agent.max_input_length"), "{body}");
        assert_eq!(site.value::<i64>("SELECT count(*) FROM inbound"), 1);
        assert_eq!(model.count(), 1);
    }
}

#[tokio::test]
async fn a_tool_that_takes_too_long_is_ended_and_the_model_is_told() {
    let model = does(&[("bench_hang", json!({})), ("bench_note", json!({}))]);
    let (site, _server, user) = place(&model, "agent: {tool_timeout_seconds: 1}\n");
    assert_eq!(outcome(&user, "hang").await, ("done".into(), "answered".into()));
    let results = model.requests()[2].results();
    assert_eq!(results[0], "Error: `bench_hang` took longer than 1 s and was ended.");
    assert_eq!(results[1], "noted {}");
    let pids = site.pids();
    assert_eq!(pids.len(), 2);
    until("the processes are gone", async || gone(&pids)).await;
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_tool_may_take_longer_when_nothing_else_is_said() {
    let model = does(&[("bench_look", json!({}))]);
    let (_site, _server, user) = place(&model, "");
    assert_eq!(user.ask("look").await, "done");
    assert_eq!(model.requests()[2].results(), ["looked {}"]);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_ended_whatever_it_does() {
    for hang in [Reply::Hang, Reply::call("bench_hang", json!({}))] {
        let skill = Reply::call("activate_skill", json!({"skill_name": "bench"}));
        let model = MockModel::start(in_turn(vec![skill, hang]));
        let (site, _server, user) = place(&model, "agent: {turn_timeout_seconds: 1}\n");
        let (text, end) = outcome(&user, "hang").await;
        assert_eq!(end, "timed_out");
        assert!(text.contains("longer than 1 s") && text.contains("agent.turn_timeout_seconds"), "{text}");
        until("the processes are gone", async || gone(&site.pids())).await;
        assert_eq!(user.ask("and now?").await, "done");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn the_same_call_fails_three_times_or_as_often_as_is_configured() {
    for (more, times) in [("", 3), ("agent: {max_repeated_failures: 2}\n", 2)] {
        for tool in ["bench_fail", "bench_soft"] {
            let model = MockModel::start(move |request| match request.number {
                1 => Reply::call("activate_skill", json!({"skill_name": "bench"})),
                _ => Reply::call(tool, json!({"n": 1})),
            });
            let (site, _server, user) = place(&model, more);
            let (text, end) = outcome(&user, "try").await;
            assert_eq!((end.as_str(), site.ledger().len()), ("stuck_call", times));
            assert!(text.contains(&format!("`{tool}` failed {times} times in a row")), "{text}");
            assert!(text.contains("it broke") || text.contains("no such thing"), "{text}");
            model.becomes(|_| Reply::say("fine"));
            assert_eq!(user.ask("and now?").await, "fine");
            assert!(model.refused().is_empty(), "{:?}", model.refused());
        }
    }
}

#[tokio::test]
async fn other_arguments_or_a_success_between_begin_the_count_anew() {
    let calls = [1, 1, 2, 2, 1, 1].map(|n| Reply::call("bench_fail", json!({"n": n})));
    let mut replies = vec![Reply::call("activate_skill", json!({"skill_name": "bench"}))];
    replies.extend(calls);
    replies.push(Reply::call("bench_note", json!({})));
    replies.extend([1, 1].map(|n| Reply::call("bench_fail", json!({"n": n}))));
    let model = MockModel::start(in_turn(replies));
    let (site, _server, user) = place(&model, "");
    assert_eq!(outcome(&user, "try").await, ("done".into(), "answered".into()));
    assert_eq!(site.ledger().len(), 9);
}

#[tokio::test]
async fn a_cut_off_answer_is_continued_three_times_or_as_often_as_is_configured() {
    let cases = [("", 3), ("agent: {max_continuations: 1}\n", 1), ("agent: {max_continuations: 0}\n", 0)];
    for (more, times) in cases {
        let model = MockModel::start(|request| Reply::Cut(format!("part {} ", request.number)));
        let (site, _server, user) = place(&model, more);
        let (text, end) = outcome(&user, "a saga").await;
        let parts: String = (1..=times + 1).map(|at| format!("part {at} ")).collect();
        let (words, note) = text.split_once("\n\n").unwrap();
        assert_eq!((words, end.as_str()), (parts.trim(), "answered"));
        assert!(note.contains("cut off"), "{note}");
        assert_eq!(model.count(), times + 1);
        let kept: Value =
            serde_json::from_str(&site.value::<String>("SELECT messages FROM history")).unwrap();
        assert_eq!(kept.as_array().unwrap().len(), 2, "{kept}");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

/// Sends this many messages at once behind a turn that runs, and counts those that were taken.
async fn taken_behind(more: &str, count: usize) -> (usize, Site) {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |_| hold.say("late"));
    let (site, _server, user) = place(&model, more);
    let first = user.open(json!({"message": "first"})).await;
    until("the model is asked", async || model.count() == 1).await;
    let all = (0..count).map(|at| user.open(json!({"message": format!("next {at}")})));
    let streams = futures_util::future::join_all(all).await;
    let (mut taken, mut refused) = (Vec::new(), 0);
    for stream in streams {
        if stream.status == 201 {
            taken.push(stream);
        } else {
            assert_eq!(stream.status, 429);
            assert_eq!(stream.headers["retry-after"], "1");
            refused += 1;
        }
    }
    assert_eq!(taken.len() + refused, count);
    let stored = site.value::<i64>("SELECT count(*) FROM inbound WHERE state = 'queued'");
    assert_eq!(stored, taken.len() as i64, "what was refused is not stored");
    gate.open();
    let number = taken.len();
    for stream in taken.into_iter().chain([first]) {
        assert_eq!(answer_of(&stream.rest().await).as_deref(), Some("late"));
    }
    (number, site)
}

#[tokio::test]
async fn twenty_messages_wait_or_as_many_as_are_configured() {
    for (more, limit) in [("", 20), ("agent: {queue_limit: 2}\n", 2), ("agent: {queue_limit: 0}\n", 0)] {
        let (taken, site) = taken_behind(more, 30).await;
        assert_eq!(taken, limit);
        assert_eq!(site.value::<i64>("SELECT count(*) FROM turns"), limit as i64 + 1);
    }
}

#[tokio::test]
async fn a_full_queue_says_how_many_wait() {
    let model = MockModel::start(|_| Reply::Hang);
    let (_site, _server, user) = place(&model, "agent: {queue_limit: 1}\n");
    let _first = user.open(json!({"message": "first"})).await;
    until("the model is asked", async || model.count() == 1).await;
    let _second = user.open(json!({"message": "second"})).await;
    let (status, body) = user.post("/api/chat", json!({"message": "third"})).await;
    assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (429, Some("busy")));
    assert!(body["error"]["message"].as_str().unwrap().starts_with("1 messages already wait"), "{body}");
    assert_eq!(user.ask("/cancel").await, "Cancelled.", "commands are heard all the same");
}

#[tokio::test]
async fn messages_a_minute_are_unlimited_or_as_many_as_are_configured() {
    for (more, limit) in [("", 10), ("channels: {api: {messages_per_minute: 3}}\n", 3)] {
        let model = MockModel::start(|_| Reply::say("fine"));
        let (_site, _server, user) = place(&model, more);
        let mut refused = Vec::new();
        for _ in 0..10 {
            let stream = user.open(json!({"message": "hello"})).await;
            if stream.status == 201 {
                stream.rest().await;
            } else {
                refused.push(stream.status.as_u16());
            }
        }
        assert_eq!(refused, vec![429; 10 - limit]);
        assert_eq!(model.count(), limit as u64);
        assert_eq!(user.ask("/cancel").await, "There is nothing to cancel.", "this is always heard");
        let other = json!({"message": "hello", "userId": "somebody"});
        assert_eq!(user.ask_as(other).await, "fine", "each user has their own");
    }
}

/// How many sessions are in memory.
async fn sessions(user: &User) -> usize {
    user.look("/api/v1/actors").await.to_string().matches("\"kind\":\"session\"").count()
}

#[tokio::test]
async fn an_idle_conversation_leaves_memory_after_a_quarter_of_an_hour_or_as_configured() {
    for (more, minutes) in [("", 15), ("agent: {session_idle_minutes: 1}\n", 1)] {
        let model = MockModel::start(|_| Reply::say("fine"));
        let site = Site::new(&with_model(&model, more));
        let path = clock(&site, 0);
        let server = site.start_with(&[("ATOLL_CLOCK", &path)]);
        let user = User::new(&server.base, &site.key("me", "owner"));
        user.ask("the word is xylophone").await;
        assert_eq!(sessions(&user).await, 1);
        clock(&site, minutes * 60_000 + 1_000);
        until("the session is gone", async || sessions(&user).await == 0).await;
        assert_eq!(user.ask("which word?").await, "fine");
        assert!(model.requests()[1].text().contains("xylophone"), "it is rebuilt with all that it knew");
        assert_eq!(sessions(&user).await, 1);
    }
}
