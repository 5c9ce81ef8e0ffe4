//! Bots and their journals over REST.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_bot_is_made_changed_started_and_removed_and_keeps_its_state_over_restarts() {
    let (site, server, owner) = begin().await;
    let bot = made(&owner, "/api/v1/bots", json!({"projectId": "app", "name": "fixer"})).await;
    let expected = json!({
        "id": bot["id"], "projectId": "app", "name": "fixer", "engineType": "native", "model": null,
        "systemPrompt": null, "status": "stopped", "pollIntervalSeconds": 30, "maxConcurrentStories": 1,
        "dailyBudgetUsd": null, "storyBudgetUsd": null, "idleBehavior": "idle", "createdAt": bot["createdAt"],
        "updatedAt": bot["createdAt"],
    });
    assert_eq!(bot, expected);
    let path = format!("/api/v1/bots/{}", id(&bot));
    let change =
        json!({"engineType": "codex", "model": "gpt-5", "dailyBudgetUsd": 2.5, "idleBehavior": "discovery"});
    let (status, changed) = owner.patch(&path, change).await;
    assert_eq!((status.as_u16(), &changed["dailyBudgetUsd"]), (200, &json!(2.5)));
    let (_, cleared) = owner.patch(&path, json!({"dailyBudgetUsd": null, "model": null})).await;
    assert_eq!((&cleared["dailyBudgetUsd"], &cleared["engineType"]), (&Value::Null, &json!("codex")));
    for (action, status, running) in
        [("start", "running", true), ("pause", "paused", false), ("start", "running", true)]
    {
        let (_, now) = owner.post(&format!("{path}/loop"), json!({"action": action})).await;
        let expected = json!({
            "botId": bot["id"], "running": running, "status": status, "storyIds": [], "jobIds": [], "lastPollAt": null,
            "waitsFor": null, "lastError": null, "spentTodayUsd": 0.0,
        });
        assert_eq!(now, expected);
    }
    server.kill();
    let server = site.start();
    let owner = User::new(&server.base, &owner.key);
    assert_eq!(owner.look(&path).await["status"], "running");
    assert_eq!(owner.look("/api/v1/bots?status=paused").await["total"], 0);
    assert_eq!(owner.look("/api/v1/bots?projectId=app&status=running").await["total"], 1);
    assert_eq!(owner.look("/api/v1/projects/app/bots").await["bots"][0]["id"], bot["id"]);
    assert_eq!(owner.delete(&path).await.0, 204);
    assert_eq!(owner.get(&path).await.0, 404);
    let acts = "SELECT group_concat(action || ' ' || details, ', ') FROM audit WHERE action LIKE 'bot.%'";
    let expected = "bot.created fixer in app, bot.changed , bot.changed , bot.loop running, bot.loop paused, \
                    bot.loop running, bot.removed ";
    assert_eq!(site.text(acts), expected);
}

#[tokio::test]
async fn a_bot_that_does_not_fit_is_refused() {
    let (_site, _server, owner) = begin().await;
    let bot = made(&owner, "/api/v1/bots", json!({"projectId": "app", "name": "fixer"})).await;
    for (body, status) in [
        (json!({"name": "x"}), 400),
        (json!({"projectId": "app"}), 400),
        (json!({"projectId": "none", "name": "x"}), 404),
        (json!({"projectId": "app", "name": "fixer"}), 409),
        (json!({"projectId": "app", "name": "x", "engineType": "magic"}), 400),
        (json!({"projectId": "app", "name": "x", "model": "--yolo"}), 400),
        (json!({"projectId": "app", "name": "x", "pollIntervalSeconds": 0}), 400),
        (json!({"projectId": "app", "name": "x", "maxConcurrentStories": 99}), 400),
        (json!({"projectId": "app", "name": "x", "dailyBudgetUsd": -1}), 400),
        (json!({"projectId": "app", "name": "x", "idleBehavior": "sleep"}), 400),
        (json!({"projectId": "app", "name": "x", "status": "running"}), 400),
    ] {
        let (got, answer) = owner.post("/api/v1/bots", body.clone()).await;
        assert_eq!(got, status, "{body}: {answer}");
        code_of(&answer);
    }
    let path = format!("/api/v1/bots/{}", id(&bot));
    assert_eq!(refused(&owner, &path, json!({"projectId": "other"})).await.0, 400);
    assert_eq!(owner.post(&format!("{path}/loop"), json!({"action": "dance"})).await.0, 400);
    assert_eq!(owner.look("/api/v1/bots").await["total"], 1);
}

#[tokio::test]
async fn a_journal_is_written_searched_and_recalled() {
    let (_site, _server, owner) = begin().await;
    let bot = made(&owner, "/api/v1/bots", json!({"projectId": "app", "name": "fixer"})).await;
    let card = story(&owner, "card", "todo", json!({})).await;
    let path = format!("/api/v1/bots/{}/journal", id(&bot));
    let first = made(&owner, &path, json!({"entryType": "learning", "summary": "Tests need node 22"})).await;
    let body = json!({"entryType": "decision", "summary": "Cache is in memory", "details": "redis is too much",
                      "storyId": card});
    let second = made(&owner, &path, body).await;
    let expected = json!({
        "id": second["id"], "botId": bot["id"], "jobId": null, "entryType": "decision",
        "summary": "Cache is in memory", "details": "redis is too much", "storyId": card,
        "createdAt": second["createdAt"],
    });
    assert_eq!(second, expected);
    for n in 0..5 {
        made(&owner, &path, json!({"entryType": "started", "summary": format!("story {n}")})).await;
    }
    let read = async |query: &str| {
        let found = owner.look(&format!("{path}{query}")).await;
        let summary = |entry: &Value| entry["summary"].as_str().unwrap().to_owned();
        found["entries"].as_array().unwrap().iter().map(summary).collect::<Vec<_>>()
    };
    assert_eq!(read("?limit=2").await, ["story 4", "story 3"]);
    assert_eq!(read("?type=learning").await, ["Tests need node 22"]);
    assert_eq!(read("?q=caches+redis").await, ["Cache is in memory"]);
    assert_eq!(read("?q=nothing").await, Vec::<String>::new());
    let before = format!("?before={}", id(&second));
    assert_eq!(read(&before).await, ["Tests need node 22"]);
    assert_eq!(
        read("?maxTokens=80").await,
        ["Tests need node 22", "story 1", "story 2", "story 3", "story 4"]
    );
    assert_eq!(read("?maxTokens=0").await, Vec::<String>::new());
    assert_eq!(id(&first), id(&owner.look(&format!("{path}?type=learning")).await["entries"][0]));
    for query in ["?type=task", "?limit=0", "?maxTokens=9&limit=1", "?maxTokens=100001", "?maxTokens=-1"] {
        assert_eq!(owner.get(&format!("{path}{query}")).await.0, 400, "{query}");
    }
    for body in [
        json!({"entryType": "thought", "summary": "x"}),
        json!({"entryType": "learning"}),
        json!({"entryType": "learning", "summary": " "}),
        json!({"entryType": "learning", "summary": "x", "storyId": "none"}),
    ] {
        assert_eq!(owner.post(&path, body.clone()).await.0, 400, "{body}");
    }
}
