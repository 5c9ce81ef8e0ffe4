//! Memories: stored once, found by their words, ranked by the domain.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, from_json, row, rows, to_json, users};
use crate::domain::{
    Millis,
    ids::{MemoryId, UserId},
    memory::{self, Candidate, Memory, MemoryChange, NewMemory, text},
};

/// Rows that a search looks at, at most, before it ranks them.
const POOL: usize = 64;
/// Entries of the index that a search reads, at most: rarer words first, until they add up to this.
const READ_BUDGET: i64 = 2_500;
/// Memories with similar words that a new one is compared with.
const SIMILAR: usize = 20;

const COLUMNS: &str = "memories.id, memories.user_id, memories.content, memories.category, memories.tags,
                       memories.importance, memories.uses, memories.source, memories.created_at,
                       memories.updated_at";

/// Stores a fact, or merges it with one that says the same. The same `origin` stores nothing twice.
/// True when it was merged.
///
/// # Errors
/// When the store fails.
pub fn store(db: &Connection, new: &NewMemory) -> Result<(Memory, bool)> {
    if let Some(origin) = &new.origin {
        let sql = format!("SELECT {COLUMNS} FROM memories WHERE origin = ?1");
        if let Some(known) = row(db, &sql, [origin], read)? {
            return Ok((known, false));
        }
    }
    for old in similar(db, new)? {
        if memory::is_near_duplicate(&old.content, &new.content) {
            let merged = memory::merge(&old, new);
            save(db, &merged)?;
            return Ok((merged, true));
        }
    }
    users::ensure(db, &new.user, new.now)?;
    let sql = "INSERT INTO memories (id, user_id, content, category, tags, importance, source, origin,
                                     created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)";
    let params = params![
        new.id.as_str(),
        new.user.as_str(),
        new.content,
        new.category,
        to_json(&new.tags)?,
        new.importance,
        new.source,
        new.origin,
        new.now
    ];
    execute(db, sql, params)?;
    let stored = get(db, &new.user, &new.id)?.ok_or(StoreError::NotFound("memory"))?;
    index(db, db.last_insert_rowid(), &stored)?;
    Ok((stored, false))
}

/// Changes a fact.
///
/// # Errors
/// [`StoreError::NotFound`] when this user has no such memory.
pub fn update(
    db: &Connection,
    user: &UserId,
    id: &MemoryId,
    change: &MemoryChange,
    now: Millis,
) -> Result<Memory> {
    let mut memory = get(db, user, id)?.ok_or(StoreError::NotFound("memory"))?;
    if let Some(content) = &change.content {
        memory.content.clone_from(content);
    }
    if let Some(category) = &change.category {
        memory.category.clone_from(category);
    }
    if let Some(tags) = &change.tags {
        memory.tags.clone_from(tags);
    }
    memory.importance = change.importance.unwrap_or(memory.importance);
    memory.updated_at = now;
    save(db, &memory)?;
    Ok(memory)
}

/// Forgets a fact.
///
/// # Errors
/// [`StoreError::NotFound`] when this user has no such memory.
pub fn delete(db: &Connection, user: &UserId, id: &MemoryId) -> Result<()> {
    let sql = "DELETE FROM memories WHERE id = ?1 AND user_id = ?2 RETURNING rank";
    let rank: Option<i64> = row(db, sql, params![id.as_str(), user.as_str()], |row| Ok(row.get(0)?))?;
    let rank = rank.ok_or(StoreError::NotFound("memory"))?;
    execute(db, "DELETE FROM memory_words WHERE rowid = ?1", [rank])?;
    Ok(())
}

/// One fact of a user.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, user: &UserId, id: &MemoryId) -> Result<Option<Memory>> {
    let sql = format!("SELECT {COLUMNS} FROM memories WHERE id = ?1 AND user_id = ?2");
    row(db, &sql, params![id.as_str(), user.as_str()], read)
}

/// The categories of a user's facts, the largest first; at most 100 of them.
///
/// # Errors
/// When the store fails.
pub fn categories(db: &Connection, user: &UserId) -> Result<Vec<String>> {
    let sql = "SELECT category FROM memories WHERE user_id = ?1 GROUP BY category
               ORDER BY count(*) DESC, category LIMIT 100";
    rows(db, sql, [user.as_str()], |row| Ok(row.get(0)?))
}

/// A user's facts, newest first, of one category or all.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    user: &UserId,
    category: Option<&str>,
    limit: usize,
    offset: usize,
) -> Result<Vec<Memory>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memories WHERE user_id = ?1 AND (?2 IS NULL OR category = ?2)
         ORDER BY updated_at DESC, rank DESC LIMIT ?3 OFFSET ?4"
    );
    rows(
        db,
        &sql,
        params![user.as_str(), category, limit as i64, i64::try_from(offset).unwrap_or(i64::MAX)],
        read,
    )
}

/// Counts the use of facts.
pub(super) fn touch(db: &Connection, ids: &[MemoryId]) -> Result<()> {
    for id in ids {
        execute(db, "UPDATE memories SET uses = uses + 1 WHERE id = ?1", [id.as_str()])?;
    }
    Ok(())
}

/// Counts the use of facts that a tool looked up.
///
/// # Errors
/// When the store fails.
pub fn used(db: &Connection, ids: &[MemoryId]) -> Result<()> {
    touch(db, ids)
}

