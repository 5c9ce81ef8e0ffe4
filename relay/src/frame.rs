//! The frames between the relay in a sandbox and its host: `stream (4) | kind (1) | length (4) | bytes`, numbers
//! with the highest byte first. One file for both sides, so that they cannot differ.

use std::fmt;

/// Version of the protocol, told in [`Message::Hello`].
pub const VERSION: u8 = 1;
/// Bytes before the body of a frame.
pub const HEADER: usize = 9;
/// Most bytes of one [`Message::Data`].
pub const LARGEST_DATA: usize = 32 * 1024;
/// Bytes that each side may send on a fresh stream before it gets a [`Message::Credit`].
pub const WINDOW: u32 = 256 * 1024;
/// Most bytes of a [`Message::Open`].
pub const LARGEST_OPEN: usize = 8 * 1024;
/// Most bytes of the words of a [`Message::Reset`].
pub const LARGEST_REASON: usize = 512;
/// Most streams that are open at a time.
pub const MOST_STREAMS: usize = 256;

/// What a frame says of its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first frame of the relay, on stream 0: what it speaks, and the port on which it listens.
    Hello {
        /// The protocol.
        version: u8,
        /// The port on the loopback of the sandbox.
        port: u16,
    },
    /// A new stream. Odd numbers are connections that the relay accepted, their body is empty; even ones are
    /// terminals that the host asks for, see [`TerminalSpec`]. Numbers of each side only grow.
    Open(Vec<u8>),
    /// Bytes; never none.
    Data(Vec<u8>),
    /// The sender sends no more data on this stream.
    End,
    /// The stream is over, in both directions, and why.
    Reset(String),
    /// The receiver may be sent so many bytes more.
    Credit(u32),
    /// The terminal has a new size.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        cols: u16,
    },
    /// The program of the terminal ended; below zero: by this signal.
    Exit(i32),
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The stream; 0 is the connection itself.
    pub stream: u32,
    /// What it says.
    pub message: Message,
}

/// Bytes that are no frame. Whoever reads them hangs up: what follows cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no such kind.
    Kind(u8),
    /// A frame of this kind does not have so many bytes.
    Length(u8, u32),
    /// A frame of this kind does not belong to this stream.
    Stream(u8, u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "a frame of the unknown kind {kind}"),
            Self::Length(kind, length) => write!(f, "a frame of kind {kind} with {length} bytes"),
            Self::Stream(kind, stream) => write!(f, "a frame of kind {kind} on stream {stream}"),
        }
    }
}

impl std::error::Error for Fault {}

impl Message {
    fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => 0,
            Self::Open(_) => 1,
            Self::Data(_) => 2,
            Self::End => 3,
            Self::Reset(_) => 4,
            Self::Credit(_) => 5,
            Self::Resize { .. } => 6,
            Self::Exit(_) => 7,
        }
    }

    fn read(kind: u8, body: &[u8]) -> Option<Self> {
        Some(match (kind, body) {
            (0, &[version, high, low]) => Self::Hello { version, port: u16::from_be_bytes([high, low]) },
            (1, body) => Self::Open(body.to_vec()),
            (2, body) => Self::Data(body.to_vec()),
            (3, _) => Self::End,
            (4, body) => Self::Reset(String::from_utf8_lossy(body).into_owned()),
            (5, &[a, b, c, d]) => Self::Credit(u32::from_be_bytes([a, b, c, d])),
            (6, &[a, b, c, d]) => {
                Self::Resize { rows: u16::from_be_bytes([a, b]), cols: u16::from_be_bytes([c, d]) }
            }
            (7, &[a, b, c, d]) => Self::Exit(i32::from_be_bytes([a, b, c, d])),
            _ => return None,
        })
    }
}

