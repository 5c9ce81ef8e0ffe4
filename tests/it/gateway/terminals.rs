//! Terminals through the relay: a real shell, as a person would use it.

use std::sync::Arc;

use atoll::{
    ports::gateway::{Terminal, TerminalAsk, TerminalOver, Terminals},
    sandbox::mux::Mux,
};
use tokio::time::timeout;

use super::kit::{relay, relay_of_terminals, terminals_of};
use crate::support::{PATIENCE, until};

async fn room() -> Arc<dyn Terminals> {
    terminals_of(relay_of_terminals().0).await.unwrap()
}

fn shell(room: &Arc<dyn Terminals>, argv: &[&str]) -> Arc<dyn Terminal> {
    let argv = argv.iter().map(|part| (*part).to_owned()).collect();
    room.open(TerminalAsk { rows: 30, cols: 100, folder: "/".into(), argv }).unwrap()
}

/// Reads from the beginning until it has said this.
async fn says(terminal: &dyn Terminal, words: &str) -> String {
    let mut seen = String::new();
    until(words, async || {
        seen = String::from_utf8_lossy(&terminal.read(0).bytes).into_owned();
        seen.contains(words)
    })
    .await;
    seen
}

async fn over(terminal: &dyn Terminal) -> TerminalOver {
    until("the terminal is over", async || terminal.over().is_some()).await;
    terminal.over().unwrap()
}

#[tokio::test]
async fn a_shell_has_a_size_that_can_be_changed_and_ends_with_its_code() {
    let room = room().await;
    let terminal = shell(&room, &["/bin/sh"]);
    terminal.write("stty size; pwd; tty\n".into()).await.unwrap();
    let seen = says(&*terminal, "/dev/pts/").await;
    assert!(seen.contains("30 100\r\n/\r\n"), "{seen}");
    terminal.resize(50, 132);
    terminal.write("stty size\n".into()).await.unwrap();
    says(&*terminal, "50 132").await;
    terminal.write("exit 7\n".into()).await.unwrap();
    assert_eq!(over(&*terminal).await, TerminalOver::Exit(7));
    assert!(terminal.write("more\n".into()).await.is_err());
}

#[tokio::test]
async fn keys_reach_the_programs_in_it() {
    let room = room().await;
    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 1; done";
    let terminal = shell(&room, &["/bin/sh", "-c", script]);
    says(&*terminal, "ready").await;
    terminal.write("\x03".into()).await.unwrap();
    says(&*terminal, "caught").await;
    assert_eq!(over(&*terminal).await, TerminalOver::Exit(5));
    let terminal = shell(&room, &["/bin/cat"]);
    terminal.write("a line\n\x04".into()).await.unwrap();
    says(&*terminal, "a line\r\na line\r\n").await;
    assert_eq!(over(&*terminal).await, TerminalOver::Exit(0));
    let shell = shell(&room, &[]);
    shell.write("exit 4\n".into()).await.unwrap();
    assert_eq!(over(&*shell).await, TerminalOver::Exit(4));
}

#[tokio::test]
async fn whoever_comes_back_reads_on_where_it_was() {
    let room = room().await;
    let terminal = shell(&room, &["/bin/sh", "-c", "seq 1 100000; exit 3"]);
    let (mut at, mut all) = (0, Vec::new());
    while let Some(chunk) = timeout(PATIENCE, terminal.next(at)).await.unwrap() {
        // What was too long ago to be kept is told by the offset.
        assert!(chunk.offset >= at);
        all.resize(chunk.offset as usize, b'?');
        all.extend_from_slice(&chunk.bytes);
        at = chunk.offset + chunk.bytes.len() as u64;
    }
    let expected: String = (1..=100_000).map(|number| format!("{number}\r\n")).collect();
    assert_eq!(all.len(), expected.len());
    assert!(all.ends_with(b"99999\r\n100000\r\n"));
    assert_eq!(over(&*terminal).await, TerminalOver::Exit(3));
    let chunk = terminal.read(expected.len() as u64 - 8);
    assert_eq!((&chunk.bytes[..], chunk.offset), (&b"100000\r\n"[..], expected.len() as u64 - 8));
    assert!(terminal.read(0).offset > 0, "all of it was kept");
}

#[tokio::test]
async fn a_terminal_that_is_let_go_takes_its_programs_along() {
    let room = room().await;
    let terminal = shell(&room, &["/bin/sh", "-c", "echo pid=$$; exec sleep 1000"]);
    says(&*terminal, "\r\n").await;
    let seen = says(&*terminal, "pid=").await;
    let pid: u32 = seen.trim().trim_start_matches("pid=").parse().unwrap();
    let is_there = || std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(is_there());
    drop(terminal);
    until("the sleep is gone", async || !is_there()).await;
    let another = shell(&room, &["/bin/sh", "-c", "sleep 1000"]);
    drop(room);
    assert!(matches!(over(&*another).await, TerminalOver::Broken(_)));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_says_why() {
    let room = room().await;
    let terminal = shell(&room, &["/no/such/shell"]);
    let TerminalOver::Broken(reason) = over(&*terminal).await else { panic!("it started") };
    assert!(reason.contains("no terminal") && reason.contains("No such file"), "{reason}");
    let ask = TerminalAsk { argv: vec!["a\0b".into()], ..TerminalAsk::default() };
    assert!(room.open(ask).is_err());
    // A shell that is killed tells the signal.
    let terminal = shell(&room, &["/bin/sh", "-c", "kill -9 $$"]);
    assert_eq!(over(&*terminal).await, TerminalOver::Exit(-9));
}

#[tokio::test]
async fn a_relay_carries_connections_or_terminals_and_never_both() {
    // One that listens runs as another user than whoever works: a terminal of that user's would be a way to it.
    let room = terminals_of(relay().0).await.unwrap();
    let TerminalOver::Broken(reason) = over(&*shell(&room, &["/bin/sh"])).await else { panic!("it started") };
    assert!(reason.contains("a relay of their own"), "{reason}");
    // One for terminals listens nowhere, and ends with its last reader.
    let (mux, _) = Mux::start(relay_of_terminals().0).await.unwrap();
    assert_eq!(mux.port(), 0);
    let room = terminals_of(relay_of_terminals().0).await.unwrap();
    let ended = room.ended();
    drop(room);
    timeout(PATIENCE, ended).await.unwrap();
}
