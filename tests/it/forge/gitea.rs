//! Gitea and Forgejo: what is asked of them, and what their answers become.

use atoll::{
    domain::project::ForgeKind,
    ports::forge::{CheckState, RequestState},
};
use serde_json::{Value, json};

use super::mock::{Mock, Route, State, TOKEN, Words, get, new, post, said};
use crate::support::http::Told;

const ROUTES: &[Route] = &[
    get("/api/v1/repos/ann/app/pulls", &["state", "sort", "milestone", "labels", "page", "limit"]),
    get("/api/v1/repos/ann/app/pulls/{}", &[]),
    post("/api/v1/repos/ann/app/pulls", &["title:s", "head:s", "base:s", "body:s?"]),
    get("/api/v1/repos/ann/app/commits/{}/status", &["page", "limit"]),
    get("/api/v1/repos/ann/app/issues/{}/comments", &["since", "before"]),
    get("/api/v1/repos/ann/app/pulls/{}/reviews", &["page", "limit"]),
    get("/api/v1/repos/ann/app/pulls/{}/reviews/{}/comments", &[]),
    post("/api/v1/repos/ann/app/issues/{}/comments", &["body:s"]),
];

fn pull(number: u64, head: &str, title: &str, fork: bool) -> Value {
    json!({
        "number": number, "html_url": format!("https://git.example.org/ann/app/pulls/{number}"), "title": title,
        "state": "open", "merged": false,
        "head": {"ref": head, "sha": "a".repeat(40), "repo_id": if fork { 9 } else { 1 }},
        "base": {"ref": "main", "sha": "b".repeat(40), "repo_id": 1},
    })
}

