//! Moves the bytes between a program's standard input and output and the streams.

use std::{sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    frame::{Decoder, Message, TerminalSpec},
    shared::Shared,
    stream::MuxStream,
};
use crate::ports::sandbox::Exec;

/// Longest wait for the relay's greeting: a sandbox on a busy machine starts slowly, and a relay may wait for its port.
const GREETING: Duration = Duration::from_secs(30);
/// Longest wait for what explains an end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Most bytes of the relay's complaints that are kept to explain its end.
const MOST_WORDS: usize = 1024;

/// Why there is no connection, or no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MuxFault {
    /// The relay did not greet in time.
    #[error("the relay in the sandbox did not start within {} s", GREETING.as_secs())]
    Silent,
    /// The connection is over, and why.
    #[error("the relay in the sandbox ended: {0}")]
    Ended(String),
    /// There are too many streams.
    #[error("too many connections of the sandbox are open")]
    Crowded,
    /// The terminal's folder or command cannot be sent.
    #[error("the terminal's command is too long or has a zero byte")]
    BadTerminal,
}

/// A connection to the relay in a sandbox. Dropping it hangs up: the relay ends.
#[derive(Debug)]
pub struct Mux {
    shared: Arc<Shared>,
    port: u16,
}

impl Mux {
    /// Waits for the greeting of the relay that `exec` is, and gives the connection and where streams from inside
    /// arrive.
    ///
    /// # Errors
    /// [`MuxFault::Silent`] and [`MuxFault::Ended`].
    pub async fn start(exec: Exec) -> Result<(Self, mpsc::UnboundedReceiver<MuxStream>), MuxFault> {
        let Exec { stdin, stdout, stderr, exit } = exec;
        let (shared, arrivals) = Shared::new();
        let mut mux = Self { shared: shared.clone(), port: 0 };
        tokio::spawn(send(shared.clone(), stdin));
        tokio::spawn(async move {
            let reason = match receive(&shared, stdout).await {
                Some(violation) => violation,
                None => {
                    let words = last_words(stderr).await;
                    let code = match timeout(LAST_WORDS, exit).await {
                        Ok(Ok(code)) => format!("exit {code}"),
                        Ok(Err(_)) => "the sandbox is gone".into(),
                        Err(_) => "its output ended".into(),
                    };
                    if words.is_empty() { code } else { format!("{code}: {words}") }
                }
            };
            shared.lock().finish(&reason);
        });
        mux.port = mux.greeting().await?;
        Ok((mux, arrivals))
    }

    /// The port on which the relay listens, on the loopback of the sandbox.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Opens a terminal in the sandbox.
    ///
    /// # Errors
    /// All but [`MuxFault::Silent`]. A program that cannot be started shows as a reset of the stream.
    pub fn terminal(&self, spec: &TerminalSpec) -> Result<MuxStream, MuxFault> {
        let body = spec.encode().ok_or(MuxFault::BadTerminal)?;
        let mut inner = self.shared.lock();
        if let Some(reason) = inner.ended.borrow().clone() {
            return Err(MuxFault::Ended(reason));
        }
        let id = inner.state.open().ok_or(MuxFault::Crowded)?;
        inner.channels.insert(id, super::shared::Channel::default());
        inner.say(id, Message::Open(body));
        drop(inner);
        Ok(MuxStream::new(self.shared.clone(), id))
    }

    /// Answers when the connection is over, and why.
    pub fn ended(&self) -> impl Future<Output = String> + Send + use<> {
        let mut ended = self.shared.lock().ended.subscribe();
        async move {
            let seen = ended.wait_for(Option::is_some).await;
            seen.ok().and_then(|reason| reason.clone()).unwrap_or_default()
        }
    }

    /// Hangs up.
    pub fn close(&self) {
        self.shared.lock().finish("the host hung up");
    }

    async fn greeting(&self) -> Result<u16, MuxFault> {
        let mut ready: watch::Receiver<Option<u16>> = self.shared.lock().ready.subscribe();
        let greeting = async { ready.wait_for(Option::is_some).await.ok().and_then(|port| *port) };
        tokio::select! {
            biased;
            port = greeting => port.ok_or(MuxFault::Silent),
            reason = self.ended() => Err(MuxFault::Ended(reason)),
            () = tokio::time::sleep(GREETING) => Err(MuxFault::Silent),
        }
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        self.close();
    }
}

/// Passes frames to the relay until the connection is over; its end of input is how the relay hears of that.
async fn send(shared: Arc<Shared>, stdin: mpsc::Sender<Bytes>) {
    let mut over = shared.lock().ended.subscribe();
    loop {
        let next = std::future::poll_fn(|cx| {
            let mut inner = shared.lock();
            if inner.ended.borrow().is_some() {
                return Poll::Ready(None);
            }
            let bytes = inner.take_out();
            if bytes.is_empty() {
                inner.sender = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Some(bytes))
        });
        let Some(bytes) = next.await else { return };
        tokio::select! {
            sent = stdin.send(bytes) => if sent.is_err() { return },
            _ = over.wait_for(Option::is_some) => return,
        }
    }
}

/// Takes frames until there are no more, or until one may not come: then it says which.
async fn receive(shared: &Arc<Shared>, mut stdout: mpsc::Receiver<Bytes>) -> Option<String> {
    let mut decoder = Decoder::default();
    let over = shared.lock().ended.subscribe();
    loop {
        let mut over = over.clone();
        let bytes = tokio::select! {
            bytes = stdout.recv() => bytes?,
            _ = over.wait_for(Option::is_some) => return Some(String::new()),
        };
        let frames = match decoder.push(&bytes) {
            Ok(frames) => frames,
            Err(fault) => return Some(format!("it sent {fault}")),
        };
        for frame in frames {
            if let Err(violation) = shared.receive(frame) {
                return Some(violation.to_string());
            }
        }
        if shared.lock().is_choked() {
            return Some("it does not read what it is sent".into());
        }
    }
}

/// What the relay complained of, when its output is at its end.
async fn last_words(mut stderr: mpsc::Receiver<Bytes>) -> String {
    let mut words = Vec::new();
    let all = async {
        while let Some(bytes) = stderr.recv().await {
            words.extend_from_slice(&bytes[..bytes.len().min(MOST_WORDS - words.len())]);
        }
    };
    let _ = timeout(LAST_WORDS, all).await;
    let words = String::from_utf8_lossy(&words);
    words.trim().chars().filter(|letter| !letter.is_control()).collect()
}
