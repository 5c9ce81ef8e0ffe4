//! Repositories and engines that do what they can: nothing on the host is harmed, the job ends with a clear reason in
//! bounded time, and another one comes through afterwards.

use std::{os::unix::fs::MetadataExt, time::Instant};

use serde_json::json;

use super::kit::*;
use crate::support::*;

/// Lets an engine run this; the state that it comes to, and the words.
async fn does(shop: &Shop, command: &str) -> (String, String, String) {
    let id = shop.give(&format!("run `{command}`")).await;
    let states = ["awaiting_approval", "failed", "unchanged"];
    let task = shop.wait(&id, &states).await;
    let state = task["status"].as_str().unwrap().to_owned();
    if state == "awaiting_approval" {
        let task = shop.asked(&id).await;
        let words = format!("{} {}", task["flags"], task["stat"]);
        shop.tell(&id, "reject", json!({})).await;
        return (id, state, words);
    }
    let words = task["text"].as_str().unwrap().to_owned();
    (id, state, words)
}

/// Another job comes through, and nothing is left of the others.
async fn well(shop: &Shop) {
    let id = shop.give("write `well.txt` with `well`").await;
    shop.approve(&id).await;
    until("no sandbox is left", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes")).await;
    assert!(!shop.is_dead());
}

#[tokio::test]
async fn what_takes_all_it_can_get_ends_itself_alone() {
    let shop = Shop::with("jobs: {command_minutes: 0.1, restarts: 0}").await;
    let rounds = json!({"memoryMib": 256, "verifyRounds": 0});
    let remote = shop.project(json!({"limits": rounds})).await;
    for bomb in [
        "bomb() { bomb | bomb & }; bomb; sleep 5",
        "perl -e 'my @all; push @all, \"x\" x (32 << 20) . $_ for 1 .. 100' & perl -e 'my @all; push @all, \"x\" x (32 << 20) . $_ for 1 .. 100' & wait",
        "timeout -s KILL 5 yes",
        "kill -9 -1",
        "sleep 600 & disown; exec 1>&- 2>&-; sleep 600",
    ] {
        let began = Instant::now();
        let (_, state, words) = does(&shop, bomb).await;
        assert!(["failed", "unchanged"].contains(&state.as_str()), "{bomb}: {state} {words}");
        assert!(!words.is_empty(), "{bomb}");
        assert!(began.elapsed().as_secs() < 90, "{bomb}: {:?}", began.elapsed());
    }
    assert_eq!(branches(&remote), ["main"]);
    well(&shop).await;
}

#[tokio::test]
async fn a_disk_that_is_filled_ends_the_job_with_its_reason() {
    let shop = Shop::with("jobs: {restarts: 0}").await;
    shop.project(json!({})).await;
    let fill = "for i in $(seq 2000); do head -c 1M /dev/zero > ~/$i || break; done; sleep 60";
    let (_, state, words) = does(&shop, fill).await;
    assert_eq!(state, "failed");
    assert!(words.contains("MiB"), "{words}");
    well(&shop).await;
}

#[tokio::test]
async fn checks_that_never_end_or_never_stop_talking_are_ended_and_shown() {
    let shop = Shop::with("jobs: {command_minutes: 0.05, restarts: 1}").await;
    let rounds = json!({"memoryMib": 512, "verifyRounds": 0});
    let checks = json!(["trap '' TERM; while :; do sleep 1; done", "yes", "true"]);
    let remote =
        shop.project(json!({"limits": rounds, "verifyCommands": checks, "requireApproval": false})).await;
    let id = shop.give("write `a` with `b`").await;
    let task = shop.asked(&id).await;
    let exits: Vec<_> = task["evidence"].as_array().unwrap().iter().map(|run| run["exit"].clone()).collect();
    assert_eq!(exits, [json!(null), json!(null), json!(0)]);
    assert!(task.to_string().len() < 100_000, "its words are bounded");
    assert_eq!(branches(&remote), ["main"]);
    let (status, _) = shop
        .owner()
        .patch("/api/v1/projects/app", json!({"verifyCommands": ["kill -9 -1"], "requireApproval": true}))
        .await;
    assert_eq!(status, 200);
    let (_, state, words) = does(&shop, "echo x > b").await;
    assert!(state == "failed" || state == "awaiting_approval", "{state} {words}");
    let (status, _) = shop.owner().patch("/api/v1/projects/app", json!({"verifyCommands": []})).await;
    assert_eq!(status, 200);
    well(&shop).await;
}

#[tokio::test]
async fn a_tree_that_reaches_out_is_refused_and_nothing_of_it_is_run_on_the_host() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let canary = shop.site.beside().join("canary");
    let touch = format!("touch {}", canary.display());
    let secret = shop.site.beside().join("secret");
    std::fs::write(&secret, "hidden").unwrap();
    let hooks = format!(
        "for h in pre-commit post-commit post-checkout pre-push reference-transaction update; do printf \
         \"#!/bin/sh\\n{touch}\\n\" > .git/hooks/$h; chmod +x .git/hooks/$h; done; git config core.fsmonitor \"{touch}\"; \
         git config core.hooksPath .git/hooks; git config filter.x.clean \"{touch}\"; git config filter.x.smudge \
         \"{touch}\"; git config diff.external \"{touch}\"; git config core.sshCommand \"{touch}\"; git config \
         core.pager \"{touch}\"; git config uploadpack.packObjectsHook \"{touch}\"; echo \"* filter=x\" > .gitattributes; \
         echo fine > a.txt"
    );
    for (command, wanted, says) in [
        (hooks.as_str(), "awaiting_approval", ""),
        ("ln -s /etc/passwd out; ln -s ../../../.. up", "failed", "out"),
        (
            "mkdir inner; cd inner; git init -q; git config user.email x@x; git config user.name x; echo x > x; git add x; \
          git commit -qm x",
            "",
            "inner",
        ),
        ("rm -rf .git", "failed", "git"),
        ("rm -rf .git; ln -s / .git", "failed", "git"),
        ("head -c 6M /dev/urandom > huge.bin", "", "huge.bin"),
        ("mkdir -p ~/.atoll-work.bundle", "failed", ""),
    ] {
        let began = Instant::now();
        let (_, state, words) = does(&shop, command).await;
        assert!(began.elapsed().as_secs() < 90, "{command}: {:?}", began.elapsed());
        assert!(wanted.is_empty() || state == wanted, "{command}: {state} {words}");
        assert!(words.contains(says), "{command}: {state} {words}");
        assert!(!canary.exists(), "{command}: something of it ran on the host");
    }
    // The bundle becomes a link while it is written: it is never followed.
    let race = format!(
        "(while :; do ln -sf {} ~/.atoll-work.bundle; done) > /dev/null 2>&1 & echo x > y",
        secret.display()
    );
    let (_, _, words) = does(&shop, &race).await;
    assert!(!words.contains("hidden"), "{words}");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "hidden");
    assert_eq!(secret.metadata().unwrap().nlink(), 1);
    assert_eq!(branches(&remote), ["main"]);
    well(&shop).await;
    assert!(!canary.exists());
}
