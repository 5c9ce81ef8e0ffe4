//! Who may do what: keys, roles, users, rate limit and lock-out, hosts, origins, body caps.

mod doors;
mod keys;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

const ROLES: [&str; 3] = ["viewer", "developer", "owner"];

/// All routes that need a key, a body where one is needed, and the lowest role that may use them.
/// `ME` is the caller's own user.
const ROUTES: &[(&str, &str, &str, &str)] = &[
    ("GET", "/metrics", "", "viewer"),
    ("POST", "/api/chat", r#"{"message": "/help"}"#, "developer"),
    ("POST", "/api/chat/cancel", "{}", "developer"),
    ("POST", "/api/chat/stop", "{}", "developer"),
    ("POST", "/api/session/clear", "{}", "developer"),
    ("GET", "/api/skills", "", "viewer"),
    ("GET", "/api/events/ME", "", "viewer"),
    ("GET", "/api/files/none", "", "viewer"),
    ("POST", "/api/v1/memories", r#"{"content": "tea"}"#, "developer"),
    ("GET", "/api/v1/memories", "", "viewer"),
    ("GET", "/api/v1/memories/search?q=tea", "", "viewer"),
    ("GET", "/api/v1/memories/none", "", "viewer"),
    ("PATCH", "/api/v1/memories/none", "{}", "developer"),
    ("DELETE", "/api/v1/memories/none", "", "developer"),
    ("GET", "/api/v1/approvals", "", "viewer"),
    ("POST", "/api/v1/approvals/none/approve", "{}", "developer"),
    ("POST", "/api/v1/approvals/none/reject", "{}", "developer"),
    ("GET", "/api/v1/actors", "", "viewer"),
    ("GET", "/api/v1/actors/inspect?name=db", "", "owner"),
    ("POST", "/api/v1/actors/restart", r#"{"name": "none"}"#, "owner"),
    ("GET", "/api/v1/costs", "", "viewer"),
    ("GET", "/api/v1/users", "", "owner"),
    ("PATCH", "/api/v1/users/ME", r#"{"name": "x"}"#, "developer"),
    ("GET", "/api/v1/keys", "", "owner"),
    ("POST", "/api/v1/keys", r#"{"name": "fresh", "role": "viewer"}"#, "owner"),
    ("DELETE", "/api/v1/keys/none", "", "owner"),
    ("GET", "/api/v1/audit", "", "owner"),
    ("GET", "/api/v1/audit/verify", "", "owner"),
    ("GET", "/api/v1/outbox", "", "viewer"),
    ("POST", "/api/v1/outbox/4711/resend", "", "owner"),
    ("GET", "/api/v1/channels", "", "viewer"),
    ("GET", "/api/v1/pairings", "", "owner"),
    ("POST", "/api/v1/pairings/none", r#"{"approve": true}"#, "owner"),
    ("GET", "/api/v1/identities", "", "owner"),
    ("PATCH", "/api/v1/identities/telegram/0", "{}", "owner"),
    ("DELETE", "/api/v1/identities/telegram/0", "", "owner"),
    ("POST", "/api/v1/link", "{}", "developer"),
    ("GET", "/api/v1/health", "", "viewer"),
    ("GET", "/api/v1/openapi.json", "", "viewer"),
    ("DELETE", "/api/v1/bots/none", "", "developer"),
    ("DELETE", "/api/v1/projects/none", "", "developer"),
    ("DELETE", "/api/v1/projects/none/members/none", "", "developer"),
    ("DELETE", "/api/v1/stories/none", "", "developer"),
    ("GET", "/api/v1/bots", "", "viewer"),
    ("GET", "/api/v1/bots/none", "", "viewer"),
    ("GET", "/api/v1/bots/none/journal", "", "viewer"),
    ("GET", "/api/v1/projects", "", "viewer"),
    ("GET", "/api/v1/projects/none", "", "viewer"),
    ("GET", "/api/v1/projects/none/board", "", "viewer"),
    ("GET", "/api/v1/projects/none/bots", "", "viewer"),
    ("GET", "/api/v1/projects/none/stories", "", "viewer"),
    ("GET", "/api/v1/stories/none", "", "viewer"),
    ("GET", "/api/v1/stories/none/history", "", "viewer"),
    ("PATCH", "/api/v1/bots/none", "{}", "developer"),
    ("PATCH", "/api/v1/projects/none", "{}", "developer"),
    ("PATCH", "/api/v1/projects/none/board", "{}", "developer"),
    ("PATCH", "/api/v1/projects/none/members/none", r#"{"role": "viewer"}"#, "developer"),
    ("PATCH", "/api/v1/stories/none", "{}", "developer"),
    ("POST", "/api/v1/bots", r#"{"projectId": "none", "name": "x"}"#, "developer"),
    ("POST", "/api/v1/bots/none/claim", "{}", "developer"),
    ("POST", "/api/v1/bots/none/journal", r#"{"entryType": "decision", "summary": "x"}"#, "developer"),
    ("POST", "/api/v1/bots/none/loop", r#"{"action": "stop"}"#, "developer"),
    ("POST", "/api/v1/projects", r#"{"name": "Fresh", "repoUrl": "/srv/x.git"}"#, "owner"),
    ("POST", "/api/v1/projects/none/stories", r#"{"title": "x"}"#, "developer"),
    ("POST", "/api/v1/stories/none/release", r#"{"token": 1, "outcome": "finished"}"#, "developer"),
    ("POST", "/api/v1/stories/none/renew", r#"{"token": 1}"#, "developer"),
    ("GET", "/api/v1/scheduled-tasks", "", "viewer"),
    ("GET", "/api/v1/scheduled-tasks/none", "", "viewer"),
    ("GET", "/api/v1/tasks", "", "viewer"),
    ("GET", "/api/v1/tasks/none", "", "viewer"),
    ("GET", "/api/v1/tasks/none/artefacts", "", "viewer"),
    ("GET", "/api/v1/tasks/none/artefacts/none", "", "viewer"),
    ("GET", "/api/v1/tasks/none/diff", "", "viewer"),
    ("GET", "/api/v1/tasks/none/egress", "", "viewer"),
    ("GET", "/api/v1/tasks/none/journal", "", "viewer"),
    ("GET", "/api/v1/tasks/none/logs", "", "viewer"),
    ("GET", "/api/v1/tasks/none/logs/stream", "", "viewer"),
    ("GET", "/api/v1/tasks/none/stream", "", "viewer"),
    ("POST", "/api/v1/tasks/none/approve", r#"{}"#, "developer"),
    ("POST", "/api/v1/tasks/none/cancel", r#"{}"#, "developer"),
    ("POST", "/api/v1/tasks/none/follow-up", r#"{"instruction": "x"}"#, "developer"),
    ("POST", "/api/v1/tasks/none/reject", r#"{}"#, "developer"),
    ("POST", "/api/v1/tasks/none/retry", r#"{}"#, "developer"),
    ("POST", "/api/v1/tasks/none/steer", r#"{"text": "x"}"#, "developer"),
    ("POST", "/api/v1/tasks", r#"{"projectId": "none", "instruction": "x"}"#, "developer"),
    ("DELETE", "/api/v1/scheduled-tasks/none", "", "developer"),
    ("PATCH", "/api/v1/scheduled-tasks/none", "{}", "developer"),
    (
        "POST",
        "/api/v1/scheduled-tasks",
        r#"{"projectId": "none", "instruction": "x", "cronExpression": "0 7 * * *"}"#,
        "developer",
    ),
];

/// A quiet site with a server.
fn begin(config: &str) -> (MockModel, Site, Server) {
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, config));
    let server = site.start();
    (model, site, server)
}

async fn ask(user: &User, method: &str, path: &str, body: &str) -> reqwest::Response {
    let mut request = user.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn every_route_lets_in_its_roles_and_no_lower_one() {
    let (_model, site, server) = begin("");
    for (rank, role) in ROLES.iter().enumerate() {
        let user = User::new(&server.base, &site.key(role, role));
        let me = if *role == "owner" { "api-default" } else { role };
        for (method, path, body, lowest) in ROUTES {
            let response = ask(&user, method, &path.replace("ME", me), body).await;
            let status = response.status().as_u16();
            let may = rank >= ROLES.iter().position(|role| role == lowest).unwrap();
            if may {
                let fine = matches!(status, 200 | 201 | 404);
                assert!(fine, "{role} must be let in: {method} {path} gave {status}");
            } else {
                assert_eq!(status, 403, "{role} must be refused: {method} {path}");
                assert_eq!(code_of(&response.json().await.unwrap()), "forbidden");
            }
        }
    }
    let made = "SELECT count(*) FROM keys WHERE name = 'fresh'";
    assert_eq!(site.number(made), 1, "only the owner's request made a key");
    assert_eq!(site.number("SELECT count(*) FROM memories WHERE user_id = 'viewer'"), 0);
}

#[tokio::test]
async fn the_list_of_roles_covers_every_route() {
    let (_model, site, server) = begin("");
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let document = owner.look("/api/v1/openapi.json").await;
    let mut missing = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let fits = |listed: &&(&str, &str, &str, &str)| {
                listed.0.eq_ignore_ascii_case(method) && same_path(path, listed.1)
            };
            if operation.get("security").is_some() && !ROUTES.iter().any(|route| fits(&route)) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

fn same_path(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let fits = |(one, two): (&str, &str)| one == two || one.starts_with('{');
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(fits)
}

#[tokio::test]
async fn a_key_acts_for_its_own_user_unless_it_may_act_for_others() {
    let (_model, site, server) = begin("");
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let gate = site.say(&[
        "keys",
        "create",
        "--name",
        "gate",
        "--role",
        "developer",
        "--user",
        "bob",
        "--act-for-others",
    ]);
    let gate = User::new(&server.base, &gate);
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let bob = site.say(&["keys", "create", "--name", "other", "--role", "developer", "--user", "bob"]);
    let bob = User::new(&server.base, &bob);
    let stored = bob.post("/api/v1/memories", json!({"content": "bob likes tea"})).await.1;
    let one = format!("/api/v1/memories/{}", stored["id"].as_str().unwrap());
    assert_eq!(stored["userId"], "bob");
    for path in [
        "/api/v1/memories?userId=bob",
        "/api/v1/memories/search?q=tea&userId=bob",
        "/api/v1/costs?userId=bob",
        "/api/v1/approvals?userId=bob",
        "/api/events/bob",
    ] {
        let (status, body) = ann.get(path).await;
        assert_eq!((status.as_u16(), code_of(&body)), (403, "forbidden"), "{path}");
        for other in [&gate, &owner] {
            assert_eq!(ask(other, "GET", path, "").await.status(), 200, "{path}");
        }
    }
    for (method, path, body) in [
        ("POST", "/api/chat", json!({"message": "hi", "userId": "bob"})),
        ("POST", "/api/v1/memories", json!({"content": "x", "userId": "bob"})),
        ("PATCH", "/api/v1/users/bob", json!({"name": "x"})),
        ("DELETE", &*format!("{one}?userId=bob"), Value::Null),
        ("PATCH", &*format!("{one}?userId=bob"), json!({"content": "x"})),
    ] {
        assert_eq!(ask(&ann, method, path, &body.to_string()).await.status(), 403, "{method} {path}");
    }
    assert_eq!(ann.get(&one).await.0, 404, "a stranger's memory is as good as none");
    assert_eq!(ann.look("/api/v1/memories").await, json!({"memories": []}));
    assert_eq!(gate.ask_as(json!({"message": "hi", "userId": "bob"})).await, "fine");
    assert_eq!(gate.ask_as(json!({"message": "hi", "userId": "cid"})).await, "fine");
    let users = "SELECT group_concat(user_id, ' ') FROM (SELECT user_id FROM inbound ORDER BY user_id)";
    assert_eq!(site.text(users), "bob cid");
}
