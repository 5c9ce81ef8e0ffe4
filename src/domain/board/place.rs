//! Places in a column: texts that sort, with room for another one between any two, so that nothing is ever
//! renumbered.
//!
//! A place is an integer of variable length and a fraction behind it, both in base 62. The first letter says how
//! long the integer is (`a` for one digit, `b` for two …; `Z`, `Y` … for those below zero), so places at either
//! end stay short however many there are; only places between two neighbours grow, by about one character for
//! every six.

use std::fmt;

use serde::{Deserialize, Serialize};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ZERO: &str = "a0";

/// A place in a column. Compares as its text does, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Place {
    /// A place as it was stored; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let length = integer_length(*text.as_bytes().first()?)?;
        let fine = text.len() >= length && text.bytes().all(|c| value(c).is_some());
        let tail = text.get(length..)?;
        (fine && !tail.ends_with('0')).then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A place between two; `None` for an end of the column. Neighbours that are out of order (which the store's
    /// unique index forbids) give a place after the first.
    pub fn between(before: Option<&Self>, after: Option<&Self>) -> Self {
        let after = after.filter(|after| before.is_none_or(|before| before < after));
        Self(match (before, after) {
            (None, None) => ZERO.to_owned(),
            (None, Some(after)) => below(&after.0),
            (Some(before), None) => above(&before.0),
            (Some(before), Some(after)) => inside(&before.0, &after.0),
        })
    }
}

fn below(after: &str) -> String {
    let (integer, fraction) = parts(after);
    if !fraction.is_empty() {
        return integer.to_owned();
    }
    // There are 62 to the power of 26 integers below the first one: nobody gets there.
    decrement(integer).unwrap_or_else(|| integer.to_owned())
}

fn above(before: &str) -> String {
    let (integer, fraction) = parts(before);
    increment(integer).unwrap_or_else(|| format!("{integer}{}", middle(fraction.as_bytes(), None)))
}

fn inside(before: &str, after: &str) -> String {
    let ((integer, fraction), (next, limit)) = (parts(before), parts(after));
    if integer == next {
        return format!("{integer}{}", middle(fraction.as_bytes(), Some(limit.as_bytes())));
    }
    match increment(integer) {
        Some(whole) if whole.as_str() < after => whole,
        _ => format!("{integer}{}", middle(fraction.as_bytes(), None)),
    }
}

/// How many characters the integer part has, its first letter included.
fn integer_length(head: u8) -> Option<usize> {
    match head {
        b'a'..=b'z' => Some(usize::from(head - b'a') + 2),
        b'A'..=b'Z' => Some(usize::from(b'Z' - head) + 2),
        _ => None,
    }
}

fn parts(place: &str) -> (&str, &str) {
    let head = place.bytes().next().unwrap_or(b'a');
    place.split_at(integer_length(head).unwrap_or(0).min(place.len()))
}

fn value(digit: u8) -> Option<usize> {
    DIGITS.iter().position(|c| *c == digit)
}

/// The next integer; none beyond the largest.
fn increment(integer: &str) -> Option<String> {
    let mut text = integer.as_bytes().to_vec();
    for digit in text.iter_mut().skip(1).rev() {
        match value(*digit)? {
            61 => *digit = b'0',
            below => {
                *digit = DIGITS[below + 1];
                return String::from_utf8(text).ok();
            }
        }
    }
    match text[0] {
        b'z' => return None,
        b'Z' => return Some(ZERO.to_owned()),
        head => text[0] = head + 1,
    }
    if text[0] > b'a' {
        text.push(b'0');
    } else {
        text.pop();
    }
    String::from_utf8(text).ok()
}

/// The integer before; none below the smallest.
fn decrement(integer: &str) -> Option<String> {
    let mut text = integer.as_bytes().to_vec();
    for digit in text.iter_mut().skip(1).rev() {
        match value(*digit)? {
            0 => *digit = b'z',
            above => {
                *digit = DIGITS[above - 1];
                return String::from_utf8(text).ok();
            }
        }
    }
    match text[0] {
        b'A' => return None,
        b'a' => return Some("Zz".to_owned()),
        head => text[0] = head - 1,
    }
    if text[0] < b'Z' {
        text.push(b'z');
    } else {
        text.pop();
    }
    String::from_utf8(text).ok()
}

/// A fraction between two, neither of which ends in zero; `None` is one whole.
fn middle(from: &[u8], to: Option<&[u8]>) -> String {
    let mut text = String::new();
    let (mut from, mut to) = (from, to);
    loop {
        let low = from.first().and_then(|c| value(*c)).unwrap_or(0);
        let high = match to {
            None => 62,
            Some(to) => to.first().and_then(|c| value(*c)).unwrap_or(62),
        };
        if high > low + 1 {
            text.push(DIGITS[usize::midpoint(low, high)] as char);
            return text;
        }
        let longer = to.is_some_and(|to| to.len() > 1);
        if high == low + 1 && longer {
            // The digit of the upper one alone is below it, and above the lower one.
            text.push(DIGITS[high] as char);
            return text;
        }
        text.push(DIGITS[low] as char);
        // Once a digit is lower than the upper one's, everything behind it is below.
        to = if high == low { to.map(|to| to.get(1..).unwrap_or_default()) } else { None };
        from = from.get(1..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ends_stay_short() {
        let mut last: Option<Place> = None;
        for _ in 0..10_000 {
            let next = Place::between(last.as_ref(), None);
            assert!(last.is_none_or(|last| last < next));
            last = Some(next);
        }
        assert!(last.unwrap().as_str().len() <= 4);
        let mut first = Place::between(None, None);
        for _ in 0..10_000 {
            let next = Place::between(None, Some(&first));
            assert!(next < first);
            first = next;
        }
        assert!(first.as_str().len() <= 4, "{first}");
    }

    #[test]
    fn the_same_gap_takes_thousands() {
        for left in [true, false] {
            let low = Place::between(None, None);
            let high = Place::between(Some(&low), None);
            let (mut low, mut high) = (low, high);
            for _ in 0..2_000 {
                let next = Place::between(Some(&low), Some(&high));
                assert!(low < next && next < high, "{low} {next} {high}");
                if left { high = next } else { low = next }
            }
            assert!(low.as_str().len().max(high.as_str().len()) < 500);
        }
    }

    #[test]
    fn stored_texts_are_checked() {
        for text in ["a0", "Zz", "b01", "a0V"] {
            assert_eq!(Place::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "0", "a", "b0", "a0V0", "a0-", "a0é"] {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn wherever_one_is_put_the_order_is_kept(puts in prop::collection::vec(any::<prop::sample::Index>(), 1..300)) {
            let mut column: Vec<Place> = Vec::new();
            for put in puts {
                let at = put.index(column.len() + 1);
                let before = at.checked_sub(1).map(|at| &column[at]);
                let place = Place::between(before, column.get(at));
                prop_assert_eq!(Place::parse(place.as_str()), Some(place.clone()));
                column.insert(at, place);
                prop_assert!(column.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", column);
            }
        }
    }
}
