//! The log of one job on disk: segments of lines, each named by the number of its first line; the oldest are let go.
//! Numbers run on without a gap within a segment, so that a line's number is seen from its place.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::ports::job_files::{LogLine, LogPage};

use super::{line::LINE, make};

/// In so many segments a log is kept at least: what is let go at a time is a small part of it.
const SEGMENTS: u64 = 32;
/// Most bytes of a page, beside its last line.
const PAGE: usize = 4 * 1024 * 1024;

/// The log of a job, open to be written.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    file: File,
    /// Bytes of the segment that is written.
    bytes: u64,
    /// Segments before it: first number and bytes.
    older: VecDeque<(u64, u64)>,
    first: u64,
    /// The number of the next line.
    pub(super) next: u64,
}

impl Log {
    /// Opens a log where it ended. A line that was not written to its end is taken away.
    ///
    /// # Errors
    /// When the folder or its files cannot be used.
    pub(super) fn open(folder: PathBuf) -> io::Result<Self> {
        make(&folder)?;
        let mut older = VecDeque::new();
        for first in segments(&folder)? {
            older.push_back((first, fs::metadata(path(&folder, first))?.len()));
        }
        let first = older.pop_back().map_or(0, |(first, _)| first);
        let file = segment(&folder, first)?;
        let mut text = Vec::new();
        (&file).read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
        }
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Self { folder, file, bytes: whole as u64, older, first, next: first + lines })
    }

    /// Adds a line, and lets the oldest segments go when there would be more than `most` bytes.
    ///
    /// # Errors
    /// When it cannot be written; the log is then to be opened again.
    pub(super) fn add(&mut self, line: &[u8], most: u64) -> io::Result<()> {
        let size = line.len() as u64;
        if self.bytes > 0 && self.bytes + size > (most / SEGMENTS).max(2 * LINE as u64) {
            self.older.push_back((self.first, self.bytes));
            self.file = segment(&self.folder, self.next)?;
            (self.first, self.bytes) = (self.next, 0);
        }
        let mut all = self.older.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.bytes + size;
        while all > most
            && let Some((first, bytes)) = self.older.pop_front()
        {
            fs::remove_file(path(&self.folder, first))?;
            all -= bytes;
        }
        self.file.write_all(line)?;
        self.bytes += size;
        self.next += 1;
        Ok(())
    }
}

/// Lines from this number on, at most so many.
///
/// # Errors
/// When what is there cannot be read.
pub(super) fn read(folder: &Path, from: u64, most: usize) -> io::Result<LogPage> {
    let firsts = match segments(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        found => found?,
    };
    let mut page = LogPage { lines: Vec::new(), next: from };
    let mut room = PAGE;
    let start = firsts.iter().rposition(|first| *first <= from).unwrap_or(0);
    for first in firsts.into_iter().skip(start) {
        let text = match fs::read(path(folder, first)) {
            // It was let go meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text?,
        };
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        for (seq, line) in (first..).zip(lines).filter(|(seq, _)| *seq >= from) {
            if page.lines.len() >= most || room == 0 {
                return Ok(page);
            }
            room = room.saturating_sub(line.len());
            page.next = seq + 1;
            match serde_json::from_slice::<LogLine>(line) {
                Ok(line) => page.lines.push(LogLine { seq, ..line }),
                Err(error) => {
                    let folder = folder.display();
                    tracing::warn!(%error, seq, %folder, "line of a log cannot be read");
                }
            }
        }
    }
    Ok(page)
}

fn segment(folder: &Path, first: u64) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path(folder, first))
}

fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.jsonl"))
}

/// The first numbers of all segments, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let first: Option<u64> = name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
        firsts.extend(first);
    }
    firsts.sort_unstable();
    Ok(firsts)
}
