//! Whose sandboxes they are: found again after their owner was killed, taken up or ended, and nobody else's touched.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use atoll::{
    app::SystemClock,
    ports::{
        sandbox::{Owner, SandboxError, Sandboxes},
        sandbox_care::SandboxCare,
    },
    sandbox::DockerSandboxes,
};

use super::bench::{Bench, docker, say, settings, sh};

/// Says that this process is to stand for an owner, and for which home.
const OWNER: &str = "ATOLL_TEST_OWNER_HOME";

/// A process that makes a sandbox in a home, with a program in it that goes on and on.
pub(super) struct OwnerProcess {
    pub(super) child: Child,
    /// The sandbox that it made.
    pub(super) id: String,
}

impl OwnerProcess {
    pub(super) fn start(bench: &Bench, env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sandbox::owners::stands_for_an_owner", "--nocapture"])
            .env(OWNER, bench.home.path())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let id = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("made ")?.1.to_owned()));
        Self { child, id: id.unwrap() }
    }

    /// The end of the world, at once.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OwnerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test when it runs by itself: the process that others start and kill.
#[tokio::test]
async fn stands_for_an_owner() {
    let Some(home) = std::env::var_os(OWNER) else { return };
    let all = DockerSandboxes::new(settings(home.as_ref()), Arc::new(SystemClock));
    let spec = atoll::ports::sandbox::SandboxSpec {
        owner: Owner { kind: "job".into(), id: "orphan".into() },
        image: None,
        limits: super::bench::limits(),
        mounts: Vec::new(),
        env: [].into(),
    };
    let sandbox = all.create(spec).await.unwrap();
    let _exec = sandbox
        .exec(sh("echo $$ > /tmp/pid; while sleep 0.1; do date +%s%N > /tmp/alive; done"))
        .await
        .unwrap();
    println!("made {}", sandbox.id());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn what_runs_on_after_its_owner_was_killed_is_found_and_taken_up() {
    let bench = Bench::new();
    let mut owner = OwnerProcess::start(&bench, &[]);
    owner.kill();
    let found = bench.all.found().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id.as_str(), found[0].running), (owner.id.as_str(), true));
    assert_eq!(found[0].owner, Owner { kind: "job".into(), id: "orphan".into() });
    let sandbox = bench.all.adopt(&owner.id).await.unwrap();
    let alive = "until [ -s /tmp/alive ]; do sleep 0.05; done; a=$(cat /tmp/alive); while [ \"$a\" = \"$(cat /tmp/alive)\" ]; do \
                 sleep 0.05; done; kill -0 $(cat /tmp/pid) && echo alive";
    assert_eq!(say(&*sandbox, alive).await, "alive", "what ran in it runs on");
    assert_eq!(sandbox.kill().await, Ok(()));
    assert_eq!(sandbox.died().await, "it was ended");
    assert!(bench.ids().await.is_empty());
    assert!(matches!(bench.all.adopt(&owner.id).await, Err(SandboxError::Gone(_))));
}

#[tokio::test]
async fn strays_are_ended_and_what_is_claimed_or_of_another_home_is_not() {
    let (bench, other) = (Bench::new(), Bench::new());
    let mut owner = OwnerProcess::start(&bench, &[]);
    owner.kill();
    let (claimed, foreign) = (bench.make("claimed").await, other.make("foreign").await);
    // One that died by itself lies about too.
    let dead = bench.make("dead").await;
    let kill = bollard::query_parameters::KillContainerOptions { signal: "KILL".into() };
    docker().await.kill_container(dead.id(), Some(kill)).await.unwrap();
    assert!(dead.died().await.contains("137"));

    let refused = bench.all.adopt(foreign.id()).await;
    assert!(matches!(refused, Err(SandboxError::Gone(_))), "another home's");
    let ended = bench.all.end_strays(BTreeSet::from([claimed.id().to_owned()])).await.unwrap();
    let ended: BTreeSet<_> = ended.into_iter().map(|found| (found.owner.id, found.running)).collect();
    assert_eq!(ended, BTreeSet::from([("orphan".into(), true), ("dead".into(), false)]));
    assert_eq!(bench.ids().await, BTreeSet::from([claimed.id().to_owned()]));
    assert_eq!(say(&*claimed, "echo well").await, "well");
    assert_eq!(say(&*foreign, "echo well").await, "well");
    assert!(bench.all.end_strays(BTreeSet::from([claimed.id().to_owned()])).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sandbox_that_dies_by_itself_says_so_to_all_who_wait() {
    let bench = Bench::new();
    let sandbox = bench.make("dies").await;
    let exec = sandbox.exec(sh("sleep 300")).await.unwrap();
    let (one, two) = (sandbox.died(), sandbox.died());
    let remove = bollard::query_parameters::RemoveContainerOptions { force: true, v: true, link: false };
    docker().await.remove_container(sandbox.id(), Some(remove)).await.unwrap();
    let (one, two) = tokio::join!(one, two);
    assert!(!one.is_empty() && one == two, "{one}");
    assert_eq!(exec.exit.await.ok(), None, "it did not end by itself");
    assert!(matches!(sandbox.exec(sh("true")).await, Err(SandboxError::Gone(_))));
    assert_eq!(sandbox.kill().await, Ok(()));
}
