//! Programs in a sandbox: what goes in and out, unchanged, and how they end.

use std::time::Duration;

use atoll::ports::sandbox::{ExecSpec, SandboxError, Sandboxes};
use sha2::{Digest, Sha256};

use super::bench::{Bench, docker, finish, run, say, sh};
use crate::support::{PATIENCE, until};

#[tokio::test]
async fn streams_are_kept_apart_and_the_exit_code_is_told() {
    let bench = Bench::new();
    let sandbox = bench.make("streams").await;
    let ran = run(&*sandbox, sh("cat; echo complaint >&2; exit 7"), b"hello".to_vec()).await;
    assert_eq!((ran.text().as_str(), ran.err.as_str(), ran.code), ("hello", "complaint\n", Some(7)));
    for (script, code) in [("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -9 $$", 137)] {
        assert_eq!(run(&*sandbox, sh(script), Vec::new()).await.code, Some(code), "{script}");
    }
    let ran =
        run(&*sandbox, sh("read -r line; echo \"got $line\"; read -r line || echo over"), b"one\n".to_vec())
            .await;
    assert_eq!(ran.text(), "got one\nover", "the end of input arrives");
    let missing =
        sandbox.exec(ExecSpec { argv: vec!["no-such-program".into()], ..ExecSpec::default() }).await;
    let told = match missing {
        Ok(exec) => finish(exec, Vec::new()).await.code.is_some_and(|code| code != 0),
        Err(error) => matches!(error, SandboxError::Engine(_)),
    };
    assert!(told, "a program that is not there");
    assert!(sandbox.exec(ExecSpec::default()).await.is_err(), "no program at all");
}

#[tokio::test]
async fn a_program_has_its_folder_its_arguments_and_its_environment() {
    let bench = Bench::new();
    let mut spec = bench.spec("environment");
    spec.env.insert("OF_THE_SANDBOX".into(), "one".into());
    let sandbox = bench.all.create(spec).await.unwrap();
    let argv = ["printf", "%s\n", "a b", "$HOME", "'; exit 1"].map(str::to_owned).into();
    let ran = run(&*sandbox, ExecSpec { argv, ..ExecSpec::default() }, Vec::new()).await;
    assert_eq!(ran.text(), "a b\n$HOME\n'; exit 1", "no shell reads the arguments");
    let mut spec = sh("pwd; echo $OF_THE_SANDBOX $OF_THE_PROGRAM $HOME");
    spec.env.insert("OF_THE_PROGRAM".into(), "two words".into());
    spec.folder = Some("/tmp".into());
    assert_eq!(run(&*sandbox, spec, Vec::new()).await.text(), "/tmp\none two words /home/agent");
    assert_eq!(say(&*sandbox, "pwd").await, "/workspace");
}

#[tokio::test]
async fn twenty_megabytes_of_any_bytes_go_through_unchanged_both_ways() {
    let bench = Bench::new();
    let sandbox = bench.make("bytes").await;
    // All bytes, also those that begin a frame of the engine.
    let sent: Vec<u8> = (0_u32..20 << 20).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8 % 7).collect();
    let hash = Sha256::digest(&sent);
    let ran = run(&*sandbox, sh("tee >(sha256sum >&2); wait"), sent.clone()).await;
    assert_eq!(ran.code, Some(0));
    assert!(ran.out == sent, "{} of {} bytes came back", ran.out.len(), sent.len());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(ran.err.starts_with(&hex), "inside it was the same: {}", ran.err);
}

#[tokio::test]
async fn programs_run_side_by_side_and_one_that_nobody_reads_holds_nobody_up() {
    let bench = Bench::new();
    let sandbox = bench.make("many").await;
    // Nobody reads this one: it waits with what it has to say.
    let unread = sandbox.exec(sh("yes unread")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..8 {
        let sandbox = std::sync::Arc::clone(&sandbox);
        tasks.spawn(async move { (at, say(&*sandbox, &format!("seq 5000 | tail -n 1; echo {at}")).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (at, text) = done.unwrap();
        assert_eq!(text, format!("5000\n{at}"));
    }
    // Nobody wants to read this one any more: it may end.
    let exec = sandbox.exec(sh("seq 3000000; exit 3")).await.unwrap();
    drop((exec.stdout, exec.stderr, exec.stdin));
    assert_eq!(tokio::time::timeout(PATIENCE, exec.exit).await.unwrap(), Ok(3));
    let killed = tokio::time::timeout(Duration::from_secs(20), sandbox.kill()).await;
    assert_eq!(killed, Ok(Ok(())), "the engine is not held up by what nobody reads");
    drop(unread);
}

#[tokio::test]
async fn a_program_that_left_a_child_behind_has_ended_all_the_same() {
    let bench = Bench::new();
    let sandbox = bench.make("child").await;
    // The child has the streams, and is not waited for.
    let ran = tokio::time::timeout(
        Duration::from_secs(20),
        run(&*sandbox, sh("sleep 300 & echo started"), Vec::new()),
    );
    let ran = ran.await.unwrap();
    assert_eq!((ran.text().as_str(), ran.code), ("started", Some(0)));
}

#[tokio::test]
async fn killing_ends_what_runs_and_leaves_nothing() {
    let bench = Bench::new();
    let sandbox = bench.make("killed").await;
    let exec = sandbox.exec(sh("echo begun; trap '' TERM INT; sleep 300")).await.unwrap();
    let mut stdout = exec.stdout;
    assert_eq!(&stdout.recv().await.unwrap()[..], b"begun\n");
    let (one, two) = tokio::join!(sandbox.kill(), sandbox.kill());
    assert_eq!((one, two), (Ok(()), Ok(())), "both at once");
    let gone = docker()
        .await
        .inspect_container(sandbox.id(), None::<bollard::query_parameters::InspectContainerOptions>)
        .await;
    assert!(gone.unwrap_err().to_string().contains("404"), "it is confirmed before the answer");
    assert!(exec.exit.await.is_err(), "it did not end by itself");
    assert_eq!(stdout.recv().await, None);
    assert_eq!(sandbox.died().await, "it was ended");
    assert_eq!(sandbox.kill().await, Ok(()), "once more");
    assert!(matches!(sandbox.exec(sh("true")).await, Err(SandboxError::Gone(_))));
    assert!(bench.ids().await.is_empty());
}

#[tokio::test]
async fn what_is_given_up_in_the_middle_of_its_making_is_not_left_behind() {
    let bench = Bench::new();
    bench.make("first").await.kill().await.unwrap();
    let making = tokio::spawn(bench.all.create(bench.spec("unwanted")));
    until("it is being made", async || !bench.ids().await.is_empty() || making.is_finished()).await;
    making.abort();
    drop(making.await);
    until("nothing is left", async || bench.ids().await.is_empty()).await;
}
