//! The markup of Telegram (<https://core.telegram.org/bots/api#html-style>), read as its server does: what it refuses is
//! refused in its words, and so is an ampersand that stands for itself, which its documents forbid.

/// Text with its markup taken out: what a person reads, and what is marked how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Marked {
    pub plain: String,
    /// Kind, argument, begin and end in UTF-16 code units.
    pub marks: Vec<(String, String, usize, usize)>,
}

const TAGS: [&str; 18] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "tg-spoiler",
    "span",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-emoji",
    "expandable",
    "tg-time",
];

struct Open {
    tag: String,
    argument: String,
    begin: usize,
}

pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Reads markup, or says what is wrong as the server would.
pub(crate) fn read(html: &str) -> Result<Marked, String> {
    let mut marked = Marked::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < html.len() {
        let rest = &html[at..];
        if rest.starts_with('&') {
            let (c, length) = entity(rest).ok_or(format!("Unescaped character & at byte offset {at}"))?;
            marked.plain.push(c);
            at += length;
        } else if rest.starts_with("</") {
            let end = rest.find('>').ok_or(format!("Unclosed end tag at byte offset {at}"))?;
            let tag = rest[2..end].trim().to_ascii_lowercase();
            let last = open.pop().ok_or(format!("Unexpected end tag at byte offset {at}"))?;
            if last.tag != tag {
                let expected = last.tag;
                return Err(format!(
                    "Unmatched end tag at byte offset {at}, expected \"</{expected}>\", found \"</{tag}>\""
                ));
            }
            close(&mut marked, last);
            at += end + 1;
        } else if rest.starts_with('<') {
            let end = rest.find('>').ok_or(format!("Unclosed start tag at byte offset {at}"))?;
            let inside = &rest[1..end];
            let name_end = inside.find(char::is_whitespace).unwrap_or(inside.len());
            let tag = inside[..name_end].to_ascii_lowercase();
            if !TAGS.contains(&tag.as_str()) || tag == "expandable" {
                return Err(format!("Unsupported start tag \"{tag}\" at byte offset {at}"));
            }
            let argument = argument(&tag, inside[name_end..].trim(), at)?;
            open.push(Open { tag, argument, begin: units(&marked.plain) });
            at += end + 1;
        } else {
            let c = rest.chars().next().unwrap();
            marked.plain.push(c);
            at += c.len_utf8();
        }
    }
    match open.pop() {
        Some(last) => Err(format!("Can't find end tag corresponding to start tag \"{}\"", last.tag)),
        None => Ok(trimmed(marked)),
    }
}

fn close(marked: &mut Marked, last: Open) {
    let kind = match last.tag.as_str() {
        "strong" => "b",
        "em" => "i",
        "ins" => "u",
        "strike" | "del" => "s",
        "span" => "tg-spoiler",
        other => other,
    };
    let end = units(&marked.plain);
    if end > last.begin {
        marked.marks.push((kind.to_owned(), last.argument, last.begin, end));
    }
}

/// The server cuts blanks at both ends.
fn trimmed(mut marked: Marked) -> Marked {
    let cut = units(&marked.plain) - units(marked.plain.trim_start());
    marked.plain = marked.plain.trim().to_owned();
    let most = units(&marked.plain);
    for mark in &mut marked.marks {
        mark.2 = mark.2.saturating_sub(cut).min(most);
        mark.3 = mark.3.saturating_sub(cut).min(most);
    }
    marked.marks.retain(|mark| mark.3 > mark.2);
    marked.marks.sort();
    marked
}

fn argument(tag: &str, text: &str, at: usize) -> Result<String, String> {
    let quoted = |name: &str| {
        let value = text.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim_start();
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        Some(value.to_owned())
    };
    let bad = || format!("Unsupported attribute `{text}` of the tag \"{tag}\" at byte offset {at}");
    match tag {
        "a" => quoted("href").ok_or_else(bad),
        "span" => quoted("class")
            .filter(|class| class == "tg-spoiler")
            .ok_or_else(|| format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {at}")),
        "tg-emoji" => quoted("emoji-id").ok_or_else(bad),
        "code" if !text.is_empty() => {
            quoted("class").filter(|class| class.starts_with("language-")).ok_or_else(bad)
        }
        "blockquote" if text == "expandable" => Ok(text.to_owned()),
        _ if text.is_empty() => Ok(String::new()),
        _ => Err(bad()),
    }
}

fn entity(rest: &str) -> Option<(char, usize)> {
    let end = rest.find(';').filter(|end| *end <= 10)?;
    let c = match &rest[1..end] {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

#[test]
fn markup_is_read_as_the_server_reads_it() {
    let marked = read(" <b>a &lt; <i>b</i></b> <a href=\"http://x\">😀</a>\n").unwrap();
    assert_eq!(marked.plain, "a < b 😀");
    let mark = |kind: &str, argument: &str, begin, end| (kind.to_owned(), argument.to_owned(), begin, end);
    assert_eq!(marked.marks, [mark("a", "http://x", 6, 8), mark("b", "", 0, 5), mark("i", "", 4, 5)]);
    assert!(read("<pre><code class=\"language-rust\">x</code></pre>&#33;&#x21;").is_ok());
    for (bad, why) in [
        ("<x>a</x>", "Unsupported start tag \"x\" at byte offset 0"),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("a < b", "Unclosed start tag at byte offset 2"),
        ("<b>a", "Can't find end tag corresponding to start tag \"b\""),
        ("<b><i>a</b></i>", "Unmatched end tag at byte offset 7, expected \"</i>\", found \"</b>\""),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("a & b", "Unescaped character & at byte offset 2"),
        ("&nbsp;", "Unescaped character & at byte offset 0"),
        ("<a>x</a>", "Unsupported attribute `` of the tag \"a\" at byte offset 0"),
        ("<span class=\"x\">x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
    ] {
        assert_eq!(read(bad).unwrap_err(), why, "{bad}");
    }
}
