//! Tasks that come by the clock.

use super::*;

#[tokio::test]
async fn a_schedule_whose_time_came_gives_one_task_however_often_it_was_missed() {
    let place = Place::open().await;
    let body = json!({"projectId": "app", "instruction": "Write `note.txt` with `hello`.", "cronExpression": "0 4 * * *"});
    let made = place.made("/api/v1/scheduled-tasks", body).await;
    let id = made["id"].as_str().unwrap();
    place.kill();
    // It was due three days ago, and Atoll was not there.
    let sql = "UPDATE task_schedules SET next_run_at = next_run_at - 4 * 86400000";
    assert_eq!(place.site.store().execute(sql, []).unwrap(), 1);
    place.rise();
    let stands = async || {
        let tasks = place.look("/api/v1/tasks").await;
        tasks["tasks"][0]["status"] == "awaiting_approval"
    };
    place.wait("the task", stands).await;
    let tasks = place.look("/api/v1/tasks").await;
    assert_eq!(
        (&tasks["total"], &tasks["tasks"][0]["priority"]),
        (&json!(1), &json!("scheduled")),
        "{tasks:#}"
    );
    assert_eq!(tasks["tasks"][0]["userId"], made["userId"]);
    let after = place.look(&format!("/api/v1/scheduled-tasks/{id}")).await;
    assert_eq!(
        after["nextRunAt"], made["nextRunAt"],
        "the next of its times, and none of those that were missed"
    );
    assert!(after["lastRunAt"].is_string());
}