fn answer(state: &mut State, method: &str, words: &Words<'_>) -> Told {
    match (method, &words.parts[5..]) {
        ("GET", ["pulls"]) => {
            assert_eq!(words.param("state"), "open");
            let (page, limit): (usize, usize) =
                (words.param("page").parse().unwrap(), words.param("limit").parse().unwrap());
            assert!(limit <= 50, "servers give 50 at most");
            let found = state.requests.iter().skip((page - 1) * limit).take(limit);
            said(200, &Value::Array(found.cloned().collect()))
        }
        ("POST", ["pulls"]) => {
            state.requests.extend(state.faster.take());
            let head = words.body["head"].as_str().unwrap();
            if head == "atoll/missing" {
                return said(
                    404,
                    &json!({"message": "The target couldn't be found.", "errors": [], "url": "x"}),
                );
            }
            if state.requests.iter().any(|one| one["head"]["ref"] == head && one["head"]["repo_id"] == 1) {
                return said(
                    409,
                    &json!({"message": "pull request already exists for these targets [id: 1]", "url": "x"}),
                );
            }
            let made = pull(70, head, words.body["title"].as_str().unwrap(), false);
            state.requests.push(made.clone());
            said(201, &made)
        }
        ("GET", ["pulls", "1"]) => said(200, &{
            let mut merged = pull(1, "x", "Done", false);
            (merged["state"], merged["merged"]) = (json!("closed"), json!(true));
            merged
        }),
        ("GET", ["commits", _, "status"]) => said(
            200,
            &json!({"state": "failure", "statuses": [
            {"context": "ci/test", "status": "failure", "description": "2 failed", "target_url": ""},
            {"context": "ci/lint", "status": "warning", "description": "", "target_url": "https://x/1"},
            {"context": "ci/build", "status": "pending", "description": ""}]}),
        ),
        ("GET", ["issues", _, "comments"]) => {
            assert_eq!(words.param("since"), "2023-11-14T22:13:20Z");
            said(
                200,
                &json!([{"id": 4, "user": {"login": "ann"}, "body": "hm", "updated_at": "2023-11-14T22:15:00+00:00", "html_url": "https://c/4"}]),
            )
        }
        ("GET", ["pulls", _, "reviews"]) => said(
            200,
            &json!([
            {"id": 5, "user": {"login": "eve"}, "body": "No.", "submitted_at": "2023-11-14T23:16:00+01:00", "comments_count": 1},
            {"id": 6, "user": {"login": "eve"}, "body": "old", "submitted_at": "2023-11-13T22:16:00Z", "comments_count": 4},
            {"id": 7, "user": {"login": "bob"}, "body": "", "submitted_at": "2023-11-14T22:17:00Z", "comments_count": 0}]),
        ),
        ("GET", ["pulls", _, "reviews", "5", "comments"]) => said(
            200,
            &json!([
            {"id": 8, "user": {"login": "eve"}, "body": "this line", "path": "a.rs", "position": 12, "original_position": 0,
             "updated_at": "2023-11-14T22:16:00Z", "html_url": "https://c/8"}]),
        ),
        ("POST", ["issues", "70", "comments"]) => said(201, &json!({"id": 9})),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn mock() -> Mock {
    Mock::start(ROUTES, ("authorization", format!("token {TOKEN}")), answer)
}

#[tokio::test]
async fn a_pull_request_is_opened_once_at_gitea() {
    let mock = mock();
    // Pages of others', and one of a fork with the same name.
    for number in 1..=60 {
        mock.state.lock().unwrap().requests.push(pull(number, &format!("other-{number}"), "Other", false));
    }
    mock.state.lock().unwrap().requests.push(pull(61, "atoll/j1-fix", "From a fork", true));
    let forge = mock.forge(ForgeKind::Gitea, "/api/v1/", "ssh://git@git.example.org:2222/ann/app.git");
    let opened = forge.open(new(true)).await.unwrap();
    assert!(!opened.existed && opened.request.draft);
    assert_eq!(opened.request.title, "WIP: Fix the login");
    let again = forge.open(new(true)).await.unwrap();
    assert!(again.existed);
    assert_eq!(again.request, opened.request);
    assert_eq!(mock.state.lock().unwrap().posted.len(), 1);
    mock.is_content();
}

#[tokio::test]
async fn a_conflict_at_gitea_is_the_pull_request_that_is_there() {
    let mock = mock();
    mock.state.lock().unwrap().faster = Some(pull(3, "atoll/j1-fix", "Theirs", false));
    let forge = mock.forge(ForgeKind::Gitea, "/api/v1", "https://git.example.org/ann/app");
    let opened = forge.open(new(false)).await.unwrap();
    assert!(opened.existed);
    assert_eq!(opened.request.number, 3);
    let mut missing = new(false);
    missing.head = super::mock::branch("atoll/missing");
    let error = forge.open(missing).await.unwrap_err().to_string();
    assert!(error.contains("branches") && error.contains("couldn't be found"), "{error}");
    mock.is_content();
}

#[tokio::test]
async fn state_checks_and_comments_are_read_at_gitea() {
    let mock = mock();
    let forge = mock.forge(ForgeKind::Gitea, "/api/v1", "https://git.example.org/ann/app");
    assert_eq!(forge.state(1).await.unwrap().state, RequestState::Merged);
    let checks = forge.checks("a".repeat(40)).await.unwrap();
    let states: Vec<CheckState> = checks.iter().map(|check| check.state).collect();
    assert_eq!(states, [CheckState::Failed, CheckState::Passed, CheckState::Pending]);
    assert_eq!((checks[0].url.as_deref(), checks[1].url.as_deref()), (None, Some("https://x/1")));
    let comments = forge.comments(70, 1_700_000_000_000).await.unwrap();
    let ids: Vec<&str> = comments.iter().map(|comment| comment.id.as_str()).collect();
    assert_eq!(ids, ["comment/4", "line/8", "review/5"]);
    assert_eq!((comments[1].path.as_deref(), comments[1].line), (Some("a.rs"), Some(12)));
    forge.comment(70, "Done.".into()).await.unwrap();
    mock.is_content();
}
