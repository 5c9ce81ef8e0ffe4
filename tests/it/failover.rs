//! Providers that fail: another one answers, or an honest error comes; nothing is lost, and no key is shown.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::*;

const KEY: &str = "sk-very-secret-0123456789abcdef";

fn says(text: &'static str) -> impl Fn(&Request) -> Reply + Clone + Send + Sync + 'static {
    move |_| Reply::say(text)
}

fn fails(status: u16) -> impl Fn(&Request) -> Reply + Clone + Send + Sync + 'static {
    move |_| Reply::Status(status, vec![], json!({"error": {"message": format!("no {status}")}}).to_string())
}

/// A configuration with these providers in this order, named a, b, c…, each with more of its own.
fn lane(models: &[(&MockModel, &str)], more: &str) -> String {
    let entries = models.iter().zip('a'..).map(|((model, own), name)| {
        let base = model.openai();
        format!("  - {{provider: openai-compatible, name: {name}, base_url: '{base}', model: m-{name}, api_key: {KEY}{own}}}\n")
    });
    format!("llm:\n{}{more}", entries.collect::<String>())
}

fn house(config: &str) -> (Site, Server, User) {
    let site = Site::new(config);
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

/// What health says of a provider.
async fn provider(user: &User, name: &str) -> Value {
    let health = user.look("/api/v1/health").await;
    let list = health["providers"].as_array().unwrap().clone();
    list.into_iter().find(|provider| provider["name"] == name).unwrap()
}

/// The error that a message ends with.
async fn error_of(user: &User, message: &str) -> Value {
    let events = user.chat(json!({"message": message})).await;
    let last = events.last().unwrap();
    assert_eq!(last.name, "error", "{events:#?}");
    last.data.clone()
}

#[tokio::test]
async fn calls_go_round_the_providers() {
    let models = [says("a"), says("b"), says("c")].map(MockModel::start);
    let (_site, _server, user) = house(&lane(&[(&models[0], ""), (&models[1], ""), (&models[2], "")], ""));
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(user.ask("hello").await);
    }
    assert_eq!(answers, ["a", "b", "c", "a", "b", "c"]);
}

#[tokio::test]
async fn a_provider_that_asks_to_slow_down_is_passed_over_and_left_alone() {
    let slow = MockModel::start(|_| Reply::Status(429, vec![("retry-after", "3600".into())], String::new()));
    let other = MockModel::start(says("b"));
    let (_site, _server, user) = house(&lane(&[(&slow, ""), (&other, "")], ""));
    for _ in 0..4 {
        assert_eq!(user.ask("hello").await, "b");
    }
    assert_eq!((slow.count(), other.count()), (1, 4));
    assert_eq!(provider(&user, "a").await["state"], "limited");
    assert_eq!(provider(&user, "b").await["state"], "up");
}

#[tokio::test]
async fn the_only_provider_is_waited_for_as_long_as_it_asks() {
    let model = MockModel::start(|request| match request.number {
        1 => Reply::Status(429, vec![("retry-after", "2".into())], String::new()),
        _ => Reply::say("now"),
    });
    let (_site, _server, user) = house(&lane(&[(&model, "")], ""));
    let began = Instant::now();
    assert_eq!(user.ask("hello").await, "now");
    assert!(began.elapsed() >= Duration::from_secs(2), "it was asked again too early");
    assert_eq!(model.count(), 2);
}

#[tokio::test]
async fn a_failing_provider_is_passed_over_and_its_circuit_opens() {
    let (bad, good) = (MockModel::start(fails(500)), MockModel::start(says("b")));
    let (site, _server, user) = house(&lane(&[(&bad, ""), (&good, "")], ""));
    for _ in 0..9 {
        assert_eq!(user.ask("hello").await, "b");
    }
    assert_eq!((bad.count(), good.count()), (3, 9), "three failures are enough");
    let state = provider(&user, "a").await;
    assert_eq!(state["state"], "paused");
    assert!(state["why"].as_str().unwrap().contains("no 500"), "{state}");
    let health = user.look("/api/v1/health").await;
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(site.run(&["status"]).status.success(), "a warning is no failure");
}

#[tokio::test]
async fn a_refused_key_takes_the_provider_out_and_everybody_says_so() {
    for status in [401, 403] {
        let (bad, good) = (MockModel::start(fails(status)), MockModel::start(says("b")));
        let (site, _server, user) = house(&lane(&[(&bad, ""), (&good, "")], ""));
        for _ in 0..3 {
            assert_eq!(user.ask("hello").await, "b");
        }
        assert_eq!(bad.count(), 1, "it is not asked again");
        assert_eq!(provider(&user, "a").await["state"], "out");
        let health = user.look("/api/v1/health").await;
        assert_eq!(health["status"], "failing", "{health}");
        let output = site.run(&["status"]);
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !output.status.success() && table.contains("model a") && table.contains("mend its key"),
            "{table}"
        );
        assert!(site.log().contains("provider is out"), "{}", site.log());
    }
}

