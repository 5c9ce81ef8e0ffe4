//! `atoll logs`.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    thread::sleep,
    time::Duration,
};

use crate::home::Home;

use super::{CliError, CliResult, table::say_piece};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Bytes of one step backwards.
const STEP: u64 = 64 * 1024;

#[expect(clippy::disallowed_methods, reason = "a command of its own process, no actor")]
pub(super) fn run(home: &Home, follow: bool, lines: usize) -> CliResult {
    let path = home.log_file();
    if !path.is_file() {
        let text = "there is no log: it is written by `atoll start -d`";
        return Err(CliError::said(text));
    }
    say_piece(&tail(home, lines));
    if !follow {
        return Ok(());
    }
    let mut at = std::fs::metadata(&path)?.len();
    loop {
        sleep(LOOK);
        let length = std::fs::metadata(&path)?.len();
        if length < at {
            at = 0; // It was begun anew.
        }
        if length > at {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(at))?;
            let mut fresh = Vec::new();
            file.take(length - at).read_to_end(&mut fresh)?;
            say_piece(&String::from_utf8_lossy(&fresh));
            at = length;
        }
    }
}

/// The last lines of the log, read from its end.
pub(super) fn tail(home: &Home, lines: usize) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(home.log_file())?;
        let mut at = file.metadata()?.len();
        let mut bytes: Vec<u8> = Vec::new();
        while at > 0 && bytes.iter().filter(|byte| **byte == b'\n').count() <= lines {
            let step = STEP.min(at);
            at -= step;
            file.seek(SeekFrom::Start(at))?;
            let mut chunk = Vec::new();
            (&mut file).take(step).read_to_end(&mut chunk)?;
            chunk.extend_from_slice(&bytes);
            bytes = chunk;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let all: Vec<&str> = text.lines().collect();
        let last = all[all.len().saturating_sub(lines)..].join("\n");
        Ok(if last.is_empty() { last } else { last + "\n" })
    };
    read().unwrap_or_default()
}
