//! A bot's journal: what it did, saw, decided and learned, and how much of it goes into its next instruction.

use serde::{Deserialize, Serialize};

use crate::domain::{
    Millis,
    board::{Refusal, check_text},
    ids::{BotId, EntryId, JobId, StoryId},
    tokens,
};

/// What an entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// It began to work on something.
    Started,
    /// It finished something.
    Completed,
    /// Something did not work.
    Failed,
    /// It saw something.
    Observation,
    /// It chose something.
    Decision,
    /// It learned something that holds beyond the story.
    Learning,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Started, Self::Completed, Self::Failed, Self::Observation, Self::Decision, Self::Learning];

    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Observation => "observation",
            Self::Decision => "decision",
            Self::Learning => "learning",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id. Ids begin with the time: their order is the order of the entries.
    pub id: EntryId,
    /// Whose.
    pub bot: BotId,
    /// What it tells.
    pub kind: EntryKind,
    /// In one line.
    pub summary: String,
    /// More of it.
    pub details: String,
    /// About which story.
    pub story: Option<StoryId>,
    /// Out of which job.
    pub job: Option<JobId>,
    /// When.
    pub at: Millis,
}

/// Checks the words of an entry.
///
/// # Errors
/// [`Refusal::Bad`] with what does not fit.
pub fn check(entry: &Entry) -> Result<(), Refusal> {
    check_text("summary", &entry.summary, 1, 500, false)?;
    check_text("details", &entry.details, 0, 20_000, true)
}

/// What of the journal a bot is reminded of, the oldest first, in at most `max_tokens` (an estimate on the safe
/// side). `newest` are its entries, newest first; `learned` its learnings, newest first. What it learned may use a
/// third of the room, and what happened lately the rest; neither leaves an entry out and goes on to an older one.
pub fn recall(newest: Vec<Entry>, learned: Vec<Entry>, max_tokens: u64) -> Vec<Entry> {
    let mut room = max_tokens / 3;
    let mut chosen: Vec<Entry> = Vec::new();
    take(&mut chosen, learned, &mut room);
    room += max_tokens - max_tokens / 3;
    take(&mut chosen, newest, &mut room);
    chosen.sort_by(|one, other| one.id.cmp(&other.id));
    chosen
}

fn take(chosen: &mut Vec<Entry>, entries: Vec<Entry>, room: &mut u64) {
    for entry in entries {
        if chosen.iter().any(|known| known.id == entry.id) {
            continue;
        }
        let Some(left) = room.checked_sub(weight(&entry)) else { return };
        *room = left;
        chosen.push(entry);
    }
}

/// What an entry takes of an instruction, in tokens: its words, its kind and its day.
fn weight(entry: &Entry) -> u64 {
    tokens::of_text(&entry.summary) + tokens::of_text(&entry.details) + 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(id: usize, kind: EntryKind, words: usize) -> Entry {
        Entry {
            id: EntryId::new(format!("{id:04}")),
            bot: BotId::new("b"),
            kind,
            summary: "x".repeat(words * 3),
            details: String::new(),
            story: None,
            job: None,
            at: 0,
        }
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.id.as_str()).collect()
    }

    #[test]
    fn the_newest_fit_and_an_old_learning_still_has_its_place() {
        let newest: Vec<Entry> = (10..20).rev().map(|id| entry(id, EntryKind::Started, 10)).collect();
        let learned = vec![entry(2, EntryKind::Learning, 10), entry(1, EntryKind::Learning, 10)];
        assert_eq!(ids(&recall(newest.clone(), learned.clone(), 60)), ["0002", "0018", "0019"]);
        assert_eq!(ids(&recall(newest.clone(), vec![], 59)), ["0018", "0019"]);
        assert_eq!(recall(newest, learned, 10), vec![]);
    }

    #[test]
    fn words_are_checked() {
        assert_eq!(check(&entry(1, EntryKind::Failed, 10)), Ok(()));
        assert!(check(&entry(1, EntryKind::Failed, 0)).is_err());
        assert!(check(&entry(1, EntryKind::Failed, 200)).is_err());
        for kind in EntryKind::ALL {
            assert_eq!(EntryKind::parse(kind.as_str()), Some(kind));
        }
    }

    proptest! {
        #[test]
        fn the_limit_holds_and_nothing_comes_twice(
            words in prop::collection::vec((0_usize..60, any::<bool>()), 0..40),
            limit in 0_u64..600,
        ) {
            let all = words.iter().enumerate().rev().map(|(id, (words, learned))| {
                entry(id, if *learned { EntryKind::Learning } else { EntryKind::Completed }, *words)
            });
            let newest: Vec<Entry> = all.collect();
            let learned: Vec<Entry> =
                newest.iter().filter(|entry| entry.kind == EntryKind::Learning).cloned().collect();
            let chosen = recall(newest, learned, limit);
            prop_assert!(chosen.iter().map(weight).sum::<u64>() <= limit);
            prop_assert!(chosen.windows(2).all(|pair| pair[0].id < pair[1].id));
        }
    }
}
