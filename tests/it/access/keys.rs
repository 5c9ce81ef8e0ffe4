//! Keys: shown once, kept as hashes, revoked at once; wrong ones lock out, eager ones wait.

use std::process::Command;

use reqwest::Method;
use serde_json::json;

use super::begin;
use crate::support::*;

#[tokio::test]
async fn keys_are_shown_once_and_kept_as_hashes() {
    let (_model, site, server) = begin("");
    let text = site.key("me", "owner");
    assert!(text.starts_with("atoll_") && text.len() >= 40 && !text.contains('\n'), "{text}");
    let owner = User::new(&server.base, &text);
    let (status, made) = owner.post("/api/v1/keys", json!({"name": "bot", "role": "viewer"})).await;
    assert_eq!(status, 201);
    let fresh = made["key"].as_str().unwrap().to_owned();
    assert_ne!(fresh, text);
    assert_eq!(User::new(&server.base, &fresh).get("/api/skills").await.0, 200);
    let list = owner.look("/api/v1/keys").await;
    let bot = list["keys"].as_array().unwrap().iter().find(|key| key["name"] == "bot").unwrap();
    assert_eq!((&bot["role"], &bot["userId"]), (&json!("viewer"), &json!("bot")));
    assert!(bot.get("key").is_none() && bot["revokedAt"].is_null());
    let told = list.to_string()
        + &site.say(&["keys", "list"])
        + &site.say(&["keys", "list", "--json"])
        + &owner.look("/api/v1/audit").await.to_string()
        + &site.log();
    assert!(server.stop().success());
    let grep =
        |text: &str| Command::new("grep").args(["-r", "-l", "-F", text]).arg(site.home()).output().unwrap();
    for key in [&text, &fresh] {
        assert!(!told.contains(key.as_str()), "it is shown again");
        assert!(grep(key).stdout.is_empty(), "it is kept: {:?}", grep(key));
        let hash = atoll::domain::access::hash_key(key);
        let sql = "SELECT count(*) FROM keys WHERE hash = ?1";
        let found: i64 = site.store().query_row(sql, [hash.as_slice()], |row| row.get(0)).unwrap();
        assert_eq!(found, 1);
    }
}

#[tokio::test]
async fn bad_keys_cannot_be_made() {
    let (_model, site, server) = begin("");
    let owner = User::new(&server.base, &site.key("me", "owner"));
    for body in [
        json!({"name": "x", "role": "king"}),
        json!({"name": "", "role": "viewer"}),
        json!({"name": "two words", "role": "viewer"}),
        json!({"name": "x", "role": "viewer", "userId": "a/b"}),
        json!({"name": "x\u{7}", "role": "owner"}),
        json!({"name": "x", "role": "viewer", "secret": "mine"}),
    ] {
        let (status, answer) = owner.post("/api/v1/keys", body.clone()).await;
        assert_eq!((status.as_u16(), code_of(&answer)), (400, "bad_request"), "{body}");
    }
    assert!(!site.run(&["keys", "create", "--name", "x", "--role", "king"]).status.success());
    assert_eq!(site.number("SELECT count(*) FROM keys"), 1);
}

