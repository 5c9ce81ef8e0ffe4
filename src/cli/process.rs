//! The server as a process: start in the background, stop, restart.

use std::{
    fs::{File, OpenOptions},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, Lock};

use super::{Args, CliError, CliResult, table::say};

/// How often a process that starts or ends is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Looks until a start is taken to have failed: 30 s.
const START_LOOKS: u32 = 600;
/// Looks until a second signal is sent, and until the process is killed: 30 s and 15 s more.
const STOP_LOOKS: u32 = 600;
const SKIP_LOOKS: u32 = 300;

#[expect(clippy::disallowed_methods, reason = "a command of its own process, no actor")]
pub(super) fn start_daemon(args: &Args, home: &Home) -> CliResult {
    if Lock::is_held(&home.lock_file()) {
        return Err(CliError::said(format!("atoll runs on {} already", home.root().display())));
    }
    // What an earlier run left would look like the new one's word.
    let _ = std::fs::remove_file(home.address_file());
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(home.log_file())?;
    let mut child = spawn(args, home, log)?;
    for _ in 0..START_LOOKS {
        if let Some(status) = child.try_wait()? {
            return Err(CliError::said(format!(
                "atoll ended at once ({status}); the last lines of its log:\n{}",
                super::logs::tail(home, 10)
            )));
        }
        if let Ok(address) = std::fs::read_to_string(home.address_file()) {
            say(&format!("atoll runs in the background (pid {}) at {address}", child.id()));
            return Ok(());
        }
        sleep(LOOK);
    }
    Err(CliError::said("atoll did not come up in 30 s; `atoll logs` says more"))
}

/// The same program in a process group of its own, so that no terminal takes it along.
fn spawn(args: &Args, home: &Home, log: File) -> Result<Child, CliError> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg("--home").arg(home.root());
    if let Some(config) = &args.config {
        command.arg("--config").arg(std::fs::canonicalize(config)?);
    }
    let errors = log.try_clone()?;
    let child =
        command.arg("start").stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).spawn()?;
    Ok(child)
}

pub(super) fn stop(home: &Home) -> CliResult {
    let Some(pid) = running(home) else {
        return Err(CliError::said(format!("no atoll runs on {}", home.root().display())));
    };
    signal(pid, Signal::TERM)?;
    if ended(home, STOP_LOOKS) {
        say("stopped");
        return Ok(());
    }
    say("it takes long to finish what runs; skipping to the end (it goes on at the next start)");
    signal(pid, Signal::TERM)?;
    if !ended(home, SKIP_LOOKS) {
        signal(pid, Signal::KILL)?;
        say("it did not answer and was killed; nothing that was accepted is lost");
    }
    Ok(())
}

pub(super) fn restart(args: &Args, home: &Home) -> CliResult {
    if running(home).is_some() {
        stop(home)?;
    }
    start_daemon(args, home)
}

/// The process that holds the home.
pub(super) fn running(home: &Home) -> Option<Pid> {
    if !Lock::is_held(&home.lock_file()) {
        return None;
    }
    let text = std::fs::read_to_string(home.pid_file()).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn signal(pid: Pid, signal: Signal) -> CliResult {
    kill_process(pid, signal).map_err(|error| CliError::said(format!("it cannot be signalled: {error}")))
}

#[expect(clippy::disallowed_methods, reason = "a command of its own process, no actor")]
fn ended(home: &Home, looks: u32) -> bool {
    (0..looks).any(|_| {
        let gone = !Lock::is_held(&home.lock_file());
        if !gone {
            sleep(LOOK);
        }
        gone
    })
}
