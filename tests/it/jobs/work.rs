//! What people tell a job while it is at work, and what it does beside its engine.

use serde_json::json;

use super::kit::*;
use crate::support::*;

#[tokio::test]
async fn a_job_is_cancelled_wherever_it_stands() {
    let shop = Shop::open().await;
    let slow = "if [ -e slow ]; then touch checking; sleep 100; fi";
    let remote = shop.project(json!({"verifyCommands": [slow]})).await;
    let running = shop.give("run `touch busy; sleep 100`").await;
    shop.wait(&running, &["running"]).await;
    until("the command runs", async || shop.workspace(&running).join("busy").exists()).await;
    let end = async |id: &str| {
        shop.tell(id, "cancel", json!({})).await;
        let task = shop.wait(id, &["cancelled"]).await;
        assert_eq!(task["approvalId"], json!(null));
        until("its sandbox is gone", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes"))
            .await;
        let (status, _) = shop.owner().post(&format!("/api/v1/tasks/{id}/cancel"), json!({})).await;
        assert_eq!(status, 409, "once more");
    };
    end(&running).await;
    let verifying = shop.give("write `slow` with `x`").await;
    shop.wait(&verifying, &["verifying"]).await;
    until("the check runs", async || shop.workspace(&verifying).join("checking").exists()).await;
    end(&verifying).await;
    let awaiting = shop.give("write `a.txt` with `x`").await;
    shop.asked(&awaiting).await;
    end(&awaiting).await;
    let open = shop.owner().look("/api/v1/approvals?status=pending").await;
    assert_eq!(open["approvals"], json!([]), "withdrawn with it");
    assert_eq!(branches(&remote), ["main"]);
}

#[tokio::test]
async fn a_word_into_running_work_arrives() {
    let gate = Gate::new();
    let held = gate.clone();
    let model = MockModel::start(move |request| match request.number {
        1 => held.then(Reply::call("bash", json!({"command": "true"}))),
        _ if request.text().contains("in blue, please") => match request.results().first() {
            Some(result) if result.contains("wrote") || request.number > 2 => Reply::say("done"),
            _ => Reply::call("write", json!({"path": "a.txt", "content": "blue"})),
        },
        _ => Reply::say("nobody said anything"),
    });
    let shop = Shop::modelled(&model, "").await;
    let remote = shop.project(json!({})).await;
    let id = shop.give("paint it").await;
    until("the engine asks", async || model.count() > 0).await;
    shop.tell(&id, "steer", json!({"text": "in blue, please"})).await;
    gate.open();
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("show {branch}:a.txt")), "blue");
    let (status, answer) =
        shop.owner().post(&format!("/api/v1/tasks/{id}/steer"), json!({"text": "x"})).await;
    assert_eq!(status, 409, "nobody is at work: {answer}");
}

#[tokio::test]
async fn files_lie_beside_the_work_and_setup_runs_once() {
    let shop = Shop::open().await;
    let setup = "echo once >> ~/setups; cp ~/setups setups";
    let remote = shop.project(json!({"setupCommands": [setup]})).await;
    let file = json!([{"filename": "notes.txt", "mediaType": "text/plain", "data": "aGVsbG8="}]);
    let id = shop
        .give_with("run `cp .atoll/attachments/notes.txt copied.txt`", json!({"attachments": file}))
        .await;
    shop.asked(&id).await;
    shop.tell(&id, "reject", json!({"reason": "run `cat ~/setups > counted`"})).await;
    until("the second round", async || shop.entries(&id).iter().filter(|kind| *kind == "asked").count() == 2)
        .await;
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    let files = git(&remote, &format!("ls-tree -r --name-only {branch}"));
    assert_eq!(files, ".gitignore\ncalc.py\ncopied.txt\ncounted\nsetups\ntest.py", "and no attachment");
    assert_eq!(git(&remote, &format!("show {branch}:copied.txt")), "hello");
    assert_eq!(git(&remote, &format!("show {branch}:counted")), "once", "one set-up for two rounds");
}

#[tokio::test]
async fn a_setup_that_fails_is_told_with_its_words() {
    let shop = Shop::open().await;
    shop.project(json!({"setupCommands": ["echo no such package >&2; exit 3"]})).await;
    let id = shop.give("write `a.txt` with `x`").await;
    let task = shop.wait(&id, &["failed"]).await;
    let why = task["error"].as_str().unwrap();
    assert!(why.contains("ended with 3") && why.contains("no such package"), "{why}");
}

#[tokio::test]
async fn a_log_tells_as_much_as_is_wanted() {
    let shop = Shop::open().await;
    shop.project(json!({"verifyCommands": ["echo fine"]})).await;
    let id = shop.give_with("run `echo spoken; touch a`", json!({"verbosity": "quiet"})).await;
    shop.asked(&id).await;
    let lines = async |verbosity: &str| {
        let path = format!("/api/v1/tasks/{id}/logs?limit=500&verbosity={verbosity}");
        shop.owner().look(&path).await["lines"].as_array().unwrap().clone()
    };
    let (quiet, normal, verbose) = (lines("quiet").await, lines("normal").await, lines("verbose").await);
    assert!(quiet.len() < normal.len() && normal.len() < verbose.len());
    assert!(quiet.iter().all(|line| line["event"]["type"] == "state"), "{quiet:#?}");
    let states: Vec<_> = quiet.iter().map(|line| line["event"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["preparing", "running", "verifying", "committing", "awaiting_approval"]);
    assert!(normal.iter().any(|line| line["event"]["type"] == "check"), "{normal:#?}");
    let plain = shop.owner().look(&format!("/api/v1/tasks/{id}/logs")).await;
    assert_eq!(plain["lines"].as_array().unwrap().len(), quiet.len(), "as the task was given");
}
