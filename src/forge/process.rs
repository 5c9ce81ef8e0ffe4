//! Running git: an environment of its own, everything off that a repository could use to run something, bounded time,
//! output and memory, and an end that reaches all its children.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use crate::{
    domain::{review::shown, secret::Secret},
    ports::repo::{Auth, Remote, RepoError},
};

use super::{environment, explain::explain};

/// Sets limits, then becomes git. A limit that is lower already stays.
const WITH_LIMITS: &str =
    "ulimit -c 0; ulimit -v \"$1\" 2>/dev/null; ulimit -f \"$2\" 2>/dev/null; shift 2; exec git \"$@\"";
/// Most address space of a process, in kibibytes. A pack may hold objects that grow without end when they are unpacked.
const MEMORY_KIB: u64 = 4 * 1024 * 1024;
/// Most that is kept of what git complains, in bytes: the last of it.
const COMPLAINTS: usize = 32 * 1024;
/// What git reads.
pub(super) enum Input {
    None,
    Bytes(Vec<u8>),
    File(File),
}

/// One call of git.
pub(super) struct Call {
    args: Vec<OsString>,
    /// The repository, as `GIT_DIR`.
    dir: Option<PathBuf>,
    /// The work tree, as `GIT_WORK_TREE`; only where no agent has been.
    tree: Option<PathBuf>,
    env: Vec<(&'static str, OsString)>,
    input: Input,
    keep: usize,
    may_cut: bool,
    time: Duration,
    file_bytes: u64,
    remote: Option<Remote>,
}

impl Call {
    /// A call with what it is to do. It stays on this machine.
    pub(super) fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self {
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            dir: None,
            tree: None,
            env: Vec::new(),
            input: Input::None,
            keep: 1024 * 1024,
            may_cut: false,
            time: Duration::from_secs(120),
            file_bytes: 4 << 30,
            remote: None,
        }
    }

    /// In this repository.
    pub(super) fn at(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// With this work tree.
    pub(super) fn over(mut self, tree: &Path) -> Self {
        self.tree = Some(tree.to_owned());
        self
    }

    /// It may speak with this remote, and with no other.
    pub(super) fn with(mut self, remote: &Remote) -> Self {
        self.remote = Some(remote.clone());
        self
    }

    /// With more of an environment.
    pub(super) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// It reads this.
    pub(super) fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Most of its output, in bytes. With more it is ended, and that is an error.
    pub(super) fn keep(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }

    /// Most of its output, in bytes. With more it is ended, and the first part is what it gave.
    pub(super) fn keep_first(mut self, bytes: usize) -> Self {
        (self.keep, self.may_cut) = (bytes, true);
        self
    }

    /// How long it may take.
    pub(super) fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Largest file that it may write, in bytes.
    pub(super) fn largest(mut self, bytes: u64) -> Self {
        self.file_bytes = bytes;
        self
    }
}

/// What came of a call.
pub(super) struct Output {
    /// It did what it should.
    pub(super) fine: bool,
    /// What it gave.
    pub(super) out: Vec<u8>,
    /// There was more.
    pub(super) cut: bool,
    /// What it complained of, fit to show.
    pub(super) said: String,
}

impl Output {
    /// What it gave, as text without the last line's end.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end().to_owned()
    }
}

/// Git on this machine.
#[derive(Debug, Clone)]
pub(super) struct Git {
    askpass: PathBuf,
    /// An empty folder, which git takes for its user's.
    home: PathBuf,
}

impl Git {
    pub(super) fn new(askpass: PathBuf, home: PathBuf) -> Self {
        Self { askpass, home }
    }

    /// Runs it; an end with a fault is an error.
    pub(super) async fn ok(&self, call: Call) -> Result<Output, RepoError> {
        let remote = call.remote.clone();
        let output = self.run(call).await?;
        if output.fine { Ok(output) } else { Err(explain(&output.said, remote.as_ref())) }
    }

