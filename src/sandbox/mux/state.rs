//! What may come and what may go on the streams of one connection: pure accounting, without the bytes themselves.

use std::collections::BTreeMap;

use super::frame::{Frame, MOST_STREAMS, Message, VERSION, WINDOW};

/// The other side broke the protocol. The connection is of no use any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// It speaks before it says what it speaks, or says so twice.
    #[error("the relay did not greet as it must")]
    Greeting,
    /// It speaks another version.
    #[error("the relay speaks version {0}, and not {VERSION}")]
    Version(u8),
    /// It opens a stream that it may not open.
    #[error("the relay opened stream {0}, which it may not")]
    Opened(u32),
    /// It speaks of a stream that never was.
    #[error("the relay speaks of stream {0}, which was never opened")]
    Unknown(u32),
    /// It sends more than it was allowed, or after its end.
    #[error("the relay sent on stream {0} what it may not")]
    TooMuch(u32),
    /// It says what only we may say.
    #[error("the relay said on stream {0} what is not its to say")]
    NotTheirs(u32),
}

/// What a frame comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The relay is there and listens on this port.
    Ready(u16),
    /// Somebody in the sandbox connected.
    Opened(u32),
    /// Bytes for the reader of a stream.
    Data(u32, Vec<u8>),
    /// No more bytes will come.
    Ended(u32),
    /// The stream is over, and why.
    Reset(u32, String),
    /// There may be more sent.
    Credit(u32),
    /// The program of a terminal ended so.
    Exit(u32, i32),
}

#[derive(Debug)]
struct Flow {
    /// What we may send.
    credit: u32,
    /// What they may send.
    granted: u32,
    /// Read on our side, and not yet granted again.
    taken: u32,
    they_ended: bool,
    we_ended: bool,
}

/// All streams of a connection, seen from the host.
#[derive(Debug, Default)]
pub struct State {
    flows: BTreeMap<u32, Flow>,
    ours: u32,
    theirs: u32,
    greeted: bool,
}

impl State {
    /// Takes a frame; `None` when it is of no consequence: of a stream that is over already on our side.
    ///
    /// # Errors
    /// [`Violation`] when the frame may not come.
    pub fn receive(&mut self, frame: Frame) -> Result<Option<Event>, Violation> {
        let id = frame.stream;
        if let Message::Hello { version, port } = frame.message {
            if std::mem::replace(&mut self.greeted, true) {
                return Err(Violation::Greeting);
            }
            return if version == VERSION {
                Ok(Some(Event::Ready(port)))
            } else {
                Err(Violation::Version(version))
            };
        }
        if !self.greeted {
            return Err(Violation::Greeting);
        }
        if let Message::Open(body) = frame.message {
            let may = !id.is_multiple_of(2) && id > self.theirs && body.is_empty();
            if !may || self.flows.len() >= MOST_STREAMS {
                return Err(Violation::Opened(id));
            }
            self.theirs = id;
            self.flows.insert(id, Flow::new());
            return Ok(Some(Event::Opened(id)));
        }
        let known = id <= if id.is_multiple_of(2) { self.ours } else { self.theirs };
        match self.flows.get_mut(&id) {
            None if known => Ok(None),
            None => Err(Violation::Unknown(id)),
            Some(flow) => {
                let event = flow.receive(id, frame.message)?;
                let is_reset = matches!(event, Event::Reset(..));
                if is_reset || (flow.they_ended && flow.we_ended) {
                    self.flows.remove(&id);
                }
                Ok(Some(event))
            }
        }
    }

    /// The number of a new stream of ours; `None` when there are too many.
    pub fn open(&mut self) -> Option<u32> {
        if self.flows.len() >= MOST_STREAMS {
            return None;
        }
        self.ours = self.ours.checked_add(2)?;
        self.flows.insert(self.ours, Flow::new());
        Some(self.ours)
    }

    /// How many bytes may be sent on a stream now; none on one that is over or that we ended.
    pub fn may_send(&self, id: u32) -> usize {
        self.flows.get(&id).filter(|flow| !flow.we_ended).map_or(0, |flow| flow.credit as usize)
    }

    /// The stream is not over.
    pub fn is_open(&self, id: u32) -> bool {
        self.flows.contains_key(&id)
    }

    /// The stream is not over and we did not end it.
    pub fn is_writable(&self, id: u32) -> bool {
        self.flows.get(&id).is_some_and(|flow| !flow.we_ended)
    }

    /// So many bytes, of those that may, were sent.
    pub fn sent(&mut self, id: u32, bytes: usize) {
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.credit = flow.credit.saturating_sub(bytes as u32);
        }
    }

    /// So many bytes were read by whoever they are for; gives the credit that is to be sent, if it is time for it.
    pub fn taken(&mut self, id: u32, bytes: usize) -> Option<u32> {
        let flow = self.flows.get_mut(&id).filter(|flow| !flow.they_ended)?;
        flow.taken = flow.taken.saturating_add(bytes as u32);
        if flow.taken < WINDOW / 2 {
            return None;
        }
        let credit = std::mem::take(&mut flow.taken);
        flow.granted = flow.granted.saturating_add(credit);
        Some(credit)
    }

    /// We send no more; false when that was so before.
    pub fn end(&mut self, id: u32) -> bool {
        let Some(flow) = self.flows.get_mut(&id) else { return false };
        let is_news = !std::mem::replace(&mut flow.we_ended, true);
        if flow.they_ended {
            self.flows.remove(&id);
        }
        is_news
    }

    /// We are done with the stream; false when it was over before.
    pub fn reset(&mut self, id: u32) -> bool {
        self.flows.remove(&id).is_some()
    }

    /// Streams that are open on one side at least.
    pub fn open_streams(&self) -> usize {
        self.flows.len()
    }
}

impl Flow {
    fn new() -> Self {
        Self { credit: WINDOW, granted: WINDOW, taken: 0, they_ended: false, we_ended: false }
    }

    fn receive(&mut self, id: u32, message: Message) -> Result<Event, Violation> {
        match message {
            Message::Data(bytes) => {
                let left = self.granted.checked_sub(bytes.len() as u32).filter(|_| !self.they_ended);
                self.granted = left.ok_or(Violation::TooMuch(id))?;
                Ok(Event::Data(id, bytes))
            }
            Message::End if self.they_ended => Err(Violation::TooMuch(id)),
            Message::End => {
                self.they_ended = true;
                Ok(Event::Ended(id))
            }
            Message::Reset(reason) => Ok(Event::Reset(id, reason)),
            Message::Credit(bytes) => {
                let credit = self.credit.checked_add(bytes).filter(|credit| *credit <= WINDOW);
                self.credit = credit.ok_or(Violation::TooMuch(id))?;
                Ok(Event::Credit(id))
            }
            Message::Exit(code) if id.is_multiple_of(2) => Ok(Event::Exit(id, code)),
            Message::Exit(_) | Message::Resize { .. } | Message::Open(_) | Message::Hello { .. } => {
                Err(Violation::NotTheirs(id))
            }
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
