//! A read text: what is to be seen of it, and the style of each stretch. Any range of it can be shown by itself.

use std::ops::Range;

/// One of the styles that nest in each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inline {
    Bold,
    Italic,
    Strike,
}

/// How a stretch of text is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// From the outermost to the innermost; each at most once.
    pub(super) inline: [Option<Inline>; 3],
    /// Code inside a line.
    pub(super) code: bool,
    /// The code block that it belongs to: a place in [`Document::blocks`].
    pub(super) block: Option<usize>,
    /// Where it leads: a place in [`Document::links`].
    pub(super) link: Option<usize>,
    /// It is quoted.
    pub(super) quote: bool,
}

impl Style {
    /// Only what holds for whole lines.
    pub(super) fn of_lines(quote: bool) -> Self {
        Self { quote, ..Self::default() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    end: usize,
    /// Bullets, indents and the like: not of the text, and not to be torn off the text after them.
    mark: bool,
    style: Style,
}

/// What one stretch of a range is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    /// What is seen.
    pub(super) text: &'a str,
    /// It is layout and not text: on a channel with markers, a marker.
    pub(super) mark: bool,
    /// How it is shown.
    pub(super) style: Style,
}

/// A read text.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
    spans: Vec<Span>,
    /// Addresses of links.
    pub(super) links: Vec<String>,
    /// Languages of code blocks, empty where none is told.
    pub(super) blocks: Vec<String>,
}

impl Document {
    /// All that is to be seen.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Nothing is to be seen.
    pub(super) fn is_blank(&self) -> bool {
        is_blank(&self.text)
    }

    /// Adds a stretch at the end.
    pub(super) fn push(&mut self, text: &str, mark: bool, style: Style) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let end = self.text.len();
        match self.spans.last_mut() {
            Some(last) if last.mark == mark && last.style == style => last.end = end,
            _ => self.spans.push(Span { end, mark, style }),
        }
    }

    /// Takes the link off everything from `start` on; a link begins a stretch, so none is cut.
    pub(super) fn unlink(&mut self, start: usize) {
        for span in self.spans.iter_mut().rev().take_while(|span| span.end > start) {
            span.style.link = None;
        }
    }

    /// The stretches of a range.
    pub(super) fn stretches(&self, range: Range<usize>) -> impl Iterator<Item = Stretch<'_>> {
        let first = self.spans.partition_point(|span| span.end <= range.start);
        let mut start = range.start;
        self.spans[first..].iter().map_while(move |span| {
            let end = span.end.min(range.end);
            let text = self.text.get(start..end).filter(|text| !text.is_empty())?;
            start = end;
            Some(Stretch { text, mark: span.mark, style: span.style })
        })
    }

    /// Whether a part may end here: not between a bullet and its text.
    pub(super) fn may_cut(&self, at: usize) -> bool {
        let before = self.spans.partition_point(|span| span.end < at);
        self.spans.get(before).is_none_or(|span| {
            let start =
                before.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |one| one.end);
            !span.mark || at == start
        })
    }

    /// A range without the whitespace at its ends; a code block keeps what its first line is indented by.
    pub(super) fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let end = range.start + text.trim_end().len();
        let mut start = range.start;
        for stretch in self.stretches(range.start..end) {
            let trimmed = stretch.text.trim_start();
            if stretch.style.block.is_some() {
                break;
            }
            start += stretch.text.len() - trimmed.len();
            if !trimmed.is_empty() {
                break;
            }
        }
        start..end.max(start)
    }
}

/// True when a text shows nothing: whitespace, and characters without a shape. Telegram takes no such message.
pub(super) fn is_blank(text: &str) -> bool {
    let is_shapeless = |one: char| {
        matches!(one, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}')
    };
    text.chars().all(|one| one.is_whitespace() || one.is_control() || is_shapeless(one))
}

/// Goes from the tags that are open to those that are wanted: closes from the inside, opens from the outside.
pub(super) fn switch<T: PartialEq + Copy>(
    open: &mut Vec<T>,
    wanted: &[T],
    mut change: impl FnMut(Change<T>),
) {
    let same = open.iter().zip(wanted).take_while(|(open, wanted)| open == wanted).count();
    while open.len() > same {
        if let Some(tag) = open.pop() {
            change(Change::Close(tag));
        }
    }
    for tag in wanted.iter().skip(same) {
        open.push(*tag);
        change(Change::Open(*tag));
    }
}

/// A step of [`switch`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Change<T> {
    /// This one ends.
    Close(T),
    /// This one begins.
    Open(T),
}
