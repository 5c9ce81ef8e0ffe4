//! What people say to a job's work, and what comes of it.

use serde_json::json;

use super::kit::*;
use crate::support::*;

#[tokio::test]
async fn a_rejection_with_a_reason_goes_on_and_voids_what_was_asked_before() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let id = shop.give_with("write `a.txt` with `one`", json!({"title": "Letters"})).await;
    let first = shop.asked(&id).await;
    shop.tell(&id, "reject", json!({"reason": "write `a.txt` with `two`"})).await;
    until("another question", async || {
        let task = shop.look(&id).await;
        task["approvalId"].is_string() && task["approvalId"] != first["approvalId"]
    })
    .await;
    let second = shop.asked(&id).await;
    assert_ne!(first["tree"], second["tree"]);
    let old = format!("/api/v1/approvals/{}/approve", first["approvalId"].as_str().unwrap());
    let (status, answer) = shop.owner().post(&old, json!({})).await;
    assert!(status == 409 || status == 404, "the first question is over: {status} {answer}");
    assert_eq!(branches(&remote), ["main"]);
    let done = shop.approve(&id).await;
    let branch = done["branch"].as_str().unwrap();
    assert_eq!(git(&remote, &format!("show {branch}:a.txt")), "two");
    assert_eq!(git(&remote, &format!("rev-list --count main..{branch}")), "1", "one commit, the second one");
    assert_eq!(git(&remote, &format!("rev-parse {branch}")), second["commitSha"].as_str().unwrap());
    let gone = git(&remote, "cat-file --batch-all-objects --batch-check");
    assert!(!gone.contains(first["commitSha"].as_str().unwrap()), "what was rejected is not there");
    assert_eq!(shop.entries(&id).iter().filter(|kind| *kind == "decided").count(), 2);
}

#[tokio::test]
async fn a_rejection_without_a_reason_ends_it_and_nothing_is_pushed() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let id = shop.give("write `a.txt` with `one`").await;
    shop.asked(&id).await;
    shop.tell(&id, "reject", json!({})).await;
    let task = shop.wait(&id, &["rejected"]).await;
    assert_eq!(task["text"], "rejected by me");
    assert_eq!(branches(&remote), ["main"]);
    // What is over can be continued: nothing of it is lost.
    shop.tell(&id, "follow-up", json!({"instruction": "write `b.txt` with `two`"})).await;
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("show {branch}:a.txt {branch}:b.txt")), "onetwo");
}

#[tokio::test]
async fn a_follow_up_goes_on_on_top_of_what_was_pushed() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({"setupCommands": ["echo once >> ~/setup"]})).await;
    let id = shop.give("write `a.txt` with `one`").await;
    let one = shop.approve(&id).await;
    shop.tell(&id, "follow-up", json!({"instruction": "write `b.txt` with `two`"})).await;
    let two = shop.approve(&id).await;
    let branch = two["branch"].as_str().unwrap();
    assert_eq!(one["branch"], two["branch"]);
    let commits = git(&remote, &format!("rev-list main..{branch}"));
    let wanted = [&two, &one].map(|task| task["commitSha"].as_str().unwrap().to_owned());
    assert_eq!(commits.lines().collect::<Vec<_>>(), wanted, "both, one on top of the other");
    assert_eq!(git(&remote, &format!("show {branch}:a.txt {branch}:b.txt")), "onetwo");
    let said = git(&remote, &format!("log --format='%(trailers:key=Atoll-Job,valueonly)' main..{branch}"));
    assert_eq!(said.matches(&id).count(), 2);
}

#[tokio::test]
async fn a_tree_that_was_not_changed_is_said_so_and_can_be_tried_again() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let id = shop.give("run `true`").await;
    let task = shop.wait(&id, &["unchanged"]).await;
    assert!(task["text"].as_str().unwrap().contains("changed nothing"), "{task:#}");
    assert_eq!((&task["commitSha"], &task["approvalId"]), (&json!(null), &json!(null)));
    shop.tell(&id, "retry", json!({})).await;
    until("it was tried again", async || {
        shop.entries(&id).iter().filter(|kind| *kind == "ended").count() == 2
    })
    .await;
    assert_eq!(shop.look(&id).await["status"], "unchanged");
    assert_eq!(branches(&remote), ["main"]);
}

