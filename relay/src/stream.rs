//! One stream on the side of the sandbox: a connection or a terminal, with what waits to be written to it.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::ExitStatusExt,
    },
    path::Path,
    process::Command,
};

use crate::{
    frame::{LARGEST_DATA, Message, TerminalSpec, WINDOW},
    sys::{READ, Terminal, WRITE},
};

/// The signal that a terminal's program gets when its line is gone.
const HUNG_UP: i32 = 1;
/// How often a program that left its terminal is looked at before it is ended: about two seconds.
const MOST_LOOKS: u8 = 20;

/// What is at the end of a stream.
#[derive(Debug)]
enum Local {
    Socket(TcpStream),
    Terminal(Terminal),
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    local: Local,
    /// From the host, not yet taken by the local side.
    waiting: VecDeque<u8>,
    /// What the host may be sent.
    credit: u32,
    /// Taken by the local side, and not yet told to the host.
    taken: u32,
    /// The host sends no more.
    host_ended: bool,
    /// The local side said its last word, and so did we.
    local_ended: bool,
    /// The program of the terminal ended so.
    exited: Option<i32>,
    /// Nobody has the terminal open any more; looked at so often since.
    deserted: Option<u8>,
    over: bool,
}

impl Stream {
    pub(crate) fn socket(socket: TcpStream) -> Self {
        Self::new(Local::Socket(socket))
    }

    pub(crate) fn terminal(spec: &TerminalSpec) -> io::Result<Self> {
        let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
        let program = spec.argv.first().map_or(shell, String::as_str);
        let mut command = Command::new(program);
        command.args(spec.argv.iter().skip(1)).env("TERM", "xterm-256color");
        if !spec.folder.is_empty() {
            command.current_dir(&spec.folder);
        }
        Ok(Self::new(Local::Terminal(Terminal::start(command, spec.rows, spec.cols)?)))
    }

    fn new(local: Local) -> Self {
        Self {
            local,
            waiting: VecDeque::new(),
            credit: WINDOW,
            taken: 0,
            host_ended: false,
            local_ended: false,
            exited: None,
            deserted: None,
            over: false,
        }
    }

    /// Nothing more can happen on it.
    pub(crate) fn is_over(&self) -> bool {
        self.over || (self.local_ended && self.host_ended && self.waiting.is_empty())
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.local, Local::Terminal(_))
    }

    pub(crate) fn fd(&self) -> RawFd {
        match &self.local {
            Local::Socket(socket) => socket.as_raw_fd(),
            Local::Terminal(terminal) => terminal.master.as_raw_fd(),
        }
    }

    /// What it waits for; `room`: the way to the host takes more.
    pub(crate) fn wants(&self, room: bool) -> i16 {
        let read =
            if room && self.credit > 0 && !self.local_ended && self.deserted.is_none() { READ } else { 0 };
        let write = if self.waiting.is_empty() { 0 } else { WRITE };
        read | write
    }

    /// Takes what the host says; false when it may not say so.
    pub(crate) fn host(&mut self, message: Message) -> bool {
        match message {
            Message::Data(bytes) => {
                let open = !self.host_ended;
                let fits = self.waiting.len() + bytes.len() + self.taken as usize <= WINDOW as usize;
                self.waiting.extend(bytes);
                return open && fits;
            }
            Message::Credit(bytes) => match self.credit.checked_add(bytes) {
                Some(credit) if credit <= WINDOW => self.credit = credit,
                _ => return false,
            },
            Message::End => {
                self.host_ended = true;
                self.over |= self.is_terminal();
                self.shut();
            }
            Message::Reset(_) => {
                // What was sent before is still written; nothing is read any more.
                (self.host_ended, self.local_ended) = (true, true);
                self.over |= self.is_terminal();
            }
            Message::Resize { rows, cols } => match &self.local {
                Local::Terminal(terminal) => terminal.resize(rows, cols),
                Local::Socket(_) => return false,
            },
            Message::Hello { .. } | Message::Open(_) | Message::Exit(_) => return false,
        }
        true
    }

    /// The host's last word is passed on when everything before it is written.
    fn shut(&self) {
        if let Local::Socket(socket) = &self.local
            && self.host_ended
            && self.waiting.is_empty()
        {
            let _ = socket.shutdown(Shutdown::Write);
        }
    }

    /// Reads once from the local side and gives what the host is to hear.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Vec<Message> {
        let most = buffer.len().min(LARGEST_DATA).min(self.credit as usize);
        if most == 0 || self.local_ended {
            return Vec::new();
        }
        let found = match &mut self.local {
            Local::Socket(socket) => socket.read(&mut buffer[..most]),
            Local::Terminal(terminal) => terminal.master.read(&mut buffer[..most]),
        };
        match found {
            Ok(0) => self.ended(),
            Ok(count) => {
                self.credit -= count as u32;
                vec![Message::Data(buffer[..count].to_vec())]
            }
            Err(error) if is_later(&error) => match self.exited {
                Some(_) => self.ended(),
                None => Vec::new(),
            },
            // A terminal that nobody has open any more answers with an error.
            Err(_) if self.is_terminal() => self.ended(),
            Err(error) => self.failed(&error),
        }
    }

    /// The local side has said its last word.
    fn ended(&mut self) -> Vec<Message> {
        let Local::Terminal(terminal) = &mut self.local else {
            self.local_ended = true;
            return vec![Message::End];
        };
        // The program may take a moment from its last word to its end; one that goes on without is ended.
        let Some(code) = self.exited.or_else(|| terminal.child.try_wait().ok().flatten().map(code)) else {
            let looks = self.deserted.map_or(0, |looks| looks + 1);
            self.deserted = Some(looks);
            if looks >= MOST_LOOKS {
                terminal.hang_up();
                self.exited = Some(-HUNG_UP);
            }
            return Vec::new();
        };
        self.exited = Some(code);
        (self.local_ended, self.over) = (true, true);
        vec![Message::Exit(code), Message::End]
    }

    fn failed(&mut self, error: &io::Error) -> Vec<Message> {
        self.over = true;
        vec![Message::Reset(error.to_string())]
    }

    /// Writes what waits, and gives what the host is to hear.
    pub(crate) fn write(&mut self) -> Vec<Message> {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            let written = match &mut self.local {
                Local::Socket(socket) => socket.write(front),
                Local::Terminal(terminal) => terminal.master.write(front),
            };
            match written {
                Ok(count) => {
                    self.waiting.drain(..count);
                    self.taken += count as u32;
                }
                Err(error) if is_later(&error) => break,
                Err(error) if self.exited.is_none() && !self.is_terminal() => return self.failed(&error),
                Err(_) => self.waiting.clear(),
            }
        }
        self.shut();
        if self.taken >= WINDOW / 2 {
            return vec![Message::Credit(std::mem::take(&mut self.taken))];
        }
        Vec::new()
    }

    /// Looks whether the program of a terminal ended, and what it said last.
    pub(crate) fn look(&mut self, buffer: &mut [u8]) -> Vec<Message> {
        let Local::Terminal(terminal) = &mut self.local else { return Vec::new() };
        if self.exited.is_none() {
            self.exited = terminal.child.try_wait().ok().flatten().map(code);
        }
        if self.exited.is_some() || self.deserted.is_some() { self.read(buffer) } else { Vec::new() }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Local::Terminal(terminal) = &mut self.local
            && self.exited.is_none()
        {
            terminal.hang_up();
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(1))
}
