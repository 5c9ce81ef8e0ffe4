//! What a job asks people beside the one about its commit: a tool of its engine, a host that it wants to reach.

use serde_json::{Value, json};

use super::kit::*;
use crate::support::*;

/// The open question of this kind.
async fn open(shop: &Shop, kind: &str) -> Value {
    let found = || async {
        let all = shop.owner().look("/api/v1/approvals?status=pending").await;
        all["approvals"].as_array().unwrap().iter().find(|one| one["kind"] == kind).cloned()
    };
    until("a question", async || found().await.is_some()).await;
    found().await.unwrap()
}

async fn answer(shop: &Shop, question: &Value, how: &str, body: Value) -> u16 {
    let path = format!("/api/v1/approvals/{}/{how}", question["id"].as_str().unwrap());
    shop.owner().post(&path, body).await.0.as_u16()
}

#[tokio::test]
async fn an_engine_asks_before_each_act_when_its_project_says_so() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({"engineApprovals": "ask"})).await;
    let id = shop.give("write `a.txt` with `one`, write `b.txt` with `forbidden`").await;
    let write = open(&shop, "tool").await;
    assert!(write["preview"].as_str().unwrap().split("Task:").next().unwrap().contains("a.txt"), "{write}");
    assert!(!shop.workspace(&id).join("a.txt").exists(), "it acted before it was allowed to");
    assert_eq!(answer(&shop, &write, "approve", json!({})).await, 200);
    until("the next question", async || open(&shop, "tool").await["id"] != write["id"]).await;
    let other = open(&shop, "tool").await;
    assert_eq!(answer(&shop, &other, "reject", json!({"reason": "no b"})).await, 200);
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("diff --name-only main {branch}")), "a.txt");
    assert_eq!(answer(&shop, &other, "approve", json!({})).await, 409, "an answer counts twice");
}

#[tokio::test]
async fn a_host_that_is_not_on_the_list_is_asked_for_once_and_allowed_as_far_as_is_said() {
    let shop = Shop::open().await;
    shop.project(json!({})).await;
    let fetch = "python3 -c 'import urllib.request as u; u.urlopen(\"https://pkg.example.org\", timeout=5)'";
    let id = shop.give(&format!("run `{fetch}; {fetch}; sleep 2; echo one > a.txt`")).await;
    let question = open(&shop, "host").await;
    assert_eq!(question["action"], "pkg.example.org");
    let (status, refused) = shop
        .owner()
        .post(
            &format!("/api/v1/approvals/{}/approve", question["id"].as_str().unwrap()),
            json!({"choice": "no_request"}),
        )
        .await;
    assert_eq!(status, 400, "that is no answer to this question: {refused}");
    assert_eq!(answer(&shop, &question, "approve", json!({"choice": "project"})).await, 200);
    until("the project has it", async || {
        shop.owner().look("/api/v1/projects/app").await["allowedHosts"] == json!(["pkg.example.org"])
    })
    .await;
    shop.asked(&id).await;
    let asked = shop.site.number("SELECT count(*) FROM approvals WHERE subject LIKE '%pkg.example.org%'");
    assert_eq!(asked, 1, "it was asked for again");
    let egress = shop.owner().look(&format!("/api/v1/tasks/{id}/egress")).await;
    assert!(egress["total"].as_u64().unwrap() >= 2, "one row a request: {egress}");
    assert!(egress.to_string().contains("pkg.example.org"), "{egress}");
}
