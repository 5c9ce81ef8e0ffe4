//! Programs that take all they can get: they end clearly, and nobody else notices.

use std::{path::Path, sync::Arc, time::Duration};

use atoll::ports::sandbox::{Sandbox, Sandboxes};
use tokio::time::timeout;

use super::bench::{Bench, limits, run, say, sh};
use crate::support::{PATIENCE, until};

/// Another sandbox works on while one misbehaves.
async fn unharmed(neighbour: &dyn Sandbox) {
    let said =
        timeout(PATIENCE, say(neighbour, "date > /workspace/file && cat /workspace/file | wc -l")).await;
    assert_eq!(said.unwrap(), "1");
}

/// After this time a sandbox that is at its limit is taken for one that stands still: else it takes two seconds.
const HUNG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_memory_bomb_ends_its_own_sandbox_and_says_so() {
    let bench = Bench::new();
    let (bomb, neighbour) = (bench.make("bomb").await, bench.make("neighbour").await);
    let eater = "perl -e '$| = 1; print \"begun\"; my @all; push @all, \"x\" x (32 << 20) . $_ for 1 .. 100; print \"survived\"'";
    // Several at once, so that no single one is refused in time.
    let script = format!("{eater} & {eater} & {eater} & wait");
    let ran = timeout(HUNG, run(&*bomb, sh(&script), Vec::new())).await;
    unharmed(&*neighbour).await;
    // gVisor goes as a whole, refuses the programs one by one, or, one time in twenty, stands still at its limit: then the
    // time that a job may take ends it, as here.
    match ran {
        Ok(ran) => {
            assert!(!ran.text().contains("survived"), "{}", ran.text());
            match ran.code {
                None => {
                    let why = timeout(PATIENCE, bomb.died()).await.unwrap();
                    assert!(why.contains("memory"), "{why}");
                }
                Some(_) => assert_eq!(say(&*bomb, "echo alive").await, "alive"),
            }
        }
        Err(_) => eprintln!("gVisor stands still at its limit"),
    }
    assert_eq!(bomb.kill().await, Ok(()));
}

#[tokio::test]
async fn filling_memory_through_tmp_is_refused_at_its_limit() {
    let bench = Bench::new();
    let sandbox = bench.make("tmp").await;
    let script = "for at in 1 2 3 4 5 6 7 8; do head -c 16M /dev/zero > /tmp/$at || break; done; du -sm /tmp | cut -f1";
    let ran = run(&*sandbox, sh(script), Vec::new()).await;
    assert!(ran.err.contains("No space left"), "{}", ran.err);
    assert_eq!(ran.text(), "64");
    assert_eq!(say(&*sandbox, "rm /tmp/*; echo well").await, "well");
}

#[tokio::test]
async fn a_fork_bomb_is_held_at_the_limit_and_killed_with_its_sandbox() {
    let bench = Bench::new();
    let (bomb, neighbour) = (bench.make("forks").await, bench.make("neighbour").await);
    let exec = bomb.exec(sh("bomb() { bomb | bomb & }; bomb; echo lit; sleep 300")).await.unwrap();
    let mut stdout = exec.stdout;
    assert_eq!(&stdout.recv().await.unwrap()[..], b"lit\n");
    unharmed(&*neighbour).await;
    assert!(host_processes_of(bomb.id()) < 600, "the machine has no more processes for it");
    assert_eq!(timeout(PATIENCE, bomb.kill()).await.unwrap(), Ok(()));
    unharmed(&*neighbour).await;
}

/// How many threads the machine runs for a container, by the command lines of its processes.
fn host_processes_of(id: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let of_it = entries.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(id)
    });
    of_it.map(|entry| std::fs::read_dir(entry.path().join("task")).map_or(0, Iterator::count)).sum()
}

