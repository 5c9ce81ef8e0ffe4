//! The order of found memories: full-text relevance, with boosts for importance, recency and use.

use crate::domain::Millis;

use super::Memory;

/// Share of relevance in the score; the best hit has all of it.
const RELEVANCE: f64 = 4.0;
/// Share of importance.
const IMPORTANCE: f64 = 1.0;
/// Share of recency; falls to nothing in 30 days.
const RECENCY: f64 = 0.5;
/// Share of use; reached at 15 uses.
const USE: f64 = 0.5;
const FRESH_DAYS: f64 = 30.0;

/// A memory that a query found, with its BM25 score as SQLite gives it (lower is better, below zero).
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The memory.
    pub memory: Memory,
    /// BM25 of the full-text index.
    pub bm25: f64,
}

/// The best `limit` memories, best first.
pub fn rank(mut found: Vec<Candidate>, now: Millis, limit: usize) -> Vec<Memory> {
    let best = found.iter().map(|candidate| -candidate.bm25).fold(f64::MIN_POSITIVE, f64::max);
    let score = |candidate: &Candidate| {
        let age_days = (now - candidate.memory.updated_at).max(0) as f64 / 86_400_000.0;
        let recency = (1.0 - age_days / FRESH_DAYS).max(0.0);
        let used = ((candidate.memory.uses as f64 + 1.0).log2() / 4.0).min(1.0);
        RELEVANCE * (-candidate.bm25 / best).max(0.0)
            + IMPORTANCE * candidate.memory.importance
            + RECENCY * recency
            + USE * used
    };
    found.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.memory.id.cmp(&b.memory.id)));
    found.into_iter().take(limit).map(|candidate| candidate.memory).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{MemoryId, UserId};

    const DAY: i64 = 86_400_000;

    fn candidate(id: &str, bm25: f64, importance: f64, age_days: i64, uses: u64) -> Candidate {
        let memory = Memory {
            id: MemoryId::new(id),
            user_id: UserId::new("u"),
            content: String::new(),
            category: "general".into(),
            tags: vec![],
            importance,
            uses,
            source: "tool".into(),
            created_at: 0,
            updated_at: 100 * DAY - age_days * DAY,
        };
        Candidate { memory, bm25 }
    }

    fn order(found: Vec<Candidate>) -> Vec<String> {
        rank(found, 100 * DAY, 10).into_iter().map(|memory| memory.id.to_string()).collect()
    }

    #[test]
    fn relevance_leads_and_each_boost_decides_between_equals() {
        let check = |better: Candidate, worse: Candidate| {
            assert_eq!(order(vec![worse, better]), ["a", "b"]);
        };
        check(candidate("a", -9.0, 0.0, 90, 0), candidate("b", -3.0, 1.0, 0, 100));
        check(candidate("a", -3.0, 0.9, 9, 0), candidate("b", -3.0, 0.3, 9, 0));
        check(candidate("a", -3.0, 0.5, 1, 0), candidate("b", -3.0, 0.5, 20, 0));
        check(candidate("a", -3.0, 0.5, 9, 7), candidate("b", -3.0, 0.5, 9, 0));
    }

    #[test]
    fn hits_without_relevance_are_still_ordered() {
        assert_eq!(order(vec![candidate("b", 0.0, 0.1, 0, 0), candidate("a", 0.0, 0.9, 0, 0)]), ["a", "b"]);
    }
}
