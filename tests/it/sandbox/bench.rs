//! What the tests of sandboxes share: sandboxes of a home of their own, and what runs in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use atoll::{
    app::SystemClock,
    ports::{
        sandbox::{Exec, ExecSpec, Mount, Owner, Sandbox, SandboxLimits, SandboxSpec, Sandboxes},
        sandbox_care::SandboxCare,
    },
    sandbox::{DockerSandboxes, SandboxSettings},
};
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use tempfile::TempDir;

use crate::support::PATIENCE;

/// Docker's socket. Without it there is nothing to test with.
pub(crate) fn socket() -> PathBuf {
    let named = std::env::var_os("ATOLL_TEST_DOCKER").map(PathBuf::from);
    let usual = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/atoll/docker.sock");
    let socket = named.unwrap_or_else(usual);
    assert!(socket.exists(), "no Docker at {}: run scripts/services", socket.display());
    socket
}

/// Docker itself, to look at it past Atoll.
pub(super) async fn docker() -> Docker {
    let docker = Docker::connect_with_unix(socket().to_str().unwrap(), 60, API_DEFAULT_VERSION).unwrap();
    docker.negotiate_version().await.unwrap()
}

/// Sandboxes of a home of their own; what is left of them is ended with it.
pub(super) struct Bench {
    pub(super) all: DockerSandboxes,
    pub(super) home: TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings than usual.
    pub(super) fn with(change: impl FnOnce(&mut SandboxSettings)) -> Self {
        let home = tempfile::Builder::new().prefix("atoll-sandbox-").tempdir().unwrap();
        let mut settings = settings(home.path());
        change(&mut settings);
        Self { all: DockerSandboxes::new(settings, Arc::new(SystemClock)), home }
    }

    /// A fresh folder in the home.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// What a job's sandbox is, with folders of its own.
    pub(super) fn spec(&self, job: &str) -> SandboxSpec {
        let mount = |name: &str, inside: &str| Mount {
            host: self.folder(&format!("{job}-{name}")),
            inside: inside.into(),
            read_only: false,
        };
        SandboxSpec {
            owner: Owner { kind: "job".into(), id: job.into() },
            image: None,
            limits: limits(),
            mounts: vec![mount("work", "/workspace"), mount("home", "/home/agent")],
            env: BTreeMap::new(),
        }
    }

    pub(super) async fn make(&self, job: &str) -> Arc<dyn Sandbox> {
        self.all.create(self.spec(job)).await.unwrap()
    }

    /// The ids of all that this home has.
    pub(super) async fn ids(&self) -> BTreeSet<String> {
        self.all.found().await.unwrap().into_iter().map(|found| found.id).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let (all, home) = (self.all.clone(), self.home.path().to_owned());
        // A runtime cannot wait in itself.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let _ = all.end_strays(BTreeSet::new()).await;
            });
            drop(std::fs::remove_dir_all(home));
        });
        let _ = cleaning.join();
    }
}

/// Settings for a home. All tests share one evidence: it is about the machine, not about a home.
pub(super) fn settings(home: &Path) -> SandboxSettings {
    let instance: String = home.file_name().unwrap().to_str().unwrap().into();
    SandboxSettings {
        socket: socket(),
        runtime: "runsc".into(),
        image: "atoll-sandbox:latest".into(),
        limits: limits(),
        disk_bytes: 1 << 30,
        disk_every: Duration::from_secs(10),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("sandbox"),
        instance,
    }
}

pub(super) fn limits() -> SandboxLimits {
    SandboxLimits {
        memory_bytes: 512 << 20,
        cpus: 2.0,
        processes: 100,
        open_files: 1_000,
        file_bytes: 64 << 20,
        tmp_bytes: 64 << 20,
    }
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) out: Vec<u8>,
    pub(super) err: String,
    /// `None` when the sandbox died under it.
    pub(super) code: Option<i64>,
}

impl Ran {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end().to_owned()
    }
}

/// A shell's script as a program.
pub(super) fn sh(script: &str) -> ExecSpec {
    ExecSpec { argv: ["bash", "-c", script].map(str::to_owned).into(), ..ExecSpec::default() }
}

/// Runs a script to its end and gives what it said; it must succeed.
pub(super) async fn say(sandbox: &dyn Sandbox, script: &str) -> String {
    let ran = run(sandbox, sh(script), Vec::new()).await;
    assert_eq!(ran.code, Some(0), "{script}: {} {}", ran.text(), ran.err);
    ran.text()
}

/// Runs a program to its end.
pub(super) async fn run(sandbox: &dyn Sandbox, spec: ExecSpec, input: Vec<u8>) -> Ran {
    let exec = sandbox.exec(spec).await.unwrap();
    tokio::time::timeout(PATIENCE, finish(exec, input)).await.unwrap()
}

/// Feeds a program and reads it to its end.
pub(super) async fn finish(exec: Exec, input: Vec<u8>) -> Ran {
    let Exec { stdin, stdout, stderr, exit } = exec;
    let feed = async move {
        for piece in input.chunks(100_000) {
            if stdin.send(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
        }
    };
    let ((), out, err) = tokio::join!(feed, all_of(stdout), all_of(stderr));
    Ran { out, err: String::from_utf8_lossy(&err).into_owned(), code: exit.await.ok() }
}

async fn all_of(mut stream: tokio::sync::mpsc::Receiver<Bytes>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = stream.recv().await {
        all.extend_from_slice(&piece);
    }
    all
}
