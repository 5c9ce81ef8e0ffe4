//! `atoll task`, as people and scripts use it.

use atoll::domain::engine::EngineEvent;

use super::*;

fn refusal(site: &Site, args: &[&str]) -> String {
    let output = site.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn tasks_are_listed_shown_and_read() {
    let (site, _server, _owner) = begin().await;
    put(&site, task("j1"));
    put(&site, NewTask { title: "Evil \u{1b}[2J".into(), at: 1_790_000_000_001, ..task("j2") });
    let asked = until_asked("q1");
    goes(&site, "j1", &[], asked);
    let listed = site.say(&["task", "list"]);
    assert!(listed.contains("awaiting_approval") && listed.contains("queued"), "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed:?}");
    assert!(site.say(&["task", "list", "-n", "1"]).contains("1 of 2"));
    let json: Value =
        serde_json::from_str(&site.say(&["task", "list", "--status", "queued", "--json"])).unwrap();
    assert_eq!(json["tasks"][0]["id"], "j2");
    let shown = site.say(&["task", "show", "j1"]);
    for part in ["c0ffee", "✓ npm test", "✗ npm run lint  (exit 1)", "�[31mbad", "atoll/1-mend"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(refusal(&site, &["task", "diff", "j1"]).contains("no diff yet"));
    let files = files(&site);
    files.keep(&JobId::new("j1"), "diff.patch", b"--- a\n+++ b\n".to_vec().into()).await.unwrap();
    assert_eq!(site.say(&["task", "diff", "j1"]), "--- a\n+++ b");
    let call = EngineEvent::ToolCall { id: "1".into(), name: "bash".into(), input: json!({"command": "ls"}) };
    tells(&files, "j1", vec![state("running"), LogEvent::Engine(call), note("bell \u{7}")]).await;
    let log = site.say(&["task", "logs", "j1"]);
    assert_eq!(log, "── running\n  → bash {\"command\":\"ls\"}\n  · bell �");
    let line: Value =
        serde_json::from_str(&site.say(&["task", "logs", "j1", "--from", "2", "--json"])).unwrap();
    assert_eq!((&line["seq"], &line["event"]["type"]), (&json!(2), &json!("note")));
    assert!(refusal(&site, &["task", "show", "none"]).contains("there is no such task"));
    assert!(refusal(&site, &["task", "show", "../projects"]).contains("there is no such task"));
    assert!(refusal(&site, &["task", "run", "x", "--project", "none"]).contains("there is no such project"));
}

#[tokio::test]
async fn a_task_that_is_followed_is_shown_to_its_end() {
    let (site, _server, _owner) = begin().await;
    put(&site, task("j1"));
    goes(&site, "j1", &[], vec![over(Outcome::Cancelled, "by ann")]);
    tells(&files(&site), "j1", vec![state("running"), note("works"), state("cancelled")]).await;
    let log = site.say(&["task", "logs", "j1", "-f"]);
    assert!(log.contains("works") && log.ends_with("── cancelled  by ann"), "{log}");
}

#[tokio::test]
async fn a_question_is_answered_on_the_command_line() {
    let (site, _server, _owner) = begin().await;
    for number in 1..=2 {
        put(&site, task(&format!("j{number}")));
        goes(&site, &format!("j{number}"), &[], until_asked(&format!("q{number}")));
    }
    site.say(&["task", "approve", "j1", "--without-pr"]);
    site.say(&["task", "reject", "j2", "--reason", "keep the name"]);
    assert!(refusal(&site, &["task", "approve", "j1"]).contains("(409)"));
    let rows = "SELECT group_concat(choice || ' ' || coalesce(reason, ''), ', ') FROM \
                (SELECT * FROM approvals ORDER BY id)";
    assert_eq!(site.text(rows), "no_request , plain keep the name");
}
