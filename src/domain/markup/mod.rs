//! What a model writes (CommonMark with strikethrough, tables and task lists) as a channel takes it, in parts that fit
//! one message each.
//!
//! The text is read once, by one walker over `pulldown-cmark`, into a `Document`: what is to be seen, with a
//! style for each stretch of it. That is cut ([`super::split`]) where a reader would cut it, and only then does each part
//! get its tags or markers. So a part never ends inside a tag or an entity, and a style, a link or a code block that goes
//! over a border is closed before it and opened again after it, a code block with its language.
//!
//! What a part leaves out of the text: whitespace at its two ends. What it adds: those closed and opened styles, and on
//! Discord the `> ` of a quote that goes on. Nothing else: what cannot be shown as meant is shown as it was written.

mod discord;
mod document;
mod flavor;
mod link;
mod page;
mod plain;
mod table;
mod telegram;
mod walk;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod strict;
#[cfg(test)]
mod tests;

pub use flavor::Flavor;
#[cfg(test)]
pub(crate) use strict::visible;

use document::{Document, is_blank};

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As the channel formats it.
    pub markup: String,
    /// The same without formatting, for when the platform refuses the markup. It fits too.
    pub plain: String,
}

/// What tells that a preview goes on.
const MORE: &str = "\n…";
/// What is between a preview and the lines below it.
const BETWEEN: &str = "\n\n";
/// Most bytes that are read for a preview: more than any message shows of them.
const PREVIEW: usize = 65_536;

/// What a model wrote, as messages. A text without anything to see gives none.
pub fn parts(text: &str, flavor: Flavor) -> Vec<Part> {
    let document = walk::read(text, flavor);
    if document.is_blank() { verbatim(text, flavor) } else { cut(&document, flavor) }
}

/// A text that is no Markdown, as messages that show it as it is, character by character.
pub fn verbatim(text: &str, flavor: Flavor) -> Vec<Part> {
    cut(&literal(text), flavor)
}

/// The beginning of what a model is still writing, as one message: what does not fit is told by `…`. The lines in `below`
/// stand under it as they are; they must leave room. Without anything to see there is none.
pub fn preview(text: &str, below: &str, flavor: Flavor) -> Option<Part> {
    let below = (!is_blank(below)).then(|| whole(&literal(below), flavor));
    let read = text.get(..text.floor_char_boundary(PREVIEW)).unwrap_or_default();
    let document = walk::read(read, flavor);
    if document.is_blank() {
        return below.map(|(part, _)| part);
    }
    let room = below.as_ref().map_or(MORE.len(), |(_, size)| MORE.len() + BETWEEN.len() + size);
    let shown = document.text();
    let end = flavor.limit().map_or(shown.len(), |limit| {
        let size = |range| flavor.size(&document, range);
        super::split::first(shown, limit.saturating_sub(room), size, |at| document.may_cut(at))
    });
    let mut part = flavor.part(&document, document.trim(0..end));
    if end < shown.len() || read.len() < text.len() {
        part.add(MORE, MORE);
    }
    if let Some((below, _)) = below {
        part.add(BETWEEN, BETWEEN);
        part.add(&below.markup, &below.plain);
    }
    Some(part)
}

impl Part {
    fn add(&mut self, markup: &str, plain: &str) {
        self.markup.push_str(markup);
        self.plain.push_str(plain);
    }
}

/// A text that is no Markdown, read as it is.
fn literal(text: &str) -> Document {
    let mut document = Document::default();
    document.push(text, false, document::Style::default());
    document
}

/// All of a document as one part, and what it takes of the limit.
fn whole(document: &Document, flavor: Flavor) -> (Part, usize) {
    let all = document.trim(0..document.text().len());
    (flavor.part(document, all.clone()), flavor.size(document, all))
}

fn cut(document: &Document, flavor: Flavor) -> Vec<Part> {
    if document.is_blank() {
        return Vec::new();
    }
    let all = 0..document.text().len();
    let ranges = match flavor.limit() {
        Some(limit) => super::split::ranges(
            document.text(),
            limit,
            |range| flavor.size(document, range),
            |at| document.may_cut(at),
        ),
        None => vec![all],
    };
    let seen = ranges.into_iter().map(|range| document.trim(range));
    let seen = seen.filter(|range| !is_blank(document.text().get(range.clone()).unwrap_or_default()));
    seen.map(|range| flavor.part(document, range)).collect()
}
