//! The command line, as people and scripts use it: what is printed, where, and with which exit code.

use std::{
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::*;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command that must fail says, on standard error alone.
fn refusal(site: &Site, args: &[&str]) -> String {
    let output = site.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", out(&output));
    assert_eq!(out(&output), "", "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn parsed(site: &Site, args: &[&str]) -> Value {
    let text = site.say(args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

/// Runs a command with this on its standard input.
fn piped(site: &Site, args: &[&str], input: &str) -> Output {
    let mut command = site.command(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_before_the_first_start() {
    let site = Site::new("llm: {provider: rehearsal}");
    let (one, two) = (site.key("ann", "owner"), site.key("ben", "viewer"));
    assert!(one != two && one.len() > 30 && !one.contains(char::is_whitespace), "{one}");
    let list = parsed(&site, &["keys", "list", "--json"]);
    let names: Vec<&str> = list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann", "ben"]);
    let table = site.say(&["keys", "list"]);
    assert!(table.contains("owner") && table.contains("viewer"), "{table}");
    assert!(!(table + &list.to_string()).contains(&one), "a key is shown once");
    let store = std::fs::read(site.home().join("atoll.db")).unwrap();
    assert!(!String::from_utf8_lossy(&store).contains(&one), "only its hash is kept");
    let said = site.say(&["keys", "revoke", list[1]["id"].as_str().unwrap()]);
    assert!(said.contains("`ben` is worthless"), "{said}");
    assert!(site.say(&["keys", "list"]).contains("revoked"));
    let server = site.start();
    let (ann, ben) = (User::new(&server.base, &one), User::new(&server.base, &two));
    assert_eq!(ann.get("/api/v1/health").await.0, 200);
    assert_eq!(ben.get("/api/v1/health").await.0, 401);
}

#[tokio::test]
async fn keys_are_made_and_revoked_while_the_server_runs() {
    let site = Site::new("llm: {provider: rehearsal}");
    let server = site.start();
    let user = User::new(&server.base, &site.key("ann", "owner"));
    assert_eq!(user.get("/api/v1/health").await.0, 200);
    let id = parsed(&site, &["keys", "list", "--json"])[0]["id"].as_str().unwrap().to_owned();
    site.say(&["keys", "revoke", &id]);
    until("the key is refused", async || user.get("/api/v1/health").await.0 == 401).await;
    let refused = refusal(&site, &["keys", "create", "--name", "x", "--role", "king"]);
    assert!(refused.contains("owner, developer or viewer"), "{refused}");
    let refused = refusal(&site, &["keys", "revoke", "nothing"]);
    assert!(refused.contains("no such") || refused.contains("there is no"), "{refused}");
}

#[tokio::test]
async fn one_question_is_one_answer_on_standard_output() {
    let model = MockModel::start(|request| match request.results().as_slice() {
        [] => Reply::call("clock", json!({})),
        _ => Reply::Slowly(vec!["It is ".into(), "late.".into()], 5),
    });
    let site = Site::new(&with_model(&model, ""));
    let _server = site.start();
    let said = site.say(&["chat", "what time is it?"]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.last(), Some(&"It is late."), "{said}");
    assert_eq!(said.matches("late.").count(), 1, "shown as it came, and not again: {said}");
    assert!(said.contains("clock started"), "{said}");
}

#[tokio::test]
async fn chat_reads_standard_input_when_it_is_told_to() {
    let model = MockModel::start(|request| Reply::say(format!("you said {}", request.last_user().len())));
    let site = Site::new(&with_model(&model, ""));
    let _server = site.start();
    let output = piped(&site, &["chat", "-"], "one line\nand another\n");
    assert!(output.status.success() && out(&output).contains("you said"), "{}", out(&output));
    assert!(model.requests()[0].text().contains("one line\\nand another"));
    let refused = refusal(&site, &["chat"]);
    assert!(refused.contains("give a message, or `-`"), "{refused}");
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn chat_in_json_is_one_event_a_line_and_a_failure_is_an_exit_code() {
    let model = MockModel::start(|request| match request.number {
        1 => Reply::say("fine"),
        _ => Reply::Status(400, vec![], "{\"error\": {\"message\": \"no such thing\"}}".into()),
    });
    let site = Site::new(&with_model(&model, ""));
    let _server = site.start();
    let said = site.say(&["chat", "--json", "hello"]);
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("status", "done"));
    let response = events.iter().find(|event| event["event"] == "response").unwrap();
    assert_eq!(response["data"]["text"], "fine");
    let output = site.run(&["chat", "hello"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no such thing"));
}

#[tokio::test]
async fn chat_keeps_conversations_and_users_apart() {
    let model =
        MockModel::start(|request| Reply::say(format!("{}", request.text().contains("the secret word"))));
    let site = Site::new(&with_model(&model, ""));
    let _server = site.start();
    assert_eq!(site.say(&["chat", "the secret word is tea"]), "true");
    assert_eq!(site.say(&["chat", "what was it?"]), "true");
    assert_eq!(site.say(&["chat", "--conversation", "work", "what was it?"]), "false");
    assert_eq!(site.say(&["chat", "--user", "ann", "what was it?"]), "false");
}

#[tokio::test]
async fn status_is_a_table_with_advice_and_an_exit_code() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let site = Site::new(&with_model(&model, "prices: {mock: {input: 1}}"));
    let before = site.run(&["status"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(out(&before).contains("it does not run") && out(&before).contains("atoll start -d"));
    let _server = site.start();
    let table = site.say(&["status"]);
    for word in
        ["home", "config", "persona", "server", "store", "actors", "model openai-compatible", "keys create"]
    {
        assert!(table.contains(word), "{word}\n{table}");
    }
    site.key("me", "owner");
    assert!(site.say(&["status"]).contains("all is well"));
    let report = parsed(&site, &["status", "--json"]);
    assert_eq!(report["status"], "running");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["status"] == "ok"), "{report}");
    site.configure("agent: {max_iterations: 0}");
    let broken = site.run(&["status", "--json"]);
    assert_eq!(broken.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&broken)).unwrap();
    assert!(report.to_string().contains("agent.max_iterations"), "{report}");
}

#[tokio::test]
async fn check_tells_every_fault_and_is_quick_to_say_that_all_is_well() {
    let site = Site::new("llm: {provider: rehearsal}\nagent: {proactive: {enabled: true}}");
    let said = site.say(&["check"]);
    assert!(said.contains("is well") && said.contains("`agent.proactive.enabled`"), "{said}");
    site.configure("agent: {max_iterations: many, max_iteration: 3}\nllm: {provider: openia}");
    let refused = refusal(&site, &["check"]);
    for word in
        ["3 faults", "agent.max_iterations", "agent.max_iteration:", "max_iterations", "llm[0].provider"]
    {
        assert!(refused.contains(word), "{word}\n{refused}");
    }
    site.configure("agent: {max_iterations: 3\nllm: [");
    let refused = refusal(&site, &["check"]);
    assert!(refused.contains("line ") && refused.contains("config.yaml"), "{refused}");
    let refused = refusal(&site, &["check", "--config", "/nowhere/config.yaml"]);
    assert!(refused.contains("/nowhere/config.yaml"), "{refused}");
}

#[tokio::test]
async fn questions_are_listed_and_answered_from_the_terminal() {
    let model = MockModel::start(|_| Reply::say("worth it"));
    let site = Site::new(&with_model(&model, "budgets: {user_day: {tokens: 10}}"));
    let server = site.start();
    assert_eq!(site.say(&["approvals", "list"]), "nothing waits for an answer");
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut stream = user.open(json!({"message": "hello"})).await;
    stream.until("status", |data| data["status"] == "waiting_approval").await;
    let list = parsed(&site, &["approvals", "list", "--json"]);
    let id = list["approvals"][0]["id"].as_str().unwrap().to_owned();
    let table = site.say(&["approvals", "list"]);
    assert!(table.contains(&id) && table.contains("pending"), "{table}");
    assert_eq!(site.say(&["approvals", "approve", &id]), "approved");
    assert_eq!(answer_of(&stream.rest().await).unwrap(), "worth it");
    assert_eq!(site.say(&["approvals", "list"]), "nothing waits for an answer");
    assert_eq!(parsed(&site, &["approvals", "list", "--all", "--json"])["approvals"][0]["id"], id);
    let refused = refusal(&site, &["approvals", "reject", &id]);
    assert!(refused.contains("409"), "used once: {refused}");
}

#[tokio::test]
async fn the_audit_log_is_verified_and_tampering_is_found() {
    let site = Site::new("llm: {provider: rehearsal}");
    for name in ["a", "b", "c"] {
        site.key(name, "viewer");
    }
    let said = site.say(&["audit", "verify"]);
    assert!(said.starts_with("3 rows, unbroken"), "{said}");
    let rows = parsed(&site, &["audit", "list", "--json"]);
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert_eq!(site.say(&["audit", "list", "-n", "1"]).lines().count(), 2, "a head and a row");
    let server = site.start();
    assert!(site.say(&["audit", "verify"]).contains("unbroken"), "also while it runs");
    drop(server);
    let sound = std::fs::read(site.home().join("atoll.db")).unwrap();
    for fault in [
        "UPDATE audit SET actor = 'somebody else' WHERE seq = 2",
        "UPDATE audit SET details = details || '!' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE audit SET at = at + 1 WHERE seq = 3",
    ] {
        let store = site.store();
        assert_eq!(store.execute(fault, []).unwrap(), 1);
        drop(store);
        let refused = refusal(&site, &["audit", "verify"]);
        assert!(refused.contains("row ") || refused.contains("audit"), "{fault}: {refused}");
        for file in ["atoll.db-wal", "atoll.db-shm"] {
            let _ = std::fs::remove_file(site.home().join(file));
        }
        std::fs::write(site.home().join("atoll.db"), &sound).unwrap();
    }
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_a_home_that_works() {
    let model =
        MockModel::start(|request| Reply::say(format!("{}", request.text().contains("before the backup"))));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let key = site.key("me", "owner");
    let user = User::new(&server.base, &key);
    user.ask("before the backup").await;
    let file = site.beside().join("copy.db");
    let said = site.say(&["backup", file.to_str().unwrap()]);
    assert!(said.contains(file.to_str().unwrap()) && said.contains("to go back"), "{said}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "what people said is nobody else's to read: {mode:o}");
    let refused = refusal(&site, &["backup", file.to_str().unwrap()]);
    assert!(refused.contains("exists already"), "{refused}");
    user.ask("after it").await;
    assert!(server.stop().success());
    let other = Site::new(&with_model(&model, ""));
    std::fs::create_dir_all(other.home()).unwrap();
    std::fs::copy(&file, other.home().join("atoll.db")).unwrap();
    let server = other.start();
    let user = User::new(&server.base, &key);
    assert_eq!(user.ask("what did I say?").await, "true");
    let texts = model.requests().pop().unwrap().text();
    assert!(!texts.contains("after it"), "{texts}");
    assert!(other.say(&["audit", "verify"]).contains("unbroken"));
    let said = other.say(&["backup"]);
    assert!(said.contains("/backups/atoll-"), "{said}");
}

#[tokio::test]
async fn commands_without_a_server_say_how_to_start_one() {
    let site = Site::new("llm: {provider: rehearsal}");
    for args in [
        &["chat", "hello"][..],
        &["actors", "list"],
        &["actors", "restart", "db"],
        &["approvals", "list"],
        &["approvals", "approve", "x"],
        &["stop"],
    ] {
        let refused = refusal(&site, args);
        assert!(refused.contains("no atoll runs on"), "{args:?}: {refused}");
    }
    assert!(refusal(&site, &["chat", "hello"]).contains("atoll start -d"));
    assert!(refusal(&site, &["logs"]).contains("atoll start -d"));
}

#[tokio::test]
async fn help_shows_examples_and_an_unknown_command_is_a_usage_error() {
    let site = Site::new("");
    for args in [
        &["--help"][..],
        &["start", "--help"],
        &["chat", "--help"],
        &["keys", "--help"],
        &["backup", "--help"],
    ] {
        assert!(site.say(args).contains("Example"), "{args:?}");
    }
    assert_eq!(site.run(&["dance"]).status.code(), Some(2));
    assert!(site.say(&["--version"]).starts_with("atoll "));
}

#[tokio::test]
async fn the_local_key_never_leaves_the_machine_through_a_proxy() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let site = Site::new("llm: {provider: rehearsal}").env("http_proxy", &address).env("ALL_PROXY", &address);
    let _server = site.start();
    proxy.set_nonblocking(true).unwrap();
    let mut status = site.command(&["status", "--json"]).stdout(Stdio::null()).spawn().unwrap();
    until("the status is known", async || status.try_wait().unwrap().is_some() || proxy.accept().is_ok())
        .await;
    let code = status.try_wait().unwrap();
    let _ = status.kill();
    let _ = status.wait();
    assert!(code.is_some_and(|code| code.success()), "the command went to the proxy");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let site = Site::new("llm: {provider: rehearsal}");
    for at in 0..30 {
        site.key(&format!("k{at}"), "viewer");
    }
    let mut child =
        site.command(&["audit", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success(), "{errors}");
    assert_eq!(errors, "");
}
