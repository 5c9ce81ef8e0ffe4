//! Whatever a model writes: parts fit, each can be read by itself, and nothing is lost.

use proptest::prelude::*;

use super::{strict::visible, *};

/// A piece of what models write; words are of letters alone, so that a lost one is noticed.
fn piece() -> impl Strategy<Value = String> {
    let word = "[a-zé日]{1,9}";
    prop_oneof![
        8 => word.prop_map(|word| format!("{word} ")),
        3 => prop::sample::select(vec![
            " ", "\n", "\n\n", "  ", "**", "*", "_", "__", "~~", "`", "```", "> ", "- ", "| ", "|", "<", ">", "&",
            "# ", "## ", "#### ", "---", "(", ")", "[", "]", "](", "!", "\\", "\t", "    ", "\"", "\r\n", "👍🏽", "e\u{301}",
            "\n| a | b |\n|---|---|\n| c | d |\n", "\n```rust\n", "\n```\n", "\n- ", "\n  - ", "\n> ", "@", "<@",
        ]).prop_map(str::to_owned),
        1 => (word, word).prop_map(|(text, to)| format!("[{text}](https://{to}.x/?a=\"{to}\"&b)")),
        1 => (word, word).prop_map(|(text, to)| format!("![{text}](file:{to} \"title {to}\")")),
        1 => word.prop_map(|to| format!("\n\n[{to}]: https://{to}.x\n\n")),
        1 => "[a-z ]{0,900}".prop_map(|text| text),
        1 => "[a-z]{900,2500}".prop_map(|text| text),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(piece(), 0..60).prop_map(|pieces| pieces.concat()),
        1 => ".{0,300}",
        1 => prop::collection::vec(any::<char>(), 0..900).prop_map(|text| text.into_iter().collect()),
    ]
}

/// Letters, in order.
fn letters(text: &str) -> String {
    text.chars().filter(|one| one.is_alphabetic()).collect()
}

/// Everything of `small` stands in `large`, in order.
fn is_within(small: &str, large: &str) -> bool {
    let mut large = large.chars();
    small.chars().all(|one| large.any(|other| other == one))
}

proptest! {
    #[test]
    fn each_part_fits_and_can_be_read_by_itself(text in text()) {
        for part in parts(&text, Flavor::Telegram) {
            let seen = visible(&part.markup).map_err(|why| TestCaseError::fail(format!("{why}\n{}", part.markup)))?;
            prop_assert!(seen.encode_utf16().count() <= 4096 && part.markup.len() <= 30_000);
            prop_assert!(part.plain.encode_utf16().count() <= 4096);
            prop_assert!(!document::is_blank(&seen) && !document::is_blank(&part.plain));
        }
        for part in parts(&text, Flavor::Discord) {
            prop_assert!(part.markup.chars().count() <= 2000 && part.plain.chars().count() <= 2000);
            prop_assert!(!document::is_blank(&part.markup));
            // In code nobody is called.
            let is_text = !part.markup.contains('`');
            prop_assert!(!is_text || !part.markup.contains("@everyone") && !part.markup.contains("<@"));
        }
        prop_assert!(parts(&text, Flavor::Plain).len() <= 1);
    }

    /// Parts joined are what the whole text shows: they differ in whitespace at the borders alone.
    #[test]
    fn parts_joined_are_the_whole(text in text()) {
        for flavor in [Flavor::Telegram, Flavor::Discord] {
            let document = walk::read(&text, flavor);
            let whole = if document.is_blank() { text.clone() } else { document.text().to_owned() };
            let squeezed = |text: &str| text.split_whitespace().collect::<String>();
            if flavor == Flavor::Telegram {
                let seen = parts(&text, flavor).into_iter().map(|part| visible(&part.markup).unwrap_or_default());
                let seen: String = seen.collect();
                if !document::is_blank(&whole) {
                    prop_assert_eq!(squeezed(&seen), squeezed(&whole));
                }
            }
            let document_parts = cut(&document, flavor);
            let plain: String = document_parts.iter().map(|part| part.plain.as_str()).collect();
            prop_assert!(is_within(&letters(document.text()), &letters(&plain)));
        }
    }

    /// No letter of the source is lost, and they stay in order.
    #[test]
    fn every_word_of_the_source_is_in_the_plain_text(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.concat();
        for flavor in [Flavor::Telegram, Flavor::Discord, Flavor::Plain] {
            let plain: String = parts(&text, flavor).into_iter().map(|part| part.plain + "\n").collect();
            prop_assert!(is_within(&letters(&text), &letters(&plain)), "{flavor:?}\n{text}\n→\n{plain}");
        }
    }

    #[test]
    fn verbatim_is_verbatim(text in text()) {
        let seen = verbatim(&text, Flavor::Telegram).into_iter().map(|part| visible(&part.markup).unwrap_or_default());
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        if !document::is_blank(&text) {
            prop_assert_eq!(squeezed(&seen.collect::<String>()), squeezed(&text));
        }
    }
}
