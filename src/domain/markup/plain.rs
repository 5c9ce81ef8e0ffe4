//! No markup: what a reader needs to know is told in characters. Code keeps its backticks, what is struck out its
//! tildes, and links show their addresses.

use std::ops::Range;

use super::document::{Change, Document, Inline, Style, switch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Link(usize),
    Strike,
    Code,
    Block(usize),
}

/// A range as plain text.
pub(super) fn render(document: &Document, range: Range<usize>) -> String {
    let (mut out, mut open) = (String::new(), Vec::new());
    let (mut linked, mut fence) = (0, String::new());
    let mut change = |out: &mut String, step: Change<Tag>, text: &str| match step {
        Change::Open(Tag::Link(_)) => linked = out.len(),
        Change::Close(Tag::Link(link)) => {
            let address = document.links.get(link).map_or("", String::as_str);
            let told = out.get(linked..).unwrap_or_default();
            if told != address && Some(told) != address.strip_prefix("mailto:") {
                *out += &format!(" ({address})");
            }
        }
        Change::Open(Tag::Strike) | Change::Close(Tag::Strike) => out.push_str("~~"),
        Change::Open(Tag::Code) => {
            let (before, _) = around_code(text);
            fence = before;
            *out += &fence;
        }
        Change::Close(Tag::Code) => out.extend(fence.chars().rev()),
        Change::Open(Tag::Block(block)) => {
            fence = "`".repeat((longest_run(text) + 1).max(3));
            *out += &fence;
            *out += document.blocks.get(block).map_or("", String::as_str);
            out.push('\n');
        }
        Change::Close(Tag::Block(_)) => {
            out.push('\n');
            *out += &fence;
        }
    };
    for stretch in document.stretches(range) {
        switch(&mut open, &tags(stretch.style), |step| change(&mut out, step, stretch.text));
        out.push_str(stretch.text);
    }
    switch(&mut open, &[], |step| change(&mut out, step, ""));
    out
}

fn tags(style: Style) -> Vec<Tag> {
    if let Some(block) = style.block {
        return vec![Tag::Block(block)];
    }
    let is_struck = style.inline.contains(&Some(Inline::Strike));
    let link = style.link.map(Tag::Link);
    link.into_iter().chain(is_struck.then_some(Tag::Strike)).chain(style.code.then_some(Tag::Code)).collect()
}

/// What stands before and after code in a line: more backticks than are in it, and a space where it borders on one.
pub(super) fn around_code(code: &str) -> (String, String) {
    let ticks = "`".repeat(longest_run(code) + 1);
    let is_bordering = code.starts_with('`') || code.ends_with('`');
    let space = if is_bordering { " " } else { "" };
    (format!("{ticks}{space}"), format!("{space}{ticks}"))
}

fn longest_run(text: &str) -> usize {
    text.split(|one| one != '`').map(str::len).max().unwrap_or_default()
}
