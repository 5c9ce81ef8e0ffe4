//! Drives an engine's process in a sandbox: its streams, orders to it, the watch over it, and its one result.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    dialog::{Dialog, Heard, hear},
    lines::Lines,
};
use crate::{
    domain::{
        Millis,
        engine::{Control, End, Ending, EngineEvent, Limits, Order, Watch, clip},
    },
    ports::{
        engine::EngineHandle,
        sandbox::{Exec, ExecSpec, Sandbox},
    },
};

/// Events that may wait for whoever reads them; more, and the engine waits.
const EVENTS: usize = 256;
/// Orders that may wait.
const CONTROLS: usize = 16;
/// What is kept of the complaints of a process, in bytes.
const STDERR: usize = 8 * 1024;
/// How long the streams of a process are read after its end.
const DRAIN: Duration = Duration::from_secs(2);
/// A moment that is never waited for.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// Starts the program and a task that talks with it.
pub(super) fn start(
    sandbox: Arc<dyn Sandbox>,
    spec: ExecSpec,
    limits: Limits,
    dialog: Box<dyn Dialog>,
) -> EngineHandle {
    let (to_reader, events) = mpsc::channel(EVENTS);
    let (control, orders) = mpsc::channel(CONTROLS);
    tokio::spawn(async move {
        let began = Instant::now();
        let watch = Watch::new(limits, 0);
        let exec = match sandbox.exec(spec).await {
            Ok(exec) => exec,
            Err(error) => {
                let ending = ending(End::SandboxDied, format!("the engine could not be started: {error}"));
                let _ = to_reader.send(EngineEvent::Result(ending)).await;
                return;
            }
        };
        let talk = Talk { dialog, watch, began, to_reader, result: None, stderr: Vec::new() };
        talk.run(exec, orders, sandbox).await;
    });
    EngineHandle { events, control }
}

fn ending(end: End, text: String) -> Ending {
    Ending { ok: false, text, end, exit: None, sandbox_gone: end == End::SandboxDied }
}

/// How the process came to its end.
enum Gone {
    /// By itself.
    Exit(Option<i64>),
    /// It was killed with its sandbox, unless the result came before for this reason.
    Killed(End),
    /// The sandbox died.
    Died(String),
    /// Nobody reads the events any more.
    Unread,
}

struct Talk {
    dialog: Box<dyn Dialog>,
    watch: Watch,
    began: Instant,
    to_reader: mpsc::Sender<EngineEvent>,
    /// The result, held back until the process has ended.
    result: Option<Ending>,
    stderr: Vec<u8>,
}

/// Lines on their way to the process.
struct Input {
    to: Option<mpsc::Sender<Bytes>>,
    waiting: VecDeque<Bytes>,
    closing: bool,
}

impl Input {
    fn say(&mut self, lines: Vec<Value>) {
        self.waiting.extend(lines.into_iter().map(|line| Bytes::from(format!("{line}\n"))));
    }

    /// Hands over one line; waits for ever when there is none.
    async fn hand_over(&mut self) {
        if self.waiting.is_empty() && self.closing {
            self.to = None;
        }
        let (Some(to), false) = (&self.to, self.waiting.is_empty()) else {
            return std::future::pending().await;
        };
        let sent = match to.reserve().await {
            Ok(place) => self.waiting.pop_front().map(|line| place.send(line)),
            Err(_) => None,
        };
        if sent.is_none() {
            // The process reads no more; its end says why.
            self.to = None;
        }
    }
}

impl Talk {
    async fn run(mut self, exec: Exec, orders: mpsc::Receiver<Control>, sandbox: Arc<dyn Sandbox>) {
        let mut input = Input { to: Some(exec.stdin), waiting: VecDeque::new(), closing: false };
        let opening = self.dialog.open();
        input.say(opening);
        let streams = Streams { stdout: Some(exec.stdout), stderr: Some(exec.stderr), exit: Some(exec.exit) };
        let gone = self.talk(input, streams, orders, &sandbox).await;
        let ending = match gone {
            Gone::Unread => return,
            Gone::Killed(end) => {
                // Commands that the engine started outlive it: only the end of the sandbox ends them.
                let killed = sandbox.kill().await;
                let said = killed.err().map(|error| format!("; killing its sandbox failed: {error}"));
                let mut ending = self.told(end, || {
                    format!("the engine did not end by itself and was killed{}", said.unwrap_or_default())
                });
                ending.sandbox_gone = true;
                ending
            }
            Gone::Died(why) => {
                let mut ending = self.told(End::SandboxDied, || format!("the sandbox died: {why}"));
                ending.sandbox_gone = true;
                ending
            }
            Gone::Exit(exit) => {
                let said = clip(String::from_utf8_lossy(&self.stderr).trim(), STDERR);
                let end = self.watch.reason().unwrap_or(End::Crashed);
                let mut ending = self.told(end, || {
                    let code = exit.map_or_else(String::new, |code| format!(" with code {code}"));
                    format!("the engine's process ended{code} without a result: {said}")
                });
                ending.exit = exit;
                ending
            }
        };
        let _ = self.to_reader.send(EngineEvent::Result(ending)).await;
    }

    /// The result that was told, or else one for this end. An end that we asked for bears our reason.
    fn told(&mut self, end: End, text: impl FnOnce() -> String) -> Ending {
        let Some(mut told) = self.result.take() else { return ending(end, text()) };
        if let (End::Interrupted, Some(why)) = (told.end, self.watch.reason()) {
            told.end = why;
        }
        told
    }

