//! The words of a message: whether they call the bot, and what remains without its name.

use std::ops::Range;

use serde_json::Value;

use super::read::Me;

/// Words, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words {
    /// Without the bot's name.
    pub(super) text: String,
    /// The bot was named.
    pub(super) mentioned: bool,
}

/// Reads the words of a message. `None` when they are a command for another bot.
pub(super) fn read(text: &str, entities: &Value, me: &Me) -> Option<Words> {
    let mut names = Vec::new();
    if let Some((to, at)) = command(text) {
        if !to.eq_ignore_ascii_case(&me.name) {
            return None;
        }
        names.push(at);
    }
    names.extend(spoken(text, &me.name));
    for entity in entities.as_array().into_iter().flatten() {
        let calls =
            entity["type"].as_str() == Some("text_mention") && entity["user"]["id"].as_i64() == Some(me.id);
        if let Some(range) = calls.then(|| range(text, entity)).flatten() {
            names.push(range);
        }
    }
    Some(Words { text: without(text, &mut names), mentioned: !names.is_empty() })
}

/// Whom a command at the beginning is for, when it says so, and where: `/help@AtollBot`.
fn command(text: &str) -> Option<(&str, Range<usize>)> {
    let word = text.split_whitespace().next().filter(|word| text.starts_with(word))?;
    let (command, to) = word.strip_prefix('/')?.split_once('@')?;
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain(command) && plain(to)).then(|| (to, 1 + command.len()..word.len()))
}

/// Where the bot's name stands as a word of its own.
fn spoken<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    text.match_indices('@').filter_map(move |(at, _)| {
        let end = at + 1 + name.len();
        let same = text.get(at + 1..end)?.eq_ignore_ascii_case(name) && !name.is_empty();
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let before = text[..at].chars().next_back().is_some_and(|c| part(c) || matches!(c, '/' | '@' | '.'));
        let after = text[end..].chars().next().is_some_and(part);
        (same && !before && !after).then_some(at..end)
    })
}

/// The bytes of an entity, whose place is told in UTF-16 code units.
fn range(text: &str, entity: &Value) -> Option<Range<usize>> {
    let from = usize::try_from(entity["offset"].as_u64()?).ok()?;
    let to = from.checked_add(usize::try_from(entity["length"].as_u64()?).ok()?)?;
    let range = byte_of(text, from)?..byte_of(text, to)?;
    (range.start < range.end).then_some(range)
}

fn byte_of(text: &str, units: usize) -> Option<usize> {
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        if seen >= units {
            return (seen == units).then_some(at);
        }
        seen += c.len_utf16();
    }
    (seen == units).then_some(text.len())
}

/// The text without these parts, and without the blank that each leaves behind.
fn without(text: &str, parts: &mut [Range<usize>]) -> String {
    parts.sort_by_key(|part| (part.start, part.end));
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    for part in parts {
        if part.start < at {
            continue;
        }
        kept.push_str(&text[at..part.start]);
        at = part.end;
        let blank = kept.is_empty() || kept.ends_with([' ', '\n']);
        let rest = &text[at..];
        if blank && rest.starts_with([' ', ',', ':']) {
            at += rest.len() - rest.trim_start_matches([' ', ',', ':']).len();
        }
    }
    kept.push_str(&text[at..]);
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn me() -> Me {
        Me { id: 7, name: "AtollBot".into() }
    }

    #[test]
    fn the_bots_name_is_heard_and_taken_out() {
        for (text, kept, mentioned) in [
            ("@AtollBot what is up", "what is up", true),
            ("@atollbot: what is up", "what is up", true),
            ("ask @ATOLLBOT about it", "ask about it", true),
            ("what is up @atollbot", "what is up", true),
            ("first\n@atollbot second", "first\nsecond", true),
            ("@atollbot", "", true),
            ("@atollbot @bob and @atollbot", "@bob and", true),
            ("@atollbot2 go", "@atollbot2 go", false),
            ("mail me@atollbot now", "mail me@atollbot now", false),
            ("see t.me/@atollbot", "see t.me/@atollbot", false),
            ("@bob go", "@bob go", false),
            ("héllo 😀 @atollbot!", "héllo 😀 !", true),
            ("/help@AtollBot", "/help", true),
            ("/task@atollbot app mend it", "/task app mend it", true),
            ("/help", "/help", false),
            ("/home/x@atollbot y", "/home/x@atollbot y", false),
        ] {
            let read = read(text, &Value::Null, &me()).unwrap();
            assert_eq!((&*read.text, read.mentioned), (kept, mentioned), "{text}");
        }
        assert_eq!(read("/help@OtherBot me", &Value::Null, &me()), None);
    }

    #[test]
    fn a_mention_without_a_name_is_known_by_the_account() {
        let of = |offset: u64, length: u64, id: i64| {
            let entities =
                json!([{"type": "text_mention", "offset": offset, "length": length, "user": {"id": id}}]);
            read("😀 Atoll, hi", &entities, &me()).unwrap()
        };
        assert_eq!(of(3, 5, 7), Words { text: "😀 hi".into(), mentioned: true });
        for odd in [of(3, 5, 8), of(1, 5, 7), of(3, 500, 7), of(3, 0, 7), of(u64::MAX, 9, 7)] {
            assert_eq!(odd, Words { text: "😀 Atoll, hi".into(), mentioned: false });
        }
    }

    proptest! {
        #[test]
        fn nothing_but_the_name_is_lost(text in "[a-z@ /😀é\n]{0,40}(@AtollBot)?[ a-z@]{0,20}", at in 0u64..50, len in 0u64..50) {
            let entities = json!([{"type": "text_mention", "offset": at, "length": len, "user": {"id": 7}}]);
            if let Some(read) = read(&text, &entities, &me()) {
                prop_assert!(read.text.len() <= text.len());
                if !read.mentioned {
                    prop_assert_eq!(read.text, text.trim());
                }
            }
        }
    }
}
