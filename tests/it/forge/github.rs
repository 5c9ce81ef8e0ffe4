//! GitHub: what is asked of it, and what its answers become.

use atoll::{
    domain::project::ForgeKind,
    ports::forge::{CheckState, RequestState},
};
use serde_json::{Value, json};

use super::mock::{Mock, Route, State, TOKEN, Words, branch, get, new, post, said};
use crate::support::http::Told;

const ROUTES: &[Route] = &[
    get("/repos/ann/app/pulls", &["state", "head", "base", "sort", "direction", "per_page", "page"]),
    get("/repos/ann/app/pulls/{}", &[]),
    post(
        "/repos/ann/app/pulls",
        &["title:s", "head:s", "base:s", "body:s?", "draft:b?", "maintainer_can_modify:b?"],
    ),
    get("/repos/ann/app/commits/{}/check-runs", &["check_name", "status", "filter", "per_page", "page"]),
    get("/repos/ann/app/commits/{}/status", &["per_page", "page"]),
    get("/repos/ann/app/issues/{}/comments", &["since", "per_page", "page"]),
    get("/repos/ann/app/pulls/{}/comments", &["sort", "direction", "since", "per_page", "page"]),
    get("/repos/ann/app/pulls/{}/reviews", &["per_page", "page"]),
    post("/repos/ann/app/issues/{}/comments", &["body:s"]),
];

pub(super) fn pull(number: u64, head: &str, fields: &Value) -> Value {
    let mut pull = json!({
        "number": number, "html_url": format!("https://github.com/ann/app/pull/{number}"), "title": "Fix the login",
        "state": "open", "draft": false, "merged_at": null,
        "head": {"ref": head, "sha": "a".repeat(40)}, "base": {"ref": "main", "sha": "b".repeat(40)},
    });
    for (key, value) in fields.as_object().unwrap() {
        pull[key] = value.clone();
    }
    pull
}

