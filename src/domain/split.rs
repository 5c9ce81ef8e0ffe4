//! Cutting a text into pieces that fit: at a paragraph, else a line, a sentence, a word, and only then inside a word.
//!
//! Pieces are ranges of the text: joined they are the text, byte by byte. What a piece looks like once it is formatted
//! is asked of the caller, so that a piece fits as it is sent and not as it was written.

use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

/// The most bytes that one counted unit takes: a code point in UTF-8.
const BYTES_A_UNIT: usize = 4;
/// A place to cut that leaves less than this part of a full piece is passed over for a humbler one.
const LEAST_FILL: usize = 3;
/// How many places of a kind are tried; a piece that shrinks may still be too long when formatted.
const TRIES: usize = 4;

/// Cuts a text into pieces of at most `limit` by `measure`. A text without anything to see gives no piece; else the
/// pieces joined are the text.
///
/// A single code point that is longer than `limit` by itself is a piece of its own.
pub fn split(text: &str, limit: usize, measure: impl Fn(&str) -> usize) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let size = |range: Range<usize>| measure(text.get(range).unwrap_or_default());
    ranges(text, limit, size, |_| true).into_iter().filter_map(|range| text.get(range)).collect()
}

/// The same with a size for each range of the text, and a word in where it may be cut. `size` of a range is not less
/// than its code points, but for whitespace at its ends.
pub(super) fn ranges(
    text: &str,
    limit: usize,
    size: impl Fn(Range<usize>) -> usize,
    may_cut: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    let cutter = Cutter { text, limit, size, may_cut };
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < text.len() {
        let end = cutter.end(start);
        pieces.push(start..end);
        start = end;
    }
    pieces
}

/// The end of the first of these ranges; 0 for an empty text.
pub(super) fn first(
    text: &str,
    limit: usize,
    size: impl Fn(Range<usize>) -> usize,
    may_cut: impl Fn(usize) -> bool,
) -> usize {
    if text.is_empty() { 0 } else { Cutter { text, limit, size, may_cut }.end(0) }
}

/// Where a piece may end, best first.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Paragraph,
    Line,
    Sentence,
    Word,
    Grapheme,
}

const KINDS: [Kind; 5] = [Kind::Paragraph, Kind::Line, Kind::Sentence, Kind::Word, Kind::Grapheme];

struct Cutter<'a, S, C> {
    text: &'a str,
    limit: usize,
    size: S,
    may_cut: C,
}

