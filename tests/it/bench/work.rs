//! A job's way over the bench.

use std::fs;

use atoll::{
    actors::sandbox::messages::{Close, HandOver, OpenTerminals},
    domain::{
        bot,
        engine::{End, EngineEvent},
    },
    ports::{
        gateway::TerminalAsk,
        repo::{Repos, Sealed},
    },
};
use serde_json::json;
use tokio::net::TcpStream;

use super::kit::{Desk, all};
use crate::{git::world::World, support::*};

#[actix::test]
async fn work_is_set_up_done_paid_for_checked_and_handed_over() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    let script = |request: &Request| match request.number {
        1 => Reply::call("bash", json!({"command": "cat README.md; ls target"})),
        2 => Reply::call("write", json!({"path": "new.txt", "content": "new\n"})),
        _ => Reply::say(format!("done: {}", request.results().len())),
    };
    let model = MockModel::start(script);
    let desk = Desk::open(Some(workspace.folder.clone()), &with_model(&model, "")).await;
    let set_up = "mkdir target && touch target/built && echo target > .git/info/exclude && echo ready";
    let ran = desk.run(set_up, 60).await.unwrap();
    assert_eq!((ran.exit, ran.tail.as_str(), ran.truncated), (Some(0), "ready\n", false));

    let events = all(desk.engine(bot::Engine::Native, "write it").await).await;
    let Some(EngineEvent::Result(ending)) = events.last() else { panic!("{events:?}") };
    assert!(ending.ok && ending.end == End::Completed, "{ending:?}");
    assert!(model.requests()[1].results()[0].contains("built"), "{:?}", model.requests()[1].results());
    let (prepaid, settled) =
        (desk.books.prepaid.lock().unwrap().clone(), desk.books.settled.lock().unwrap().clone());
    assert_eq!((prepaid.len(), settled.len()), (3, 3));
    for (before, after) in prepaid.iter().zip(&settled) {
        let paid = after.call.as_ref().unwrap();
        assert_eq!((before.worst, before.now), (after.prepaid, after.prepaid_at));
        assert!(paid.cost.tokens > 0 && paid.cost.tokens <= before.worst.tokens, "{paid:?}");
        assert_eq!(paid.model, "mock");
    }

    let check = desk.run("grep -q new new.txt; echo \"checked $?\"; false", 60).await.unwrap();
    assert_eq!((check.exit, check.tail.as_str()), (Some(1), "checked 0\n"));
    for _ in 0..2 {
        let bundle = desk.send(HandOver { base: workspace.base.clone() }).await.unwrap();
        let imported = world.repos.import("j1".into(), bundle).await.unwrap();
        let sealed = world.repos.seal(world.seal("j1", &imported)).await.unwrap();
        let Sealed::Commit(commit) = sealed else { panic!("nothing changed") };
        let repo = world.repo_of("j1");
        let names = world.sh(repo, &format!("git diff --name-only {}..{commit}", workspace.base));
        assert_eq!(names, "new.txt", "the bundle itself, or what is ignored, is in the work");
    }
    desk.send(Close).await.unwrap();
    assert!(desk.host.is_dead());
    until("the relay is gone", async || TcpStream::connect(("127.0.0.1", desk.opened.port)).await.is_err())
        .await;
}

#[actix::test]
async fn output_comes_in_its_order_and_its_end_is_kept() {
    let model = MockModel::instant("hi");
    let desk = Desk::open(None, &with_model(&model, "")).await;
    let line = "echo one; echo two >&2; echo three; cat; echo \"$HTTPS_PROXY $BASH_VERSION\"";
    let ran = desk.run(line, 60).await.unwrap();
    let proxy = format!("one\ntwo\nthree\nhttp://127.0.0.1:{} ", desk.opened.port);
    assert!(ran.tail.starts_with(&proxy) && ran.tail.len() > proxy.len() + 2, "{}", ran.tail);
    let ran = desk.run("for i in $(seq 1000); do echo \"ü$i\"; done", 60).await.unwrap();
    assert!(ran.truncated && ran.tail.len() <= 1_000 && ran.tail.ends_with("ü999\nü1000\n"), "{}", ran.tail);
    assert!(!ran.tail.contains('\u{fffd}'));
}

#[actix::test]
async fn a_person_has_a_terminal_beside_it() {
    let model = MockModel::instant("hi");
    let desk = Desk::open(None, &with_model(&model, "")).await;
    let argv = ["sh", "-c", "echo typed > by-hand; exit 5"].map(str::to_owned).to_vec();
    let ask = TerminalAsk { rows: 24, cols: 80, folder: String::new(), argv };
    let terminals = desk.send(OpenTerminals).await.unwrap();
    let terminal = terminals.open(ask).unwrap();
    until("it is over", async || terminal.over().is_some()).await;
    assert_eq!(fs::read_to_string(desk.host.workspace().join("by-hand")).unwrap(), "typed\n");
}
