//! Stories over REST.

use serde_json::{Value, json};

use super::*;

const STORIES: &str = "/api/v1/projects/app/stories";

#[tokio::test]
async fn a_story_is_written_read_changed_and_removed_with_its_history() {
    let (site, server, owner) = begin().await;
    let backlog = column(&owner, "backlog").await;
    let board = owner.look("/api/v1/projects/app/board").await["board"]["id"].clone();
    let first = story(&owner, "first", "todo", json!({})).await;
    let body = json!({
        "title": "Fix the login", "description": "It loops.", "acceptanceCriteria": "- no loop", "priority": "high",
        "storyPoints": 3, "labels": ["ui", "auth"], "dependsOn": [first], "assignee": "api-default",
    });
    let made = made(&owner, STORIES, body).await;
    let expected = json!({
        "id": made["id"], "boardId": board, "projectId": "app", "columnId": backlog, "position": 0,
        "title": "Fix the login", "description": "It loops.", "acceptanceCriteria": "- no loop",
        "priority": "high", "storyPoints": 3, "labels": ["ui", "auth"], "attachments": [],
        "assignee": "api-default", "assigneeType": "user", "dependsOn": [first], "blocked": null, "failures": 0,
        "claim": null, "jobId": null, "version": 1, "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    let path = format!("/api/v1/stories/{}", id(&made));
    let change =
        json!({"storyPoints": null, "assignee": null, "labels": [], "priority": "low", "version": 1});
    let (status, changed) = owner.patch(&path, change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["storyPoints"], &changed["assigneeType"]), (&Value::Null, &Value::Null));
    assert_eq!(refused(&owner, &path, change).await, (409, "stale".into()));
    assert_eq!(owner.delete(&format!("{path}?version=1")).await.0, 409);
    server.kill();
    let server = site.start();
    let owner = User::new(&server.base, &owner.key);
    assert_eq!(owner.look(&path).await, changed, "told is stored");
    let history = owner.look(&format!("{path}/history")).await;
    assert_eq!(history["total"], 2);
    let newest = &history["history"][0];
    assert_eq!((&newest["version"], &newest["actor"]), (&json!(2), &json!("key:me")));
    assert_eq!(newest["changes"][0], json!({"field": "priority", "from": "high", "to": "low"}));
    assert_eq!(
        owner.look(&format!("{path}/history?limit=1&offset=1")).await["history"][0]["action"],
        "created"
    );
    assert_eq!(owner.delete(&format!("{path}?version=2")).await.0, 204);
    for (status, body) in
        [owner.get(&path).await, owner.delete(&path).await, owner.patch(&path, json!({})).await]
    {
        assert_eq!((status.as_u16(), code_of(&body)), (404, "not_found"));
    }
}

#[tokio::test]
async fn stories_are_moved_and_keep_their_order() {
    let (_site, _server, owner) = begin().await;
    let mut ids = Vec::new();
    for title in ["a", "b", "c"] {
        ids.push(story(&owner, title, "todo", json!({})).await);
    }
    let review = column(&owner, "review").await;
    for (which, body, expected) in [
        (2, json!({"position": 0}), "c a b"),
        (2, json!({"position": 1}), "a c b"),
        (0, json!({"columnId": review}), "c b a"),
        (1, json!({"columnId": review, "position": 0}), "c b a"),
        (2, json!({"columnId": review, "position": 99}), "b a c"),
    ] {
        let (status, moved) = owner.patch(&format!("/api/v1/stories/{}", ids[which]), body.clone()).await;
        assert_eq!(status, 200, "{moved}");
        let found = owner.look(STORIES).await;
        assert_eq!(titles(&found).join(" "), expected, "{body}");
        assert_eq!(titles(&owner.look("/api/v1/projects/app/board").await).join(" "), expected);
    }
    let cut = owner.look("/api/v1/projects/app/board?limit=1").await;
    assert_eq!((titles(&cut), &cut["board"]["columns"][3]["stories"]), (vec!["b"], &json!(3)));
}

#[tokio::test]
async fn of_many_who_change_the_same_version_one_succeeds() {
    let (site, _server, owner) = begin().await;
    let path = format!("/api/v1/stories/{}", story(&owner, "one", "todo", json!({})).await);
    let tries = (0..8).map(|n| {
        let (owner, path) = (owner.clone(), path.clone());
        async move { owner.patch(&path, json!({"title": format!("t{n}"), "version": 1})).await.0.as_u16() }
    });
    let mut statuses = futures_util::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(site.number("SELECT count(*) FROM story_changes"), 2);
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let (site, _server, owner) = begin().await;
    made(&owner, "/api/v1/projects", json!({"name": "Other", "repoUrl": "/x"})).await;
    let foreign = id(&made(&owner, "/api/v1/projects/other/stories", json!({"title": "x"})).await);
    let foreign_bot = id(&made(&owner, "/api/v1/bots", json!({"projectId": "other", "name": "x"})).await);
    for (body, word) in [
        (json!({}), "title"),
        (json!({"title": ""}), "title"),
        (json!({"title": 5}), "a string"),
        (json!({"title": "x".repeat(201)}), "title"),
        (json!({"title": "x", "priority": 3}), "a string"),
        (json!({"title": "x", "priority": "urgent"}), "critical"),
        (json!({"title": "x", "storyPoints": 1001}), "storyPoints"),
        (json!({"title": "x", "columnId": "none"}), "columnId"),
        (json!({"title": "x", "dependsOn": [foreign]}), "dependsOn"),
        (json!({"title": "x", "assignee": "nobody-here"}), "assignee"),
        (json!({"title": "x", "assignee": "../x"}), "letters"),
        (json!({"title": "x", "assignee": foreign_bot, "assigneeType": "bot"}), "assignee"),
        (json!({"title": "x", "assigneeType": "bot"}), "assigneeType"),
        (json!({"title": "x", "assignee": "a", "assigneeType": "cat"}), "assigneeType"),
        (json!({"title": "x", "projectId": "other"}), "projectId"),
        (json!({"title": "x", "failures": 3}), "failures"),
    ] {
        let (status, answer) = owner.post(STORIES, body.clone()).await;
        assert_eq!((status.as_u16(), code_of(&answer)), (400, "bad_request"), "{body}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{body}: {message}");
    }
    assert_eq!(site.number("SELECT count(*) FROM stories WHERE project_id = 'app'"), 0);
    let one = story(&owner, "one", "todo", json!({})).await;
    let two = story(&owner, "two", "todo", json!({"dependsOn": [one]})).await;
    let (status, body) = owner.patch(&format!("/api/v1/stories/{one}"), json!({"dependsOn": [two]})).await;
    assert_eq!((status.as_u16(), code_of(&body)), (409, "dependency_cycle"));
    assert!(body["error"]["message"].as_str().unwrap().contains(&format!("{one} -> {two} -> {one}")));
    for query in ["?role=doing", "?priority=1", "?limit=0", "?blocked=maybe", "?sort=x"] {
        assert_eq!(owner.get(&format!("{STORIES}{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn stories_are_filtered_and_paged() {
    let (_site, _server, owner) = begin().await;
    story(&owner, "login loops", "todo", json!({"labels": ["ui"], "priority": "critical"})).await;
    story(&owner, "docs", "todo", json!({"description": "how to LOGIN", "assignee": "api-default"})).await;
    story(&owner, "shipped", "done", json!({"blocked": "waits"})).await;
    let todo = column(&owner, "todo").await;
    let todo = format!("?columnId={}", todo.as_str().unwrap());
    for (query, expected) in [
        ("", vec!["login loops", "docs", "shipped"]),
        ("?role=todo", vec!["login loops", "docs"]),
        (todo.as_str(), vec!["login loops", "docs"]),
        ("?role=done&blocked=true", vec!["shipped"]),
        ("?blocked=false", vec!["login loops", "docs"]),
        ("?label=ui", vec!["login loops"]),
        ("?priority=critical", vec!["login loops"]),
        ("?assignee=api-default", vec!["docs"]),
        ("?q=login", vec!["login loops", "docs"]),
        ("?q=%25", vec![]),
    ] {
        let found = owner.look(&format!("{STORIES}{query}")).await;
        assert_eq!(titles(&found), expected, "{query}");
        assert_eq!(found["total"], expected.len());
    }
    let page = owner.look(&format!("{STORIES}?limit=1&offset=1")).await;
    assert_eq!((titles(&page), &page["total"]), (vec!["docs"], &json!(3)));
}
