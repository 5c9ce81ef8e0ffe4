//! The server as a process: start, status, stop, restart; drains, kills, leftovers of earlier runs.

use std::{ops::Deref, process::Output};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::*;

/// A site whose daemon does not outlive the test.
struct Daemon(Site);

impl Deref for Daemon {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl Daemon {
    fn pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.home().join("run/atoll.pid")).ok()?;
        text.trim().parse().ok()
    }

    fn address(&self) -> String {
        std::fs::read_to_string(self.home().join("run/address")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.run(&["status", "--json"]).status.success()
            && let Some(pid) = self.pid().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that ended and that nobody buried yet does not live.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim().starts_with('Z'))
}

async fn gone(pid: i32) {
    until("the process has ended", async || !lives(pid)).await;
}

fn states(site: &Site, sql: &str) -> Vec<String> {
    let store = site.store();
    let mut statement = store.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

const INBOUND: &str = "SELECT state FROM inbound ORDER BY id";
const ANSWERS: &str =
    "SELECT json_extract(body, '$.text') FROM outbox WHERE json_extract(body, '$.kind') = 'answer'
                       ORDER BY id";

#[tokio::test]
async fn a_daemon_starts_answers_is_looked_at_and_stops() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let site = Daemon(Site::new(&with_model(&model, "")));
    let said = site.say(&["start", "-d"]);
    let pid = site.pid().unwrap();
    assert!(said.contains(&format!("pid {pid}")) && said.contains(&site.address()), "{said}");
    assert!(lives(pid));
    let status = site.say(&["status"]);
    assert!(status.contains(&format!("pid {pid}")), "{status}");
    let user = User::new(&site.address(), &site.key("me", "owner"));
    assert_eq!(user.ask("hi").await, "hello");
    let log = site.say(&["logs", "-n", "100"]);
    assert!(log.contains(&format!("ready {}", site.address())), "{log}");
    assert_eq!(site.say(&["logs", "-n", "1"]).lines().count(), 1);
    assert_eq!(site.say(&["stop"]), "stopped");
    gone(pid).await;
    for left in ["run/atoll.pid", "run/address", "run/local.key"] {
        assert!(!site.home().join(left).exists(), "{left} is left");
    }
    let status = site.run(&["status"]);
    assert!(!status.status.success());
    assert!(String::from_utf8_lossy(&status.stdout).contains("atoll start -d"));
    let again = site.run(&["stop"]);
    assert!(!again.status.success() && errors(&again).contains("no atoll runs on"), "{}", errors(&again));
}

#[tokio::test]
async fn a_restart_is_another_process_that_knows_what_was_said() {
    let model = MockModel::start(|request| Reply::say(format!("answer {}", request.number)));
    let site = Daemon(Site::new(&with_model(&model, "")));
    site.say(&["restart"]);
    let first = site.pid().unwrap();
    let key = site.key("me", "owner");
    User::new(&site.address(), &key).ask("the first thing").await;
    site.say(&["restart"]);
    let second = site.pid().unwrap();
    assert!(first != second && lives(second));
    gone(first).await;
    User::new(&site.address(), &key).ask("the second thing").await;
    let text = model.requests()[1].text();
    assert!(text.contains("the first thing") && text.contains("answer 1"), "{text}");
    site.say(&["stop"]);
}