#[tokio::test]
async fn failing_checks_go_back_and_then_a_person_is_asked_whatever_the_project_says() {
    let shop = Shop::open().await;
    let more = json!({"verifyCommands": ["echo at work >> checked; false", "true"], "requireApproval": false,
                      "limits": {"memoryMib": 512, "verifyRounds": 1}});
    let remote = shop.project(more).await;
    let id = shop.give("write `a.txt` with `one`").await;
    let task = shop.asked(&id).await;
    assert_eq!((&task["evidence"][0]["exit"], &task["evidence"][1]["exit"]), (&json!(1), &json!(0)));
    let entries = shop.entries(&id);
    assert_eq!(entries.iter().filter(|kind| *kind == "engine_starting").count(), 2, "{entries:?}");
    let question = shop.owner().look("/api/v1/approvals?status=pending").await.to_string();
    assert!(question.contains("FAILED with exit code 1"), "{question}");
    assert_eq!(branches(&remote), ["main"], "never unasked");
    shop.approve(&id).await;
    assert_eq!(branches(&remote).len(), 2);
}

#[tokio::test]
async fn without_an_approval_good_work_is_pushed_and_secrets_and_others_branches_still_ask() {
    let shop = Shop::open().await;
    let plain = json!({"requireApproval": false});
    let remote = shop.project(plain.clone()).await;
    let id = shop.give("write `a.txt` with `one`").await;
    shop.wait(&id, &["done"]).await;
    assert_eq!(branches(&remote).len(), 2);
    let secret = format!("write `b.txt` with `token = ghp_{}`", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let id = shop.give_with(&secret, json!({"title": "Add a file"})).await;
    let task = shop.asked(&id).await;
    assert!(task["flags"].to_string().contains("b.txt"), "{task:#}");
    let all =
        task["flags"].to_string() + &shop.owner().look("/api/v1/approvals").await["approvals"].to_string();
    assert!(!all.contains("a1B2c3D4e5F6g7H8"), "the secret itself is not shown: {all}");
    shop.tell(&id, "reject", json!({})).await;
    for (strategy, branch) in [("shared", "atoll/work"), ("main-only", "main")] {
        let (status, _) = shop
            .owner()
            .patch("/api/v1/projects/app", json!({"branchStrategy": strategy, "requireApproval": false}))
            .await;
        assert_eq!(status, 200);
        let before = branches(&remote);
        let id = shop.give(&format!("write `{strategy}.txt` with `x`")).await;
        shop.asked(&id).await;
        assert_eq!(branches(&remote), before, "{strategy}: pushed unasked");
        let done = shop.approve(&id).await;
        assert_eq!(done["branch"], branch);
        assert_eq!(git(&remote, &format!("show {branch}:{strategy}.txt")), "x");
    }
}

#[tokio::test]
async fn a_remote_that_went_on_is_not_overwritten_and_the_work_can_be_done_anew_on_it() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({"branchStrategy": "shared"})).await;
    let id = shop.give("write `a.txt` with `one`").await;
    shop.asked(&id).await;
    somebody_pushes(&remote, "atoll/work");
    let theirs = git(&remote, "rev-parse atoll/work");
    shop.tell(&id, "approve", json!({})).await;
    let task = shop.wait(&id, &["failed"]).await;
    let why = task["text"].as_str().unwrap();
    assert!(why.contains("atoll/work") && why.contains("instead of"), "{why}");
    assert_eq!(git(&remote, "rev-parse atoll/work"), theirs, "nothing was overwritten");
    shop.tell(&id, "retry", json!({})).await;
    shop.approve(&id).await;
    assert_eq!(git(&remote, "rev-parse atoll/work^"), theirs, "on top of what came between");
    assert_eq!(git(&remote, "show atoll/work:a.txt"), "one");
}
