//! The journals of bots, and their full-text index.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, row, rows};
use crate::domain::{
    bot::journal::{self, Entry, EntryKind},
    ids::{BotId, EntryId, JobId, StoryId},
    memory::text,
};

/// Entries that a bot may be reminded of, at most, and learnings beside them.
const REMEMBERED: usize = 200;

const COLUMNS: &str = "j.id, j.bot_id, j.kind, j.summary, j.details, j.story_id, j.job_id, j.created_at";

/// Stores an entry. One whose id is known is stored already.
///
/// # Errors
/// [`StoreError::NotFound`] for a bot that is not there, or why the domain refuses its words.
pub fn add(db: &Connection, entry: &Entry) -> Result<Entry> {
    journal::check(entry)?;
    let known = format!("SELECT {COLUMNS} FROM bot_journal AS j WHERE j.id = ?1");
    if let Some(known) = row(db, &known, [entry.id.as_str()], read)? {
        return Ok(known);
    }
    if super::bots::get(db, &entry.bot)?.is_none() {
        return Err(StoreError::NotFound("bot"));
    }
    let sql = "INSERT INTO bot_journal (id, bot_id, kind, summary, details, story_id, job_id, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let params = params![
        entry.id.as_str(),
        entry.bot.as_str(),
        entry.kind.as_str(),
        entry.summary,
        entry.details,
        entry.story.as_ref().map(StoryId::as_str),
        entry.job.as_ref().map(JobId::as_str),
        entry.at
    ];
    execute(db, sql, params)?;
    let rank = db.last_insert_rowid();
    let sql = "INSERT INTO bot_journal_words (rowid, summary, details) VALUES (?1, ?2, ?3)";
    execute(db, sql, params![rank, text::indexable(&entry.summary), text::indexable(&entry.details)])?;
    Ok(entry.clone())
}

/// Entries of a bot, newest first: of a kind, with all words of a query, older than one that is named.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    bot: &BotId,
    kind: Option<EntryKind>,
    query: Option<&str>,
    before: Option<&EntryId>,
    limit: usize,
) -> Result<Vec<Entry>> {
    let words = query.map(text::query_terms).unwrap_or_default();
    if query.is_some() && words.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM bot_journal AS j
         WHERE j.bot_id = ?1 AND (?2 IS NULL OR j.kind = ?2) AND (?3 IS NULL OR j.id < ?3)
         {} ORDER BY j.id DESC LIMIT ?4",
        if words.is_empty() {
            "AND ?5 IS NULL"
        } else {
            "AND j.rank IN (SELECT rowid FROM bot_journal_words WHERE bot_journal_words MATCH ?5)"
        }
    );
    // Each word in quotes is a word, whatever it means to the index.
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let wanted = (!quoted.is_empty()).then(|| quoted.join(" AND "));
    let (kind, before) = (kind.map(EntryKind::as_str), before.map(EntryId::as_str));
    rows(db, &sql, params![bot.as_str(), kind, before, super::page(limit), wanted], read)
}

/// What a bot is reminded of, the oldest first, within a limit of tokens.
///
/// # Errors
/// When the store fails.
pub fn recall(db: &Connection, bot: &BotId, max_tokens: u64) -> Result<Vec<Entry>> {
    let newest = list(db, bot, None, None, None, REMEMBERED)?;
    let learned = list(db, bot, Some(EntryKind::Learning), None, None, REMEMBERED)?;
    Ok(journal::recall(newest, learned, max_tokens))
}

fn read(row: &rusqlite::Row<'_>) -> Result<Entry> {
    let kind: String = row.get(2)?;
    Ok(Entry {
        id: EntryId::new(row.get::<_, String>(0)?),
        bot: BotId::new(row.get::<_, String>(1)?),
        kind: EntryKind::parse(&kind).ok_or_else(|| StoreError::Corrupt(format!("an entry {kind}")))?,
        summary: row.get(3)?,
        details: row.get(4)?,
        story: row.get::<_, Option<String>>(5)?.map(StoryId::new),
        job: row.get::<_, Option<String>>(6)?.map(JobId::new),
        at: row.get(7)?,
    })
}
