//! Carries connections to a port on the loopback of a sandbox, and terminals in it, over its own standard input and
//! output to the host. One thread, one `poll`, no crates: the sandbox needs no network, no socket from outside and
//! no daemon flag. Usage: `relay [ADDRESS]`, by default 127.0.0.1:3128; `relay -` listens nowhere and carries terminals
//! only.

#[allow(dead_code, reason = "the host uses the rest of it")]
mod frame;
mod stream;
mod sys;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    net::TcpListener,
    os::fd::{AsFd, AsRawFd},
    process::ExitCode,
    time::{Duration, Instant},
};

use frame::{Decoder, Frame, MOST_STREAMS, Message, TerminalSpec, VERSION, encode};
use stream::Stream;
use sys::{Poll, READ, WRITE};

/// Where it listens unless told otherwise.
const ADDRESS: &str = "127.0.0.1:3128";
/// Longest wait for a port that another relay is about to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes on the way to the host above which nothing more is read from streams.
const SOFT: usize = 256 * 1024;
/// The same for what the host says, whose answers are small.
const HARD: usize = 4 * 1024 * 1024;
/// How often the programs of terminals are looked at, in milliseconds.
const LOOK: i32 = 100;

fn main() -> ExitCode {
    sys::shut_off();
    match listen().and_then(Relay::new).and_then(Relay::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(format!("relay: {error}\n").as_bytes());
            ExitCode::from(2)
        }
    }
}

fn listen() -> io::Result<Option<TcpListener>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    if address == "-" {
        return Ok(None);
    }
    let begun = Instant::now();
    loop {
        match TcpListener::bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(io::Error::other(format!("cannot listen on {address}: {error}"))),
            Ok(listener) => return Ok(Some(listener)),
        }
    }
}

struct Relay {
    listener: Option<TcpListener>,
    input: File,
    output: File,
    streams: BTreeMap<u32, Stream>,
    decoder: Decoder,
    /// On its way to the host, and how much of it is written.
    out: Vec<u8>,
    written: usize,
    /// The last numbers that we and the host gave.
    ours: u32,
    theirs: u32,
    buffer: Vec<u8>,
    /// Where the next round of reading begins, so that none is always last.
    turn: usize,
}