    /// Runs it. Dropping the future kills it with all its children.
    pub(super) async fn run(&self, call: Call) -> Result<Output, RepoError> {
        let (keep, may_cut, time) = (call.keep, call.may_cut, call.time);
        let secret = secret_of(&call).cloned();
        let is_remote = call.remote.is_some();
        let mut child = match self.start(call).await {
            Ok(child) => child,
            Err(error) => {
                return Err(RepoError::Failed(format!("git cannot be started: {error}; is it installed?")));
            }
        };
        let group = Group::of(&child);
        let (out, errors) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let ended = async {
                let (first, cut) = first_of(out, keep).await;
                if cut {
                    group.kill();
                }
                let status = child.wait().await;
                group.kill();
                (first, cut, status)
            };
            tokio::join!(ended, last_of(errors))
        };
        let Ok(((out, cut, status), said)) = tokio::time::timeout(time, work).await else {
            group.kill();
            let words = format!("git took longer than {} seconds and was ended", time.as_secs());
            return Err(if is_remote { RepoError::Unreachable(words) } else { RepoError::TooLarge(words) });
        };
        let status = status.map_err(|error| RepoError::Failed(format!("git was lost: {error}")))?;
        if cut && !may_cut {
            return Err(RepoError::TooLarge(format!("git gave more than {keep} bytes")));
        }
        let said = String::from_utf8_lossy(&said);
        let said = secret.map_or_else(|| said.clone().into_owned(), |secret| secret.cut_from(&said));
        let said = said.lines().map(shown).collect::<Vec<_>>().join("\n");
        Ok(Output { fine: cut || status.success(), out, cut, said })
    }

    async fn start(&self, mut call: Call) -> std::io::Result<Child> {
        let input = std::mem::replace(&mut call.input, Input::None);
        let mut command = self.command(&call);
        let bytes = match input {
            Input::None => {
                command.stdin(Stdio::null());
                None
            }
            Input::File(file) => {
                command.stdin(Stdio::from(file));
                None
            }
            Input::Bytes(bytes) => {
                command.stdin(Stdio::piped());
                Some(bytes)
            }
        };
        let mut child = command.spawn()?;
        if let (Some(bytes), Some(mut stdin)) = (bytes, child.stdin.take()) {
            // Written beside reading, so that neither waits for the other. It ends with the process.
            tokio::spawn(async move {
                let _ = stdin.write_all(&bytes).await;
            });
        }
        Ok(child)
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", WITH_LIMITS, "git"])
            .arg(MEMORY_KIB.to_string())
            .arg((call.file_bytes / 512).to_string())
            .args(&call.args)
            .current_dir(&self.home)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        environment::set(&mut command, &self.home, call.tree.is_some());
        if let Some(tree) = &call.tree {
            command.env("GIT_WORK_TREE", tree);
        }
        if let Some(dir) = &call.dir {
            command.env("GIT_DIR", dir);
        }
        environment::open_way(&mut command, call.remote.as_ref(), &self.askpass);
        command.envs(call.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

fn secret_of(call: &Call) -> Option<&Secret> {
    match call.remote.as_ref().map(|remote| &remote.auth) {
        Some(Auth::Token { token, .. }) => Some(token),
        _ => None,
    }
}

/// Reads up to so many bytes; and whether there was more.
async fn first_of(stream: Option<impl AsyncRead + Unpin>, most: usize) -> (Vec<u8>, bool) {
    let Some(mut stream) = stream else { return (Vec::new(), false) };
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    while let Ok(read) = stream.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        let room = most.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..read.min(room)]);
        if read > room {
            return (kept, true);
        }
    }
    (kept, false)
}

/// Reads to the end and keeps the last part.
async fn last_of(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut stream) = stream else { return Vec::new() };
    let (mut kept, mut chunk) = (Vec::new(), vec![0; 16 * 1024]);
    while let Ok(read) = stream.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        kept.extend_from_slice(&chunk[..read]);
        let over = kept.len().saturating_sub(COMPLAINTS);
        kept.drain(..over);
    }
    kept
}

/// A process group that is killed when it is let go.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn kill(&self) {
        if let Some(id) = self.0 {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
