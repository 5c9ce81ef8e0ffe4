//! From the bytes of a program to its lines: however they are cut, whatever they are, and of bounded length.

/// Longest line that is read as a whole, in bytes.
pub const LONGEST: usize = 16 * 1024 * 1024;
/// What is kept of a longer one, in bytes.
pub const KEPT: usize = 4 * 1024;

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A whole line. Bytes that are no UTF-8 were replaced.
    Whole(String),
    /// A line that was too long: its beginning.
    TooLong {
        /// The beginning.
        begins: String,
        /// How long it was, in bytes.
        bytes: u64,
    },
}

/// Splits bytes into lines.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// Bytes of the line so far, kept or not.
    seen: u64,
}

impl Lines {
    /// Takes bytes and gives the lines that they complete. Empty lines are left out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.keep(&rest[..end]);
            lines.extend(self.end());
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        lines
    }

    /// Gives what follows the last line end, once no more bytes come.
    pub fn end(&mut self) -> Option<Line> {
        let (line, seen) = (std::mem::take(&mut self.line), std::mem::take(&mut self.seen));
        if seen > LONGEST as u64 {
            return Some(Line::TooLong { begins: text(&line), bytes: seen });
        }
        let text = text(&line);
        let text = text.trim();
        (!text.is_empty()).then(|| Line::Whole(text.to_owned()))
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        if self.seen <= LONGEST as u64 {
            self.line.extend_from_slice(bytes);
            return;
        }
        let room = KEPT.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.line.truncate(KEPT);
        self.line.shrink_to_fit();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_ends_empty_lines_and_bytes_that_are_no_text() {
        let mut lines = Lines::default();
        let mut read = lines.push(b"one\r\n\n  \ntwo\xff\nthr");
        read.extend(lines.push(b"ee"));
        read.extend(lines.end());
        let texts = ["one", "two\u{fffd}", "three"];
        assert_eq!(read, texts.map(|text| Line::Whole(text.into())));
        assert_eq!(lines.end(), None);
    }

    #[test]
    fn a_huge_line_is_told_by_its_beginning_and_holds_no_memory() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1024 * 1024];
        for _ in 0..40 {
            assert_eq!(lines.push(&chunk), []);
            assert!(lines.line.capacity() <= 2 * LONGEST);
        }
        assert!(lines.line.capacity() <= 2 * KEPT);
        let read = lines.push(b"\nnext\n");
        let Line::TooLong { begins, bytes } = &read[0] else { panic!("{read:?}") };
        assert_eq!((begins.len(), *bytes), (KEPT, 40 * 1024 * 1024));
        assert_eq!(read[1], Line::Whole("next".into()));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let mut whole = Lines::default();
            let mut expected = whole.push(&bytes);
            expected.extend(whole.end());
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            let mut lines = Lines::default();
            let mut read = lines.push(one);
            read.extend(lines.push(two));
            read.extend(lines.end());
            prop_assert_eq!(read, expected);
        }
    }
}
