//! Tasks in a conversation: given, looked at, answered.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_task_is_given_in_a_conversation_by_those_who_may_and_shown_to_them() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    let vic = member(&site, &owner, "vic", "viewer").await;
    let eve = User::new(&owner.base, &site.key("eve", "developer"));
    assert_eq!(ann.ask("/projects").await, "app — App");
    assert!(eve.ask("/projects").await.starts_with("There are no projects that you are in"));
    assert!(ann.ask("/status").await.starts_with("You have given no tasks yet"));
    for (user, words, says) in [
        (&eve, "/task app mend it", "There is no project `app` that you are in"),
        (&ann, "/task nope mend it", "There is no project `nope` that you are in"),
        (&vic, "/task app mend it", "takes a developer's role there; yours is viewer"),
        (&ann, "/task app", "/task needs a project and what is to be done"),
    ] {
        let said = user.ask(words).await;
        assert!(said.contains(says), "{words}: {said}");
    }
    assert!(ann.ask("/verbosity quiet").await.starts_with("It is quiet"));
    let given = ann.ask("/task app mend the test\nand say why").await;
    let id = given.strip_prefix("Task ").unwrap().split(' ').next().unwrap().to_owned();
    assert!(
        given.contains("is taken: mend the test\n") && given.contains(&format!("/status {id}")),
        "{given}"
    );
    let task = ann.look(&format!("/api/v1/tasks/{id}")).await;
    assert_eq!(
        (&task["instruction"], &task["userId"], &task["verbosity"]),
        (&json!("mend the test\nand say why"), &json!("ann"), &json!("quiet"))
    );
    let conversation = format!("SELECT conversation FROM jobs WHERE id = '{id}'");
    assert_eq!(site.column(&conversation), ["api/ann/default"]);
    assert!(ann.ask("/status").await.contains(&id));
    let one = ann.ask(&format!("/status {}", &id[..6])).await;
    assert!(one.contains(&format!("{id} — mend the test (app)")) && one.contains("Spent: "), "{one}");
    assert!(vic.ask(&format!("/status {id}")).await.contains("mend the test"), "members look");
    assert!(eve.ask(&format!("/status {id}")).await.starts_with("There is no task"));
    assert!(ann.ask("/tasks").await.contains(&id));
    assert_eq!(ann.ask("/tasks completed").await, "No task is completed.");
}

#[tokio::test]
async fn what_somebody_scheduled_is_listed_for_them_with_its_next_time() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    let bob = member(&site, &owner, "bob", "developer").await;
    let made = async |user: &User, instruction: &str, clock: &str| {
        let body = json!({"projectId": "app", "instruction": instruction, "cronExpression": clock});
        user.post("/api/v1/scheduled-tasks", body).await.1
    };
    let yearly = made(&ann, "greet *all*\nwarmly", "0 0 1 1 *").await;
    let off = made(&ann, "never", "5 * * * *").await;
    let soon = made(&ann, "look around", "*/5 * * * *").await;
    made(&bob, "not hers", "0 7 * * *").await;
    let id = |schedule: &serde_json::Value| schedule["id"].as_str().unwrap().to_owned();
    ann.patch(&format!("/api/v1/scheduled-tasks/{}", id(&off)), json!({"enabled": false})).await;
    let at = soon["nextRunAt"].as_str().unwrap();
    let expected = [
        format!("[{} {} UTC] {} — look around (app; */5 * * * * UTC)", &at[..10], &at[11..16], id(&soon)),
        format!(
            "[{} 00:00 UTC] {} — greet *all* (app; 0 0 1 1 * UTC)",
            &yearly["nextRunAt"].as_str().unwrap()[..10],
            id(&yearly)
        ),
        format!("[off] {} — never (app; 5 * * * * UTC)", id(&off)),
    ];
    assert_eq!(ann.ask("/tasks scheduled").await, expected.join("\n"));
    assert_eq!(ann.ask("/tasks").await, "Nothing is under way.");
}

#[tokio::test]
async fn a_task_that_is_sent_again_is_given_once() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    for _ in 0..2 {
        let events = ann.open_keyed("k1", json!({"message": "/task app mend it"})).await.rest().await;
        assert!(answer_of(&events).unwrap().contains("is taken"));
    }
    assert_eq!(site.value::<i64>("SELECT count(*) FROM jobs"), 1);
}

#[tokio::test]
async fn questions_of_tasks_are_answered_by_the_beginning_of_their_id_or_by_the_task() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    let eve = User::new(&owner.base, &site.key("eve", "developer"));
    for (id, question) in [("job1aaaa", "01kabc-1"), ("job2bbbb", "01kabd-1"), ("job3cccc", "01kabd-2")] {
        put(&site, task(id));
        goes(&site, id, &[], until_asked(question));
    }
    assert!(ann.ask("/status job1").await.contains("/approve 01kabc-1"));
    assert!(ann.ask("/tasks parked").await.contains("job2bbbb"));
    assert!(ann.ask("/approve 01kabd").await.contains("01kabd-1, 01kabd-2"));
    assert!(ann.ask("/approve 01k").await.starts_with("Several questions begin so, or that is too short"));
    assert_eq!(eve.ask("/approve 01kabc").await, "Not done: there is no such approval.");
    assert_eq!(ann.ask("/reject 01kabc not like this").await, "Rejected.");
    assert_eq!(ann.ask("/reject job2 no").await, "Rejected.");
    let status = "SELECT id FROM approvals WHERE status = 'rejected' ORDER BY id";
    assert_eq!(site.column(status), ["01kabc-1", "01kabd-1"]);
    let reason = "SELECT reason FROM approvals WHERE id = '01kabc-1'";
    assert_eq!(site.column(reason), ["not like this"]);
}

#[tokio::test]
async fn a_task_is_ended_by_the_beginning_of_its_id_by_those_who_may() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    let vic = member(&site, &owner, "vic", "viewer").await;
    let eve = User::new(&owner.base, &site.key("eve", "developer"));
    for id in ["job1aaaa", "job2bbbb"] {
        put(&site, task(id));
        goes(&site, id, &[], until_asked(&format!("q-{id}")));
    }
    assert!(eve.ask("/cancel job1aaaa").await.starts_with("There is no task `job1aaaa` of yours"));
    assert!(vic.ask("/cancel job1aaaa").await.contains("takes a developer's role; yours is viewer"));
    assert_eq!(ann.ask("/cancel").await, "There is nothing to cancel.", "alone it is about the conversation");
    assert_eq!(ann.ask("/cancel job1").await, "Task job1aaaa is cancelled.");
    assert_eq!(ann.look("/api/v1/tasks/job1aaaa").await["status"], "cancelled");
    assert!(ann.ask("/cancel job1aaaa").await.starts_with("Not done: "), "it is over");
    assert_eq!(owner.ask("/cancel job2bbbb").await, "Task job2bbbb is cancelled.");
}