impl<S: Fn(Range<usize>) -> usize, C: Fn(usize) -> bool> Cutter<'_, S, C> {
    fn fits(&self, start: usize, end: usize) -> bool {
        (self.size)(start..end) <= self.limit
    }

    /// The end of the piece that begins at `start`; always further than it.
    fn end(&self, start: usize) -> usize {
        let window = start.saturating_add(self.limit.saturating_mul(BYTES_A_UNIT)).saturating_add(1);
        let furthest = self.floor(window.min(self.text.len()));
        if furthest == self.text.len() && self.fits(start, furthest) {
            return furthest;
        }
        let most = self.longest(start, furthest);
        let fair = self.floor(start + (most - start) / LEAST_FILL);
        let found = KINDS.into_iter().find_map(|kind| {
            let least = if matches!(kind, Kind::Grapheme) { start } else { fair };
            let places = self.places(kind, least, most).filter(|at| (self.may_cut)(*at));
            places.take(TRIES).find(|at| self.fits(start, *at))
        });
        found.unwrap_or(most)
    }

    /// About the furthest end that fits: by halving, so it is known to fit unless it is a single code point.
    fn longest(&self, start: usize, furthest: usize) -> usize {
        let first = self.ceil(start + 1);
        let close = self.limit / 128;
        let (mut fits, mut too_far) = (first, furthest + 1);
        while too_far - fits > 1 + close {
            let half = self.floor(fits + (too_far - fits) / 2);
            let middle = if half > fits { half } else { self.ceil(fits + 1) };
            if middle >= too_far {
                break;
            }
            if self.fits(start, middle) {
                fits = middle;
            } else {
                too_far = middle;
            }
        }
        fits
    }

    /// Places of a kind, from `most` backwards, all after `least`.
    fn places(&self, kind: Kind, least: usize, most: usize) -> impl Iterator<Item = usize> {
        let chars = self.text.get(least..most).unwrap_or_default().char_indices().rev();
        let ends = chars.map(move |(at, one)| least + at + one.len_utf8());
        ends.filter(move |place| self.is_place(kind, *place))
    }

    fn is_place(&self, kind: Kind, at: usize) -> bool {
        let (before, after) = self.text.split_at_checked(at).unwrap_or_default();
        let follows = after.chars().next();
        let is_end_of_space =
            before.ends_with(char::is_whitespace) && !follows.is_some_and(char::is_whitespace);
        match kind {
            Kind::Paragraph => before.ends_with("\n\n") && follows != Some('\n'),
            Kind::Line => before.ends_with('\n') && follows != Some('\n'),
            Kind::Sentence => {
                let closers: &[char] = &['"', '\'', '”', '’', ')', ']', '»', '」'];
                let told = before.trim_end().trim_end_matches(closers);
                let is_wide = before.ends_with(['。', '！', '？']);
                is_wide || is_end_of_space && told.ends_with(['.', '!', '?', '…', ':', ';', '。', '！', '？'])
            }
            Kind::Word => is_end_of_space,
            Kind::Grapheme => {
                let mut cursor = GraphemeCursor::new(at, self.text.len(), true);
                cursor.is_boundary(self.text, 0).unwrap_or(true)
            }
        }
    }

    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }

    fn ceil(&self, at: usize) -> usize {
        self.text.ceil_char_boundary(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chars(text: &str) -> usize {
        text.chars().count()
    }

    #[test]
    fn a_text_is_cut_at_the_best_place_that_leaves_a_fair_piece() {
        let cases: &[(&str, usize, &[&str])] = &[
            ("", 10, &[]),
            (" \n ", 10, &[]),
            ("short", 10, &["short"]),
            ("one two\n\nthree four", 12, &["one two\n\n", "three four"]),
            ("one two\nthree four", 12, &["one two\n", "three four"]),
            ("One two. Three four", 12, &["One two. ", "Three four"]),
            ("one two three", 9, &["one two ", "three"]),
            ("a bcdefghijkl", 9, &["a bcdefgh", "ijkl"]),
            ("abcdefghijkl", 5, &["abcde", "fghij", "kl"]),
            ("日本。語彙です", 4, &["日本。", "語彙です"]),
            ("ab👨‍👩‍👧‍👦", 4, &["ab", "👨‍👩‍", "👧‍👦"]),
            ("👩‍👩‍👧", 3, &["👩‍👩", "‍👧"]),
            ("abcd👨‍👩‍👧‍👦", 8, &["abcd", "👨‍👩‍👧‍👦"]),
            ("éé", 1, &["é", "é"]),
            ("e\u{301}e\u{301}e", 3, &["e\u{301}", "e\u{301}e"]),
        ];
        for (text, limit, pieces) in cases {
            assert_eq!(split(text, *limit, chars), *pieces, "{text:?}");
        }
    }

    #[test]
    fn a_measure_that_never_fits_still_comes_to_an_end() {
        assert_eq!(split("añb", 3, |_| 4), ["a", "ñ", "b"]);
        assert_eq!(split("ab", 0, chars), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn pieces_joined_are_the_text_and_each_fits(text in "(\\PC|[ \n.]){0,400}", limit in 1usize..60) {
            let utf16 = |text: &str| text.encode_utf16().count();
            let pieces = split(&text, limit.max(2), utf16);
            if text.trim().is_empty() {
                prop_assert!(pieces.is_empty());
            } else {
                prop_assert_eq!(&pieces.concat(), &text);
            }
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && utf16(piece) <= limit.max(2)));
        }
    }
}