/// The facts of a user that fit a query best. A query without words finds the newest.
///
/// # Errors
/// When the store fails.
pub fn search(db: &Connection, user: &UserId, query: &str, now: Millis, limit: usize) -> Result<Vec<Memory>> {
    let any = "SELECT 1 FROM memories WHERE user_id = ?1 LIMIT 1";
    if row(db, any, [user.as_str()], |_| Ok(()))?.is_none() {
        return Ok(Vec::new());
    }
    let terms = text::query_terms(query);
    if terms.is_empty() {
        return list(db, user, None, limit, 0);
    }
    let found = candidates(db, user, &terms, POOL.max(limit))?;
    Ok(memory::rank(found, now, limit))
}

fn similar(db: &Connection, new: &NewMemory) -> Result<Vec<Memory>> {
    let terms = text::query_terms(&new.content);
    let found = candidates(db, &new.user, &terms, SIMILAR)?;
    Ok(found.into_iter().map(|candidate| candidate.memory).collect())
}

/// What the index finds. BM25 reads every entry of every word in the query, so rare words come first and the
/// common ones are left out once the budget is used: they say little, and their scan would cost the most.
fn candidates(db: &Connection, user: &UserId, terms: &[String], limit: usize) -> Result<Vec<Candidate>> {
    let mut known: Vec<(i64, String)> =
        entries(db, terms)?.into_iter().zip(terms).map(|(count, term)| (count, quote(term))).collect();
    known.retain(|(count, _)| *count > 0);
    known.sort();
    let Some((fewest, _)) = known.first() else { return Ok(Vec::new()) };
    if *fewest > READ_BUDGET {
        return common(db, user, &known, limit);
    }
    let mut read_so_far = 0;
    let mut words = Vec::new();
    for (entries, word) in &known {
        read_so_far += entries;
        if read_so_far > READ_BUDGET && !words.is_empty() {
            break;
        }
        words.push(word.as_str());
    }
    let sql = format!(
        "SELECT {COLUMNS}, found.score FROM
             (SELECT rowid, bm25(memory_words, 2.0, 3.0, 1.0) AS score FROM memory_words
              WHERE memory_words MATCH ?1) AS found
         JOIN memories ON memories.rank = found.rowid
         WHERE memories.user_id = ?2 ORDER BY found.score LIMIT ?3"
    );
    rows(db, &sql, params![words.join(" OR "), user.as_str(), limit as i64], |row| {
        Ok(Candidate { memory: read(row)?, bm25: row.get(10)? })
    })
}

/// When every word is common: the newest facts that have all of them, else the newest with the rarest.
fn common(db: &Connection, user: &UserId, known: &[(i64, String)], limit: usize) -> Result<Vec<Candidate>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM memory_words JOIN memories ON memories.rank = memory_words.rowid
         WHERE memory_words MATCH ?1 AND memories.user_id = ?2 ORDER BY memory_words.rowid DESC LIMIT ?3"
    );
    let all = known.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" AND ");
    for query in [all.as_str(), known[0].1.as_str()] {
        let found = rows(db, &sql, params![query, user.as_str(), limit as i64], |row| {
            Ok(Candidate { memory: read(row)?, bm25: 0.0 })
        })?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// In how many facts each word stands. The vocabulary holds stems, and only FTS5 knows how it stems, so the
/// words go through a small index of the connection's own that stems alike.
fn entries(db: &Connection, terms: &[String]) -> Result<Vec<i64>> {
    for (at, term) in terms.iter().enumerate() {
        execute(db, "INSERT INTO temp.stem (rowid, word) VALUES (?1, ?2)", params![at as i64, term])?;
    }
    let sql = "SELECT stem_terms.doc, memory_terms.doc FROM temp.stem_terms
               LEFT JOIN memory_terms ON memory_terms.term = stem_terms.term";
    let stems = rows(db, sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    execute(db, "DELETE FROM temp.stem", [])?;
    let mut counts = vec![0; terms.len()];
    for (at, count) in stems {
        if let Some(slot) = usize::try_from(at).ok().and_then(|at| counts.get_mut(at)) {
            *slot = count.unwrap_or(0);
        }
    }
    Ok(counts)
}

/// A word as FTS5 takes it literally.
fn quote(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

fn save(db: &Connection, memory: &Memory) -> Result<()> {
    let sql = "UPDATE memories SET content = ?2, category = ?3, tags = ?4, importance = ?5, updated_at = ?6
               WHERE id = ?1 RETURNING rank";
    let params = params![
        memory.id.as_str(),
        memory.content,
        memory.category,
        to_json(&memory.tags)?,
        memory.importance,
        memory.updated_at
    ];
    let rank: Option<i64> = row(db, sql, params, |row| Ok(row.get(0)?))?;
    let rank = rank.ok_or(StoreError::NotFound("memory"))?;
    execute(db, "DELETE FROM memory_words WHERE rowid = ?1", [rank])?;
    index(db, rank, memory)
}

fn index(db: &Connection, rank: i64, memory: &Memory) -> Result<()> {
    let sql = "INSERT INTO memory_words (rowid, content, tags, category) VALUES (?1, ?2, ?3, ?4)";
    let params = params![
        rank,
        text::indexable(&memory.content),
        text::indexable(&memory.tags.join(" ")),
        text::indexable(&memory.category)
    ];
    execute(db, sql, params)?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Memory> {
    Ok(Memory {
        id: MemoryId::new(row.get::<_, String>(0)?),
        user_id: UserId::new(row.get::<_, String>(1)?),
        content: row.get(2)?,
        category: row.get(3)?,
        tags: from_json(&row.get::<_, String>(4)?)?,
        importance: row.get(5)?,
        uses: row.get::<_, i64>(6)?.max(0) as u64,
        source: row.get(7)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
    })
}
