//! GitLab: what is asked of it, and what its answers become.

use atoll::{
    domain::project::ForgeKind,
    ports::forge::{CheckState, RequestState},
};
use serde_json::{Value, json};

use super::mock::{Mock, Route, State, TOKEN, Words, decode, get, new, post, said};
use crate::support::http::Told;

const ROUTES: &[Route] = &[
    get(
        "/api/v4/projects/{}/merge_requests",
        &["state", "source_branch", "target_branch", "order_by", "sort", "per_page", "page"],
    ),
    get("/api/v4/projects/{}/merge_requests/{}", &[]),
    post(
        "/api/v4/projects/{}/merge_requests",
        &[
            "source_branch:s",
            "target_branch:s",
            "title:s",
            "description:s?",
            "remove_source_branch:b?",
            "squash:b?",
        ],
    ),
    get(
        "/api/v4/projects/{}/repository/commits/{}/statuses",
        &["ref", "stage", "name", "all", "per_page", "page"],
    ),
    get("/api/v4/projects/{}/merge_requests/{}/notes", &["sort", "order_by", "per_page", "page"]),
    post("/api/v4/projects/{}/merge_requests/{}/notes", &["body:s"]),
];

fn merge(iid: u64, head: &str, title: &str) -> Value {
    json!({
        "id": 1_000 + iid, "iid": iid, "web_url": format!("https://gitlab.com/g/s/app/-/merge_requests/{iid}"),
        "title": title, "state": "opened", "draft": title.starts_with("Draft: "), "sha": "a".repeat(40),
        "source_branch": head, "target_branch": "main", "source_project_id": 5, "target_project_id": 5,
    })
}

fn answer(state: &mut State, method: &str, words: &Words<'_>) -> Told {
    assert_eq!(decode(words.parts[3]), "g/s/app", "the project is its whole path, encoded");
    match (method, &words.parts[4..]) {
        ("GET", ["merge_requests"]) => {
            assert_eq!(words.param("state"), "opened");
            let fits = |one: &&Value| {
                one["source_branch"] == words.param("source_branch")
                    && one["target_branch"] == words.param("target_branch")
            };
            said(200, &Value::Array(state.requests.iter().filter(fits).cloned().collect()))
        }
        ("POST", ["merge_requests"]) => {
            state.requests.extend(state.faster.take());
            let head = words.body["source_branch"].as_str().unwrap();
            if let Some(there) = state.requests.iter().find(|one| one["source_branch"] == head) {
                let words = format!(
                    "Another open merge request already exists for this source branch: !{}",
                    there["iid"]
                );
                return said(409, &json!({"message": [words]}));
            }
            let made = merge(4, head, words.body["title"].as_str().unwrap());
            state.requests.push(made.clone());
            said(201, &made)
        }
        ("GET", ["merge_requests", iid]) => {
            let mut found = merge(iid.parse().unwrap(), "x", "X");
            found["state"] = json!(["", "opened", "merged", "closed"][iid.parse::<usize>().unwrap()]);
            said(200, &found)
        }
        ("GET", ["repository", "commits", _, "statuses"]) => said(
            200,
            &json!([
            {"name": "test", "status": "failed", "description": null, "target_url": "https://x/1", "allow_failure": false},
            {"name": "audit", "status": "failed", "description": "old", "target_url": null, "allow_failure": true},
            {"name": "deploy", "status": "manual", "allow_failure": false},
            {"name": "build", "status": "running", "allow_failure": false}]),
        ),
        ("GET", ["merge_requests", _, "notes"]) => {
            assert_eq!((words.param("sort"), words.param("order_by")), ("desc", "updated_at"));
            assert_eq!(words.param("page"), "1", "what is older need not be read");
            let mut notes = vec![
                json!({"id": 3, "author": {"username": "eve"}, "body": "this line", "system": false, "updated_at": "2023-11-14T22:16:00.123Z",
                    "position": {"new_path": "a.rs", "new_line": 12, "old_path": "a.rs", "old_line": null}}),
                json!({"id": 2, "author": {"username": "bot"}, "body": "approved this", "system": true, "updated_at": "2023-11-14T22:15:30.000Z"}),
                json!({"id": 1, "author": {"username": "ann"}, "body": "hm", "system": false, "updated_at": "2023-11-14T22:15:00.000Z"}),
            ];
            notes.extend((0..97).map(|n| {
                json!({"id": 100 + n, "author": {"username": "old"}, "body": "old", "system": false,
                "updated_at": "2023-11-14T21:00:00.000Z"})
            }));
            said(200, &Value::Array(notes))
        }
        ("POST", ["merge_requests", "4", "notes"]) => said(201, &json!({"id": 9})),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn mock() -> Mock {
    Mock::start(ROUTES, ("private-token", TOKEN.to_owned()), answer)
}

#[tokio::test]
async fn a_merge_request_is_opened_once_at_gitlab() {
    let mock = mock();
    let forge = mock.forge(ForgeKind::Gitlab, "/api/v4", "https://gitlab.com/g/s/app.git");
    let opened = forge.open(new(true)).await.unwrap();
    assert!(!opened.existed && opened.request.draft);
    assert_eq!((opened.request.number, opened.request.title.as_str()), (4, "Draft: Fix the login"));
    let again = forge.open(new(true)).await.unwrap();
    assert!(again.existed);
    assert_eq!(again.request, opened.request);
    assert_eq!(mock.state.lock().unwrap().posted.len(), 1);
    mock.is_content();
}

#[tokio::test]
async fn a_conflict_at_gitlab_is_the_merge_request_that_is_there() {
    let mock = mock();
    mock.state.lock().unwrap().faster = Some(merge(9, "atoll/j1-fix", "Theirs"));
    let forge = mock.forge(ForgeKind::Gitlab, "/api/v4", "git@gitlab.com:g/s/app.git");
    let opened = forge.open(new(false)).await.unwrap();
    assert!(opened.existed);
    assert_eq!(opened.request.number, 9);
    mock.is_content();
}

#[tokio::test]
async fn state_checks_and_notes_are_read_at_gitlab() {
    let mock = mock();
    let forge = mock.forge(ForgeKind::Gitlab, "/api/v4", "git@gitlab.com:g/s/app.git");
    let mut states = Vec::new();
    for number in 1..=3 {
        states.push(forge.state(number).await.unwrap().state);
    }
    assert_eq!(states, [RequestState::Open, RequestState::Merged, RequestState::Closed]);
    let checks = forge.checks("a".repeat(40)).await.unwrap();
    let states: Vec<CheckState> = checks.iter().map(|check| check.state).collect();
    let (passed, pending, failed) = (CheckState::Passed, CheckState::Pending, CheckState::Failed);
    assert_eq!(states, [failed, passed, passed, pending]);
    let comments = forge.comments(4, 1_700_000_000_000).await.unwrap();
    let ids: Vec<&str> = comments.iter().map(|comment| comment.id.as_str()).collect();
    assert_eq!(ids, ["note/1", "note/3"]);
    assert_eq!((comments[1].path.as_deref(), comments[1].line), (Some("a.rs"), Some(12)));
    forge.comment(4, "Done.".into()).await.unwrap();
    mock.is_content();
}
