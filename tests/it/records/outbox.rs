//! Messages that did not arrive: listed without their words, to those whose they are, and sent again by owners.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use super::check;
use crate::support::{
    http::{HttpServer, Told},
    *,
};

const CONFIG: &str = "llm: {provider: rehearsal}\nchannels: {webhook: {secret: s3cret}}
jobs: {private_callbacks: true}\nsandbox: {docker: /nonexistent/docker.sock}";

/// What is listed of the outbox.
async fn listed(user: &User, query: &str) -> Vec<Value> {
    user.look(&format!("/api/v1/outbox{query}")).await["messages"].as_array().unwrap().clone()
}

/// A task of `user` whose end is posted to `receiver`.
async fn told(user: &User, receiver: &HttpServer) {
    let url = format!("{}/hook", receiver.url());
    let body = json!({"projectId": "app", "instruction": "secret words", "callbackUrl": url});
    let made = user.post("/api/v1/tasks", body).await.1;
    let task = format!("/api/v1/tasks/{}", made["jobId"].as_str().unwrap());
    until("it is parked without Docker", async || user.get(&task).await.1["status"] == "parked").await;
    assert_eq!(user.post(&format!("{task}/cancel"), json!({})).await.0, 200);
}

#[tokio::test]
async fn what_did_not_arrive_is_listed_without_its_words_and_sent_again_by_owners() {
    let takes = Arc::new(AtomicBool::new(false));
    let taking = Arc::clone(&takes);
    let receiver = HttpServer::start(move |_| {
        Told::Say(if taking.load(Ordering::SeqCst) { 200 } else { 404 }, vec![], vec![])
    });
    let site = Site::new(CONFIG);
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    crate::board::made(&owner, "/api/v1/projects", json!({"name": "App", "repoUrl": "/srv/app.git"})).await;
    told(&owner, &receiver).await;
    until("the receiver refuses it", async || !listed(&owner, "?state=dead").await.is_empty()).await;
    let row = listed(&owner, "").await.remove(0);
    let brief = (&row["channel"], &row["userId"], &row["kind"], &row["state"]);
    assert_eq!(brief, (&json!("callback"), &json!("api-default"), &json!("callback"), &json!("dead")));
    assert!(row["error"].as_str().unwrap().contains("404"), "{row}");
    let all = row.to_string();
    assert!(!all.contains("secret words") && !all.contains("hook"), "{all}");

    let id = row["id"].as_i64().unwrap();
    assert!(listed(&owner, &format!("?before={id}")).await.is_empty());
    assert!(listed(&owner, "?state=unknown").await.is_empty());
    assert_eq!(listed(&owner, "?userId=api-default").await.len(), 1);
    assert!(listed(&ann, "").await.is_empty(), "it is not hers");
    assert_eq!(ann.get("/api/v1/outbox?userId=api-default").await.0, 403);
    assert_eq!(owner.get("/api/v1/outbox?state=lost").await.0, 400);
    let again = format!("/api/v1/outbox/{id}/resend");
    assert_eq!(ann.post(&again, json!({})).await.0, 403);

    let health = owner.look("/api/v1/health").await;
    let outbox = check(&health, "outbox");
    assert_eq!((&outbox["status"], &outbox["details"]), (&json!("warning"), &json!("1 were given up")));
    assert!(site.say(&["outbox"]).contains("404"));
    let found: Value =
        serde_json::from_str(&site.say(&["outbox", "list", "--state", "dead", "--json"])).unwrap();
    assert_eq!(found[0]["id"], id);

    takes.store(true, Ordering::SeqCst);
    let (status, row) = owner.post(&again, json!({})).await;
    assert_eq!((status.as_u16(), &row["state"], &row["error"]), (200, &json!("waiting"), &Value::Null));
    until("it arrives", async || {
        site.number("SELECT count(*) FROM outbox WHERE state = 'sent' AND channel = 'callback'") == 1
    })
    .await;
    assert_eq!(owner.post(&again, json!({})).await.0, 404, "it arrived");
    let acts = owner.look("/api/v1/audit").await.to_string();
    assert!(acts.contains("outbox.resent") && acts.contains("key:me"), "{acts}");
    assert_eq!(check(&owner.look("/api/v1/health").await, "outbox")["status"], "ok");
}

#[tokio::test]
async fn the_command_line_sends_again_what_is_parked_also_without_a_server() {
    let receiver = HttpServer::start(|_| Told::Say(200, vec![], vec![]));
    let site = Site::new(CONFIG);
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    crate::board::made(&owner, "/api/v1/projects", json!({"name": "App", "repoUrl": "/srv/app.git"})).await;
    told(&owner, &receiver).await;
    until("it arrives", async || {
        site.number("SELECT count(*) FROM outbox WHERE state = 'sent' AND channel = 'callback'") == 1
    })
    .await;
    site.store()
        .execute("UPDATE outbox SET state = 'parked', error = 'blocked' WHERE channel = 'callback'", [])
        .unwrap();
    let outbox = check(&owner.look("/api/v1/health").await, "outbox");
    assert!(outbox["details"].as_str().unwrap().contains("1 are parked"), "{outbox}");
    server.stop();
    assert!(site.say(&["outbox"]).contains("blocked"));
    let id = site.text("SELECT CAST(id AS TEXT) FROM outbox WHERE channel = 'callback'");
    assert!(site.say(&["outbox", "resend", &id]).contains("goes out again"));
    assert!(!site.run(&["outbox", "resend", &id]).status.success());
    let _server = site.start();
    until("it arrives again", async || {
        site.number("SELECT count(*) FROM outbox WHERE state = 'sent' AND channel = 'callback'") == 1
    })
    .await;
}
