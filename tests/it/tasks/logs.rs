//! Logs of tasks: pages, streams from any place on, live, to the end.

use atoll::domain::engine::EngineEvent;
use reqwest::Method;

use super::*;

fn said(text: &str) -> LogEvent {
    LogEvent::Engine(EngineEvent::Text { text: text.into() })
}

fn turn() -> LogEvent {
    LogEvent::Engine(EngineEvent::Turn { number: 1 })
}

async fn stream(user: &User, path: &str, last: Option<&str>) -> Stream {
    let mut request = user.request(Method::GET, path);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let stream = Stream::of(request).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    stream
}

fn ids(events: &[Event]) -> Vec<u64> {
    events.iter().filter_map(|event| event.id.as_deref()?.parse().ok()).collect()
}

#[tokio::test]
async fn a_log_is_read_in_pages_as_much_as_is_wanted() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    assert_eq!(owner.look("/api/v1/tasks/j1/logs").await, json!({"lines": [], "next": 0}));
    let files = files(&site);
    let lines = vec![state("preparing"), turn(), said("hello"), turn(), note("checks"), state("running")];
    tells(&files, "j1", lines).await;
    let seqs = |page: &Value| -> Vec<u64> {
        page["lines"].as_array().unwrap().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
    };
    for (query, lines, next) in [
        ("", vec![0, 2, 4, 5], 6),
        ("?verbosity=verbose", vec![0, 1, 2, 3, 4, 5], 6),
        ("?verbosity=quiet", vec![0, 5], 6),
        ("?from=3", vec![4, 5], 6),
        ("?from=6", vec![], 6),
        ("?from=99", vec![], 99),
        ("?verbosity=verbose&limit=2", vec![0, 1], 2),
    ] {
        let page = owner.look(&format!("/api/v1/tasks/j1/logs{query}")).await;
        assert_eq!((seqs(&page), &page["next"]), (lines, &json!(next)), "{query}");
    }
    let page = owner.look("/api/v1/tasks/j1/logs?from=2&limit=1").await;
    let line = json!({"seq": 2, "at": "2026-09-21T14:13:20.000Z",
                      "event": {"type": "engine", "event": "text", "text": "hello"}});
    assert_eq!(page["lines"], json!([line]));
    for bad in ["?limit=0", "?from=-1", "?verbosity=loud", "?after=1"] {
        assert_eq!(owner.get(&format!("/api/v1/tasks/j1/logs{bad}")).await.0, 400, "{bad}");
    }
    // A task that wants to be told little is told little.
    put(&site, NewTask { verbosity: Verbosity::Quiet, ..task("j2") });
    tells(&files, "j2", vec![state("preparing"), note("x")]).await;
    assert_eq!(seqs(&owner.look("/api/v1/tasks/j2/logs").await), [0]);
}

#[tokio::test]
async fn a_page_that_is_full_of_what_is_not_wanted_still_gets_to_the_end() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let mut lines: Vec<LogEvent> = (0..1_500).map(|_| turn()).collect();
    lines.push(note("at last"));
    tells(&files(&site), "j1", lines).await;
    let page = owner.look("/api/v1/tasks/j1/logs").await;
    assert_eq!((&page["lines"][0]["seq"], &page["next"]), (&json!(1_500), &json!(1_501)));
}