fn answer(state: &mut State, method: &str, words: &Words<'_>) -> Told {
    match (method, &words.parts[3..]) {
        ("GET", ["pulls"]) => {
            let wanted = words.param("head").strip_prefix("ann:").unwrap().to_owned();
            let fits = |one: &&Value| one["state"] == "open" && one["head"]["ref"] == wanted.as_str();
            said(200, &Value::Array(state.requests.iter().filter(fits).cloned().collect()))
        }
        ("POST", ["pulls"]) => {
            state.requests.extend(state.faster.take());
            let head = words.body["head"].as_str().unwrap();
            if state.requests.iter().any(|one| one["head"]["ref"] == head && one["state"] == "open") {
                let message = format!("A pull request already exists for ann:{head}.");
                return said(
                    422,
                    &json!({"message": "Validation Failed", "errors": [{
                    "resource": "PullRequest", "code": "custom", "message": message}]}),
                );
            }
            let made = pull(7, head, &json!({"draft": words.body["draft"]}));
            state.requests.push(made.clone());
            said(201, &made)
        }
        ("GET", ["pulls", number]) => {
            let found = state.requests.iter().find(|one| one["number"].as_u64() == number.parse().ok());
            found.map_or_else(|| said(404, &json!({"message": "Not Found"})), |one| said(200, one))
        }
        ("GET", ["commits", _, "check-runs"]) => said(
            200,
            &json!({"total_count": 3, "check_runs": [
                {"name": "test", "status": "completed", "conclusion": "failure", "html_url": "https://x/1", "output": {"title": "2 failed"}},
                {"name": "lint", "status": "completed", "conclusion": "skipped", "html_url": null, "output": {"title": null}},
                {"name": "build", "status": "in_progress", "conclusion": null, "output": {}},
            ]}),
        ),
        ("GET", ["commits", _, "status"]) => said(
            200,
            &json!({"state": "success", "statuses": [
            {"context": "ci/old", "state": "success", "description": "fine", "target_url": "https://x/2"}]}),
        ),
        ("GET", ["issues", _, "comments"]) => {
            assert_eq!(words.param("since"), "2023-11-14T22:13:20Z");
            said(
                200,
                &json!([
                {"id": 1, "user": {"login": "ann"}, "body": "@bot again please", "updated_at": "2023-11-14T22:15:00Z", "html_url": "https://c/1"},
                {"id": 2, "user": {"login": "old"}, "body": "before", "updated_at": "2023-11-14T22:00:00Z"}]),
            )
        }
        ("GET", ["pulls", _, "comments"]) => {
            // A full page is followed by another one.
            let page: u64 = words.param("page").parse().unwrap();
            let one = |id: u64| {
                json!({"id": id, "user": {"login": "bob"}, "body": "here", "path": "src/a.rs", "line": 3,
                "updated_at": "2023-11-14T22:14:00Z"})
            };
            let ids = if page == 1 { 100..200 } else { 200..201 };
            said(200, &Value::Array(ids.map(one).collect()))
        }
        ("GET", ["pulls", _, "reviews"]) => said(
            200,
            &json!([
            {"id": 1, "user": {"login": "eve"}, "body": "", "state": "APPROVED", "submitted_at": "2023-11-14T22:16:00Z"},
            {"id": 5, "user": {"login": "eve"}, "body": "No.", "state": "CHANGES_REQUESTED", "submitted_at": "2023-11-14T22:16:00Z"}]),
        ),
        ("POST", ["issues", "7", "comments"]) => said(201, &json!({"id": 9})),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn mock() -> Mock {
    Mock::start(ROUTES, ("authorization", format!("Bearer {TOKEN}")), answer)
}

#[tokio::test]
async fn a_pull_request_is_opened_once_at_github() {
    let mock = mock();
    let forge = mock.forge(ForgeKind::Github, "", "git@github.com:ann/app.git");
    assert_eq!(forge.find(branch("atoll/j1-fix"), branch("main")).await.unwrap(), None);
    let opened = forge.open(new(true)).await.unwrap();
    assert!(!opened.existed && opened.request.draft);
    assert_eq!((opened.request.number, opened.request.state), (7, RequestState::Open));
    let again = forge.open(new(true)).await.unwrap();
    assert!(again.existed);
    assert_eq!(again.request, opened.request);
    let state = mock.state.lock().unwrap();
    assert_eq!(state.posted.len(), 1, "a second one was asked for");
    assert_eq!(state.posted[0].1["body"], "It was **broken**.");
    drop(state);
    mock.is_content();
}

#[tokio::test]
async fn of_two_who_open_at_once_one_finds_the_other_s_at_github() {
    let mock = mock();
    mock.state.lock().unwrap().faster = Some(pull(3, "atoll/j1-fix", &json!({})));
    let opened =
        mock.forge(ForgeKind::Github, "", "https://github.com/ann/app").open(new(false)).await.unwrap();
    assert!(opened.existed);
    assert_eq!(opened.request.number, 3);
    mock.is_content();
}

#[tokio::test]
async fn state_checks_and_comments_are_read_at_github() {
    let mock = mock();
    for (number, fields) in [
        (1, json!({"state": "open"})),
        (2, json!({"state": "closed", "merged": true, "merged_at": "2023-11-14T22:15:00Z"})),
        (3, json!({"state": "closed", "merged": false})),
    ] {
        mock.state.lock().unwrap().requests.push(pull(number, "x", &fields));
    }
    let forge = mock.forge(ForgeKind::Github, "", "https://github.com/ann/app");
    let mut states = Vec::new();
    for number in 1..=3 {
        states.push(forge.state(number).await.unwrap().state);
    }
    assert_eq!(states, [RequestState::Open, RequestState::Merged, RequestState::Closed]);
    let checks = forge.checks("a".repeat(40)).await.unwrap();
    let seen: Vec<_> = checks.iter().map(|check| (check.name.as_str(), check.state)).collect();
    let (passed, pending, failed) = (CheckState::Passed, CheckState::Pending, CheckState::Failed);
    assert_eq!(seen, [("test", failed), ("lint", passed), ("build", pending), ("ci/old", passed)]);
    assert_eq!(checks[0].words, "failure 2 failed");
    let comments = forge.comments(7, 1_700_000_000_000).await.unwrap();
    assert_eq!(comments.len(), 103);
    let (line, review) = (&comments[0], &comments[102]);
    assert_eq!((line.id.as_str(), line.path.as_deref(), line.line), ("line/100", Some("src/a.rs"), Some(3)));
    assert_eq!(
        (review.id.as_str(), review.author.as_str(), review.body.as_str()),
        ("review/5", "eve", "No.")
    );
    assert_eq!((comments[101].id.as_str(), comments[101].at), ("comment/1", 1_700_000_100_000));
    forge.comment(7, "Done.".into()).await.unwrap();
    assert_eq!(mock.state.lock().unwrap().posted[0].1, json!({"body": "Done."}));
    mock.is_content();
}
