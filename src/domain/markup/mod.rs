//! What a model writes (CommonMark with strikethrough, tables and task lists) as a channel takes it, in parts that fit
//! one message each.
//!
//! The text is read once, by one walker over `pulldown-cmark`, into a [`document::Document`]: what is to be seen, with a
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

use document::Document;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// As the channel formats it.
    pub markup: String,
    /// The same without formatting, for when the platform refuses the markup. It fits too.
    pub plain: String,
}

/// What a model wrote, as messages. A text without anything to see gives none.
pub fn parts(text: &str, flavor: Flavor) -> Vec<Part> {
    let document = walk::read(text, flavor);
    if document.is_blank() { verbatim(text, flavor) } else { cut(&document, flavor) }
}

/// A text that is no Markdown, as messages that show it as it is, character by character.
pub fn verbatim(text: &str, flavor: Flavor) -> Vec<Part> {
    let mut document = Document::default();
    document.push(text, false, document::Style::default());
    cut(&document, flavor)
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
    let seen =
        seen.filter(|range| !document::is_blank(document.text().get(range.clone()).unwrap_or_default()));
    seen.map(|range| flavor.part(document, range)).collect()
}
