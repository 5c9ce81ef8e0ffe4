//! Tasks that come by the clock, over REST.

use super::*;

#[tokio::test]
async fn a_scheduled_task_is_made_changed_and_removed() {
    let (site, _server, owner) = begin().await;
    let dora = member(&site, &owner, "dora", "developer").await;
    let vera = member(&site, &owner, "vera", "viewer").await;
    let sam = User::new(&owner.base, &site.key("sam", "developer"));
    let body = json!({"projectId": "app", "instruction": "update it", "cronExpression": "0 7 * * 1"});
    assert_eq!(vera.post("/api/v1/scheduled-tasks", body.clone()).await.0, 403);
    assert_eq!(sam.post("/api/v1/scheduled-tasks", body.clone()).await.0, 404);
    let (status, made) = dora.post("/api/v1/scheduled-tasks", body).await;
    assert_eq!(status, 201, "{made}");
    for (key, value) in [
        ("projectId", json!("app")),
        ("botId", json!(null)),
        ("userId", json!("dora")),
        ("instruction", json!("update it")),
        ("cronExpression", json!("0 7 * * 1")),
        ("timezone", json!("UTC")),
        ("enabled", json!(true)),
        ("lastRunAt", json!(null)),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert!(made["nextRunAt"].as_str().unwrap().contains("T07:00:00."), "{made}");
    let path = format!("/api/v1/scheduled-tasks/{}", made["id"].as_str().unwrap());
    for bad in [
        json!({"cronExpression": "every day"}),
        json!({"timezone": "Mars"}),
        json!({"instruction": ""}),
        json!({"botId": "none"}),
        json!({"projectId": "other"}),
        json!({"colour": "red"}),
    ] {
        assert_eq!(dora.patch(&path, bad.clone()).await.0, 400, "{bad}");
    }
    let (status, changed) = dora.patch(&path, json!({"enabled": false, "timezone": "Europe/Berlin"})).await;
    assert_eq!((status.as_u16(), &changed["nextRunAt"]), (200, &json!(null)), "{changed}");
    assert_eq!(vera.look(&path).await["timezone"], "Europe/Berlin");
    assert_eq!(vera.look("/api/v1/scheduled-tasks?projectId=app").await["total"], 1);
    assert_eq!(sam.look("/api/v1/scheduled-tasks").await, json!({"tasks": [], "total": 0}));
    assert_eq!(sam.get(&path).await.0, 404);
    assert_eq!(vera.delete(&path).await.0, 403);
    assert_eq!(sam.delete(&path).await.0, 404);
    assert_eq!(dora.delete(&path).await.0, 204);
    assert_eq!(dora.get(&path).await.0, 404);
    let acts = "SELECT group_concat(action, ' ') FROM (SELECT action FROM audit WHERE action LIKE 'schedule.%' ORDER BY seq)";
    assert_eq!(site.text(acts), "schedule.created schedule.changed schedule.removed");
}