    async fn talk(
        &mut self,
        mut input: Input,
        mut streams: Streams,
        orders: mpsc::Receiver<Control>,
        sandbox: &Arc<dyn Sandbox>,
    ) -> Gone {
        let mut lines = Lines::default();
        let mut died = sandbox.died();
        let mut orders = Some(orders);
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                order = next(&mut orders) => match order {
                    Some(order) => {
                        if let Some(gone) = self.order(order, &mut input).await {
                            return gone;
                        }
                    }
                    None => orders = None,
                },
                chunk = next(&mut streams.stdout) => match chunk {
                    Some(chunk) => {
                        for line in lines.push(&chunk) {
                            let heard = hear(self.dialog.as_mut(), line);
                            if let Some(gone) = self.take(heard, &mut input).await {
                                return gone;
                            }
                        }
                    }
                    None => streams.stdout = None,
                },
                chunk = next(&mut streams.stderr) => match chunk {
                    Some(chunk) => self.complain(&chunk),
                    None => streams.stderr = None,
                },
                () = input.hand_over() => {}
                exit = ended(&mut streams.exit) => {
                    let gone = self.last_words(exit, &mut lines, &mut streams, &mut input).await;
                    let Gone::Exit(None) = gone else { return gone };
                    // A process whose code is lost went down with its sandbox, which soon says why.
                    let why = tokio::time::timeout(DRAIN, &mut died).await;
                    return Gone::Died(why.unwrap_or_else(|_| "its process was lost".into()));
                }
                why = &mut died => return Gone::Died(why),
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = self.now();
            if let Some(gone) = self.obey(now, None, &mut input) {
                return gone;
            }
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    /// When the watch is to be asked again.
    fn wake(&self) -> Instant {
        let at = self.watch.next_at().and_then(|at| u64::try_from(at).ok());
        at.map_or_else(|| Instant::now() + FAR, |at| self.began + Duration::from_millis(at).min(FAR * 365))
    }

    async fn order(&mut self, order: Control, input: &mut Input) -> Option<Gone> {
        let now = self.now();
        match &order {
            Control::Answer { question, .. } => self.watch.answered(now, question),
            Control::Interrupt => {
                self.watch.interrupt(now);
            }
            Control::Steer { .. } => {}
        }
        let heard = self.dialog.control(order);
        self.take(heard, input).await
    }

    /// What came of a line or an order: told on, said, and judged by the watch.
    async fn take(&mut self, heard: Heard, input: &mut Input) -> Option<Gone> {
        input.say(heard.say);
        input.closing |= heard.close;
        for event in heard.events {
            let now = self.now();
            let gone = self.obey(now, Some(&event), input);
            if let EngineEvent::Result(ending) = event {
                self.result = Some(ending);
            } else if self.to_reader.send(event).await.is_err() {
                return Some(Gone::Unread);
            }
            if gone.is_some() {
                return gone;
            }
        }
        None
    }

    fn obey(&mut self, now: Millis, event: Option<&EngineEvent>, input: &mut Input) -> Option<Gone> {
        match self.watch.step(now, event) {
            Order::Wait => None,
            Order::Interrupt(_) => {
                let heard = self.dialog.control(Control::Interrupt);
                input.say(heard.say);
                input.closing |= heard.close;
                None
            }
            Order::Kill(end) => Some(Gone::Killed(end)),
        }
    }

    /// The process has ended; its streams may still hold what it said.
    async fn last_words(
        &mut self,
        exit: Option<i64>,
        lines: &mut Lines,
        streams: &mut Streams,
        input: &mut Input,
    ) -> Gone {
        let until = Instant::now() + DRAIN;
        let mut read = Vec::new();
        while let Ok(Some(chunk)) = tokio::time::timeout_at(until, next_or_end(&mut streams.stdout)).await {
            read.extend(lines.push(&chunk));
        }
        read.extend(lines.end());
        while let Ok(Some(chunk)) = tokio::time::timeout_at(until, next_or_end(&mut streams.stderr)).await {
            self.complain(&chunk);
        }
        for line in read {
            let heard = hear(self.dialog.as_mut(), line);
            if let Some(gone @ Gone::Unread) = self.take(heard, input).await {
                return gone;
            }
        }
        Gone::Exit(exit)
    }

    /// Keeps the end of what the process complains of.
    fn complain(&mut self, chunk: &[u8]) {
        self.stderr.extend_from_slice(chunk);
        let over = self.stderr.len().saturating_sub(STDERR);
        self.stderr.drain(..over);
    }
}

struct Streams {
    stdout: Option<mpsc::Receiver<Bytes>>,
    stderr: Option<mpsc::Receiver<Bytes>>,
    exit: Option<oneshot::Receiver<i64>>,
}

/// Waits for the end of the process: its code, or nothing when that was lost with the sandbox.
async fn ended(exit: &mut Option<oneshot::Receiver<i64>>) -> Option<i64> {
    let Some(running) = exit else { return std::future::pending().await };
    let code = running.await.ok();
    *exit = None;
    code
}

/// The next of a stream; waits for ever when there is none any more.
async fn next<T>(stream: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match stream {
        Some(stream) => stream.recv().await,
        None => std::future::pending().await,
    }
}

/// The next of a stream, or its end.
async fn next_or_end<T>(stream: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match stream {
        Some(stream) => stream.recv().await,
        None => None,
    }
}