#[tokio::test]
async fn a_key_is_read_from_both_headers_and_a_wrong_one_is_refused() {
    let (_model, site, server) = begin("");
    let key = site.key("me", "owner");
    let user = User::new(&server.base, &key);
    let get = |name: &str, value: &str| user.bare(Method::GET, "/api/skills").header(name, value).send();
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("authorization", format!("bearer {key}")),
        ("x-api-key", key.clone()),
    ] {
        assert_eq!(get(name, &value).await.unwrap().status(), 200, "{name} {value}");
    }
    let mut other = key.clone();
    other.replace_range(key.len() - 3.., if key.ends_with("AAA") { "BBB" } else { "AAA" });
    for (name, value) in [
        ("authorization", format!("Bearer {other}")),
        ("authorization", format!("Basic {key}")),
        ("authorization", key.clone()),
        ("x-api-key", String::new()),
        ("x-api-key", key.to_uppercase()),
        ("x-other", key.clone()),
    ] {
        let response = get(name, &value).await.unwrap();
        assert_eq!(response.status(), 401, "{name} {value}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(code_of(&response.json().await.unwrap()), "unauthorized");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(user.bare(Method::GET, path).send().await.unwrap().status(), 200);
    }
    let unknown = user.bare(Method::GET, "/no/such/path").send().await.unwrap();
    assert_eq!(unknown.status(), 401, "strangers do not learn which paths there are");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_for_ever() {
    let (_model, site, server) = begin("");
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    ann.look("/api/skills").await;
    let id = site.text("SELECT id FROM keys WHERE name = 'ann'");
    let (status, key) = owner.delete(&format!("/api/v1/keys/{id}")).await;
    assert_eq!((status.as_u16(), key["revokedAt"].is_string()), (200, true));
    let (status, body) = ann.get("/api/skills").await;
    assert_eq!((status.as_u16(), code_of(&body)), (401, "unauthorized"));
    assert_eq!(owner.delete(&format!("/api/v1/keys/{id}")).await.0, 404, "it is revoked once");
    let bob = User::new(&server.base, &site.key("bob", "developer"));
    bob.look("/api/skills").await;
    site.say(&["keys", "revoke", &site.text("SELECT id FROM keys WHERE name = 'bob'")]);
    until("the server sees what the command line revoked", async || bob.get("/api/skills").await.0 == 401)
        .await;
    drop(server);
    let server = site.start();
    for key in [&ann.key, &bob.key] {
        assert_eq!(User::new(&server.base, key).get("/api/skills").await.0, 401);
    }
    let acts = "SELECT group_concat(actor || ' ' || action, ', ') FROM audit WHERE action = 'key.revoked'";
    assert_eq!(site.text(acts), "key:me key.revoked, local key.revoked");
}

#[tokio::test]
async fn an_open_stream_of_a_revoked_key_tells_nothing_more() {
    let (_model, site, server) = begin("");
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let ann = User::new(&server.base, &site.key("ann", "viewer"));
    let mut stream = Stream::of(ann.request(Method::GET, "/api/events/ann")).await;
    assert_eq!(stream.status, 200);
    owner.ask_as(json!({"message": "one", "userId": "ann"})).await;
    assert_eq!(stream.next().await.unwrap().data["text"], "fine");
    owner.delete(&format!("/api/v1/keys/{}", site.text("SELECT id FROM keys WHERE name = 'ann'"))).await;
    owner.ask_as(json!({"message": "two", "userId": "ann"})).await;
    assert_eq!(stream.next().await, None, "the stream ends without the second answer");
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits_and_others_do_not() {
    let (_model, site, server) = begin("server: {port: 0, requests_per_minute: 3}");
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let bob = User::new(&server.base, &site.key("bob", "viewer"));
    let owner = User::new(&server.base, &site.key("me", "owner"));
    for _ in 0..3 {
        ann.look("/api/skills").await;
    }
    let response = ann.request(Method::GET, "/api/skills").send().await.unwrap();
    assert_eq!(response.status(), 429);
    let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "one in 20 seconds is let in: {wait}");
    assert_eq!(code_of(&response.json().await.unwrap()), "too_fast");
    bob.look("/api/skills").await;
    for _ in 0..10 {
        owner.look("/api/skills").await;
    }
}

#[tokio::test]
async fn an_address_with_too_many_wrong_keys_is_locked_out() {
    let (_model, site, server) = begin("server: {port: 0, lockout_failures: 3, lockout_minutes: 2}");
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let wrong = User::new(&server.base, "atoll_wrong");
    owner.look("/api/skills").await;
    for _ in 0..3 {
        assert_eq!(wrong.get("/api/skills").await.0, 401);
    }
    for user in [&wrong, &owner] {
        let response = user.request(Method::GET, "/api/skills").send().await.unwrap();
        assert_eq!(response.status(), 429, "the right key does not tell itself by another answer");
        let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((60..=120).contains(&wait), "{wait}");
        assert_eq!(code_of(&response.json().await.unwrap()), "locked_out");
    }
    let (status, _) = wrong.get("/healthz").await;
    assert_eq!(status, 200);
    until("the operator can read of it", async || site.log().contains("locked out")).await;
}
