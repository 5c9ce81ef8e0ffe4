//! What becomes of stories when bots work on them.

use super::*;

#[tokio::test]
async fn the_most_urgent_story_goes_from_todo_over_in_progress_to_review_and_done() {
    let place = Place::open().await;
    let later = place.story("Paint the door", MEND, "low").await;
    let urgent = place.story("Mend the sum", MEND, "critical").await;
    let usual = place.story("Sweep the floor", MEND, "medium").await;
    let bot = place.bot("fixer", json!({"systemPrompt": "Be careful."})).await;
    place.comes_to(&urgent, "in_progress").await;
    // What runs goes on, and nothing else is begun.
    let now = place.turn(&bot, "pause").await;
    assert_eq!(
        (&now["running"], &now["status"], &now["storyIds"]),
        (&json!(false), &json!("paused"), &json!([urgent]))
    );
    let shown = place.look(&format!("/api/v1/bots/{bot}")).await;
    assert_eq!(
        (&shown["name"], &shown["storyIds"], &shown["lastError"]),
        (&json!("fixer"), &json!([urgent]), &Value::Null)
    );
    place.comes_to(&urgent, "review").await;
    let task = place.task(&urgent, "awaiting_approval").await;
    assert_eq!((&task["botId"], &task["userId"]), (&json!(bot), &json!(format!("bot:{bot}"))));
    assert_eq!(task["priority"], "proactive");
    let id = task["id"].as_str().unwrap();
    assert_eq!(place.branches(), "main");
    let (status, answer) = place.owner().post(&format!("/api/v1/tasks/{id}/approve"), json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let task = place.task(&urgent, "done").await;
    assert_eq!(place.commits(task["branch"].as_str().unwrap()), "Mend the sum\nfirst");
    for story in [&later, &usual] {
        let (story, role) = place.card(story).await;
        assert_eq!((role.as_str(), &story["claim"]), ("todo", &Value::Null));
    }
    let history = place.look(&format!("/api/v1/stories/{urgent}/history")).await;
    let actions: Vec<&str> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|one| one["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        (actions[0], actions[1], *actions.last().unwrap()),
        ("created", "claimed", "finished"),
        "{actions:?}"
    );
    assert_eq!(place.journal(&bot).await, ["started: Mend the sum", "completed: Mend the sum"]);
    let said = place.site.say(&["bot", "show", &bot]);
    assert!(
        said.contains("paused") && said.contains("lastPollAt") && said.contains("spentTodayUsd"),
        "{said}"
    );
}

#[tokio::test]
async fn a_story_that_fails_goes_back_with_the_reason_and_is_blocked_at_last() {
    let place = Place::open().await;
    let story = place.story("Mend nothing", "In `absent.py` replace `a` with `b`.", "medium").await;
    let bot = place.bot("fixer", json!({})).await;
    place.wait("the block", async || place.card(&story).await.0["blocked"].is_string()).await;
    let (card, role) = place.card(&story).await;
    let blocked = card["blocked"].as_str().unwrap();
    assert!(
        role == "todo" && blocked.starts_with("failed 2 times") && blocked.contains("changed nothing"),
        "{card}"
    );
    let tasks = place.tasks(&story).await;
    let status: Vec<&Value> = tasks.iter().map(|task| &task["status"]).collect();
    assert_eq!(status, ["unchanged", "unchanged"], "no third time");
    let told =
        |task: &Value| task["instruction"].as_str().unwrap().contains("Earlier work on this did not succeed");
    assert!(told(&tasks[0]) && !told(&tasks[1]), "{tasks:#?}");
    assert!(tasks[0]["instruction"].as_str().unwrap().contains("the engine changed nothing"));
    let journal = place.journal(&bot).await;
    assert_eq!(journal.iter().filter(|line| *line == "failed: Mend nothing").count(), 2, "{journal:?}");
    // What it noted is told to the next job, as data.
    let noted = "SELECT system FROM jobs ORDER BY created_at DESC LIMIT 1";
    let system = place.site.text(noted);
    assert!(system.contains("What you noted before") && system.contains("failed: Mend nothing"), "{system}");
}

#[tokio::test]
async fn a_bot_that_is_stopped_ends_its_job_at_once_and_gives_the_story_back() {
    let place = Place::open().await;
    let story = place.story("Sleep", "Run `sleep 600`.", "medium").await;
    let bot = place.bot("fixer", json!({})).await;
    let task = place.task(&story, "running").await;
    let now = place.turn(&bot, "stop").await;
    assert_eq!((&now["running"], &now["status"]), (&json!(false), &json!("stopped")));
    let ended = place.task(&story, "cancelled").await;
    assert_eq!(ended["id"], task["id"]);
    let (card, role) = place.card(&story).await;
    assert_eq!(
        (role.as_str(), &card["claim"], &card["blocked"]),
        ("todo", &Value::Null, &Value::Null),
        "{card}"
    );
    assert_eq!(card["failures"], 0);
    let shown = place.look(&format!("/api/v1/bots/{bot}")).await;
    assert_eq!((&shown["jobIds"], &shown["running"]), (&json!([]), &json!(false)), "{shown}");
    // It takes the same story again when it is started.
    place.turn(&bot, "start").await;
    place.comes_to(&story, "in_progress").await;
    let again = place.task(&story, "running").await;
    assert_ne!(again["id"], task["id"]);
    assert_eq!(place.owner().delete(&format!("/api/v1/bots/{bot}")).await.0, 204);
    place.task(&story, "cancelled").await;
    assert_eq!(place.card(&story).await.1, "todo");
}

#[tokio::test]
async fn a_bot_goes_on_with_the_same_job_after_a_crash_and_nobody_else_takes_its_story() {
    let place = Place::open().await;
    let slow = format!("Run `sleep 8`. {MEND}");
    let story = place.story("Mend the sum", &slow, "medium").await;
    place.bot("fixer", json!({})).await;
    let task = place.task(&story, "running").await;
    place.bot("rival", json!({})).await;
    place.kill();
    place.rise();
    let asked = place.task(&story, "awaiting_approval").await;
    assert_eq!(asked["id"], task["id"]);
    let (card, role) = place.card(&story).await;
    assert_eq!((role.as_str(), &card["failures"]), ("review", &json!(0)));
    assert_eq!(place.site.number("SELECT count(*) FROM jobs"), 1);
    assert_eq!(place.site.number("SELECT token FROM stories"), 1);
}

#[tokio::test]
async fn a_bot_without_stories_proposes_some_and_nothing_that_it_changed_is_kept() {
    // Changes a file, against what it was told, then proposes.
    let model = MockModel::start(|request: &Request| {
        let called = request.body["messages"].as_array().unwrap().iter().any(|one| one["role"] == "tool");
        match called {
            false => Reply::call("write", json!({"path": "evil.txt", "content": "x"})),
            true => Reply::say(
                "I looked.\n```stories\ntitle: Test negative numbers\ndescription: test.py has one case\n\
                 done when: test.py covers them\ntitle: Say what add does\n```",
            ),
        }
    });
    let place = Place::with(&config(&with_model(&model, ""))).await;
    let bot = place.bot("scout", json!({"idleBehavior": "discovery"})).await;
    let proposed = async || place.look("/api/v1/projects/app/stories?label=proposed").await;
    place.wait("proposals", async || proposed().await["total"] == 2).await;
    let found = proposed().await;
    for (story, title) in
        found["stories"].as_array().unwrap().iter().zip(["Test negative numbers", "Say what add does"])
    {
        assert_eq!(
            (&story["title"], &story["assignee"], &story["claim"]),
            (&json!(title), &Value::Null, &Value::Null)
        );
        assert_eq!(place.card(story["id"].as_str().unwrap()).await.1, "backlog");
    }
    let tasks = place.look(&format!("/api/v1/tasks?botId={bot}")).await;
    assert_eq!((&tasks["total"], &tasks["tasks"][0]["status"]), (&json!(1), &json!("done")), "{tasks:#}");
    assert_eq!(tasks["tasks"][0]["commit"], Value::Null);
    assert_eq!(place.branches(), "main");
    // What it proposed is nothing that it works on.
    let waits = async || place.look(&format!("/api/v1/bots/{bot}")).await["waitsFor"].to_string();
    place.wait("the bot to wait", async || waits().await.contains("backlog for a person")).await;
    assert_eq!(place.look(&format!("/api/v1/tasks?botId={bot}")).await["total"], 1);
}
