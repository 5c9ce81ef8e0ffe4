//! What is remembered about a person: facts, how they are found again, and when two are one.

mod dedupe;
pub mod extract;
mod score;
pub mod text;

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    ids::{MemoryId, UserId},
};
pub use dedupe::{is_near_duplicate, merge};
pub use score::{Candidate, rank};

/// Longest content of a memory, in characters.
pub const MAX_CONTENT: usize = 8_000;
/// Longest tag, and most tags.
pub const MAX_TAGS: usize = 20;
/// The kinds of facts that models are offered; any short word is taken.
pub const CATEGORIES: [&str; 6] = ["personal", "preference", "project", "decision", "system", "general"];

/// A remembered fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Its name, short enough to type.
    pub id: MemoryId,
    /// Whose it is. Nobody else sees it.
    pub user_id: UserId,
    /// The fact.
    pub content: String,
    /// Its kind.
    pub category: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// From 0 to 1.
    pub importance: f64,
    /// How often it was of use.
    pub uses: u64,
    /// Who stored it: `manual`, `tool`, or `conversation`.
    pub source: String,
    /// When it was stored.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A fact to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMemory {
    /// The name it gets, unless it joins one that is there.
    pub id: MemoryId,
    /// Whose it is.
    pub user: UserId,
    /// The fact.
    pub content: String,
    /// Its kind.
    pub category: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// From 0 to 1.
    pub importance: f64,
    /// Who stores it.
    pub source: String,
    /// The key under which storing it again does nothing.
    pub origin: Option<String>,
    /// When.
    pub now: Millis,
}

/// A change to a fact; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MemoryChange {
    /// The fact.
    pub content: Option<String>,
    /// Its kind.
    pub category: Option<String>,
    /// Words to find it by.
    pub tags: Option<Vec<String>>,
    /// From 0 to 1.
    pub importance: Option<f64>,
}

/// Why a fact cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMemory {
    /// It says nothing.
    #[error("content must not be empty")]
    Empty,
    /// It says too much.
    #[error("content has {0} characters, and at most {MAX_CONTENT} are taken")]
    TooLong(usize),
    /// The category is no word.
    #[error("category must be 1 to 40 letters, digits, - or _")]
    Category,
    /// Too many or too long tags.
    #[error("at most {MAX_TAGS} tags of 1 to 60 characters are taken")]
    Tags,
    /// Importance is out of range.
    #[error("importance must be from 0 to 1")]
    Importance,
}

/// Checks a fact from outside.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(change: &MemoryChange) -> Result<(), BadMemory> {
    if let Some(content) = &change.content {
        let length = content.chars().count();
        if content.trim().is_empty() {
            return Err(BadMemory::Empty);
        }
        if length > MAX_CONTENT {
            return Err(BadMemory::TooLong(length));
        }
    }
    if let Some(category) = &change.category {
        let fine = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if category.is_empty() || category.chars().count() > 40 || !category.chars().all(fine) {
            return Err(BadMemory::Category);
        }
    }
    if let Some(tags) = &change.tags {
        let fine = |tag: &String| (1..=60).contains(&tag.chars().count());
        if tags.len() > MAX_TAGS || !tags.iter().all(fine) {
            return Err(BadMemory::Tags);
        }
    }
    match change.importance {
        Some(importance) if !(0.0..=1.0).contains(&importance) => Err(BadMemory::Importance),
        _ => Ok(()),
    }
}