impl Relay {
    fn new(listener: Option<TcpListener>) -> io::Result<Self> {
        let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        sys::no_waiting(&input)?;
        sys::no_waiting(&output)?;
        let mut port = 0;
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
            port = listener.local_addr()?.port();
        }
        let mut relay = Self {
            listener,
            input,
            output,
            streams: BTreeMap::new(),
            decoder: Decoder::default(),
            out: Vec::new(),
            written: 0,
            ours: 0,
            theirs: 0,
            buffer: vec![0; 64 * 1024],
            turn: 0,
        };
        relay.say(0, Message::Hello { version: VERSION, port });
        Ok(relay)
    }

    /// Works until the host hangs up.
    fn run(mut self) -> io::Result<()> {
        let mut entries = Vec::new();
        loop {
            let ids = self.entries(&mut entries);
            let terminals = self.streams.values().any(Stream::is_terminal);
            sys::wait(&mut entries, if terminals { LOOK } else { -1 })?;
            let [input, output, listener, streams @ ..] = entries.as_slice() else { return Ok(()) };
            if output.found != 0 && !self.flush()? {
                return Ok(());
            }
            if input.found != 0 && !self.hear()? {
                return Ok(());
            }
            if listener.found != 0 {
                self.accept();
            }
            self.turn = self.turn.wrapping_add(1);
            let first = if ids.is_empty() { 0 } else { self.turn % ids.len() };
            for at in (first..ids.len()).chain(0..first) {
                self.serve(ids[at], streams[at].found);
            }
            if terminals {
                self.look();
            }
            self.streams.retain(|_, stream| !stream.is_over());
        }
    }

    /// What is waited for: the host's two ways, the listener, and each stream, whose numbers are given.
    fn entries(&self, entries: &mut Vec<Poll>) -> Vec<u32> {
        let waiting = self.out.len() - self.written;
        let entry = |fd, events| Poll { fd: if events == 0 { -1 } else { fd }, events, found: 0 };
        let when = |yes, events| if yes { events } else { 0 };
        let has_place = self.streams.len() < MOST_STREAMS && waiting < SOFT;
        entries.clear();
        entries.push(entry(self.input.as_raw_fd(), when(waiting < HARD, READ)));
        entries.push(entry(self.output.as_raw_fd(), when(waiting > 0, WRITE)));
        let listener = self.listener.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        entries.push(entry(listener, when(has_place, READ)));
        entries.extend(self.streams.values().map(|stream| entry(stream.fd(), stream.wants(waiting < SOFT))));
        self.streams.keys().copied().collect()
    }

    fn say(&mut self, stream: u32, message: Message) {
        encode(&Frame { stream, message }, &mut self.out);
    }

    fn say_all(&mut self, stream: u32, messages: Vec<Message>) {
        messages.into_iter().for_each(|message| self.say(stream, message));
    }

    /// Writes to the host; false when it is gone.
    fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.out.len() {
            match self.output.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.written == self.out.len() || self.written > SOFT {
            self.out.drain(..self.written);
            self.written = 0;
        }
        Ok(true)
    }

    /// Reads from the host; false when it has hung up.
    fn hear(&mut self) -> io::Result<bool> {
        let count = match self.input.read(&mut self.buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let frames = self.decoder.push(&self.buffer[..count]).map_err(io::Error::other)?;
        for Frame { stream, message } in frames {
            self.host(stream, message)?;
        }
        Ok(true)
    }

    fn host(&mut self, id: u32, message: Message) -> io::Result<()> {
        let wrong = |what: &str| Err(io::Error::other(format!("the host {what} on stream {id}")));
        if let Message::Open(body) = message {
            if !id.is_multiple_of(2) || id <= self.theirs {
                return wrong("opened a stream that is not its own");
            }
            self.theirs = id;
            self.open(id, &body);
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            // What was said before our last word on it arrived.
            let known = id <= (if id.is_multiple_of(2) { self.theirs } else { self.ours });
            return if known { Ok(()) } else { wrong("spoke") };
        };
        if stream.host(message) { Ok(()) } else { wrong("said what it may not say") }
    }

    fn open(&mut self, id: u32, body: &[u8]) {
        let started = match TerminalSpec::decode(body) {
            None => Err("a terminal that cannot be understood".to_owned()),
            Some(_) if self.listener.is_some() => Err("terminals have a relay of their own".to_owned()),
            Some(_) if self.streams.len() >= MOST_STREAMS => Err("too many streams".to_owned()),
            Some(spec) => Stream::terminal(&spec).map_err(|error| format!("no terminal: {error}")),
        };
        match started {
            Ok(stream) => drop(self.streams.insert(id, stream)),
            Err(reason) => self.say(id, Message::Reset(reason)),
        }
    }

    fn accept(&mut self) {
        while self.streams.len() < MOST_STREAMS {
            let Some(Ok((socket, _))) = self.listener.as_ref().map(TcpListener::accept) else { return };
            if socket.set_nonblocking(true).is_err() || socket.set_nodelay(true).is_err() {
                continue;
            }
            self.ours = if self.ours == 0 { 1 } else { self.ours + 2 };
            self.streams.insert(self.ours, Stream::socket(socket));
            self.say(self.ours, Message::Open(Vec::new()));
        }
    }

    /// Moves what can be moved on one stream.
    fn serve(&mut self, id: u32, found: i16) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let mut said = Vec::new();
        // Errors and hang-ups show when it is read or written.
        if found & !WRITE != 0 {
            said.extend(stream.read(&mut self.buffer));
        }
        if found & !READ != 0 {
            said.extend(stream.write());
        }
        self.say_all(id, said);
    }

    fn look(&mut self) {
        let mut said = Vec::new();
        for (id, stream) in &mut self.streams {
            said.push((*id, stream.look(&mut self.buffer)));
        }
        said.into_iter().for_each(|(id, messages)| self.say_all(id, messages));
    }
}
