//! A reader of Telegram's HTML for tests, stricter than Telegram: what it takes, Telegram shows as meant.

/// What is open around a place.
const TAGS: [&str; 10] = ["b", "i", "u", "s", "code", "pre", "a", "blockquote", "tg-spoiler", "code class"];

/// The text that is seen.
///
/// # Errors
/// What Telegram would refuse, drop or show as it stands, and where.
pub(crate) fn visible(html: &str) -> Result<String, String> {
    let (mut open, mut text, mut rest) = (Vec::<&str>::new(), String::new(), html);
    let mut is_filled = true;
    while let Some(one) = rest.chars().next() {
        let at = html.len() - rest.len();
        let place = |why: &str| format!("at byte {at}: {why}");
        match one {
            '<' => {
                let Some(end) = rest.find('>') else { return Err(place("a tag without an end")) };
                let tag = &rest[1..end];
                rest = &rest[end + 1..];
                if let Some(name) = tag.strip_prefix('/') {
                    let Some(last) = open.pop() else { return Err(place("closes what is not open")) };
                    if last.split(' ').next() != Some(name) {
                        return Err(place(&format!("closes {name} inside {last}")));
                    }
                    if !is_filled {
                        return Err(place(&format!("an empty {name}")));
                    }
                } else {
                    let name = opened(tag).map_err(|why| place(&why))?;
                    nests(&open, name).map_err(|why| place(&why))?;
                    open.push(name);
                    is_filled = false;
                }
            }
            '&' => {
                let Some((entity, after)) = rest.split_once(';') else { return Err(place("a bare &")) };
                text.push(entity_of(entity).ok_or_else(|| place(&format!("no entity: {entity}")))?);
                (rest, is_filled) = (after, true);
            }
            '>' => return Err(place("a bare >")),
            other => {
                text.push(other);
                (rest, is_filled) = (&rest[other.len_utf8()..], true);
            }
        }
    }
    if open.is_empty() { Ok(text) } else { Err(format!("left open: {open:?}")) }
}

fn entity_of(entity: &str) -> Option<char> {
    let known = [("&lt", '<'), ("&gt", '>'), ("&amp", '&'), ("&quot", '"')];
    known.into_iter().find(|(name, _)| *name == entity).map(|(_, one)| one)
}

/// The name of an opening tag whose attributes are as they must be.
fn opened(tag: &str) -> Result<&'static str, String> {
    let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let value = |attribute: &str| {
        let value = attributes.strip_prefix(attribute)?.strip_prefix("=\"")?.strip_suffix('"')?;
        (!value.is_empty() && !value.contains(['"', '<', '>'])).then_some(value)
    };
    let is_right = match name {
        "a" => value("href").is_some_and(|url| {
            let is_open = ["http://", "https://", "tg://", "mailto:"]
                .iter()
                .any(|scheme| url.to_ascii_lowercase().starts_with(scheme));
            let are_entities = url.split('&').skip(1).all(|after| {
                after.split_once(';').is_some_and(|(name, _)| entity_of(&format!("&{name}")).is_some())
            });
            is_open && are_entities && !url.contains(char::is_whitespace)
        }),
        "code" if !attributes.is_empty() => {
            let is_language = value("class").and_then(|class| class.strip_prefix("language-"));
            return is_language.map(|_| "code class").ok_or(format!("attributes of {tag}"));
        }
        _ => attributes.is_empty(),
    };
    let known = TAGS.into_iter().find(|known| *known == name);
    known.filter(|_| is_right).ok_or(format!("no tag of Telegram: {tag}"))
}

/// Telegram's rules of nesting.
fn nests(open: &[&str], name: &str) -> Result<(), String> {
    let is_code = |name: &str| matches!(name, "code" | "pre" | "code class");
    let innermost = open.last().copied().unwrap_or_default();
    let is_language = name == "code class";
    let fits = if is_language {
        innermost == "pre"
    } else {
        !open.iter().any(|outer| is_code(outer))
            && (!is_code(name) || open.iter().all(|outer| *outer == "blockquote"))
            && (name != "blockquote" || open.is_empty())
            && !open.contains(&name)
    };
    if fits { Ok(()) } else { Err(format!("{name} inside {open:?}")) }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_telegram_would_not_take_is_refused() {
        for html in [
            "a < b",
            "a > b",
            "a & b",
            "&nbsp;",
            "&amp",
            "<b>x",
            "x</b>",
            "<b><i>x</b></i>",
            "<p>x</p>",
            "<B>x</B>",
            "<a>x</a>",
            "<a href=\"javascript:x\">x</a>",
            "<a href=\"https://x.y/?a&b\">x</a>",
            "<b></b>",
            "<a href=\"https://x.y/\" id=\"1\">x</a>",
            "<code class=\"language-rust\">x</code>",
            "<br>",
            "<b",
            "<b><code>x</code></b>",
            "<pre><b>x</b></pre>",
            "<b>x<b>y</b></b>",
            "<blockquote>x<blockquote>y</blockquote></blockquote>",
        ] {
            assert!(visible(html).is_err(), "{html}");
        }
    }

    #[test]
    fn what_telegram_takes_is_read() {
        let html = "<blockquote><a href=\"https://x.y/?a&amp;b=&quot;\"><b>x</b></a> &lt;&amp;</blockquote>\
            <pre><code class=\"language-rust\">y</code></pre>";
        assert_eq!(visible(html), Ok("x <&y".to_owned()));
    }
}
