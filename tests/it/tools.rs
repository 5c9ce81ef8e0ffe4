//! Tools: what runs side by side, what a broken call or a broken script comes to, what a script may see.

use serde_json::{Value, json};

use crate::support::*;

/// What calling these tools in one answer comes to.
struct Called {
    site: Site,
    _server: Server,
    user: User,
    events: Vec<Event>,
    results: Vec<String>,
}

async fn call_with(calls: &[(&str, Value)], more: &str, env: &[(&str, &str)]) -> Called {
    let model = does(calls);
    let site = Site::new(&with_anthropic(&model, more)).with_bench();
    let server = site.start_with(env);
    let user = User::new(&server.base, &site.key("me", "owner"));
    let events = user.chat(json!({"message": "work"})).await;
    assert_eq!(answer_of(&events).as_deref(), Some("done"), "{events:?}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    let results = model.requests()[2].results();
    Called { site, _server: server, user, events, results }
}

async fn call(calls: &[(&str, Value)]) -> Called {
    call_with(calls, BENCH, &[]).await
}

fn numbered(tool: &str, count: u64) -> Vec<(&str, Value)> {
    (1..=count).map(|n| (tool, json!({"n": n}))).collect()
}

#[tokio::test]
async fn tools_that_only_look_run_side_by_side_and_answer_in_the_order_of_the_calls() {
    let called = call(&numbered("bench_meet", 3)).await;
    assert_eq!(called.results, [r#"met {"n":1}"#, r#"met {"n":2}"#, r#"met {"n":3}"#]);
}

#[tokio::test]
async fn tools_that_act_run_one_at_a_time_in_their_order() {
    let called = call(&numbered("bench_alone", 3)).await;
    assert_eq!(called.results, [r#"alone {"n":1}"#, r#"alone {"n":2}"#, r#"alone {"n":3}"#]);
    let ran = [r#"bench_alone {"n":1}"#, r#"bench_alone {"n":2}"#, r#"bench_alone {"n":3}"#];
    assert_eq!(called.site.ledger(), ran);
}

#[tokio::test]
async fn calls_that_cannot_run_are_answered_and_do_no_harm_to_those_that_can() {
    let called = call(&[
        ("bench_note", json!({"n": "many"})),
        ("no_such_tool", json!({})),
        ("bench_note", json!("broken{")),
        ("clock", json!({"utc_offset_minutes": 9_000})),
        ("bench_note", json!({"n": 4})),
    ])
    .await;
    let starts = [
        "Error: these arguments do not fit `bench_note`: /n: ",
        "Error: there is no tool `no_such_tool`. There are: activate_skill, bench_alone,",
        "Error: the arguments of `bench_note` must be a JSON object",
        "Error: these arguments do not fit `clock`: /utc_offset_minutes: ",
        r#"noted {"n":4}"#,
    ];
    for (result, start) in called.results.iter().zip(starts) {
        assert!(result.starts_with(start), "{result}");
    }
    assert_eq!(called.results.len(), 5);
    assert_eq!(called.site.ledger(), [r#"bench_note {"n":4}"#]);
}

#[tokio::test]
async fn a_script_that_fails_or_dies_says_so() {
    let called =
        call(&[("bench_fail", json!({})), ("bench_soft", json!({})), ("bench_die", json!({}))]).await;
    assert_eq!(called.results[0], "Error (exit 3): it broke");
    assert_eq!(called.results[1], "Error: no such thing");
    assert!(called.results[2].starts_with("Error (exit -1)"), "{:?}", called.results[2]);
    let failed = called.events.iter().filter(|event| event.data["phase"] == "failed");
    assert_eq!(failed.count(), 3, "each is shown as failed: {:?}", called.events);
}

#[tokio::test]
async fn what_a_script_leaves_running_ends_with_it() {
    let called = call(&[("bench_orphan", json!({}))]).await;
    assert_eq!(called.results, ["left one behind"]);
    assert_eq!(called.site.pids().len(), 1);
    until("the process is gone", async || gone(&called.site.pids())).await;
}

#[tokio::test]
async fn megabytes_of_output_are_bounded() {
    let called = call(&[("bench_loud", json!({}))]).await;
    let result = &called.results[0];
    assert!(result.starts_with("0123456789abcdef\n") && result.ends_with(" characters left out …]"));
    assert!((50_000..51_000).contains(&result.chars().count()), "{}", result.chars().count());
    let stored: i64 = called.site.value("SELECT sum(length(entries)) FROM journal");
    assert!(stored < 200_000, "{stored} are stored");
}

#[tokio::test]
async fn files_are_taken_from_the_workspace_and_from_nowhere_else() {
    let called = call(&[("bench_files", json!({}))]).await;
    let result = &called.results[0];
    assert!(result.contains("made some") && result.contains("[file: inside.txt (7 bytes)]"), "{result}");
    for outside in ["/etc/hostname", "../../../config.yaml", "link.txt", "folder", "missing.txt"] {
        assert!(result.contains(&format!("[file not taken: {outside}: ")), "{outside}: {result}");
    }
    let response = called.events.iter().find(|event| event.name == "response").unwrap();
    let links = response.data["files"].as_array().unwrap();
    assert_eq!(links.len(), 1);
    let link = links[0].as_str().unwrap();
    let fetched = called.user.request(reqwest::Method::GET, link).send().await.unwrap();
    assert_eq!(fetched.text().await.unwrap(), "inside\n");
    assert_eq!(called.site.column("SELECT name FROM files"), ["inside.txt"]);
    let stranger = User::new(&called.user.base, &called.site.key("stranger", "developer"));
    let refused = stranger.get(link).await.0;
    assert!([403, 404].contains(&refused.as_u16()), "{refused}");
}

#[tokio::test]
async fn a_script_sees_its_own_settings_and_no_secret() {
    let secrets = [("OPENAI_API_KEY", "hush-1"), ("ANTHROPIC_API_KEY", "hush-2"), ("MY_PASSWORD", "hush-3")];
    let called = call_with(&[("bench_env", json!({}))], BENCH, &secrets).await;
    let result = &called.results[0];
    assert!(!result.contains("hush") && !result.contains("test-key"), "{result}");
    let names: Vec<&str> =
        result.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in names {
        let known = ["PATH", "HOME", "LANG", "SKILL_CONFIG", "PWD", "OLDPWD", "SHLVL", "_"];
        assert!(known.contains(&name), "{name} is set: {result}");
    }
    let line = result.lines().find_map(|line| line.strip_prefix("SKILL_CONFIG=")).unwrap();
    let config: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&config["colour"], &config["depth"]), (&json!("green"), &json!({"of": [1, 2]})));
    let workspace = config["workspace"].as_str().unwrap();
    assert!(workspace.starts_with(called.site.home().join("workspace").to_str().unwrap()), "{workspace}");
    assert!(result.contains(&format!("HOME={workspace}\n")), "{result}");
    assert!(config["callKey"].as_str().is_some_and(|key| key.ends_with("-2-0")), "{config}");
}

#[tokio::test]
async fn the_workspace_is_where_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("{BENCH}agent: {{workspace: '{}'}}\n", folder.path().display());
    let called = call_with(&[("bench_files", json!({}))], &more, &[]).await;
    assert!(called.results[0].contains("[file: inside.txt (7 bytes)]"));
    let found: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found.len(), 1, "a folder for the conversation");
    assert!(found[0].join("inside.txt").is_file());
}

#[tokio::test]
async fn a_skill_with_scripts_cannot_be_used_unless_the_configuration_lets_it() {
    let cases = [
        ("", "`skills.bench.run_on_host: true` in config.yaml"),
        ("skills: {bench: {run_on_host: true, enabled: false}}\n", "switched off in the configuration"),
    ];
    for (more, why) in cases {
        let model = does(&[("bench_note", json!({}))]);
        let site = Site::new(&with_anthropic(&model, more)).with_bench();
        let server = site.start();
        let user = User::new(&server.base, &site.key("me", "owner"));
        assert_eq!(user.ask("work").await, "done");
        let requests = model.requests();
        let opened = &requests[1].results()[0];
        assert!(
            opened.starts_with("Error: the skill `bench` cannot be used") && opened.contains(why),
            "{opened}"
        );
        assert!(requests[2].results()[0].starts_with("Error: there is no tool `bench_note`"));
        assert!(!requests[0].body["tools"].to_string().contains("bench_"), "it is not even offered");
        assert!(site.ledger().is_empty());
        let listed = user.look("/api/skills").await.to_string();
        assert!(listed.contains(r#""active":false"#), "{listed}");
    }
}

#[tokio::test]
async fn a_skill_is_opened_for_its_conversation_and_stays_open() {
    let model = MockModel::start(in_turn(vec![
        Reply::call("bench_note", json!({"n": 0})),
        Reply::call("activate_skill", json!({"skill_name": "bench"})),
        Reply::call("bench_note", json!({"n": 1})),
    ]));
    let site = Site::new(&with_anthropic(&model, BENCH)).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(user.ask("work").await, "done");
    let requests = model.requests();
    assert!(requests[1].results()[0].starts_with("Error: activate the skill `bench` first"));
    let offered = |request: &Request| request.body["tools"].to_string().contains("bench_note");
    assert_eq!(requests.iter().map(offered).collect::<Vec<_>>(), [false, false, true, true]);
    let results = requests[2].results();
    assert!(results[0].contains("Skill `bench` is active") && results[0].contains("Use it."), "{results:?}");
    server.kill();
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    user.ask("still open?").await;
    user.ask_as(json!({"message": "open here?", "conversationId": "other"})).await;
    let after: Vec<bool> = model.requests()[4..].iter().map(offered).collect();
    assert_eq!(after, [true, false]);
    assert_eq!(site.ledger(), [r#"bench_note {"n":1}"#]);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_server_that_died_leaves_no_process_of_a_tool_to_its_successor() {
    let model = does(&[("bench_hang", json!({})), ("bench_note", json!({}))]);
    let site = Site::new(&with_anthropic(&model, BENCH)).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let _stream = user.open(json!({"message": "hang"})).await;
    until("the tool runs", async || site.pids().len() == 2).await;
    let pids = site.pids();
    server.kill();
    assert!(!gone(&pids), "nobody ended them");
    let _server = site.start();
    until("the processes are gone", async || gone(&pids)).await;
    until("the turn goes on", async || model.requests().len() == 3).await;
    let results = model.requests()[2].results();
    assert!(results[0].contains("Whether it took effect is unknown"), "{results:?}");
    assert_eq!(results[1], "noted {}");
    assert_eq!(site.ledger(), ["bench_hang {}", "bench_note {}"]);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}
