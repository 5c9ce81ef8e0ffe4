//! Moments at which a conversation is to look at itself again.

use rusqlite::{Connection, params};

use super::{Result, execute, rows};
use crate::domain::{Millis, ids::ConversationId};

/// Notes a moment.
pub(super) fn insert(
    db: &Connection,
    conversation: &ConversationId,
    due_at: Millis,
    reason: &str,
) -> Result<()> {
    let sql = "INSERT INTO wakeups (conversation_id, due_at, reason) VALUES (?1, ?2, ?3)";
    execute(db, sql, params![conversation.as_str(), due_at, reason])?;
    Ok(())
}

/// Moments that have come: their numbers and conversations. They stay until [`done`].
///
/// # Errors
/// When the store fails.
pub fn due(db: &Connection, now: Millis, limit: usize) -> Result<Vec<(i64, ConversationId)>> {
    let sql = "SELECT id, conversation_id FROM wakeups WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    rows(db, sql, params![now, limit as i64], |row| {
        Ok((row.get(0)?, ConversationId::new(row.get::<_, String>(1)?)))
    })
}

/// Forgets moments whose conversations have looked.
///
/// # Errors
/// When the store fails.
pub fn done(db: &Connection, ids: &[i64]) -> Result<()> {
    for id in ids {
        execute(db, "DELETE FROM wakeups WHERE id = ?1", [id])?;
    }
    Ok(())
}