#[tokio::test]
async fn a_sandbox_that_fills_the_disk_is_ended_and_says_why() {
    let bench = Bench::with(|settings| {
        settings.disk_bytes = 100 << 20;
        settings.disk_every = Duration::from_millis(100);
    });
    let neighbour = bench.make("neighbour").await;
    let sandbox = bench.make("filler").await;
    assert_eq!(say(&*sandbox, "head -c 40M /dev/zero > one; echo kept").await, "kept");
    // Over both folders, in files that are each small enough.
    let script = "for at in $(seq 1000); do head -c 1M /dev/zero > /workspace/$at; head -c 1M /dev/zero > ~/.$at; done";
    let ran = run(&*sandbox, sh(script), Vec::new()).await;
    assert_eq!(ran.code, None, "it did not end by itself");
    let why = sandbox.died().await;
    assert!(why.contains("hold more than 100 MiB"), "{why}");
    until("it is gone", async || bench.ids().await.len() == 1).await;
    unharmed(&*neighbour).await;
}

#[tokio::test]
async fn no_file_grows_beyond_its_limit() {
    let bench = Bench::new();
    let sandbox = bench.make("file").await;
    let ran = run(&*sandbox, sh("head -c 100M /dev/zero > big; stat -c %s big"), Vec::new()).await;
    assert_eq!(ran.text(), limits().file_bytes.to_string());
    let ran = run(&*sandbox, sh("truncate -s 10T sparse && echo made"), Vec::new()).await;
    assert_ne!(ran.text(), "made", "nor in appearance");
}

#[tokio::test]
async fn endless_output_is_held_back_until_somebody_reads_it() {
    let bench = Bench::new();
    let sandbox = bench.make("output").await;
    let script = "yes | tee >(while head -c 1M | wc -c > /workspace/count.new && [ -s /workspace/count.new ]; do mv \
                  /workspace/count.new /workspace/count; echo . >> /workspace/megabytes; done)";
    let exec = sandbox.exec(sh(script)).await.unwrap();
    let said = async || {
        let path = bench.home.path().join("output-work/megabytes");
        std::fs::read_to_string(path).unwrap_or_default().lines().count()
    };
    // It says what fits on the way, and no more: the same number twice, with a while of work in between.
    let mut last = usize::MAX;
    until("it waits", async || {
        say(&*sandbox, "sleep 1").await;
        let now = said().await;
        std::mem::replace(&mut last, now) == now && now > 0
    })
    .await;
    assert!(last < 64, "{last} MiB are on their way, and nobody reads");
    let mut stdout = exec.stdout;
    let mut read = 0;
    while read < 50 << 20 {
        read += stdout.recv().await.unwrap().len();
    }
    assert_eq!(timeout(PATIENCE, sandbox.kill()).await.unwrap(), Ok(()));
    assert!(exec.exit.await.is_err());
}

#[tokio::test]
async fn hostile_trees_are_removed_with_everything_in_them() {
    let bench = Bench::new();
    let sandbox: Arc<dyn Sandbox> = bench.make("tree").await;
    let kept = bench.folder("kept");
    std::fs::write(kept.join("file"), "kept").unwrap();
    let deep = "n=$(printf 'd%.0s' $(seq 200)); (for at in $(seq 30); do mkdir $n && cd $n || exit 1; done; touch bottom)";
    let links = format!("ln -s / out; ln -s {} kept; ln -s loop loop", kept.display());
    let odd = "mkfifo pipe; touch -- '-rf' $'new\\nline' $'\\xff'; mkdir -m 0 closed; chmod 4755 -- -rf";
    say(&*sandbox, &format!("{deep}; {links}; {odd}; true")).await;
    sandbox.kill().await.unwrap();
    use atoll::ports::sandbox_care::SandboxCare;
    let tree = bench.home.path().join("tree-work");
    assert!(tree.join("out").is_symlink());
    bench.all.remove_folder(tree.clone()).await.unwrap();
    assert!(!tree.exists() && Path::new("/usr").exists());
    assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "kept");
    assert_eq!(bench.all.remove_folder(tree).await, Ok(()), "once more");
    assert!(bench.all.found().await.unwrap().is_empty());
}
