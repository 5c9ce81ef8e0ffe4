//! Running one command in the sandbox for a tool: its input, its output within a bound, its end.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::{
    domain::engine::clip,
    ports::sandbox::{ExecSpec, Sandbox, SandboxError},
};

/// How long output is read after the end of a command; what it left behind may hold the streams open.
const DRAIN: Duration = Duration::from_millis(500);
/// Bytes of one piece of input.
const PIECE: usize = 64 * 1024;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) out: Kept,
    pub(super) err: Kept,
    /// The exit code; `None` when it was lost with the sandbox.
    pub(super) exit: Option<i64>,
}

/// Output: all of it, or its beginning and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    most: usize,
    /// Bytes that there were in all.
    pub(super) total: u64,
}

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at((self.most / 2 - self.head.len()).min(bytes.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Cut only now and then: each cut moves all that stays.
        if self.tail.len() > 2 * self.most {
            self.tail.drain(..self.tail.len() - self.most / 2);
        }
    }

    /// All bytes, when none is missing.
    pub(super) fn whole(&self) -> Option<Vec<u8>> {
        let there = self.head.len() + self.tail.len();
        (there as u64 == self.total).then(|| [self.head.as_slice(), &self.tail].concat())
    }

    /// The words, with a note of what is missing.
    pub(super) fn text(&self) -> String {
        match self.whole() {
            Some(bytes) => clip(&String::from_utf8_lossy(&bytes), self.most),
            None => {
                let tail = &self.tail[self.tail.len().saturating_sub(self.most / 2)..];
                let missing = self.total - (self.head.len() + tail.len()) as u64;
                let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(tail));
                format!("{head}\n[… {missing} bytes left out …]\n{tail}")
            }
        }
    }
}

/// Runs a command to its end. Its output is kept within `most` bytes. `live` hears pieces of it meanwhile.
pub(super) async fn run(
    sandbox: &dyn Sandbox,
    argv: Vec<String>,
    input: Option<Vec<u8>>,
    most: usize,
    mut live: impl FnMut(&[u8]),
) -> Result<Ran, SandboxError> {
    let exec = sandbox.exec(ExecSpec { argv, ..ExecSpec::default() }).await?;
    let (mut stdout, mut stderr, mut exit) = (Some(exec.stdout), Some(exec.stderr), exec.exit);
    let mut feed = Box::pin(feed(exec.stdin, input.unwrap_or_default()));
    let (mut out, mut err) = (Kept::new(most), Kept::new(most));
    let mut fed = false;
    let code = loop {
        tokio::select! {
            chunk = next(&mut stdout) => match chunk {
                Some(chunk) => {
                    out.push(&chunk);
                    live(&chunk);
                }
                None => stdout = None,
            },
            chunk = next(&mut stderr) => match chunk {
                Some(chunk) => err.push(&chunk),
                None => stderr = None,
            },
            () = &mut feed, if !fed => fed = true,
            code = &mut exit => break code.ok(),
        }
    };
    let until = tokio::time::Instant::now() + DRAIN;
    while let (Some(stream), true) = (&mut stdout, code.is_some()) {
        let Ok(Some(chunk)) = tokio::time::timeout_at(until, stream.recv()).await else { break };
        out.push(&chunk);
        live(&chunk);
    }
    while let (Some(stream), true) = (&mut stderr, code.is_some()) {
        let Ok(Some(chunk)) = tokio::time::timeout_at(until, stream.recv()).await else { break };
        err.push(&chunk);
    }
    Ok(Ran { out, err, exit: code })
}

async fn next(stream: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match stream {
        Some(stream) => stream.recv().await,
        None => std::future::pending().await,
    }
}

async fn feed(stdin: mpsc::Sender<Bytes>, input: Vec<u8>) {
    let input = Bytes::from(input);
    let mut at = 0;
    while at < input.len() {
        let end = (at + PIECE).min(input.len());
        if stdin.send(input.slice(at..end)).await.is_err() {
            return;
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_bounded_and_has_both_ends(
            pieces in proptest::collection::vec(proptest::collection::vec(b'a'..=b'z', 0..50), 0..40), most in 8usize..120,
        ) {
            let mut kept = Kept::new(most);
            for piece in &pieces {
                kept.push(piece);
                prop_assert!(kept.head.len() + kept.tail.len() <= 3 * most + 50);
            }
            let all = pieces.concat();
            prop_assert_eq!(kept.total, all.len() as u64);
            let all = String::from_utf8(all).unwrap();
            let text = kept.text();
            prop_assert!(text.len() <= most + 60);
            if all.len() <= most {
                prop_assert_eq!(text, all);
            } else {
                let (head, rest) = text.split_once("\n[… ").unwrap();
                let tail = rest.split_once("…]\n").unwrap().1;
                prop_assert!(all.starts_with(head) && all.ends_with(tail) && !tail.is_empty());
            }
        }
    }
}
