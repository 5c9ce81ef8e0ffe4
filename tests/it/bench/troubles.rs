//! What can go wrong at a bench.

use atoll::{
    actors::sandbox::messages::{BenchError, BenchEvent, Close, HandOver, Program, Run},
    domain::{
        bot,
        engine::{End, EngineEvent},
    },
};
use serde_json::json;

use super::kit::{Desk, all};
use crate::support::*;

fn is_gone(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

async fn desk() -> Desk {
    Desk::open(None, &with_model(&MockModel::instant("hi"), "")).await
}

#[actix::test]
async fn a_command_over_its_time_is_killed_with_its_children_and_the_sandbox_lives() {
    let desk = desk().await;
    // One that goes when it is asked to, and one that does not listen.
    for line in [
        "sleep 1000 & echo $! > child; echo $$ > pid; echo begun; wait",
        "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > pid; echo begun; while :; do wait; done",
    ] {
        let ran = desk.run(line, 1).await.unwrap();
        assert_eq!((ran.exit, ran.tail.lines().next()), (None, Some("begun")), "{ran:?}");
        for file in ["pid", "child"] {
            let pid = desk.host.read(file).trim().to_owned();
            until("it is gone", async || is_gone(&pid)).await;
        }
    }
    assert_eq!(desk.run("echo on", 60).await.unwrap().tail, "on\n");
    assert!(!desk.host.is_dead());
    // Its own way of saying so is left to the command.
    assert_eq!(desk.run("exit 124", 60).await.unwrap().exit, Some(124));
}

#[actix::test]
async fn endless_output_is_cut_to_its_bound() {
    let desk = desk().await;
    let ran = desk.run("yes endless", 1).await.unwrap();
    assert_eq!((ran.exit, ran.truncated), (None, true));
    assert!(ran.tail.len() <= 1_000 && ran.tail.contains("endless\nendless\n"), "{}", ran.tail.len());
}

#[actix::test]
async fn what_a_command_leaves_behind_does_not_hold_it_up() {
    let desk = desk().await;
    let before = tokio::time::Instant::now();
    let ran = desk.run("setsid sleep 1000 & echo left", 60).await.unwrap();
    assert_eq!((ran.exit, ran.tail.as_str()), (Some(0), "left\n"));
    assert!(before.elapsed() < std::time::Duration::from_secs(20));
    let missing = Run {
        program: Program::Argv(vec!["no-such-program".into()]),
        timeout_ms: 1_000,
        max_output: 100,
        env: Default::default(),
    };
    let ran = desk.send(missing).await.unwrap();
    assert!(ran.exit == Some(127) && ran.tail.contains("no-such-program"), "{ran:?}");
}

#[actix::test]
async fn a_sandbox_that_dies_ends_all_that_is_under_way() {
    let model = MockModel::start(|_| Reply::call("bash", json!({"command": "echo up; sleep 1000"})));
    let mut desk = Desk::open(None, &with_model(&model, "")).await;
    let mut heard = desk.engine(bot::Engine::Native, "go").await;
    while !matches!(heard.recv().await.unwrap(), EngineEvent::Output { .. }) {}
    desk.host.dies();
    let events = all(heard).await;
    let ends = events.iter().filter(|event| matches!(event, EngineEvent::Result(_))).count();
    let Some(EngineEvent::Result(ending)) = events.last() else { panic!("{events:?}") };
    assert_eq!((ends, ending.end, ending.sandbox_gone), (1, End::SandboxDied, true), "{ending:?}");
    let why = "it was killed".to_owned();
    assert_eq!(desk.hears(|event| matches!(event, BenchEvent::Died { .. })).await, BenchEvent::Died { why });
    assert!(matches!(desk.run("true", 60).await, Err(BenchError::Gone(_))));
    assert!(matches!(desk.send(HandOver { base: "a".repeat(40) }).await, Err(BenchError::Gone(_))));
    desk.send(Close).await.unwrap();
}

#[actix::test]
async fn a_relay_that_is_killed_takes_the_sandbox_with_it() {
    let mut desk = desk().await;
    let running = desk.run("sleep 1000", 600);
    let killing = async {
        until("the command runs", async || desk.host.started.lock().unwrap().len() == 2).await;
        desk.host.kill_first();
    };
    let (ran, ()) = tokio::join!(running, killing);
    let Err(BenchError::Gone(why)) = ran else { panic!("{ran:?}") };
    assert!(why.contains("its way out ended"), "{why}");
    assert!(matches!(
        desk.hears(|event| matches!(event, BenchEvent::Died { .. })).await,
        BenchEvent::Died { .. }
    ));
    assert!(desk.host.is_dead());
}

#[actix::test]
async fn a_base_that_git_does_not_know_is_told_in_its_words() {
    let desk = desk().await;
    let Err(BenchError::Failed(why)) = desk.send(HandOver { base: "a".repeat(40) }).await else { panic!() };
    assert!(why.contains("not a git repository"), "{why}");
}
