//! A sandbox that is none: programs run as processes of this machine, in a folder of their own. For tests only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use atoll::ports::sandbox::{Exec, ExecSpec, Sandbox, SandboxError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot, watch},
};

/// The stand-ins for the real programs.
pub(crate) fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engines/bin")
}

/// A folder with a work tree and a home, and the processes that run there.
pub(crate) struct Host {
    folder: TempDir,
    /// The work tree, when it is not in that folder.
    tree: Option<PathBuf>,
    /// Environment of all processes.
    env: BTreeMap<String, String>,
    groups: Arc<Mutex<Vec<i32>>>,
    dead: watch::Sender<bool>,
    /// All that was started.
    pub(crate) started: Mutex<Vec<ExecSpec>>,
}

impl Host {
    /// With programs of this folder before those of the machine, and more environment.
    pub(crate) fn new(bin: &Path, env: &[(&str, &str)]) -> Arc<Self> {
        Self::over(None, bin, env)
    }

    /// The same, on a work tree that is there already.
    pub(crate) fn over(tree: Option<PathBuf>, bin: &Path, env: &[(&str, &str)]) -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("atoll-test-").tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("workspace")).unwrap();
        std::fs::create_dir_all(folder.path().join("home")).unwrap();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        let mut all: BTreeMap<String, String> = BTreeMap::from([("PATH".into(), path)]);
        all.insert("HOME".into(), folder.path().join("home").display().to_string());
        all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Arc::new(Self {
            folder,
            tree,
            env: all,
            groups: Arc::default(),
            dead: watch::Sender::new(false),
            started: Mutex::default(),
        })
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.tree.clone().unwrap_or_else(|| self.folder.path().canonicalize().unwrap().join("workspace"))
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("home")
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let file = self.workspace().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.workspace().join(name)).unwrap()
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Kills the program that was started first, with all its own.
    pub(crate) fn kill_first(&self) {
        let first = self.groups.lock().unwrap()[0];
        kill_process_group(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    }

    /// Kills everything, as a sandbox does that runs out of memory.
    pub(crate) fn dies(&self) {
        for group in self.groups.lock().unwrap().iter() {
            let _ = kill_process_group(Pid::from_raw(*group).unwrap(), Signal::KILL);
        }
        self.dead.send_replace(true);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.dies();
    }
}

impl Sandbox for Host {
    fn id(&self) -> &'static str {
        "host"
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Exec, SandboxError>> {
        self.started.lock().unwrap().push(spec.clone());
        let mut command = tokio::process::Command::new(&spec.argv[0]);
        command.args(&spec.argv[1..]).env_clear().envs(&self.env).envs(&spec.env);
        command.current_dir(spec.folder.map_or_else(|| self.workspace(), PathBuf::from)).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (groups, dead) = (Arc::clone(&self.groups), self.dead.clone());
        Box::pin(async move {
            if *dead.borrow() {
                return Err(SandboxError::Gone("it was killed".into()));
            }
            let mut child = command.spawn().map_err(|error| SandboxError::Engine(error.to_string()))?;
            groups.lock().unwrap().push(i32::try_from(child.id().unwrap()).unwrap());
            let (stdin, mut input) = mpsc::channel::<Bytes>(4);
            let mut to = child.stdin.take().unwrap();
            tokio::spawn(async move {
                while let Some(bytes) = input.recv().await {
                    if to.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
            });
            let (stdout, stderr) = (pump(child.stdout.take().unwrap()), pump(child.stderr.take().unwrap()));
            let (ended, exit) = oneshot::channel();
            tokio::spawn(async move {
                let status = child.wait().await.unwrap();
                // A sandbox that died takes the codes with it.
                if !*dead.borrow() {
                    let _ = ended.send(i64::from(status.code().unwrap_or(137)));
                }
            });
            Ok(Exec { stdin, stdout, stderr, exit })
        })
    }

    fn kill(&self) -> BoxFuture<'static, Result<(), SandboxError>> {
        self.dies();
        Box::pin(std::future::ready(Ok(())))
    }

    fn died(&self) -> BoxFuture<'static, String> {
        let mut dead = self.dead.subscribe();
        Box::pin(async move {
            let _ = dead.wait_for(|dead| *dead).await;
            "it was killed".into()
        })
    }
}

fn pump(mut from: impl AsyncRead + Unpin + Send + 'static) -> mpsc::Receiver<Bytes> {
    let (to, stream) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            if to.send(Bytes::copy_from_slice(&chunk[..read])).await.is_err() {
                return;
            }
        }
    });
    stream
}
