//! Every key of the configuration that is about jobs changes what they do.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};

use super::kit::*;
use crate::support::*;

#[tokio::test]
async fn as_many_jobs_run_at_once_as_are_configured() {
    for (parallel, second) in [(1, "queued"), (2, "running")] {
        let shop = Shop::with(&format!("jobs: {{parallel: {parallel}}}")).await;
        shop.project(json!({"limits": {"memoryMib": 512, "parallelJobs": 9}})).await;
        let one = shop.give("run `touch busy; sleep 100`").await;
        shop.wait(&one, &["running"]).await;
        let two = shop.give("run `touch busy; sleep 100`").await;
        if second == "running" {
            shop.wait(&two, &["running"]).await;
        } else {
            until("the first one is at it", async || shop.workspace(&one).join("busy").exists()).await;
        }
        assert_eq!(shop.look(&two).await["status"], second);
        assert_eq!(shop.look(&one).await["status"], "running");
    }
}

#[tokio::test]
async fn an_engine_that_falls_is_started_again_as_often_as_is_configured() {
    for restarts in [0, 2] {
        let shop = Shop::with(&format!("jobs: {{restarts: {restarts}}}")).await;
        let remote = shop.project(json!({})).await;
        let id = shop.give("run `kill -9 -1; kill -9 1; sleep 100`").await;
        // Whatever the program did, its container dies as often as it is made, each time when its engine is at work.
        for fallen in 0..=restarts {
            until("its engine is at work", async || {
                let begun = shop.entries(&id).iter().filter(|kind| *kind == "engine_starting").count();
                begun > fallen && shop.look(&id).await["status"] == "running"
            })
            .await;
            kill_container(&id);
        }
        let task = shop.wait(&id, &["failed"]).await;
        let why = task["error"].as_str().unwrap();
        assert!(why.contains(&format!("the engine fell {} times", restarts + 1)), "{why}");
        let falls = shop.entries(&id).iter().filter(|kind| *kind == "engine_lost").count();
        assert_eq!(falls, restarts);
        assert_eq!(branches(&remote), ["main"]);
    }
}

#[tokio::test]
async fn an_engine_asks_its_model_as_often_as_is_configured() {
    for (turns, state) in [(2, "failed"), (9, "awaiting_approval")] {
        let shop = Shop::with(&format!("jobs: {{turns: {turns}}}")).await;
        shop.project(json!({})).await;
        let id = shop.give("run `echo 1 > a`, run `echo 2 > a`, run `echo 3 > a`").await;
        let task = shop.wait(&id, &[state]).await;
        assert_eq!(task["error"].to_string().contains('2'), turns == 2, "{task:#}");
    }
}

#[tokio::test]
async fn an_engine_may_be_silent_as_long_as_is_configured() {
    for (minutes, ends) in [("0.03", true), ("10", false)] {
        let model = MockModel::start(|_| Reply::Hang);
        let more = format!("jobs: {{quiet_minutes: {minutes}, restarts: 0}}");
        let shop = Shop::modelled(&model, &more).await;
        shop.project(json!({})).await;
        let id = shop.give("think").await;
        until("the model is asked", async || model.count() > 0).await;
        if ends {
            let task = shop.wait(&id, &["failed"]).await;
            assert!(task["error"].as_str().unwrap().contains("silent"), "{task:#}");
        } else {
            tokio::time::sleep(std::time::Duration::from_secs(4)).await;
            assert_eq!(shop.look(&id).await["status"], "running");
        }
    }
}

#[tokio::test]
async fn a_command_takes_as_long_as_is_configured() {
    for (minutes, exit) in [("0.05", json!(null)), ("20", json!(0))] {
        let shop = Shop::with(&format!("jobs: {{command_minutes: {minutes}}}")).await;
        let rounds = json!({"memoryMib": 512, "verifyRounds": 0});
        shop.project(json!({"verifyCommands": ["sleep 5"], "limits": rounds})).await;
        let id = shop.give("write `a` with `b`").await;
        let task = shop.asked(&id).await;
        assert_eq!(task["evidence"][0]["exit"], exit, "{task:#}");
    }
}

#[tokio::test]
async fn a_question_of_a_job_is_open_as_long_as_is_configured() {
    for (hours, most) in [("0.001", 4.0), ("72", 72.0 * 3_600.0)] {
        let shop = Shop::with(&format!("jobs: {{approval_hours: {hours}}}")).await;
        let remote = shop.project(json!({})).await;
        let id = shop.give("write `a` with `b`").await;
        shop.asked(&id).await;
        let seconds = shop.site.number(
            "SELECT (expires_at - asked_at + 999) / 1000 FROM approvals ORDER BY asked_at DESC LIMIT 1",
        );
        assert_eq!(seconds as f64, most);
        if most < 10.0 {
            let task = shop.wait(&id, &["rejected"]).await;
            assert_eq!(task["text"], "nobody approved it in time");
            assert_eq!(branches(&remote), ["main"]);
        }
    }
}

#[tokio::test]
async fn commits_are_by_the_address_that_is_configured() {
    let shop = Shop::with("jobs: {author_email: 'bots@example.org'}").await;
    let remote = shop.project(json!({})).await;
    let id = shop.give("write `a` with `b`").await;
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    let by = git(&remote, &format!("log -1 --format='%ae %ce' {branch}"));
    assert_eq!(by, "bots@example.org bots@example.org");
}

