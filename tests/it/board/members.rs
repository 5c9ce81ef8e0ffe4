//! Who may do what in a project: on each route, for each role.

use reqwest::Method;
use serde_json::{Value, json};

use super::*;

/// What is asked of things that are there; `S` is a story, `B` a bot.
const ASKS: &[(&str, &str, &str, &str)] = &[
    ("GET", "/api/v1/projects/app", "", "viewer"),
    ("GET", "/api/v1/projects/app/board", "", "viewer"),
    ("GET", "/api/v1/projects/app/stories", "", "viewer"),
    ("GET", "/api/v1/projects/app/bots", "", "viewer"),
    ("GET", "/api/v1/stories/S", "", "viewer"),
    ("GET", "/api/v1/stories/S/history", "", "viewer"),
    ("GET", "/api/v1/bots/B", "", "viewer"),
    ("GET", "/api/v1/bots/B/journal", "", "viewer"),
    ("POST", "/api/v1/projects/app/stories", r#"{"title": "by ROLE"}"#, "developer"),
    ("PATCH", "/api/v1/stories/S", r#"{"title": "by ROLE"}"#, "developer"),
    ("POST", "/api/v1/stories/S/renew", r#"{"token": 7}"#, "developer"),
    ("POST", "/api/v1/stories/S/release", r#"{"token": 7, "outcome": "finished"}"#, "developer"),
    ("POST", "/api/v1/bots/B/loop", r#"{"action": "start"}"#, "developer"),
    ("POST", "/api/v1/bots/B/claim", "{}", "developer"),
    ("POST", "/api/v1/bots/B/journal", r#"{"entryType": "learning", "summary": "by ROLE"}"#, "developer"),
    ("PATCH", "/api/v1/projects/app", r#"{"verifyCommands": ["true"]}"#, "owner"),
    ("PATCH", "/api/v1/projects/app/board", r#"{"name": "by ROLE"}"#, "owner"),
    ("PATCH", "/api/v1/projects/app/members/zoe", r#"{"role": "viewer"}"#, "owner"),
    ("DELETE", "/api/v1/projects/app/members/zoe", "", "owner"),
    ("POST", "/api/v1/bots", r#"{"projectId": "app", "name": "by ROLE"}"#, "owner"),
    ("PATCH", "/api/v1/bots/B", r#"{"model": "by-ROLE"}"#, "owner"),
];

#[tokio::test]
async fn every_route_lets_in_members_by_their_role_and_is_not_there_for_strangers() {
    let (site, _server, owner) = begin().await;
    let card = story(&owner, "card", "backlog", json!({})).await;
    let bot = id(&made(&owner, "/api/v1/bots", json!({"projectId": "app", "name": "fixer"})).await);
    // Name, the key's role, the role in the project, and what that comes to.
    let people = [
        ("vera", "developer", Some("viewer"), "viewer"),
        ("dora", "developer", Some("developer"), "developer"),
        ("olga", "developer", Some("owner"), "owner"),
        ("vivi", "viewer", Some("owner"), "viewer"),
        ("sam", "developer", None, ""),
        ("sid", "viewer", None, ""),
        ("root", "owner", None, "owner"),
    ];
    let ranks = ["viewer", "developer", "owner"];
    let rank = |role: &str| ranks.iter().position(|one| *one == role);
    for (name, key, role, comes_to) in people {
        let user = match role {
            Some(role) => member(&site, &owner, name, key, role).await,
            None => User::new(&owner.base, &site.key(name, key)),
        };
        for (method, path, body, lowest) in ASKS {
            let path = path.replace('S', &card).replace('B', &bot);
            let mut request = user.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
            if !body.is_empty() {
                request = request.header("content-type", "application/json").body(body.replace("ROLE", name));
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let what = format!("{name}: {method} {path}");
            match rank(comes_to) {
                // A viewer's key is told so before anything is looked up.
                None if key == "viewer" && *lowest != "viewer" => assert_eq!(status, 403, "{what}"),
                None => assert_eq!(status, 404, "{what}"),
                Some(has) if Some(has) < rank(lowest) => assert_eq!(status, 403, "{what}"),
                Some(_) => assert!(matches!(status, 200 | 201 | 204 | 409), "{what}: {status}"),
            }
        }
        let visible = user.look("/api/v1/projects").await;
        assert_eq!(visible["total"], u64::from(!comes_to.is_empty()), "{name}");
        assert_eq!(user.look("/api/v1/bots").await["total"] != 0, !comes_to.is_empty(), "{name}");
    }
    let titles = "SELECT group_concat(title, ' ') FROM (SELECT title FROM stories ORDER BY title)";
    assert_eq!(site.text(titles), "by dora by olga by root by root", "only those who may wrote anything");
    for lost in ["DELETE", "PATCH"] {
        let stranger = User::new(&owner.base, &site.key(&format!("x{}", lost.to_lowercase()), "developer"));
        for path in
            ["/api/v1/projects/app", &format!("/api/v1/stories/{card}"), &format!("/api/v1/bots/{bot}")]
        {
            let request =
                stranger.request(Method::from_bytes(lost.as_bytes()).unwrap(), path).json(&json!({}));
            assert_eq!(request.send().await.unwrap().status(), 404, "{lost} {path}");
        }
    }
}

#[tokio::test]
async fn what_reaches_beyond_a_project_is_for_owners_of_the_place() {
    let (site, _server, owner) = begin().await;
    let olga = member(&site, &owner, "olga", "developer", "owner").await;
    for body in [
        json!({"repoUrl": "/etc"}),
        json!({"allowedHosts": ["evil.example"]}),
        json!({"allowedPresets": ["npm"]}),
        json!({"setupHosts": ["evil.example"]}),
        json!({"setupPresets": []}),
        json!({"forge": {"kind": "gitea", "apiUrl": "https://evil.example", "tokenEnv": "ANTHROPIC_API_KEY"}}),
        json!({"forge": null}),
        json!({"image": "evil"}),
        json!({"limits": {"memoryMib": 200_000}}),
    ] {
        assert_eq!(
            refused(&olga, "/api/v1/projects/app", body.clone()).await,
            (403, "forbidden".into()),
            "{body}"
        );
    }
    assert_eq!(olga.patch("/api/v1/projects/app", json!({"defaultBranch": "dev"})).await.0, 200);
    let (status, _) = olga.post("/api/v1/projects", json!({"name": "x", "repoUrl": "/x"})).await;
    assert_eq!(status, 403);
    assert_eq!(olga.delete("/api/v1/projects/app").await.0, 204, "an owner of it may end it");
}

#[tokio::test]
async fn a_member_who_goes_sees_nothing_from_then_on() {
    let (site, _server, owner) = begin().await;
    let dora = member(&site, &owner, "dora", "developer", "developer").await;
    let project = dora.look("/api/v1/projects/app").await;
    assert_eq!(project["members"], json!([{"userId": "dora", "role": "developer"}]));
    for (path, status) in [("dora", 204), ("dora", 404), ("a%2Fb", 400)] {
        assert_eq!(owner.delete(&format!("/api/v1/projects/app/members/{path}")).await.0, status, "{path}");
    }
    assert_eq!(dora.get("/api/v1/projects/app").await.0, 404);
    assert_eq!(dora.look("/api/v1/projects").await, json!({"projects": [], "total": 0}));
    let bad = owner.patch("/api/v1/projects/app/members/dora", json!({"role": "king"})).await;
    assert_eq!(bad.0, 400);
    let acts = "SELECT group_concat(details, ', ') FROM audit WHERE action = 'project.member'";
    assert_eq!(site.text(acts), "dora developer, dora none");
}

#[tokio::test]
async fn somebody_elses_file_is_not_attached() {
    let (site, _server, owner) = begin().await;
    let dora = member(&site, &owner, "dora", "developer", "developer").await;
    let db = site.store();
    for (file, user) in [("f1", "dora"), ("f2", "eve")] {
        let sql = "INSERT INTO files VALUES (?1, ?2, 'a.txt', 'text/plain', 1, 1)";
        db.execute(sql, [file, user]).unwrap();
    }
    let add = async |file: &str| {
        let body = json!({"title": "x", "attachments": [file]});
        dora.post("/api/v1/projects/app/stories", body).await
    };
    for bad in ["f2", "none", "/etc/shadow", "../f1"] {
        let (status, body) = add(bad).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{bad}");
    }
    let (status, made) = add("f1").await;
    assert_eq!((status.as_u16(), &made["attachments"]), (201, &json!(["f1"])));
    let eve = member(&site, &owner, "eve", "developer", "developer").await;
    let path = format!("/api/v1/stories/{}", id(&made));
    let (status, changed): (_, Value) = eve.patch(&path, json!({"attachments": ["f1", "f2"]})).await;
    assert_eq!(
        (status.as_u16(), &changed["attachments"]),
        (200, &json!(["f1", "f2"])),
        "what is attached stays"
    );
}
