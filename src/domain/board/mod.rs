//! A project's board: columns with roles, stories with places, claims with fencing tokens.

pub mod card;
pub mod claim;
pub mod column;
pub mod dependency;
pub mod place;
mod refusal;
pub mod story;

#[cfg(test)]
mod properties;

pub use claim::{Grant, Outcome, next_for};
pub use column::{Board, BoardChange, Column, ColumnDraft, ColumnRole};
pub use place::Place;
pub use refusal::Refusal;
pub use story::{Assignee, Change, Changed, Claim, NewStory, Priority, Story, StoryChange, StoryFilter};

use super::Millis;

/// Who does something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who: `key:<name>`, `bot:<id>` or `system`.
    pub actor: String,
    /// When.
    pub at: Millis,
}

/// Checks that a text has this many characters, none of them a control character; `lines` allows line breaks and
/// tabs. What comes first in the error is what the text is.
///
/// # Errors
/// [`Refusal::Bad`].
pub fn check_text(
    what: &'static str,
    text: &str,
    least: usize,
    most: usize,
    lines: bool,
) -> Result<(), Refusal> {
    let length = text.trim().chars().count();
    let odd = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
    if length < least || text.chars().count() > most {
        return Err(Refusal::Bad(format!("{what} must have {least} to {most} characters")));
    }
    if text.chars().any(odd) {
        return Err(Refusal::Bad(format!("{what} has a control character: take it out")));
    }
    Ok(())
}

/// A text that [`check_text`] takes, out of one that was written by an engine or by Atoll: what does not fit is cut
/// off, control characters become spaces, and of nothing at all a word is made.
pub fn fit_text(text: &str, most: usize, lines: bool) -> String {
    let odd = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'));
    let plain: String = text.trim().chars().map(|c| if odd(c) { ' ' } else { c }).collect();
    let plain = plain.trim();
    match plain.chars().count() {
        0 => "(nothing was said)".to_owned(),
        length if length <= most => plain.to_owned(),
        _ => plain.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}