#[tokio::test]
async fn a_stream_replays_goes_on_live_and_ends_with_its_task() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let files = files(&site);
    tells(&files, "j1", vec![state("preparing"), said("one"), turn()]).await;
    let mut events = stream(&owner, "/api/v1/tasks/j1/logs/stream", None).await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), first.id.as_deref()), ("line", Some("0")));
    assert_eq!(events.next().await.unwrap().data["event"]["text"], "one");
    tells(&files, "j1", vec![said("two")]).await;
    let live = events.next().await.unwrap();
    assert_eq!((live.id.as_deref(), &live.data["event"]["text"]), (Some("3"), &json!("two")));
    goes(&site, "j1", &[], vec![over(Outcome::Failed, "no room")]);
    tells(&files, "j1", vec![note("last words"), state("failed")]).await;
    let rest = events.rest().await;
    assert_eq!(ids(&rest), [4, 5]);
    let end = rest.last().unwrap();
    assert_eq!((end.name.as_str(), &end.data), ("end", &json!({"status": "failed", "text": "no room"})));
    // From where it was cut off; the header goes before the query.
    for (path, last, ids_wanted) in [
        ("?from=3", None, vec![3, 4, 5]),
        ("?from=0", Some("3"), vec![4, 5]),
        ("", Some("5"), vec![]),
        ("?verbosity=quiet", None, vec![0, 5]),
        ("?verbosity=verbose", None, vec![0, 1, 2, 3, 4, 5]),
    ] {
        let events = stream(&owner, &format!("/api/v1/tasks/j1/logs/stream{path}"), last).await.rest().await;
        assert_eq!(ids(&events), ids_wanted, "{path} {last:?}");
        assert_eq!(events.last().unwrap().name, "end");
    }
    for bad in ["x", "-1", "18446744073709551615"] {
        let request = owner.request(Method::GET, "/api/v1/tasks/j1/logs/stream").header("last-event-id", bad);
        assert_eq!(request.send().await.unwrap().status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn a_long_log_comes_whole_and_in_order() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    goes(&site, "j1", &[], vec![over(Outcome::Done, "")]);
    let mut lines: Vec<LogEvent> =
        (0..2_000).map(|number| note(format!("{number} {}", "x".repeat(200)))).collect();
    lines.push(state("done"));
    tells(&files(&site), "j1", lines).await;
    let events = stream(&owner, "/api/v1/tasks/j1/logs/stream", None).await.rest().await;
    assert_eq!(ids(&events), (0..=2_000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_task_is_told_in_few_words_to_those_who_want_that() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let asked = until_asked("q1");
    goes(&site, "j1", &[], asked.clone());
    let files = files(&site);
    let call = EngineEvent::ToolCall { id: "1".into(), name: "bash".into(), input: json!({"command": "ls"}) };
    let run = VerifyRun { command: "npm test".into(), exit: Some(1), tail: "no".into() };
    let lines = vec![
        state("preparing"),
        state("running"),
        LogEvent::Engine(call),
        turn(),
        said("mended"),
        LogEvent::Check(run),
        state("awaiting_approval"),
    ];
    tells(&files, "j1", lines).await;
    let mut events = stream(&owner, "/api/v1/tasks/j1/stream", None).await;
    let first = events.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("", &json!({"type": "connected", "jobId": "j1"})));
    for (name, key, value) in [
        ("task:started", "status", json!("preparing")),
        ("task:progress", "status", json!("running")),
        ("task:progress", "message", json!("calls bash")),
        ("task:output", "output", json!("mended")),
        ("task:progress", "message", json!("check failed: npm test")),
        ("task:approval_required", "approvalId", json!("q1")),
    ] {
        let event = events.next().await.unwrap();
        assert_eq!((event.name.as_str(), &event.data[key]), (name, &value));
        assert_eq!(event.data["jobId"], "j1");
    }
    goes(&site, "j1", &asked, vec![over(Outcome::Rejected, "rejected by dora")]);
    tells(&files, "j1", vec![state("rejected")]).await;
    let rest = events.rest().await;
    let end = rest.last().unwrap();
    assert_eq!((end.name.as_str(), &end.data["error"]), ("task:failed", &json!("rejected by dora")));
    put(&site, task("j2"));
    goes(&site, "j2", &[], vec![over(Outcome::Unchanged, "")]);
    let events = stream(&owner, "/api/v1/tasks/j2/stream", None).await.rest().await;
    assert_eq!(events.last().unwrap().name, "task:completed", "also when its log is lost");
}

#[tokio::test]
async fn a_member_who_goes_and_a_key_that_is_revoked_see_no_more() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let files = files(&site);
    let dora = member(&site, &owner, "dora", "developer").await;
    let vera = member(&site, &owner, "vera", "viewer").await;
    let mut streams = Vec::new();
    for user in [&dora, &vera] {
        streams.push(stream(user, "/api/v1/tasks/j1/logs/stream", None).await);
    }
    assert_eq!(owner.delete("/api/v1/projects/app/members/dora").await.0, 204);
    let keys = owner.look("/api/v1/keys").await;
    let key =
        keys["keys"].as_array().unwrap().iter().find(|key| key["name"] == "vera").unwrap()["id"].clone();
    assert_eq!(owner.delete(&format!("/api/v1/keys/{}", key.as_str().unwrap())).await.0, 200);
    for mut stream in streams {
        assert_eq!(stream.next().await, None, "it ends");
    }
    tells(&files, "j1", vec![note("secret")]).await;
    assert_eq!(dora.get("/api/v1/tasks/j1/logs").await.0, 404);
    assert_eq!(vera.get("/api/v1/tasks/j1/logs").await.0, 401);
}
