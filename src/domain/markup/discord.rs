//! Discord's markdown, which is its own: what it would take as markup is escaped, and code is left as it is.

use std::ops::Range;

use super::{
    document::{Change, Document, Inline, Style, switch},
    link::{bare, encode_bare},
    plain::around_code,
};

/// Between two markers that would be read as one, and inside what would be read as a mention.
const NOTHING: char = '\u{200b}';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Link(usize),
    Inline(Inline),
    Block(usize),
}

/// A range as a message.
pub(super) fn render(document: &Document, range: Range<usize>) -> String {
    let (mut out, mut open) = (String::new(), Vec::new());
    let (mut is_quoted, mut is_after_mark) = (false, true);
    for stretch in document.stretches(range) {
        let style = stretch.style;
        if out.is_empty() && style.quote && !stretch.mark {
            out.push_str("> ");
        }
        let mut is_after_stars = false;
        switch(&mut open, &tags(style), |change| match change {
            Change::Close(tag) => {
                leave(&mut out, document, tag, is_quoted);
                is_after_stars = is_stars(tag);
            }
            Change::Open(tag) => {
                if is_after_stars && is_stars(tag) {
                    out.push(NOTHING);
                }
                is_after_stars = false;
                enter(&mut out, document, tag, style.quote);
            }
        });
        is_quoted = style.quote;
        if style.block.is_some() {
            code_block(&mut out, stretch.text, style.quote);
        } else if style.code {
            let (before, after) = around_code(stretch.text);
            out.extend([&before, stretch.text, &after]);
        } else if stretch.mark {
            out.push_str(stretch.text);
        } else {
            let is_line_start = is_after_mark || out.is_empty() || out.ends_with('\n');
            escape(&mut out, stretch.text, is_line_start, style.link.is_some());
        }
        is_after_mark = stretch.mark;
    }
    switch(&mut open, &[], |change| {
        if let Change::Close(tag) = change {
            leave(&mut out, document, tag, is_quoted);
        }
    });
    out
}

fn tags(style: Style) -> Vec<Tag> {
    match style.block {
        Some(block) => vec![Tag::Block(block)],
        None => {
            let inline = style.inline.into_iter().flatten().map(Tag::Inline);
            style.link.map(Tag::Link).into_iter().chain(inline).collect()
        }
    }
}

fn is_stars(tag: Tag) -> bool {
    matches!(tag, Tag::Inline(Inline::Bold | Inline::Italic))
}

fn enter(out: &mut String, document: &Document, tag: Tag, quote: bool) {
    match tag {
        Tag::Link(_) => out.push('['),
        Tag::Inline(inline) => out.push_str(marker(inline)),
        Tag::Block(block) => {
            out.push_str("```");
            out.push_str(document.blocks.get(block).map_or("", String::as_str));
            out.push_str(line_break(quote));
        }
    }
}

fn leave(out: &mut String, document: &Document, tag: Tag, quote: bool) {
    match tag {
        Tag::Link(link) => {
            let address = document.links.get(link).map_or("", String::as_str);
            out.push_str(&format!("]({address})"));
        }
        Tag::Inline(inline) => out.push_str(marker(inline)),
        Tag::Block(_) => {
            out.push_str(line_break(quote));
            out.push_str("```");
        }
    }
}

fn marker(inline: Inline) -> &'static str {
    match inline {
        Inline::Bold => "**",
        Inline::Italic => "*",
        Inline::Strike => "~~",
    }
}

fn line_break(quote: bool) -> &'static str {
    if quote { "\n> " } else { "\n" }
}

/// Code of a block. Discord knows no fence that is longer than three backticks.
fn code_block(out: &mut String, code: &str, quote: bool) {
    let mut ticks = 0;
    for one in code.chars() {
        ticks = if one == '`' { ticks + 1 } else { 0 };
        if ticks == 3 {
            out.push(NOTHING);
            ticks = 1;
        }
        match one {
            '\n' => out.push_str(line_break(quote)),
            other => out.push(other),
        }
    }
    if ticks > 0 {
        out.push(NOTHING);
    }
}

/// Text that means itself.
fn escape(out: &mut String, text: &str, mut is_line_start: bool, is_linked: bool) {
    let mut rest = text;
    while let Some(one) = rest.chars().next() {
        if let Some(url) = bare(rest).filter(|_| !is_linked) {
            out.push_str(&encode_bare(url));
            rest = &rest[url.len()..];
            is_line_start = false;
            continue;
        }
        let after = &rest[one.len_utf8()..];
        if is_line_start && one.is_ascii_digit() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            out.push_str(&rest[..digits]);
            rest = &rest[digits..];
            if rest.starts_with(['.', ')']) {
                out.push('\\');
            }
            is_line_start = false;
            continue;
        }
        let means = matches!(one, '\\' | '*' | '_' | '~' | '`' | '|' | '[')
            || one == ']' && is_linked
            || is_line_start && matches!(one, '#' | '-' | '+' | '>');
        if means {
            out.push('\\');
        }
        out.push(one);
        if one == '<' && is_reference(after) || one == '@' && is_crowd(after) {
            out.push(NOTHING);
        }
        is_line_start = one == '\n' || is_line_start && one.is_whitespace();
        rest = after;
    }
}

/// After `<`: a mention, a channel, an emoji, a time, a command.
fn is_reference(after: &str) -> bool {
    let is_command =
        after.starts_with('/') && after.split('>').next().is_some_and(|inner| inner.contains(':'));
    is_command || ["@", "#", ":", "a:", "t:", "id:"].iter().any(|kind| after.starts_with(kind))
}

/// After `@`: everybody.
fn is_crowd(after: &str) -> bool {
    after.starts_with("everyone") || after.starts_with("here")
}