#[tokio::test]
async fn a_daemon_that_cannot_start_says_why() {
    let site = Daemon(Site::new("agent: {max_iterations: many}"));
    let output = site.run(&["start", "-d"]);
    assert!(!output.status.success());
    let text = errors(&output);
    assert!(text.contains("agent.max_iterations") && text.contains("config.yaml"), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    site.configure(&format!("server: {{port: {port}}}\nllm: {{provider: rehearsal}}"));
    let output = site.run(&["start", "-d"]);
    let text = errors(&output);
    assert!(!output.status.success() && text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(text.contains("server.port"), "{text}");
}

#[tokio::test]
async fn a_second_process_on_the_same_home_is_refused_and_the_first_goes_on() {
    let model = MockModel::start(|_| Reply::say("still here"));
    let site = Daemon(Site::new(&with_model(&model, "")));
    let server = site.start();
    let Err(text) = site.try_start(&[]) else { panic!("two servers on one home") };
    let home = std::fs::canonicalize(site.home()).unwrap();
    assert!(text.contains("another atoll works on") && text.contains(home.to_str().unwrap()), "{text}");
    assert!(text.contains("atoll stop") && text.contains("--home"), "{text}");
    let output = site.run(&["start", "-d"]);
    assert!(!output.status.success() && errors(&output).contains("already"), "{}", errors(&output));
    let user = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(user.ask("are you there?").await, "still here");
    assert!(site.say(&["status"]).contains(&server.base), "the first one's address still stands");
}

#[tokio::test]
async fn leftovers_of_an_earlier_run_are_no_obstacle_and_nobody_else_is_harmed() {
    let model = MockModel::start(|_| Reply::say("fresh"));
    let site = Daemon(Site::new(&with_model(&model, "")));
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::create_dir_all(site.home().join("run")).unwrap();
    for (file, text) in [
        ("atoll.pid", bystander.id().to_string()),
        ("address", "http://127.0.0.1:9".into()),
        ("local.key", "old".into()),
        ("atoll.lock", String::new()),
    ] {
        std::fs::write(site.home().join("run").join(file), text).unwrap();
    }
    for command in [&["stop"][..], &["chat", "hello"], &["actors", "list"]] {
        let output = site.run(command);
        assert!(!output.status.success() && errors(&output).contains("no atoll runs"), "{}", errors(&output));
    }
    assert!(bystander.try_wait().unwrap().is_none(), "the process of the old number was hit");
    site.say(&["start", "-d"]);
    assert_ne!(site.pid().unwrap(), i32::try_from(bystander.id()).unwrap());
    assert_eq!(site.say(&["chat", "hi"]), "fresh");
    site.say(&["stop"]);
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn after_a_kill_it_starts_again_and_answers_what_was_open() {
    let model = MockModel::start(|_| Reply::Hang);
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let key = site.key("me", "owner");
    let user = User::new(&server.base, &key);
    let _stream = user.open_keyed("k1", json!({"message": "do not lose me"})).await;
    until("the model is asked", async || model.count() == 1).await;
    server.kill();
    model.becomes(|_| Reply::say("not lost"));
    let server = site.start();
    until("it is answered", async || states(&site, INBOUND) == ["answered"]).await;
    assert_eq!(states(&site, ANSWERS), ["not lost"]);
    let user = User::new(&server.base, &key);
    let events = user.open_keyed("k1", json!({"message": "do not lose me"})).await.rest().await;
    assert_eq!(answer_of(&events).unwrap(), "not lost");
    assert_eq!(model.count(), 2);
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_running_turn_ends_before_the_process_does_and_new_messages_are_refused() {
    for signal in [Signal::TERM, Signal::INT] {
        let gate = Gate::new();
        let held = gate.clone();
        let model = MockModel::start(move |_| held.then(Reply::say("in time")));
        let site = Site::new(&with_model(&model, ""));
        let server = site.start();
        let user = User::new(&server.base, &site.key("me", "owner"));
        let stream = user.open(json!({"message": "hello"})).await;
        until("the model is asked", async || model.count() == 1).await;
        server.signal(signal);
        let intake = "/api/v1/actors/inspect?name=intake_api";
        until("it drains", async || user.look(intake).await["draining"] == true).await;
        let (status, body) = user.post("/api/chat", json!({"message": "late"})).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (503, &json!("draining")));
        assert_eq!(user.get("/readyz").await.0, 503);
        gate.open();
        let events = stream.rest().await;
        assert_eq!(answer_of(&events).unwrap(), "in time");
        assert_eq!(events.last().unwrap().name, "done");
        assert!(server.wait().success());
        assert!(
            states(&site, INBOUND).iter().all(|state| state == "answered"),
            "{:?}",
            states(&site, INBOUND)
        );
    }
}

/// What does not end in time is left as it is, and done at the next start, once.
async fn taken_up_at_the_next_start(site: &Site, model: &MockModel) {
    assert_eq!(states(site, INBOUND), ["running", "queued"]);
    assert!(states(site, ANSWERS).is_empty());
    model.becomes(|request| Reply::say(format!("answer to {}", request.last_user().lines().last().unwrap())));
    let server = site.start();
    until("both are answered", async || states(site, INBOUND) == ["answered", "answered"]).await;
    assert_eq!(states(site, ANSWERS), ["answer to first", "answer to second"]);
    assert_eq!(model.count(), 3);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    assert!(server.stop().success());
}

async fn two_messages(site: &Site, server: &Server, model: &MockModel) -> [Stream; 2] {
    let user = User::new(&server.base, &site.key("me", "owner"));
    let first = user.open(json!({"message": "first"})).await;
    until("the model is asked", async || model.count() == 1).await;
    let mut second = user.open(json!({"message": "second"})).await;
    second.until("status", |data| data["status"] == "queued").await;
    [first, second]
}

#[tokio::test]
async fn what_does_not_end_within_drain_seconds_goes_on_at_the_next_start() {
    for seconds in [0, 1] {
        let model = MockModel::start(|_| Reply::Hang);
        let server = format!("server: {{port: 0, drain_seconds: {seconds}}}");
        let site = Site::new(&with_model(&model, &server));
        let server = site.start();
        let streams = two_messages(&site, &server, &model).await;
        assert!(server.stop().success());
        for stream in streams {
            let last = stream.rest().await.pop().unwrap();
            assert_eq!(last.data["code"], "interrupted_stream", "the client is told how to go on: {last:?}");
        }
        taken_up_at_the_next_start(&site, &model).await;
    }
}

#[tokio::test]
async fn a_second_signal_skips_to_the_end() {
    let model = MockModel::start(|_| Reply::Hang);
    let site = Site::new(&with_model(&model, "server: {port: 0, drain_seconds: 600}"));
    let server = site.start();
    let _streams = two_messages(&site, &server, &model).await;
    server.signal(Signal::TERM);
    until("it drains", async || site.log().contains("shutting down")).await;
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert!(site.log().contains("skipping to the end"), "{}", site.log());
    taken_up_at_the_next_start(&site, &model).await;
}
