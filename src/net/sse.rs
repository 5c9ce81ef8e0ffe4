//! Server-sent events, read and written (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::fmt::Write as _;

/// Largest event that is read, in bytes.
pub const MAX_EVENT: usize = 16 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// Its type; empty when it was not given.
    pub event: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
    /// Its id, when it was given.
    pub id: Option<String>,
}

/// An event is larger than [`MAX_EVENT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {MAX_EVENT} bytes")]
pub struct TooLarge;

/// Reads events from bytes as they come, cut anywhere.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    size: usize,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_cr: bool,
    begun: bool,
}

impl SseParser {
    /// Takes bytes and gives the events that they complete.
    ///
    /// # Errors
    /// [`TooLarge`] when an event grows beyond the limit.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLarge> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => {
                    self.size += 1;
                    if self.size > MAX_EVENT {
                        return Err(TooLarge);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if std::mem::replace(&mut self.begun, true) {
            &line
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(&line)
        };
        if line.is_empty() {
            self.size = 0;
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.event),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

/// Writes an event. Line breaks in `event` and `id` are left out, those in `data` become lines of it.
pub fn encode(event: &SseEvent) -> String {
    let one_line = |text: &str| text.replace(['\r', '\n', '\0'], "");
    let mut out = String::with_capacity(event.data.len() + 48);
    if !event.event.is_empty() {
        let _ = writeln!(out, "event: {}", one_line(&event.event));
    }
    if let Some(id) = &event.id {
        let _ = writeln!(out, "id: {}", one_line(id));
    }
    let data = event.data.replace("\r\n", "\n").replace('\r', "\n");
    for line in data.split('\n') {
        let _ = writeln!(out, "data: {line}");
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(chunks: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        chunks.iter().flat_map(|chunk| parser.push(chunk).unwrap()).collect()
    }

    #[test]
    fn every_line_end_comments_and_fields_without_values() {
        let text =
            b"\xef\xbb\xbf: hi\r\nevent: a\rdata: 1\ndata\ndata:  2\r\n\r\nid: 7\ndata: x\n\nretry: 5\n\n";
        let events = parse(&[text]);
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].event.as_str(), events[0].data.as_str()), ("a", "1\n\n 2"));
        assert_eq!((events[1].id.as_deref(), events[1].data.as_str()), (Some("7"), "x"));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = SseParser::default();
        let chunk = vec![b'x'; 1024 * 1024];
        assert!((0..20).any(|_| parser.push(&chunk).is_err()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            event in "[a-z]{0,5}", data in "\\PC{0,40}(\n\\PC{0,40}){0,3}", id in proptest::option::of("[0-9]{1,4}"),
            cuts in proptest::collection::vec(0usize..200, 0..6),
        ) {
            let written = SseEvent { event, data, id };
            let bytes = encode(&written).into_bytes();
            let mut places: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
            places.sort_unstable();
            places.push(bytes.len());
            let mut parser = SseParser::default();
            let mut read = Vec::new();
            let mut from = 0;
            for to in places {
                read.extend(parser.push(&bytes[from..to]).unwrap());
                from = to;
            }
            prop_assert_eq!(read, vec![written]);
        }
    }
}
