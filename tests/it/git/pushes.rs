//! Pushing: once, exactly what was approved, and never over somebody else's work.

use std::{fs, os::unix::fs::PermissionsExt};

use atoll::ports::repo::{Pushed, RepoError, Repos};

use super::world::{World, branch};
use crate::support::until;

fn hook(world: &World, name: &str, script: &str) {
    let path = world.path("remote.git").join("hooks").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_push_that_is_repeated_is_found_and_not_doubled() {
    let world = World::new();
    hook(&world, "post-receive", "cat >> ../pushes");
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    assert_eq!(world.pushed("j1", &workspace, &commit).await.unwrap(), Pushed::Now);
    for _ in 0..3 {
        assert_eq!(world.pushed("j1", &workspace, &commit).await.unwrap(), Pushed::Before);
    }
    assert_eq!(fs::read_to_string(world.path("pushes")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_push_that_was_cut_off_before_the_remote_had_it_is_done_again() {
    let world = World::new();
    hook(&world, "pre-receive", "touch ../waits; while [ ! -e ../go ]; do sleep 0.02; done");
    hook(&world, "post-receive", "cat >> ../pushes");
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    let push = world.push_of("j1", &workspace, &commit).await;
    let cut = tokio::spawn(world.repos.push(push.clone()));
    until("the remote holds the push", async || world.path("waits").exists()).await;
    assert_eq!(world.remote_tip("atoll/j1"), "");
    cut.abort();
    assert!(cut.await.unwrap_err().is_cancelled());
    // The whole group is killed: nobody is left who could push later.
    let remote = world.path("remote.git").display().to_string();
    until("nobody works on the remote", async || !someone_names(&remote)).await;
    fs::write(world.path("go"), "").unwrap();
    assert_eq!(world.remote_tip("atoll/j1"), "");
    assert_eq!(world.repos.push(push.clone()).await.unwrap(), Pushed::Now);
    assert_eq!(world.repos.push(push).await.unwrap(), Pushed::Before);
    assert_eq!(fs::read_to_string(world.path("pushes")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_push_that_was_cut_off_after_the_remote_had_it_is_found() {
    let world = World::new();
    hook(
        &world,
        "post-receive",
        "cat >> ../pushes; touch ../done; while [ ! -e ../go ]; do sleep 0.02; done",
    );
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    let push = world.push_of("j1", &workspace, &commit).await;
    let cut = tokio::spawn(world.repos.push(push.clone()));
    until("the remote has the push", async || world.path("done").exists()).await;
    cut.abort();
    let _ = cut.await;
    fs::write(world.path("go"), "").unwrap();
    assert_eq!(world.repos.push(push).await.unwrap(), Pushed::Before);
    assert_eq!(world.remote_tip("atoll/j1"), commit);
    assert_eq!(fs::read_to_string(world.path("pushes")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn a_branch_that_somebody_else_moved_or_made_is_not_touched() {
    let world = World::new();
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    world.theirs("git checkout -q -b atoll/j1; echo theirs > README.md");
    let theirs = world.remote_tip("atoll/j1");
    let error = world.pushed("j1", &workspace, &commit).await.unwrap_err();
    assert!(matches!(&error, RepoError::Moved { at, .. } if *at == theirs), "{error}");
    assert_eq!(world.remote_tip("atoll/j1"), theirs);

    // On the default branch itself: it is pushed on the tip that the job began with, or not at all.
    let mut ask = world.asks("j2");
    ask.branch = branch("main");
    world.repos.update(world.project()).await.unwrap();
    let workspace = world.repos.prepare(ask).await.unwrap();
    assert_eq!(workspace.remote.as_deref(), Some(workspace.base.as_str()));
    world.agent(&workspace, "echo two > README.md");
    let imported = world.import("j2", &workspace).await.unwrap();
    let sealed = world.repos.seal(world.seal("j2", &imported)).await.unwrap();
    let atoll::ports::repo::Sealed::Commit(commit) = sealed else { panic!() };
    let push = world.push_of("j2", &workspace, &commit).await;
    world.theirs("git checkout -q main; echo more > more");
    let moved = world.repos.push(push.clone()).await.unwrap_err();
    assert!(matches!(moved, RepoError::Moved { .. }), "{moved}");
    world.sh(world.path("theirs"), "git reset -q --hard HEAD^ && git push -q -f origin main");
    assert_eq!(world.repos.push(push).await.unwrap(), Pushed::Now);
    assert_eq!(world.remote_tip("main"), commit);
}

#[tokio::test]
async fn a_race_is_decided_by_the_remote() {
    let world = World::new();
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    // Somebody makes the branch between our look and our push.
    hook(&world, "pre-receive", "mkdir -p refs/heads/atoll; git rev-parse main > refs/heads/atoll/j1");
    let error = world.pushed("j1", &workspace, &commit).await.unwrap_err();
    assert!(matches!(error, RepoError::Moved { .. }), "{error}");
    assert_eq!(world.remote_tip("atoll/j1"), world.remote_tip("main"));
}

#[tokio::test]
async fn only_the_approved_tree_and_only_a_commit_of_the_job_is_pushed() {
    let world = World::new();
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    let push = world.push_of("j1", &workspace, &commit).await;
    let (_, other) = world.sealed("j2", "echo two > README.md").await;
    let mut wrong = push.clone();
    wrong.tree = "1".repeat(40);
    assert!(matches!(world.repos.push(wrong).await, Err(RepoError::Invalid(_))));
    let mut foreign = push.clone();
    foreign.commit = other;
    assert!(matches!(world.repos.push(foreign).await, Err(RepoError::NotThere(_))));
    let mut off = push.clone();
    off.expected = Some("1".repeat(40));
    assert!(matches!(world.repos.push(off).await, Err(RepoError::Invalid(_))));
    assert_eq!(world.remote_tip("atoll/j1"), "");
    // A later change makes another tree; what was approved stays what is pushed.
    world.agent(&workspace, "echo later > README.md");
    world.import("j1", &workspace).await.unwrap();
    assert_eq!(world.repos.push(push).await.unwrap(), Pushed::Now);
    assert_eq!(world.remote_git("show atoll/j1:README.md"), "one");
}

#[tokio::test]
async fn a_remote_that_says_no_is_quoted() {
    let world = World::new();
    hook(&world, "pre-receive", "echo 'commits need a \x1b[31mticket' >&2; exit 1");
    let (workspace, commit) = world.sealed("j1", "echo one > README.md").await;
    let error = world.pushed("j1", &workspace, &commit).await.unwrap_err();
    let RepoError::Rejected(words) = &error else { panic!("{error:?}") };
    assert!(words.contains("pre-receive hook declined") && words.contains("ticket"), "{words}");
    assert!(!words.contains('\u{1b}'), "{words}");
}

/// Some process names this in its arguments.
pub(crate) fn someone_names(text: &str) -> bool {
    let own = std::process::id().to_string();
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let is_other = entry.file_name().to_str().is_some_and(|name| name != own);
        is_other
            && fs::read(entry.path().join("cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    })
}
