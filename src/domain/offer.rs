//! What is offered to somebody while they type behind a command: what fits what is there already, the best first.

use std::collections::BTreeSet;

/// Most that are offered at a time; no platform shows more than 25.
pub const MOST: usize = 25;
/// Longest value and longest label, in characters: Discord takes no more.
const LONGEST: usize = 100;
/// Characters of a long id that are shown; the whole of it is what is typed.
const SHOWN: usize = 12;

/// Something that may be typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// What is typed when it is chosen.
    pub value: String,
    /// What is shown for it; one line, at most 100 characters.
    pub label: String,
}

impl Offered {
    /// A word that stands for itself.
    pub fn word(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { label: one_line(&value), value }
    }

    /// A word with what it is about.
    pub fn about(value: impl Into<String>, what: &str) -> Self {
        let value = value.into();
        let short: String = value.chars().take(SHOWN).collect();
        let more = if short.len() < value.len() { "…" } else { "" };
        Self { label: one_line(&format!("{short}{more} — {what}")), value }
    }
}

/// Of all that there is, what fits what is typed already: first what begins so, then what is called so. Each value once.
/// A value that could not be sent back whole is left out.
pub fn fitting(typed: &str, all: impl IntoIterator<Item = Offered>) -> Vec<Offered> {
    let typed = typed.trim().to_lowercase();
    let begins = |words: &str| words.to_lowercase().starts_with(&typed);
    let is_called = |label: &str| label.split_whitespace().any(begins) || begins(label);
    let mut known = BTreeSet::new();
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for offered in all {
        let fits = (1..=LONGEST).contains(&offered.value.chars().count());
        if !fits || !known.insert(offered.value.clone()) {
            continue;
        }
        if begins(&offered.value) {
            first.push(offered);
        } else if is_called(&offered.label) {
            then.push(offered);
        }
    }
    first.into_iter().chain(then).take(MOST).collect()
}

fn one_line(words: &str) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(typed: &str, all: &[Offered]) -> Vec<String> {
        fitting(typed, all.iter().cloned()).into_iter().map(|offered| offered.value).collect()
    }

    #[test]
    fn what_begins_so_comes_first_then_what_is_called_so() {
        let all = [
            Offered::about("web", "The shop"),
            Offered::about("shop-api", "Orders"),
            Offered::word("api"),
            Offered::word("api"),
        ];
        assert_eq!(values("", &all), ["web", "shop-api", "api"]);
        assert_eq!(values("SHOP", &all), ["shop-api", "web"]);
        assert_eq!(values("the s", &all), [""; 0]);
        assert_eq!(values("x", &all), [""; 0]);
    }

    #[test]
    fn a_long_id_is_shown_short_and_typed_whole() {
        let offered = Offered::about("01kabcdefghjkmnp-1-0", "Push it?\n\nTask: mend");
        assert_eq!(offered.value, "01kabcdefghjkmnp-1-0");
        assert_eq!(offered.label, "01kabcdefghj… — Push it? Task: mend");
        let long = Offered::word("x".repeat(101));
        assert_eq!(fitting("", [long]), []);
    }

    proptest! {
        #[test]
        fn what_is_offered_fits_and_can_be_shown(
            typed in "[a-c ]{0,3}",
            all in proptest::collection::vec(("[a-c☃]{0,110}", "[a-c \n]{0,120}"), 0..40),
        ) {
            let all = all.iter().map(|(value, what)| Offered::about(value.as_str(), what));
            let offered = fitting(&typed, all);
            prop_assert!(offered.len() <= MOST);
            let values: BTreeSet<_> = offered.iter().map(|one| &one.value).collect();
            prop_assert_eq!(values.len(), offered.len());
            for one in &offered {
                prop_assert!((1..=100).contains(&one.value.chars().count()));
                prop_assert!((1..=100).contains(&one.label.chars().count()), "{:?}", one.label);
                prop_assert!(!one.label.chars().any(char::is_control));
            }
        }
    }
}
