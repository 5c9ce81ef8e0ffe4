//! A terminal in a sandbox, with the last of what it said: whoever comes back reads on where it was.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, watch},
};

use super::{
    gateway::fault,
    mux::{Mux, MuxStream, Resizer, frame::TerminalSpec},
};
use crate::ports::gateway::{Chunk, GatewayFault, Terminal, TerminalAsk, TerminalOver, Terminals};

/// Bytes of output that are kept.
const KEPT: usize = 256 * 1024;
/// Most pieces of input that wait: a person types, and pastes now and then.
const INPUT: usize = 64;

/// All terminals of a sandbox, over a relay of their own.
pub(super) struct RelayTerminals(pub(super) Mux);

impl Terminals for RelayTerminals {
    fn open(&self, ask: TerminalAsk) -> Result<Arc<dyn Terminal>, GatewayFault> {
        let spec = TerminalSpec { rows: ask.rows, cols: ask.cols, folder: ask.folder, argv: ask.argv };
        let stream = self.0.terminal(&spec).map_err(fault)?;
        Ok(Arc::new(RelayTerminal::start(stream)))
    }

    fn ended(&self) -> BoxFuture<'static, String> {
        Box::pin(self.0.ended())
    }
}

/// The last of what a terminal said.
#[derive(Debug, Default)]
struct Replay {
    kept: VecDeque<u8>,
    /// Bytes before those.
    gone: u64,
}

impl Replay {
    fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let over = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..over);
        self.gone += over as u64;
    }

    fn end(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }

    fn read(&self, from: u64) -> Chunk {
        let offset = from.clamp(self.gone, self.end());
        let bytes = self.kept.range((offset - self.gone) as usize..).copied().collect::<Vec<u8>>();
        Chunk { offset, bytes: bytes.into() }
    }
}

/// How far a terminal is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Progress {
    end: u64,
    over: Option<TerminalOver>,
}

/// A terminal over a stream of the relay.
#[derive(Debug)]
struct RelayTerminal {
    input: mpsc::Sender<Bytes>,
    resizer: Resizer,
    replay: Arc<Mutex<Replay>>,
    progress: watch::Receiver<Progress>,
    work: tokio::task::JoinHandle<()>,
}

impl RelayTerminal {
    fn start(stream: MuxStream) -> Self {
        let (input, typed) = mpsc::channel(INPUT);
        let (said, progress) = watch::channel(Progress::default());
        let replay = Arc::new(Mutex::new(Replay::default()));
        let resizer = stream.resizer();
        let work = tokio::spawn(work(stream, typed, replay.clone(), said));
        Self { input, resizer, replay, progress, work }
    }
}

impl Terminal for RelayTerminal {
    fn write(&self, bytes: Bytes) -> BoxFuture<'_, Result<(), TerminalOver>> {
        Box::pin(async move {
            if bytes.is_empty() {
                return Ok(());
            }
            let sent = self.input.send(bytes).await;
            sent.map_err(|_| self.over().unwrap_or(TerminalOver::Broken("it was closed".into())))
        })
    }

    fn resize(&self, rows: u16, cols: u16) {
        self.resizer.resize(rows, cols);
    }

    fn read(&self, from: u64) -> Chunk {
        lock(&self.replay).read(from)
    }

    fn next(&self, from: u64) -> BoxFuture<'_, Option<Chunk>> {
        Box::pin(async move {
            let mut progress = self.progress.clone();
            let _ = progress.wait_for(|seen| seen.end > from || seen.over.is_some()).await;
            let chunk = self.read(from);
            (!chunk.bytes.is_empty()).then_some(chunk)
        })
    }

    fn over(&self) -> Option<TerminalOver> {
        self.progress.borrow().over.clone()
    }
}

impl Drop for RelayTerminal {
    fn drop(&mut self) {
        // The stream goes with its task, and is reset.
        self.work.abort();
    }
}

fn lock(replay: &Mutex<Replay>) -> MutexGuard<'_, Replay> {
    replay.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(
    stream: MuxStream,
    mut typed: mpsc::Receiver<Bytes>,
    replay: Arc<Mutex<Replay>>,
    said: watch::Sender<Progress>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; 16 * 1024];
    let input = async {
        while let Some(bytes) = typed.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // What is typed into a terminal that broke is lost with it; how it ended is told by its output.
        std::future::pending::<()>().await;
    };
    let output = async {
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) => return None,
                Ok(count) => {
                    let mut replay = lock(&replay);
                    replay.push(&buffer[..count]);
                    said.send_modify(|progress| progress.end = replay.end());
                }
                Err(error) => return Some(error.to_string()),
            }
        }
    };
    let broken = tokio::select! {
        broken = output => broken,
        () = input => None,
    };
    let exit = reader.unsplit(writer).exit();
    let over = match (exit, broken) {
        (Some(code), _) => TerminalOver::Exit(code),
        (None, reason) => TerminalOver::Broken(reason.unwrap_or_else(|| "it ended without a word".into())),
    };
    said.send_modify(|progress| progress.over = Some(over));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whoever reads on from where it was has every byte, unless it stayed away for longer than is kept.
        #[test]
        fn readers_that_come_back_miss_nothing(
            pieces in proptest::collection::vec(1usize..100_000, 1..12), reads in proptest::collection::vec(any::<bool>(), 12),
        ) {
            let (mut replay, mut all, mut read) = (Replay::default(), Vec::new(), Vec::new());
            for (at, length) in pieces.into_iter().enumerate() {
                let piece: Vec<u8> = (0..length).map(|place| (all.len() + place) as u8).collect();
                replay.push(&piece);
                all.extend_from_slice(&piece);
                if reads[at] {
                    let chunk = replay.read(read.len() as u64);
                    let missed = chunk.offset as usize - read.len();
                    prop_assert!(missed == 0 || chunk.bytes.len() == KEPT);
                    read.extend_from_slice(&all[read.len()..read.len() + missed]);
                    read.extend_from_slice(&chunk.bytes);
                    prop_assert_eq!(&read, &all);
                }
            }
            prop_assert_eq!(replay.read(u64::MAX), Chunk { offset: all.len() as u64, bytes: Bytes::new() });
        }
    }
}
