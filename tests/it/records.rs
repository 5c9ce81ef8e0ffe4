//! Costs, users, keys, audit, health, metrics, files.

mod costs;
mod files;
mod outbox;

use serde_json::{Value, json};

use crate::support::*;

/// A model, a site, a server, an owner.
fn begin(
    config: &str,
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (MockModel, Site, Server, User) {
    let model = MockModel::start(script);
    let site = Site::new(&with_model(&model, config));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    (model, site, server, owner)
}

/// The check of this name in a health report.
fn check(health: &Value, name: &str) -> Value {
    let checks = health["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}: {health}")).clone()
}

#[tokio::test]
async fn users_are_those_who_were_heard_of_and_keep_what_was_chosen_for_them() {
    let (_model, site, server, owner) = begin("", |_| Reply::say("fine"));
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    owner.ask_as(json!({"message": "hi", "userId": "bob"})).await;
    let names = async |user: &User| {
        let users = user.look("/api/v1/users").await;
        let ids =
            users["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(names(&owner).await, ["ann", "api-default", "bob"]);
    let (status, changed) =
        ann.patch("/api/v1/users/ann", json!({"name": "Ann", "whileBusy": "steer"})).await;
    assert_eq!(
        (status.as_u16(), &changed["name"], &changed["whileBusy"]),
        (200, &json!("Ann"), &json!("steer"))
    );
    assert_eq!(ann.patch("/api/v1/users/ann", json!({"name": "Anna"})).await.1["whileBusy"], "steer");
    assert_eq!(
        ann.patch("/api/v1/users/ann", json!({"whileBusy": "default"})).await.1["whileBusy"],
        Value::Null
    );
    for bad in [json!({"whileBusy": "panic"}), json!({"name": " "}), json!({"role": "owner"})] {
        let (status, body) = ann.patch("/api/v1/users/ann", bad.clone()).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{bad}");
    }
    owner.patch("/api/v1/users/cid", json!({"name": "Cid"})).await;
    assert_eq!(names(&owner).await, ["ann", "api-default", "bob", "cid"]);
    assert_eq!(site.text("SELECT name FROM users WHERE id = 'ann'"), "Anna");
}

#[tokio::test]
async fn what_owners_do_is_in_the_audit_log_and_a_change_of_it_shows() {
    let (_model, site, server, owner) = begin("", |_| Reply::say("fine"));
    let made = owner.post("/api/v1/keys", json!({"name": "bot", "role": "viewer"})).await.1;
    let id = made["id"].as_str().unwrap();
    owner.delete(&format!("/api/v1/keys/{id}")).await;
    owner.patch("/api/v1/users/bob", json!({"name": "Bob"})).await;
    let log = owner.look("/api/v1/audit").await;
    let rows: Vec<(String, String)> = log["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let word = |name: &str| row[name].as_str().unwrap().to_owned();
            (word("actor") + " " + &word("action"), word("subject"))
        })
        .collect();
    let has = |act: &str, subject: &str| rows.contains(&(act.to_owned(), subject.to_owned()));
    assert!(has("key:me key.created", id) && has("key:me key.revoked", id), "{rows:?}");
    assert!(has("key:me user.changed", "bob"), "{rows:?}");
    assert!(rows.iter().any(|(act, _)| act == "local key.created"), "{rows:?}");
    assert!(rows.iter().any(|(act, _)| act == "system server.started"), "{rows:?}");
    let verified = owner.look("/api/v1/audit/verify").await;
    let last = log["rows"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(verified, json!({"ok": true, "rows": last["seq"], "head": last["hash"]}));
    let after = owner.look(&format!("/api/v1/audit?after={}&limit=1", rows.len() - 2)).await;
    assert_eq!(after["rows"][0]["seq"], rows.len() - 1);
    assert_eq!(after["rows"].as_array().unwrap().len(), 1);
    site.store().execute("UPDATE audit SET details = 'viewer' WHERE seq = 2", []).unwrap();
    let (status, body) = owner.get("/api/v1/audit/verify").await;
    assert_eq!((status.as_u16(), code_of(&body)), (409, "audit_broken"));
    assert!(body["error"]["message"].as_str().unwrap().contains("row 2"), "{body}");
    assert!(!site.run(&["audit", "verify"]).status.success());
    drop(server);
}

#[tokio::test]
async fn who_answered_a_question_is_in_the_audit_log_with_what_was_asked() {
    let clock = || ("clock".to_owned(), json!({}));
    let (model, site, _server, owner) = begin("budgets: {turn: {tool_calls: 1}}", move |_| {
        Reply::Call(String::new(), vec![clock(), clock()])
    });
    for (at, conversation) in ["one", "two"].iter().enumerate() {
        let body = json!({"message": "what time is it?", "conversationId": conversation});
        let mut stream = owner.open(body).await;
        let parked = stream.until("status", |data| data["approvalId"].is_string()).await;
        let id = parked.data["approvalId"].as_str().unwrap();
        if at == 0 {
            assert_eq!(owner.post(&format!("/api/v1/approvals/{id}/reject"), json!({})).await.0, 200);
        } else {
            owner.ask(&format!("/reject {id}")).await;
        }
        stream.rest().await;
    }
    let rows = "SELECT group_concat(actor || ' ' || action, ', ') FROM audit WHERE action LIKE 'approval.%'";
    assert_eq!(site.text(rows), "key:me approval.rejected, user:api-default approval.rejected");
    let told =
        "SELECT count(*) FROM audit JOIN approvals ON approvals.id = audit.subject AND preview = details";
    assert_eq!(site.number(told), 2);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn health_names_every_check_and_says_what_to_do() {
    let (_model, site, server, owner) =
        begin("prices: {mock: {input: 1, output: 1}}", |_| Reply::say("fine"));
    let viewer = User::new(&server.base, &site.key("v", "viewer"));
    owner.ask("hi").await;
    let health = viewer.look("/api/v1/health").await;
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION")))
    );
    for name in ["actors", "store", "outbox", "model openai-compatible"] {
        let check = check(&health, name);
        assert_eq!((&check["status"], &check["advice"]), (&json!("ok"), &json!("")), "{check}");
        assert_ne!(check["details"], "");
    }
    assert_eq!((&health["store"]["keys"], &health["store"]["conversations"]), (&json!(2), &json!(1)));
    assert_eq!(health["providers"].as_array().unwrap().len(), 1);
    drop(server);
    site.configure("llm: {provider: rehearsal}\nagent: {proactive: {enabled: true}}");
    let server = site.start();
    let health = User::new(&server.base, &viewer.key).look("/api/v1/health").await;
    assert_eq!(health["status"], "degraded");
    let planned = check(&health, "configuration");
    assert_eq!(planned["status"], "warning");
    assert!(planned["details"].as_str().unwrap().contains("agent.proactive.enabled"), "{planned}");
    let script = check(&health, "model rehearsal");
    assert_eq!(script["status"], "warning");
    assert!(script["advice"].as_str().unwrap().contains("config.yaml"), "{script}");
}

#[tokio::test]
async fn health_shows_a_provider_that_refuses_its_key() {
    let (model, _site, _server, owner) =
        begin("", |_| Reply::Status(401, vec![], json!({"error": {"message": "bad key"}}).to_string()));
    assert_eq!(check(&owner.look("/api/v1/health").await, "model openai-compatible")["status"], "warning");
    owner.chat(json!({"message": "hi"})).await;
    let health = owner.look("/api/v1/health").await;
    let provider = check(&health, "model openai-compatible");
    assert_eq!((&health["status"], &provider["status"]), (&json!("failing"), &json!("failed")));
    assert!(provider["details"].as_str().unwrap().contains("bad key"), "{provider}");
    assert_ne!(provider["advice"], "");
    assert!(!health.to_string().contains("test-key"), "no secret is shown");
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn the_server_says_that_it_is_ready_without_a_key() {
    let (_model, _site, _server, owner) = begin("", |_| Reply::say("fine"));
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let response = owner.bare(reqwest::Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap(), json!({"status": status}));
    }
}

#[tokio::test]
async fn metrics_count_what_was_done() {
    let (model, _site, _server, owner) =
        begin("prices: {mock: {input: 2, output: 10}}", |request| match request.number {
            1 => Reply::call("clock", json!({})),
            3 => Reply::Status(400, vec![], "{}".into()),
            _ => Reply::say("fine"),
        });
    owner.ask("what time is it?").await;
    owner.chat(json!({"message": "and this fails"})).await;
    let response = owner.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let text = response.text().await.unwrap();
    let read: usize = model.requests()[..2].iter().map(|request| request.body.to_string().len() / 4).sum();
    let written = 1 + ("fine".len() / 4 + 1);
    let input = format!("atoll_tokens_total{{direction=\"input\",provider=\"openai-compatible\"}} {read}");
    let output =
        format!("atoll_tokens_total{{direction=\"output\",provider=\"openai-compatible\"}} {written}");
    let money = format!(
        "atoll_money_microdollars_total{{provider=\"openai-compatible\"}} {}",
        read * 2 + written * 10
    );
    for line in [
        "atoll_turns_total{outcome=\"answered\"} 1",
        "atoll_turns_total{outcome=\"model_failed\"} 1",
        "atoll_turns_running 0",
        "atoll_sessions 1",
        "atoll_tool_calls_total{outcome=\"ok\",tool=\"clock\"} 1",
        &input,
        &output,
        &money,
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
    for name in
        ["atoll_store_commits_total", "atoll_mailbox_depth", "atoll_outbox_depth", "atoll_model_calls_total"]
    {
        assert!(text.contains(name), "no {name} in\n{text}");
    }
}
