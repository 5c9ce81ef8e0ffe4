//! Claims over REST: one holder at a time, tokens that fence, leases that lapse.

use serde_json::{Value, json};

use super::*;

/// A bot that runs.
async fn bot(owner: &User, name: &str, stories: u32) -> String {
    let body = json!({"projectId": "app", "name": name, "maxConcurrentStories": stories});
    let bot = id(&made(owner, "/api/v1/bots", body).await);
    let (status, _) = owner.post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": "start"})).await;
    assert_eq!(status, 200);
    bot
}

async fn claim(owner: &User, bot: &str, body: Value) -> Value {
    let (status, body) = owner.post(&format!("/api/v1/bots/{bot}/claim"), body).await;
    assert_eq!(status, 200, "{body}");
    body["claim"].clone()
}

async fn act(owner: &User, story: &str, verb: &str, body: Value) -> (u16, Value) {
    let (status, body) = owner.post(&format!("/api/v1/stories/{story}/{verb}"), body).await;
    (status.as_u16(), body)
}

#[tokio::test]
async fn the_next_story_is_claimed_worked_on_and_goes_to_review() {
    let (_site, _server, owner) = begin().await;
    let bot = bot(&owner, "fixer", 1).await;
    assert_eq!(claim(&owner, &bot, json!({})).await, Value::Null);
    story(&owner, "later", "todo", json!({})).await;
    let urgent = story(&owner, "now", "todo", json!({"priority": "critical"})).await;
    story(&owner, "idea", "backlog", json!({"priority": "critical"})).await;
    let got = claim(&owner, &bot, json!({"seconds": 60})).await;
    assert_eq!((&got["story"]["id"], &got["token"]), (&json!(urgent), &json!(1)));
    assert_eq!(got["story"]["columnId"], column(&owner, "in_progress").await);
    assert_eq!(got["story"]["claim"]["botId"], json!(bot));
    assert_eq!(claim(&owner, &bot, json!({})).await, Value::Null, "one at a time");
    let (status, renewed) = act(&owner, &urgent, "renew", json!({"token": 1, "jobId": "01abc"})).await;
    assert_eq!((status, &renewed["story"]["jobId"]), (200, &json!("01abc")));
    for (verb, body, status) in [
        ("renew", json!({"token": 2}), 409),
        ("renew", json!({"token": 1, "seconds": 0}), 400),
        ("renew", json!({"token": 1, "jobId": "../x"}), 400),
        ("release", json!({"token": 0, "outcome": "finished"}), 409),
        ("release", json!({"token": 1, "outcome": "failed"}), 400),
        ("release", json!({"token": 1, "outcome": "won"}), 400),
    ] {
        assert_eq!(act(&owner, &urgent, verb, body.clone()).await.0, status, "{verb} {body}");
    }
    let (status, done) = act(&owner, &urgent, "release", json!({"token": 1, "outcome": "finished"})).await;
    assert_eq!((status, &done["columnId"]), (200, &column(&owner, "review").await));
    let (status, body) = act(&owner, &urgent, "release", json!({"token": 1, "outcome": "finished"})).await;
    assert_eq!((status, code_of(&body)), (409, "fenced"));
    assert_eq!(claim(&owner, &bot, json!({})).await["story"]["title"], "later");
}

#[tokio::test]
async fn bots_that_ask_at_once_never_get_the_same_story() {
    let (site, _server, owner) = begin().await;
    let mut bots = Vec::new();
    for n in 0..4 {
        bots.push(bot(&owner, &format!("b{n}"), 16).await);
    }
    for n in 0..10 {
        story(&owner, &format!("s{n}"), "todo", json!({})).await;
    }
    let asks = (0..24).map(|n| {
        let (owner, bot) = (owner.clone(), bots[n % 4].clone());
        async move { claim(&owner, &bot, json!({})).await }
    });
    let got = futures_util::future::join_all(asks).await;
    let mut ids: Vec<String> =
        got.iter().filter(|claim| !claim.is_null()).map(|claim| id(&claim["story"])).collect();
    assert_eq!(ids.len(), 10);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10, "each story once");
    let held = "SELECT count(*) FROM stories WHERE claim_bot IS NOT NULL AND token = 1";
    assert_eq!(site.number(held), 10);
}

