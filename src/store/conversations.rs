//! Conversations: what a session is rebuilt from.

use rusqlite::{Connection, params};

use super::{Result, StoreError, approvals, execute, from_json, inbound, row, rows, to_json, turns, users};
use crate::domain::{
    Millis,
    ids::{ConversationId, InboundId, TurnId, UserId},
    journal::{CloseTurn, ConversationRow, OpenTurnRow},
    turn::Past,
};

/// Notes that turn number `seq` begins.
pub(super) fn begin_turn(
    db: &Connection,
    id: &ConversationId,
    user: &UserId,
    seq: i64,
    now: Millis,
) -> Result<()> {
    let changed = if seq == 1 {
        users::ensure(db, user, now)?;
        let sql = "INSERT INTO conversations (id, user_id, last_seq, updated_at) VALUES (?1, ?2, 1, ?3)
                   ON CONFLICT (id) DO UPDATE SET last_seq = 1, updated_at = ?3 WHERE last_seq = 0";
        execute(db, sql, params![id.as_str(), user.as_str(), now])?
    } else {
        let sql =
            "UPDATE conversations SET last_seq = ?2, updated_at = ?3 WHERE id = ?1 AND last_seq = ?2 - 1";
        execute(db, sql, params![id.as_str(), seq, now])?
    };
    if changed == 1 { Ok(()) } else { Err(StoreError::Stale("somebody else went on with the conversation")) }
}

/// Notes what a finished turn changed about its conversation.
pub(super) fn end_turn(db: &Connection, id: &ConversationId, close: &CloseTurn) -> Result<()> {
    if let Some((summary, through)) = &close.summary {
        let sql =
            "UPDATE conversations SET summary = ?2, summary_through = ?3 WHERE id = ?1 AND ?4 > cleared_seq";
        execute(db, sql, params![id.as_str(), summary, through, close.past.seq])?;
    }
    if let Some(activated) = &close.activated {
        let sql = "UPDATE conversations SET activated = ?2 WHERE id = ?1 AND ?3 > cleared_seq";
        execute(db, sql, params![id.as_str(), to_json(activated)?, close.past.seq])?;
    }
    Ok(())
}

/// Begins a conversation anew: earlier turns are kept, and never sent along again.
///
/// # Errors
/// When the store fails.
pub fn clear(db: &Connection, id: &ConversationId, user: &UserId, now: Millis) -> Result<()> {
    users::ensure(db, user, now)?;
    let sql = "INSERT INTO conversations (id, user_id, updated_at) VALUES (?1, ?2, ?3)
               ON CONFLICT (id) DO UPDATE SET cleared_seq = last_seq, summary = NULL, summary_through = NULL,
                      activated = '[]', updated_at = ?3";
    execute(db, sql, params![id.as_str(), user.as_str(), now])?;
    Ok(())
}

/// Everything that a session needs to go on with a conversation, with at least the newest `messages` messages.
///
/// # Errors
/// When the store fails or holds something unreadable.
pub fn load(db: &Connection, id: &ConversationId, messages: usize) -> Result<ConversationRow> {
    let sql = "SELECT last_seq, cleared_seq, summary, summary_through, activated, extracted_through
               FROM conversations WHERE id = ?1";
    let found = row(db, sql, [id.as_str()], |row| {
        let summary: Option<String> = row.get(2)?;
        let through: Option<i64> = row.get(3)?;
        Ok(ConversationRow {
            last_seq: row.get(0)?,
            cleared_seq: row.get(1)?,
            summary: summary.zip(through),
            activated: from_json(&row.get::<_, String>(4)?)?,
            extracted_through: row.get(5)?,
            ..ConversationRow::default()
        })
    })?;
    let unknown = || ConversationRow { extracted_through: -1, ..ConversationRow::default() };
    let mut conversation = found.unwrap_or_else(unknown);
    conversation.queued = inbound::queued(db, id)?;
    if conversation.last_seq == 0 {
        return Ok(conversation);
    }
    let after = conversation.summary.as_ref().map_or(-1, |(_, through)| *through);
    conversation.past = past(db, id, after, conversation.cleared_seq, messages)?;
    let sql = "SELECT first + count FROM history WHERE conversation_id = ?1 ORDER BY first DESC LIMIT 1";
    conversation.next = row(db, sql, [id.as_str()], |row| Ok(row.get(0)?))?.unwrap_or(0);
    conversation.open = open(db, id)?;
    Ok(conversation)
}

/// Finished turns after the place `after` that began after turn number `cleared`, as far back as `messages`
/// messages reach and half of that more: the window over them moves in strides.
fn past(
    db: &Connection,
    id: &ConversationId,
    after: i64,
    cleared: i64,
    messages: usize,
) -> Result<Vec<Past>> {
    let sql =
        "SELECT seq, first, messages FROM history WHERE conversation_id = ?1 AND first > ?2 AND seq > ?3
               ORDER BY first DESC";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params![id.as_str(), after, cleared])?;
    let mut list = Vec::new();
    let mut count = 0;
    while let Some(row) = found.next()? {
        let past = Past::new(row.get(0)?, row.get(1)?, from_json(&row.get::<_, String>(2)?)?);
        count += past.messages.len();
        list.push(past);
        if count > messages + messages / 2 {
            break;
        }
    }
    list.reverse();
    Ok(list)
}

fn open(db: &Connection, id: &ConversationId) -> Result<Vec<OpenTurnRow>> {
    let sql = "SELECT id, seq, inbound_id FROM turns WHERE conversation_id = ?1 AND state <> 'over'
               ORDER BY seq";
    let list = rows(db, sql, [id.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
    })?;
    let mut open = Vec::with_capacity(list.len());
    for (turn, seq, inbound_id) in list {
        let turn = TurnId::new(turn);
        let Some((inbound, _, _)) = inbound::find(db, &InboundId::new(inbound_id))? else {
            return Err(StoreError::Corrupt(format!("turn {turn} has no message")));
        };
        open.push(OpenTurnRow {
            seq,
            inbound,
            entries: turns::entries(db, &turn)?,
            verdicts: approvals::verdicts(db, &turn)?,
            turn,
        });
    }
    Ok(open)
}

/// Conversations in which something is to be done: a turn is not over, or a message waits.
///
/// # Errors
/// When the store fails.
pub fn unfinished(db: &Connection) -> Result<Vec<ConversationId>> {
    let sql = "SELECT conversation_id FROM turns WHERE state <> 'over'
               UNION SELECT conversation_id FROM inbound WHERE state = 'queued'";
    rows(db, sql, [], |row| Ok(ConversationId::new(row.get::<_, String>(0)?)))
}