#[tokio::test]
async fn a_lone_provider_with_a_refused_key_is_an_honest_error_at_once() {
    let model = MockModel::start(fails(401));
    let (_site, _server, user) = house(&lane(&[(&model, "")], ""));
    for _ in 0..2 {
        let error = error_of(&user, "hello").await;
        let text = error["message"].as_str().unwrap();
        assert_eq!(error["code"], "model_failed");
        assert!(text.contains("refused its key") && text.matches("no 401").count() == 1, "{text}");
    }
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn a_request_that_is_refused_is_not_offered_to_others() {
    let (picky, other) = (MockModel::start(fails(400)), MockModel::start(says("b")));
    let (site, _server, user) = house(&lane(&[(&picky, ""), (&other, "")], ""));
    let error = error_of(&user, "hello").await;
    assert!(error["message"].as_str().unwrap().contains("no 400"), "{error}");
    assert_eq!((picky.count(), other.count()), (1, 0));
    assert_eq!(provider(&user, "a").await["state"], "up", "the request was at fault, not the provider");
    picky.becomes(says("a"));
    assert_eq!(user.ask("and now?").await, "b");
    assert_eq!(user.ask("and now?").await, "a");
    let states: Vec<String> = site
        .store()
        .prepare("SELECT DISTINCT state FROM inbound")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(states, ["answered"]);
}

#[tokio::test]
async fn a_provider_that_is_silent_too_long_is_given_up() {
    let silent = MockModel::start(|request| match request.number {
        1 => Reply::Hang,
        _ => Reply::Raw("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n".into(), Then::Silence),
    });
    let other = MockModel::start(says("b"));
    let (_site, _server, user) = house(&lane(&[(&silent, ", timeout_seconds: 1"), (&other, "")], ""));
    assert_eq!(user.ask("one").await, "b", "silent from the beginning");
    let events = user.chat(json!({"message": "two"})).await;
    assert_eq!(answer_of(&events).unwrap(), "b", "silent in the middle");
    assert!(events.iter().any(|event| event.data["kind"] == "restart"), "{events:#?}");
    assert_eq!(silent.count(), 2);
}

#[tokio::test]
async fn attempts_end_at_their_number() {
    for attempts in [1, 2] {
        let (bad, worse) = (MockModel::start(fails(500)), MockModel::start(fails(503)));
        let more = format!("models: {{attempts: {attempts}}}");
        let (_site, _server, user) = house(&lane(&[(&bad, ""), (&worse, "")], &more));
        let error = error_of(&user, "hello").await;
        assert!(error["message"].as_str().unwrap().contains("no 50"), "{error}");
        assert_eq!(bad.count() + worse.count(), attempts);
    }
}

#[tokio::test]
async fn attempts_end_when_their_time_is_over() {
    let model = MockModel::start(|_| Reply::Hang);
    // The provider itself may be silent for two minutes: only the whole can end this in time.
    let (_site, _server, user) = house(&lane(&[(&model, "")], "models: {total_seconds: 1}"));
    let error = error_of(&user, "hello").await;
    assert!(error["message"].as_str().unwrap().contains("in time"), "{error}");
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn a_long_wait_that_a_provider_asks_for_is_not_begun() {
    let model = MockModel::start(|_| Reply::Status(429, vec![("retry-after", "600".into())], String::new()));
    let (_site, _server, user) = house(&lane(&[(&model, "")], "models: {total_seconds: 120}"));
    let error = error_of(&user, "hello").await;
    assert!(error["message"].as_str().unwrap().contains("slow down"), "{error}");
}

#[tokio::test]
async fn no_provider_gets_more_calls_at_a_time_than_it_takes() {
    for (own, expected) in [(", max_concurrent: 2", 2), ("", 6)] {
        let gate = Gate::new();
        let held = gate.clone();
        let model = Arc::new(MockModel::start(move |_| held.then(Reply::say("done"))));
        let (site, _server, user) = house(&lane(&[(&model, own)], ""));
        let talks: Vec<_> = (0..6)
            .map(|at| {
                let user = user.clone();
                tokio::spawn(async move {
                    user.ask_as(json!({"message": "hi", "conversationId": format!("c{at}")})).await
                })
            })
            .collect();
        let waiting = || {
            let count = site.store().query_row("SELECT count(*) FROM turns", [], |row| row.get(0));
            count.unwrap_or(0_i64)
        };
        until("all turns are open", async || waiting() == 6).await;
        until("the provider is as busy as it may be", async || model.count() >= expected).await;
        assert_eq!(provider(&user, "a").await["inFlight"], expected);
        assert_eq!(model.count(), expected);
        gate.open();
        for talk in talks {
            assert_eq!(talk.await.unwrap(), "done");
        }
        assert_eq!(model.count(), 6);
        assert_eq!(provider(&user, "a").await["inFlight"], 0);
    }
}

#[tokio::test]
async fn when_all_are_down_it_says_so_and_goes_on_when_they_are_back() {
    let models = [fails(500), fails(502)].map(MockModel::start);
    let config = lane(&[(&models[0], ""), (&models[1], "")], "models: {attempts: 2}");
    let (site, _server, user) = house(&config);
    let error = error_of(&user, "the important thing").await;
    assert_eq!(error["code"], "model_failed");
    let text = error["message"].as_str().unwrap();
    assert!(text.contains("could not answer") && text.contains("no 50"), "{text}");
    let told: String = site
        .store()
        .query_row("SELECT body FROM outbox JOIN inbound ON outbox.id = answer_id", [], |row| row.get(0))
        .unwrap();
    assert!(told.contains("could not answer"), "the answer is stored: {told}");
    models.iter().for_each(|model| model.becomes(says("back")));
    assert_eq!(user.ask("are you there?").await, "back");
    let asked = models.iter().flat_map(MockModel::requests).last().unwrap();
    assert!(asked.text().contains("the important thing"), "{}", asked.text());
    assert!(models.iter().all(|model| model.refused().is_empty()));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_named_as_such() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone =
        format!("{{provider: openai-compatible, name: gone, base_url: 'http://{nowhere}/v1', model: x}}");
    let (_site, _server, user) = house(&format!("llm: {gone}\nmodels: {{attempts: 1}}"));
    let error = error_of(&user, "hello").await;
    assert!(error["message"].as_str().unwrap().contains("gone cannot be reached"), "{error}");
    let good = MockModel::start(says("b"));
    let second = format!("{{provider: openai-compatible, base_url: '{}', model: y}}", good.openai());
    let (_site, _server, user) = house(&format!("llm: [{gone}, {second}]"));
    assert_eq!(user.ask("hello").await, "b");
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_is_said_to_be_one() {
    let model = MockModel::start(says("never"));
    let base = model.openai();
    let (_site, _server, user) = house(&format!(
        "llm: {{provider: openai-compatible, base_url: '{base}', model: m, api_key: \"two\\nlines\"}}"
    ));
    let error = error_of(&user, "hello").await;
    assert!(error["message"].as_str().unwrap().contains("cannot be sent"), "{error}");
    assert_eq!(model.count(), 0);
}

#[tokio::test]
async fn a_model_on_this_machine_is_not_looked_for_behind_a_proxy() {
    let model = MockModel::start(says("right here"));
    let site = Site::new(&lane(&[(&model, "")], "")).env("http_proxy", "http://127.0.0.1:9");
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(user.ask("hello").await, "right here");
}

#[tokio::test]
async fn the_text_of_a_key_is_shown_nowhere() {
    let echo = |prefix: usize| format!("{}bad key {KEY} was given", "x".repeat(prefix));
    let bodies = [
        // Long words are cut: not in the middle of a key that is then not known for one.
        (500, json!({"error": {"message": echo(480)}}).to_string()),
        (400, json!({"error": {"message": echo(0)}}).to_string()),
        (200, format!("data: {}\n\n", json!({"error": {"message": echo(480)}}))),
        (401, json!({"error": {"message": echo(0)}}).to_string()),
    ];
    let count = bodies.len();
    let model = MockModel::start(move |request| match bodies[request.number as usize - 1].clone() {
        (200, body) => Reply::Raw(body, Then::End),
        (status, body) => Reply::Status(status, vec![], body),
    });
    let more = "models: {attempts: 1}\nlog: {level: trace}";
    let (site, server, user) = house(&lane(&[(&model, "")], more));
    let mut seen = String::new();
    for _ in 0..count {
        seen.push_str(&error_of(&user, "hello").await.to_string());
    }
    for path in ["/api/v1/health", "/api/v1/actors", "/api/v1/actors/inspect?name=llm_pool", "/api/v1/audit"]
    {
        seen.push_str(&user.look(path).await.to_string());
    }
    let output = site.run(&["status"]);
    seen.push_str(&String::from_utf8_lossy(&output.stdout));
    seen.push_str(&server.said);
    assert!(server.stop().success());
    seen.push_str(&site.log());
    let store = std::fs::read(site.home().join("atoll.db")).unwrap();
    seen.push_str(&String::from_utf8_lossy(&store));
    assert!(seen.contains("bad key (the key) was given"), "the rest of the words is shown");
    for part in [KEY, &KEY[..12]] {
        let at =
            seen.find(part).map(|at| seen[at.saturating_sub(200)..].chars().take(300).collect::<String>());
        assert_eq!(at, None);
    }
}
