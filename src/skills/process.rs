//! Running a script: a process group of its own, an empty environment, an end that reaches all its children.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};
use tokio_util::sync::CancellationToken;

/// What a script is started with: it begins when its process is noted. If Atoll dies before that, it never does.
const GATE: &str = "read -r go && exec \"$@\" </dev/null";

/// Most that is kept of a script's output, in bytes.
const OUTPUT: usize = 1024 * 1024;

/// What to run.
pub(super) struct Script<'a> {
    pub(super) program: &'a Path,
    pub(super) args: [&'a str; 2],
    pub(super) folder: &'a Path,
    pub(super) workspace: &'a Path,
    pub(super) config: &'a str,
    /// Where running process groups are noted, so that the next start ends what a crash left behind.
    pub(super) notes: &'a Path,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// It ended by itself.
    Exit { code: i32, stdout: String, stderr: String },
    /// It was killed because it was cancelled.
    Cancelled,
    /// It could not be started.
    NotStarted(String),
}

pub(super) async fn run(script: Script<'_>, cancel: &CancellationToken) -> Ended {
    let mut command = command(&script);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::NotStarted(error.to_string()),
    };
    let group = Group::of(&child, script.notes);
    if let Some(mut gate) = child.stdin.take() {
        // If this cannot be written the process ends, and says so by its exit.
        let _ = gate.write_all(b"go\n").await;
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let status = child.wait().await;
        // Children that it left behind would hold its output open.
        group.kill();
        status
    };
    let work = async { tokio::join!(collect(stdout), collect(stderr), ended) };
    tokio::select! {
        (stdout, stderr, status) = work => match status {
            Ok(status) => Ended::Exit { code: status.code().unwrap_or(-1), stdout, stderr },
            Err(error) => Ended::NotStarted(error.to_string()),
        },
        () = cancel.cancelled() => {
            group.kill();
            let _ = child.wait().await;
            Ended::Cancelled
        }
    }
}

fn command(script: &Script<'_>) -> Command {
    let interpreter = match script.program.extension().and_then(|kind| kind.to_str()) {
        Some("js" | "mjs" | "cjs") => Some("node"),
        Some("py") => Some("python3"),
        Some("sh") => Some("sh"),
        _ => None,
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GATE, "atoll"])
        .args(interpreter)
        .arg(script.program)
        .args(script.args)
        .current_dir(script.folder)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", script.workspace)
        .env("LANG", "C.UTF-8")
        .env("SKILL_CONFIG", script.config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Reads to the end, keeps the first part.
async fn collect(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(read) = stream.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        let room = OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..read.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// A process group that is killed when it is let go.
struct Group {
    id: Option<Pid>,
    note: Option<PathBuf>,
}

impl Group {
    fn of(child: &Child, notes: &Path) -> Self {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let note = id.and_then(|id| {
            let path = notes.join(id.as_raw_nonzero().to_string());
            std::fs::create_dir_all(notes).ok()?;
            std::fs::write(&path, started_at(id.as_raw_nonzero().get())?).ok()?;
            Some(path)
        });
        Self { id, note }
    }

    fn kill(&self) {
        if let Some(id) = self.id {
            // It may be gone already, which is what is wanted.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(note) = &self.note {
            let _ = std::fs::remove_file(note);
        }
    }
}

/// When a process was started, in clock ticks since the machine was: it tells a process from a later one
/// with the same number (proc(5), field 22 of `stat`).
fn started_at(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.rsplit_once(") ")?.1;
    after_name.split(' ').nth(19).map(str::to_owned)
}

/// Ends the process groups that an earlier run left behind; says how many.
pub fn end_strays(notes: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(notes) else { return 0 };
    let mut ended = 0;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<i32>().ok());
        let noted = std::fs::read_to_string(&path).ok();
        if let Some(pid) = pid
            && noted.is_some()
            && started_at(pid) == noted
            && let Some(id) = Pid::from_raw(pid)
            && kill_process_group(id, Signal::KILL).is_ok()
        {
            ended += 1;
        }
        let _ = std::fs::remove_file(path);
    }
    ended
}