#[tokio::test]
async fn a_workspace_is_kept_as_long_as_is_configured() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let id = shop.give("write `a.txt` with `one`").await;
    shop.approve(&id).await;
    let waiting = shop.give("write `b.txt` with `two`").await;
    shop.asked(&waiting).await;
    let home = shop.site.home();
    let (repo, folder) = (home.join("repos/jobs").join(&id), home.join("jobs").join(&id));
    let orphan = home.join("jobs/nobody");
    let again = |config: &str| {
        shop.stop();
        shop.site.store().execute("UPDATE jobs SET ended_at = ended_at - 3 * 86400000", []).unwrap();
        std::fs::create_dir_all(orphan.join("home")).unwrap();
        shop.site.configure(&super::kit::config("llm: {provider: rehearsal}", config));
        shop.rise(&[]);
    };
    for keeps in ["", "jobs: {keep_days: 0}"] {
        again(keeps);
        let ticks =
            async || shop.owner().look("/api/v1/actors?kind=jobs").await["actors"][0]["handled"].as_u64();
        until("a few looks", async || ticks().await.unwrap() > 4).await;
        assert!(repo.exists() && folder.join("home").exists(), "{keeps}");
    }
    assert!(orphan.exists(), "0 is never");
    again("jobs: {keep_days: 2}");
    until("it is let go", async || !repo.exists() && !folder.join("home").exists() && !orphan.exists()).await;
    assert!(folder.join("log").exists(), "its log stays");
    assert!(home.join("repos/jobs").join(&waiting).exists(), "what waits is kept");
    assert!(shop.log(&id).await.contains("pushed"));
    // It goes on from what was pushed, and the other one from what it has.
    shop.tell(&id, "follow-up", json!({"instruction": "write `c.txt` with `three`"})).await;
    let branch = shop.approve(&id).await["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("show {branch}:a.txt {branch}:c.txt")), "onethree");
    shop.approve(&waiting).await;
}

#[tokio::test]
async fn the_budget_of_a_job_holds_until_an_owner_raises_it() {
    for caps in ["tokens: 100", "usd: 0.0001"] {
        let model = MockModel::start(|request| match request.results().first() {
            Some(_) => Reply::say("done"),
            None => Reply::call("write", json!({"path": "a.txt", "content": "x"})),
        });
        let prices = "prices: {mock: {input: 1, output: 1}}";
        let shop = Shop::modelled(&model, &format!("{prices}\nbudgets: {{job: {{{caps}}}}}")).await;
        let remote = shop.project(json!({})).await;
        let id = shop.give("write it").await;
        let mut parked = 0;
        let mut last = Value::Null;
        loop {
            let task = shop.wait(&id, &["parked", "awaiting_approval"]).await;
            let open = task["approvalId"].is_string() && task["approvalId"] != last;
            if open && task["status"] == "awaiting_approval" {
                break;
            }
            if open {
                parked += 1;
                assert!(task["text"].as_str().unwrap().contains("budget"), "{task:#}");
                until("it costs nothing", async || {
                    shop.site.say(&["sandbox", "list"]).contains("no sandboxes")
                })
                .await;
                last = task["approvalId"].clone();
                shop.tell(&id, "approve", json!({})).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(parked > 0, "{caps}");
        shop.approve(&id).await;
        assert_eq!(branches(&remote).len(), 2);
    }
    let model = MockModel::start(|_| Reply::say("nothing to do"));
    let shop = Shop::modelled(&model, "budgets: {job: {tokens: 10000000, usd: 100}}").await;
    shop.project(json!({})).await;
    let id = shop.give("write it").await;
    shop.wait(&id, &["unchanged"]).await;
}

#[tokio::test]
async fn repositories_over_ssh_are_opened_with_the_configured_key_and_hosts() {
    let world = crate::git::World::new();
    let sshd = crate::git::start_sshd(&world);
    until("sshd listens", async || std::net::TcpStream::connect(("127.0.0.1", sshd.port)).is_ok()).await;
    let (key, hosts) =
        (world.path("bot_key").display().to_string(), world.path("known hosts").display().to_string());
    let (user, repo) = (world.sh(world.path(""), "id -un"), world.path("remote.git"));
    let url = format!("ssh://{user}@127.0.0.1:{}{}", sshd.port, repo.display());
    for (more, ends) in [
        (format!("git: {{ssh_key: '{key}', known_hosts: '{hosts}'}}"), "awaiting_approval"),
        (format!("git: {{ssh_key: '{key}'}}"), "failed"),
        (format!("git: {{known_hosts: '{hosts}'}}"), "failed"),
    ] {
        let began = Instant::now();
        let shop = Shop::with(&more).await;
        shop.project_at("app", &url, json!({})).await;
        let id = shop.give("write `a` with `b`").await;
        let task = shop.wait(&id, &[ends]).await;
        if ends == "failed" {
            assert!(!task["error"].as_str().unwrap().is_empty());
            assert!(began.elapsed() < LONG);
        } else {
            shop.approve(&id).await;
            assert_eq!(branches(&repo).len(), 2);
        }
    }
}

/// Kills the container of a job, if it has one now.
pub(super) fn kill_container(id: &str) -> bool {
    let script = "id=$(docker -H \"unix://$1\" ps -q --filter label=atoll.kind=job --filter label=atoll.id=$ID) && \
        [ -n \"$id\" ] && docker -H \"unix://$1\" kill $id";
    let socket = crate::sandbox::docker_socket();
    let done = Command::new("sh").args(["-c", script, "sh"]).arg(socket).env("ID", id).output().unwrap();
    done.status.success()
}
