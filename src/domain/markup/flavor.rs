//! What the channels differ in: limits, layout, and which links they open.

use std::ops::Range;

use super::{Part, discord, document::Document, plain, telegram};

/// Whose markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Telegram's HTML (<https://core.telegram.org/bots/api#html-style>).
    Telegram,
    /// Discord's markdown (<https://support.discord.com/hc/en-us/articles/210298617>).
    Discord,
    /// No markup and no limit: one part.
    Plain,
}

/// UTF-16 units that a message of Telegram may have after its entities were parsed.
const TELEGRAM_LIMIT: usize = 4096;
/// Bytes of HTML in one message; Telegram's own server refuses more than 32 768 before it parses them.
const TELEGRAM_BYTES: usize = 30_000;
/// Entities that Telegram keeps in one message; formatting after them is dropped, the address of a link with it.
const TELEGRAM_ENTITIES: usize = 100;
/// Code points that a message of Discord may have, markers counted.
const DISCORD_LIMIT: usize = 2000;
/// What a part leaves free of a limit, for words that are put before one which is posted a second time.
const MARK_ROOM: usize = 48;

impl Flavor {
    /// The most that a part may take of what one message holds, in what [`Flavor::size`] counts.
    pub(super) fn limit(self) -> Option<usize> {
        match self {
            Self::Telegram => Some(TELEGRAM_LIMIT - MARK_ROOM),
            Self::Discord => Some(DISCORD_LIMIT - MARK_ROOM),
            Self::Plain => None,
        }
    }

    /// What a range takes of a message's limit, formatted or plain, whichever is longer.
    pub(super) fn size(self, document: &Document, range: Range<usize>) -> usize {
        let range = document.trim(range);
        match self {
            Self::Telegram => {
                let (html, entities) = telegram::render(document, range.clone());
                if html.len() > TELEGRAM_BYTES || entities > TELEGRAM_ENTITIES {
                    return usize::MAX;
                }
                let shown = utf16(document.text().get(range.clone()).unwrap_or_default());
                shown.max(utf16(&plain::render(document, range)))
            }
            Self::Discord => {
                let markup = discord::render(document, range.clone()).chars().count();
                markup.max(plain::render(document, range).chars().count())
            }
            Self::Plain => 0,
        }
    }

    /// A range as a message.
    pub(super) fn part(self, document: &Document, range: Range<usize>) -> Part {
        let plain = plain::render(document, range.clone());
        let markup = match self {
            Self::Telegram => telegram::render(document, range).0,
            Self::Discord => discord::render(document, range),
            Self::Plain => plain.clone(),
        };
        Part { markup, plain }
    }

    /// What stands before an item of a list without numbers.
    pub(super) fn bullet(self) -> &'static str {
        match self {
            Self::Telegram => "• ",
            Self::Discord | Self::Plain => "- ",
        }
    }

    /// What stands before each line of a quote at this depth, counted from 0. Telegram has a tag for the outermost.
    pub(super) fn quote(self, depth: usize) -> &'static str {
        if self == Self::Telegram && depth == 0 { "" } else { "> " }
    }

    /// What stands before a heading of a level; a heading without one is bold.
    pub(super) fn heading(self, level: usize) -> &'static str {
        match (self, level) {
            (Self::Discord, 1) => "# ",
            (Self::Discord, 2) => "## ",
            (Self::Discord, 3) => "### ",
            _ => "",
        }
    }

    /// The beginnings of addresses that become links; others are shown.
    pub(super) fn schemes(self) -> &'static [&'static str] {
        match self {
            Self::Telegram => &["http://", "https://", "tg://", "mailto:"],
            Self::Discord => &["http://", "https://"],
            // Links are shown with their addresses, whatever these are.
            Self::Plain => &[],
        }
    }
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}
