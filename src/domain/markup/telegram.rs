//! Telegram's HTML: <https://core.telegram.org/bots/api#html-style>.

use std::ops::Range;

use super::document::{Change, Document, Inline, Style, switch};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Quote,
    Link(usize),
    Inline(Inline),
    Code,
    Block(usize),
}

/// A range as HTML, and how many entities it makes.
pub(super) fn render(document: &Document, range: Range<usize>) -> (String, usize) {
    let (mut html, mut open, mut entities) = (String::new(), Vec::new(), 0);
    let mut change = |html: &mut String, change: Change<Tag>| match change {
        Change::Open(tag) => {
            entities += 1;
            enter(html, document, tag);
        }
        Change::Close(tag) => leave(html, document, tag),
    };
    for stretch in document.stretches(range) {
        switch(&mut open, &tags(stretch.style), |step| change(&mut html, step));
        escape(&mut html, stretch.text);
    }
    switch(&mut open, &[], |step| change(&mut html, step));
    (html, entities)
}

/// The tags around a style. Code takes no other style and no link takes code: Telegram has no such nesting.
fn tags(style: Style) -> Vec<Tag> {
    let mut tags = Vec::new();
    if style.quote {
        tags.push(Tag::Quote);
    }
    if let Some(block) = style.block {
        tags.push(Tag::Block(block));
    } else if style.code && style.link.is_none() {
        tags.push(Tag::Code);
    } else {
        tags.extend(style.link.map(Tag::Link));
        tags.extend(style.inline.into_iter().flatten().map(Tag::Inline));
    }
    tags
}

fn enter(html: &mut String, document: &Document, tag: Tag) {
    match tag {
        Tag::Quote => html.push_str("<blockquote>"),
        Tag::Link(link) => {
            html.push_str("<a href=\"");
            escape(html, document.links.get(link).map_or("", String::as_str));
            html.push_str("\">");
        }
        Tag::Inline(Inline::Bold) => html.push_str("<b>"),
        Tag::Inline(Inline::Italic) => html.push_str("<i>"),
        Tag::Inline(Inline::Strike) => html.push_str("<s>"),
        Tag::Code => html.push_str("<code>"),
        Tag::Block(block) => {
            html.push_str("<pre>");
            if let Some(language) = language(document, block) {
                html.push_str("<code class=\"language-");
                escape(html, language);
                html.push_str("\">");
            }
        }
    }
}

fn leave(html: &mut String, document: &Document, tag: Tag) {
    html.push_str(match tag {
        Tag::Quote => "</blockquote>",
        Tag::Link(_) => "</a>",
        Tag::Inline(Inline::Bold) => "</b>",
        Tag::Inline(Inline::Italic) => "</i>",
        Tag::Inline(Inline::Strike) => "</s>",
        Tag::Code => "</code>",
        Tag::Block(block) if language(document, block).is_some() => "</code></pre>",
        Tag::Block(_) => "</pre>",
    });
}

fn language(document: &Document, block: usize) -> Option<&str> {
    document.blocks.get(block).map(String::as_str).filter(|language| !language.is_empty())
}

/// Text and values of attributes: of the named entities Telegram knows just these four.
fn escape(html: &mut String, text: &str) {
    for one in text.chars() {
        match one {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
}
