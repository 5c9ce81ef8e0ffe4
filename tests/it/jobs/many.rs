//! Several jobs at once.

use futures_util::future::join_all;
use serde_json::json;

use super::kit::*;
use crate::support::*;

#[tokio::test]
async fn two_at_once_on_one_project_do_not_collide_and_one_at_a_time_is_one() {
    let shop = Shop::open().await;
    let two = json!({"memoryMib": 512, "parallelJobs": 2});
    let remote = shop.project(json!({"limits": two})).await;
    let meet = |me: &str, you: &str| {
        format!(
            "run `touch /cache/{me}; for i in $(seq 400); do [ -e /cache/{you} ] && break; sleep 0.1; done; \
                 [ -e /cache/{you} ] && echo {me} > who.txt`"
        )
    };
    // Each waits for the other: they can only end when both run at once.
    let (one, other) = (shop.give(&meet("one", "two")).await, shop.give(&meet("two", "one")).await);
    let (a, b) = futures_util::join!(shop.approve(&one), shop.approve(&other));
    for (task, word) in [(a, "one"), (b, "two")] {
        let branch = task["branch"].as_str().unwrap();
        assert_eq!(git(&remote, &format!("show {branch}:who.txt")), word);
        assert_eq!(git(&remote, &format!("rev-list --count main..{branch}")), "1");
    }
    let (status, _) =
        shop.owner().patch("/api/v1/projects/app", json!({"limits": {"parallelJobs": 1}})).await;
    assert_eq!(status, 200);
    let first = shop.give("run `touch busy; sleep 100`").await;
    until("it runs", async || shop.look(&first).await["status"] == "running").await;
    let second = shop.give("write `x` with `x`").await;
    let third = shop.give("write `y` with `y`").await;
    until("the command runs", async || shop.workspace(&first).join("busy").exists()).await;
    assert_eq!(shop.look(&second).await["status"], "queued");
    assert_eq!(shop.look(&third).await["status"], "queued");
    shop.tell(&first, "cancel", json!({})).await;
    shop.asked(&second).await;
    shop.asked(&third).await;
}

#[tokio::test]
async fn ten_jobs_over_five_projects_come_through() {
    let shop = Shop::with("jobs: {parallel: 3}").await;
    let mut jobs = Vec::new();
    for project in ["p1", "p2", "p3", "p4", "p5"] {
        let remote = shop.remote(project);
        shop.project_at(project, remote.to_str().unwrap(), json!({"requireApproval": false})).await;
        for number in 0..2 {
            let more = json!({"projectId": project, "title": format!("number {number}")});
            let id = shop.give_with(&format!("write `{project}.txt` with `{number}`"), more).await;
            jobs.push((id, remote.clone(), project, number));
        }
    }
    let most = std::cell::Cell::new(0);
    let watching = async {
        loop {
            let found = shop.owner().look("/api/v1/tasks?over=false").await;
            let states =
                found["tasks"].as_array().unwrap().iter().map(|task| task["status"].as_str().unwrap());
            let running = states.filter(|state| !["queued", "pushing", "done"].contains(state)).count();
            most.set(most.get().max(running));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let all = join_all(jobs.iter().map(|(id, ..)| shop.wait(id, &["done"])));
    let tasks = tokio::select! { tasks = all => tasks, () = watching => unreachable!() };
    assert!(most.get() <= 3, "{} at once", most.get());
    for ((_, remote, project, number), task) in jobs.iter().zip(tasks) {
        let branch = task["branch"].as_str().unwrap();
        assert_eq!(git(remote, &format!("show {branch}:{project}.txt")), number.to_string());
        assert_eq!(branches(remote).len(), 3);
    }
    until("no sandbox is left", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes")).await;
}
