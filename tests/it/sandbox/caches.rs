//! The caches of package managers: one for each project, there again for its next job, and never without end.

use std::{os::unix::fs::MetadataExt, sync::Arc, time::Duration};

use atoll::ports::sandbox::{Sandbox, Sandboxes, place};
use tokio::time::timeout;

use super::bench::{Bench, run, say, sh};
use crate::support::PATIENCE;

async fn job(bench: &Bench, job: &str, project: &str) -> Arc<dyn Sandbox> {
    let cache = bench.home.path().join(format!("caches/{project}"));
    bench.all.create(bench.spec(job).with_cache(cache)).await.unwrap()
}

#[tokio::test]
async fn a_cache_is_there_for_the_next_job_of_its_project_and_for_no_other() {
    let bench = Bench::new();
    let first = job(&bench, "first", "one").await;
    let tools = "npm config get cache; python3 -m pip cache dir; echo $CARGO_HOME";
    let places: Vec<String> = ["npm", "pip", "cargo"].map(|name| format!("{}/{name}", place::CACHE)).into();
    assert_eq!(say(&*first, tools).await.lines().collect::<Vec<_>>(), places, "the tools look there");
    // npm itself writes there, without any network: a package from a folder.
    let pack = "mkdir -p /tmp/p && cd /tmp/p && npm init -y >/dev/null && npm pack --silent >/dev/null && \
                npm cache add ./p-1.0.0.tgz >/dev/null && test -d $npm_config_cache/_cacache && echo kept | tee /cache/note";
    assert_eq!(say(&*first, pack).await, "kept");
    first.kill().await.unwrap();

    let (next, other) = (job(&bench, "next", "one").await, job(&bench, "other", "two").await);
    assert_eq!(
        say(&*next, "cat /cache/note; test -d /cache/npm/_cacache && echo there").await,
        "kept\nthere"
    );
    assert_eq!(say(&*other, "ls -A /cache | wc -l; ls -A / | grep -c caches || true").await, "0\n0");
    let note = std::fs::metadata(bench.home.path().join("caches/one/note")).unwrap();
    assert!(note.uid() == 1001 || note.uid() == rustix::process::geteuid().as_raw());
}

#[tokio::test]
async fn a_cache_that_grew_too_large_is_emptied_before_the_next_job_unless_somebody_uses_it() {
    let bench = Bench::with(|settings| {
        settings.disk_bytes = 60 << 20;
        settings.disk_every = Duration::from_millis(200);
    });
    let first = job(&bench, "first", "one").await;
    assert_eq!(say(&*first, "head -c 40M /dev/zero > /cache/much; echo kept").await, "kept");
    // It is in use: the second job finds it as it is.
    let second = job(&bench, "second", "one").await;
    assert_eq!(say(&*second, "stat -c %s /cache/much").await, (40 << 20).to_string());
    // What is in the cache counts for whoever writes: 40 and 30 are too much.
    let ran = run(&*second, sh("head -c 30M /dev/zero > /workspace/more; sleep 60"), Vec::new()).await;
    assert_eq!(ran.code, None);
    let why = timeout(PATIENCE, second.died()).await.unwrap();
    assert!(why.contains("hold more than 60 MiB"), "{why}");
    first.kill().await.unwrap();

    let third = job(&bench, "third", "one").await;
    assert_eq!(say(&*third, "ls -A /cache | wc -l; touch /cache/again; ls /cache").await, "0\nagain");
}