#[tokio::test]
async fn a_bot_must_run_and_the_column_must_have_room() {
    let (_site, _server, owner) = begin().await;
    let bot = bot(&owner, "fixer", 5).await;
    let card = story(&owner, "card", "todo", json!({})).await;
    for action in ["pause", "stop"] {
        owner.post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": action})).await;
        let (status, body) = owner.post(&format!("/api/v1/bots/{bot}/claim"), json!({})).await;
        assert_eq!((status.as_u16(), code_of(&body)), (409, "not_running"), "{action}");
    }
    owner.post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": "start"})).await;
    let board = owner.look("/api/v1/projects/app/board").await["board"].clone();
    let columns: Vec<Value> = board["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let limit = (column["role"] == "in_progress").then_some(1);
            json!({"id": column["id"], "name": column["name"], "role": column["role"], "wipLimit": limit})
        })
        .collect();
    assert_eq!(owner.patch("/api/v1/projects/app/board", json!({"columns": columns})).await.0, 200);
    let mine = story(&owner, "mine", "in_progress", json!({})).await;
    assert_eq!(
        claim(&owner, &bot, json!({})).await,
        Value::Null,
        "a person works on the one that there is room for"
    );
    owner.delete(&format!("/api/v1/stories/{mine}")).await;
    assert_eq!(id(&claim(&owner, &bot, json!({})).await["story"]), card);
}

#[tokio::test]
async fn a_story_that_fails_too_often_is_blocked_until_a_person_lets_it_go_on() {
    let (_site, _server, owner) = begin().await;
    owner.patch("/api/v1/projects/app", json!({"limits": {"maxFailures": 2}})).await;
    let bot = bot(&owner, "fixer", 1).await;
    let card = story(&owner, "card", "todo", json!({})).await;
    for token in 1..=2 {
        let got = claim(&owner, &bot, json!({})).await;
        assert_eq!(got["token"], token);
        let body = json!({"token": token, "outcome": "failed", "reason": "tests are red"});
        let (status, after) = act(&owner, &card, "release", body).await;
        assert_eq!((status, &after["failures"]), (200, &json!(token)));
        assert_eq!(after["columnId"], column(&owner, "todo").await);
    }
    let blocked = owner.look(&format!("/api/v1/stories/{card}")).await;
    assert_eq!(blocked["blocked"], "failed 2 times, at last: tests are red");
    assert_eq!(claim(&owner, &bot, json!({})).await, Value::Null);
    owner.patch(&format!("/api/v1/stories/{card}"), json!({"blocked": null})).await;
    assert_eq!(claim(&owner, &bot, json!({})).await["token"], 3);
}

#[tokio::test]
async fn a_claim_survives_a_crash_lapses_later_and_its_token_is_worth_nothing_then() {
    let (site, server, owner) = begin().await;
    let one = bot(&owner, "one", 1).await;
    let two = bot(&owner, "two", 1).await;
    let card = story(&owner, "card", "todo", json!({})).await;
    claim(&owner, &one, json!({"seconds": 3600})).await;
    server.kill();
    let server = site.start();
    let owner = User::new(&server.base, &owner.key);
    assert_eq!(claim(&owner, &two, json!({})).await, Value::Null, "a crash of ours takes nothing away");
    assert_eq!(act(&owner, &card, "renew", json!({"token": 1, "seconds": 1})).await.0, 200);
    let mut got = Value::Null;
    until("the claim lapses", async || {
        got = claim(&owner, &two, json!({})).await;
        !got.is_null()
    })
    .await;
    assert_eq!((id(&got["story"]), &got["token"]), (card.clone(), &json!(2)));
    for (verb, body) in
        [("renew", json!({"token": 1})), ("release", json!({"token": 1, "outcome": "finished"}))]
    {
        let (status, body) = act(&owner, &card, verb, body).await;
        assert_eq!((status, code_of(&body)), (409, "fenced"), "{verb}");
    }
    let history = owner.look(&format!("/api/v1/stories/{card}/history")).await;
    let told: Vec<(&str, &str)> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["actor"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [("claimed", "key:me"), ("failed", "system"), ("claimed", "key:me"), ("created", "key:me")]
    );
}

#[tokio::test]
async fn a_person_takes_a_story_away_and_a_removed_bot_lets_go() {
    let (_site, _server, owner) = begin().await;
    let bot = bot(&owner, "fixer", 2).await;
    let (one, two) =
        (story(&owner, "a", "todo", json!({})).await, story(&owner, "b", "todo", json!({})).await);
    claim(&owner, &bot, json!({})).await;
    claim(&owner, &bot, json!({})).await;
    assert_eq!(owner.delete(&format!("/api/v1/stories/{one}")).await.0, 409);
    assert_eq!(owner.delete("/api/v1/projects/app").await.0, 409);
    let body = json!({"assignee": "api-default"});
    let (_, taken) = owner.patch(&format!("/api/v1/stories/{one}"), body).await;
    assert_eq!(taken["claim"], Value::Null);
    assert_eq!(act(&owner, &one, "renew", json!({"token": 1})).await.0, 409);
    assert_eq!(owner.delete(&format!("/api/v1/bots/{bot}")).await.0, 204);
    let left = owner.look(&format!("/api/v1/stories/{two}")).await;
    assert_eq!((&left["claim"], &left["columnId"]), (&Value::Null, &column(&owner, "todo").await));
    assert_eq!(act(&owner, &two, "release", json!({"token": 1, "outcome": "finished"})).await.0, 409);
}
