//! `atoll project`, `board`, `story` and `bot`, as people and scripts use them.

use serde_json::{Value, json};

use super::*;

fn parsed(site: &Site, args: &[&str]) -> Value {
    let text = site.say(args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

fn refusal(site: &Site, args: &[&str]) -> String {
    let output = site.run(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_board_is_filled_moved_and_shown() {
    let site = Site::new("llm: {provider: rehearsal}");
    let _server = site.start();
    assert!(site.say(&["project", "list"]).contains("atoll project add"));
    let said = site.say(&[
        "project",
        "add",
        "My App",
        "--repo",
        "/srv/app.git",
        "--verify",
        "npm test",
        "--preset",
        "npm",
        "--forge",
        "gitea",
        "--forge-api",
        "https://git.example/api/v1",
        "--token-env",
        "APP_TOKEN",
    ]);
    assert!(said.contains("atoll board show my-app"), "{said}");
    let shown = parsed(&site, &["project", "show", "my-app", "--json"]);
    assert_eq!(
        shown["forge"],
        json!({"kind": "gitea", "apiUrl": "https://git.example/api/v1", "tokenEnv": "APP_TOKEN"})
    );
    assert_eq!(shown["verifyCommands"], json!(["npm test"]));
    assert!(site.say(&["project", "show", "my-app"]).contains("npm test"));
    assert!(site.say(&["project", "list"]).contains("/srv/app.git"));
    let one = site.say(&["story", "add", "my-app", "Fix it", "--column", "todo", "--priority", "critical"]);
    let two =
        site.say(&["story", "add", "my-app", "Then this", "--after", &one, "--label", "ui", "--points", "2"]);
    assert!(!two.contains(char::is_whitespace), "a script reads it: {two}");
    assert_eq!(site.say(&["story", "move", &two, "in progress"]), "moved");
    assert_eq!(
        site.say(&["story", "edit", &two, "--blocked", "no key", "--user", "api-default"]),
        "changed: version 3"
    );
    let board = site.say(&["board", "show", "my-app"]);
    let mut lines = board.lines();
    let heads = lines.next().unwrap();
    for head in ["Backlog (0)", "Todo (1)", "In Progress (1)", "Review (0)", "Done (0)"] {
        assert!(heads.contains(head), "{board}");
    }
    assert!(board.contains(&format!("{one} !! Fix it")), "{board}");
    assert!(board.contains("[blocked: no key] @api-default"), "{board}");
    let json = parsed(&site, &["board", "show", "my-app", "--json"]);
    assert_eq!(titles(&json), ["Fix it", "Then this"]);
    let listed = site.say(&["story", "list", "my-app", "--blocked"]);
    assert!(listed.contains("In Progress") && !listed.contains("Fix it"), "{listed}");
    assert_eq!(titles(&parsed(&site, &["story", "list", "my-app", "--role", "todo", "--json"])), ["Fix it"]);
    assert!(site.say(&["story", "list", "my-app", "-n", "1"]).contains("1 of 2"));
    let story = parsed(&site, &["story", "show", &two, "--json"]);
    assert_eq!((&story["dependsOn"], &story["history"][0]["actor"]), (&json!([one]), &json!("key:local")));
    let shown = site.say(&["story", "show", &two]);
    assert!(
        shown.contains("no key") && shown.contains("blocked, ") || shown.contains("assignee, blocked"),
        "{shown}"
    );
    site.say(&["story", "edit", &two, "--unblock", "--nobody", "--title", "Better"]);
    let story = parsed(&site, &["story", "show", &two, "--json"]);
    assert_eq!(
        (&story["blocked"], &story["assignee"], &story["title"]),
        (&Value::Null, &Value::Null, &json!("Better"))
    );
    assert!(refusal(&site, &["story", "edit", &two, "--version", "1", "--title", "x"]).contains("stale"));
    assert!(refusal(&site, &["story", "edit", &two]).contains("--help"));
    assert!(refusal(&site, &["story", "move", &two, "nowhere"]).contains("In Progress"));
    assert!(refusal(&site, &["story", "show", "../projects"]).contains("404"), "an id stays an id");
    assert_eq!(site.say(&["story", "remove", &one]), "removed");
    assert!(refusal(&site, &["project", "remove", "my-app"]).contains("--yes"));
    assert_eq!(site.say(&["project", "remove", "my-app", "--yes"]), "removed");
    assert!(refusal(&site, &["board", "show", "my-app"]).contains("no such project"));
}

#[tokio::test]
async fn bots_are_made_listed_started_and_their_journals_read() {
    let (site, _server, owner) = begin().await;
    let bot = site.say(&[
        "bot",
        "add",
        "app",
        "fixer",
        "--engine",
        "claude-code",
        "--stories",
        "2",
        "--per-day",
        "5",
        "--prompt",
        "be kind",
    ]);
    let shown = parsed(&site, &["bot", "show", &bot, "--json"]);
    assert_eq!((&shown["engineType"], &shown["dailyBudgetUsd"]), (&json!("claude-code"), &json!(5.0)));
    assert!(site.say(&["bot", "show", &bot]).contains("be kind"));
    for (verb, state) in [("start", "running"), ("pause", "paused"), ("stop", "stopped")] {
        assert_eq!(site.say(&["bot", verb, &bot]), state);
    }
    assert!(site.say(&["bot", "list"]).contains("claude-code"));
    assert_eq!(parsed(&site, &["bot", "list", "--project", "none", "--json"])["total"], 0);
    let path = format!("/api/v1/bots/{bot}/journal");
    made(&owner, &path, json!({"entryType": "learning", "summary": "bees sting"})).await;
    made(&owner, &path, json!({"entryType": "started", "summary": "the hive"})).await;
    let journal = site.say(&["bot", "journal", &bot]);
    assert!(journal.contains("bees sting") && journal.contains("the hive"), "{journal}");
    let found = parsed(&site, &["bot", "journal", &bot, "--search", "bee", "--type", "learning", "--json"]);
    assert_eq!(found["entries"][0]["summary"], "bees sting");
    assert!(refusal(&site, &["bot", "journal", &bot, "--type", "x"]).contains("learning"));
    assert!(refusal(&site, &["bot", "add", "app", "fixer"]).contains("already"));
    assert_eq!(site.say(&["bot", "remove", &bot]), "removed");
    assert!(refusal(&site, &["bot", "show", &bot]).contains("no such bot"));
}

#[test]
fn every_command_shows_how_it_is_used() {
    let site = Site::new("llm: {provider: rehearsal}");
    for command in ["project", "board", "story", "bot"] {
        assert!(site.say(&[command, "--help"]).contains("Example"), "{command}");
    }
    for (command, verbs) in [
        ("project", &["add", "list", "show", "remove"][..]),
        ("board", &["show"]),
        ("story", &["add", "list", "show", "move", "edit", "remove"]),
        ("bot", &["add", "list", "show", "remove", "journal"]),
    ] {
        for verb in verbs {
            assert!(site.say(&[command, verb, "--help"]).contains("Example"), "{command} {verb}");
        }
    }
    assert!(refusal(&site, &["project", "list"]).contains("atoll start"));
}