/// The bytes of a frame.
pub fn encode(frame: &Frame, out: &mut Vec<u8>) {
    let mut head = |length: usize| {
        out.extend_from_slice(&frame.stream.to_be_bytes());
        out.push(frame.message.kind());
        out.extend_from_slice(&(length as u32).to_be_bytes());
    };
    match &frame.message {
        Message::Hello { version, port } => {
            head(3);
            out.push(*version);
            out.extend_from_slice(&port.to_be_bytes());
        }
        Message::Open(body) | Message::Data(body) => {
            head(body.len());
            out.extend_from_slice(body);
        }
        Message::End => head(0),
        Message::Reset(reason) => {
            let mut end = reason.len().min(LARGEST_REASON);
            while !reason.is_char_boundary(end) {
                end -= 1;
            }
            head(end);
            out.extend_from_slice(&reason.as_bytes()[..end]);
        }
        Message::Credit(bytes) => {
            head(4);
            out.extend_from_slice(&bytes.to_be_bytes());
        }
        Message::Resize { rows, cols } => {
            head(4);
            out.extend_from_slice(&rows.to_be_bytes());
            out.extend_from_slice(&cols.to_be_bytes());
        }
        Message::Exit(code) => {
            head(4);
            out.extend_from_slice(&code.to_be_bytes());
        }
    }
}

/// The bytes of a [`Message::Data`] frame, of at most [`LARGEST_DATA`] bytes.
pub fn encode_data(stream: u32, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&stream.to_be_bytes());
    out.push(2);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Reads frames from bytes as they come, cut anywhere. Holds at most one frame.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Takes bytes and gives the frames that they complete.
    ///
    /// # Errors
    /// [`Fault`] at the first bytes that are no frame; the decoder is of no use after that.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Frame>, Fault> {
        let mut frames = Vec::new();
        loop {
            if self.buffer.len() < HEADER {
                let take = bytes.len().min(HEADER - self.buffer.len());
                self.buffer.extend_from_slice(&bytes[..take]);
                bytes = &bytes[take..];
            }
            let Some((stream, kind, length)) = head(&self.buffer)? else { return Ok(frames) };
            let take = bytes.len().min(HEADER + length - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.buffer.len() < HEADER + length {
                return Ok(frames);
            }
            let message =
                Message::read(kind, &self.buffer[HEADER..]).ok_or(Fault::Length(kind, length as u32))?;
            frames.push(Frame { stream, message });
            self.buffer.clear();
        }
    }
}

/// Stream, kind and length of the body, checked.
fn head(buffer: &[u8]) -> Result<Option<(u32, u8, usize)>, Fault> {
    let &[a, b, c, d, kind, e, f, g, h, ..] = buffer else { return Ok(None) };
    let (stream, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let (least, most) = match kind {
        0 => (3, 3),
        1 => (0, LARGEST_OPEN),
        2 => (1, LARGEST_DATA),
        3 => (0, 0),
        4 => (0, LARGEST_REASON),
        5..=7 => (4, 4),
        _ => return Err(Fault::Kind(kind)),
    };
    let bytes = length as usize;
    if bytes < least || bytes > most {
        return Err(Fault::Length(kind, length));
    }
    if (kind == 0) != (stream == 0) {
        return Err(Fault::Stream(kind, stream));
    }
    Ok(Some((stream, kind, bytes)))
}

/// What a terminal is to be: the body of the host's [`Message::Open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalSpec {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
    /// Where the program starts; empty for where the relay is.
    pub folder: String,
    /// The program and its arguments; none for the shell of the image.
    pub argv: Vec<String>,
}

impl TerminalSpec {
    /// As the body of a frame; `None` when a part has a zero byte or all are longer than [`LARGEST_OPEN`].
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.rows.to_be_bytes());
        body.extend_from_slice(&self.cols.to_be_bytes());
        body.extend_from_slice(self.folder.as_bytes());
        for part in &self.argv {
            body.push(0);
            body.extend_from_slice(part.as_bytes());
        }
        let zeros = body[4..].iter().filter(|byte| **byte == 0).count();
        (zeros == self.argv.len() && body.len() <= LARGEST_OPEN).then_some(body)
    }

    /// From the body of a frame.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let (size, rest) = body.split_first_chunk::<4>()?;
        let mut parts = std::str::from_utf8(rest).ok()?.split('\0');
        Some(Self {
            rows: u16::from_be_bytes([size[0], size[1]]),
            cols: u16::from_be_bytes([size[2], size[3]]),
            folder: parts.next()?.to_owned(),
            argv: parts.map(str::to_owned).collect(),
        })
    }
}
