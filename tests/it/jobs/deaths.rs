//! Deaths at moments that are no commits: of the server in every state of a job, of the container while it is at work.

use std::path::Path;

use serde_json::json;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::{keys::kill_container, kit::*};
use crate::support::*;

/// Waits in each place where there is none to be seen, as long as a file says so.
const HOLD: &str = "touch reached; while [ ! -e go ]; do sleep 0.1; done";

#[tokio::test]
async fn the_server_is_killed_in_every_state_and_the_job_comes_through() {
    let shop = Shop::open().await;
    let hold =
        |place: &str| HOLD.replace("reached", &format!("~/{place}")).replace("go", &format!("~/{place}-go"));
    let remote = shop
        .project(json!({"setupCommands": [hold("preparing")], "verifyCommands": [hold("verifying")]}))
        .await;
    let id = shop.give(&format!("run `echo done >> ~/runs; {}; echo one > a.txt`", hold("running"))).await;
    let again = async |state: &str| {
        assert_eq!(shop.look(&id).await["status"], state);
        shop.kill();
        shop.rise(&[]);
    };
    let home = shop.site.home().join("jobs").join(&id).join("home");
    for place in ["preparing", "running", "verifying"] {
        until(place, async || home.join(place).exists()).await;
        again(place).await;
        std::fs::write(home.join(format!("{place}-go")), "").unwrap();
    }
    let asked = shop.asked(&id).await;
    again("awaiting_approval").await;
    assert_eq!(branches(&remote), ["main"]);
    assert_eq!(shop.look(&id).await["approvalId"], asked["approvalId"], "the same question");
    let done = shop.approve(&id).await;
    again("done").await;
    let branch = done["branch"].as_str().unwrap();
    assert_eq!(git(&remote, &format!("rev-list main..{branch}")), asked["commitSha"].as_str().unwrap());
    let lost = shop.entries(&id).iter().filter(|kind| *kind == "engine_lost").count();
    assert_eq!(lost, 2, "once at work, once in its checks");
    until("no sandbox is left", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes")).await;
    // An orderly end in the middle of the work loses nothing either.
    let id = shop.give(&format!("run `{}; echo two > b.txt`", hold("stopped"))).await;
    let home = shop.site.home().join("jobs").join(&id).join("home");
    std::fs::create_dir_all(&home).unwrap();
    for place in ["preparing-go", "verifying-go"] {
        std::fs::write(home.join(place), "").unwrap();
    }
    until("it works", async || home.join("stopped").exists()).await;
    shop.stop();
    assert!(shop.site.say(&["sandbox", "list"]).contains("no sandboxes"), "none outlives an orderly end");
    shop.rise(&[]);
    std::fs::write(home.join("stopped-go"), "").unwrap();
    shop.approve(&id).await;
}

#[tokio::test]
async fn a_container_that_is_killed_at_work_is_made_anew_and_the_job_comes_through() {
    let shop = Shop::open().await;
    let check = "echo x >> ~/checks; [ $(wc -l < ~/checks) -gt 1 ] || sleep 100";
    let remote = shop.project(json!({"verifyCommands": [check]})).await;
    let first = "echo x >> ~/runs; [ $(wc -l < ~/runs) -gt 1 ] || sleep 100";
    let id = shop.give(&format!("run `{first}; echo one > a.txt`")).await;
    let home = shop.site.home().join("jobs").join(&id).join("home");
    for place in ["runs", "checks"] {
        until(place, async || home.join(place).exists()).await;
        assert!(kill_container(&id), "{place}");
    }
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("show {branch}:a.txt")), "one");
    assert_eq!(shop.entries(&id).iter().filter(|kind| *kind == "engine_lost").count(), 2);
}

#[tokio::test]
async fn a_container_that_is_killed_in_its_setup_ends_the_job_clearly() {
    let shop = Shop::open().await;
    shop.project(json!({"setupCommands": ["touch ~/begun; sleep 100"]})).await;
    let id = shop.give("write `a` with `b`").await;
    let begun = shop.site.home().join("jobs").join(&id).join("home/begun");
    until("the set-up", async || begun.exists()).await;
    assert!(kill_container(&id));
    let task = shop.wait(&id, &["failed"]).await;
    assert!(task["error"].as_str().unwrap().contains("sandbox"), "{task:#}");
    until("no sandbox is left", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_given_before_the_last_run_is_swept_away_is_worked_on_once() {
    let site = Site::new("");
    let (gate, socket) = (watch::Sender::new(false), site.beside().join("docker.sock"));
    slow_docker(&socket, gate.subscribe());
    let ours = format!("'{}'", crate::sandbox::docker_socket().display());
    let config = config("llm: {provider: rehearsal}", "");
    site.configure(&config.replace(&ours, &format!("'{}'", socket.display())));
    // Docker is as fast as ever for the self-test.
    gate.send_replace(true);
    let shop = Shop::shut(site);
    gate.send_replace(false);
    shop.rise(&[]);
    let remote = shop.project(json!({})).await;
    let id = shop.give("run `echo x >> ~/runs; sleep 2; cp ~/runs runs.txt`").await;
    let other = shop.give("run `echo y > y.txt`").await;
    let owner = shop.owner();
    let path = format!("/api/v1/tasks/{other}/cancel");
    let mut cancelled = tokio::spawn(async move { owner.post(&path, json!({})).await.0 });
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut cancelled).await;
    assert!(early.is_err(), "what is said early waits: {early:?}");
    assert_eq!(shop.look(&id).await["status"], "queued", "nothing is worked on before");
    gate.send_replace(true);
    assert_eq!(cancelled.await.unwrap(), 200, "what is said early is heard");
    shop.wait(&other, &["cancelled"]).await;
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("show {branch}:runs.txt")), "x");
    let starts = shop.entries(&id).iter().filter(|kind| *kind == "engine_starting").count();
    assert_eq!(starts, 1, "{:?}", shop.entries(&id));
}

/// A way to Docker that lets nothing through while the gate is shut.
fn slow_docker(socket: &Path, gate: watch::Receiver<bool>) {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut gate = gate.clone();
            tokio::spawn(async move {
                let mut to = UnixStream::connect(crate::sandbox::docker_socket()).await.unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
}
