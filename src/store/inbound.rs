//! Accepted messages.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, from_json, outbox, row, rows, to_json};
use crate::domain::{
    ids::{ConversationId, InboundId, TurnId, UserId},
    inbound::{Accepted, Inbound, NewInbound, State},
    message::FileRef,
    outbound::is_stream,
};

/// Accepts a message, once. What is parked in its conversation goes out again. A message with the same external id was
/// accepted before and is named instead.
///
/// # Errors
/// [`StoreError::KeyReused`] when the earlier one has other words.
pub fn accept(db: &Connection, new: &NewInbound, state: State, turn: Option<&TurnId>) -> Result<Accepted> {
    let attachments = if new.attachments.is_empty() { None } else { Some(to_json(&new.attachments)?) };
    let sql = "INSERT INTO inbound
                   (id, channel, external_id, user_id, conversation_id, text, attachments, state, turn_id,
                    received_at, speaker, message)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
               ON CONFLICT (channel, external_id) WHERE external_id IS NOT NULL DO NOTHING";
    let changed = execute(
        db,
        sql,
        params![
            new.id.as_str(),
            new.channel,
            new.external_id,
            new.user.as_str(),
            new.conversation.as_str(),
            new.text,
            attachments,
            state.as_str(),
            turn.map(TurnId::as_str),
            new.received_at,
            new.speaker.as_ref().map(UserId::as_str),
            new.message
        ],
    )?;
    if changed == 1 {
        if !is_stream(&new.channel) {
            outbox::unpark(db, &new.conversation, new.received_at)?;
        }
        return Ok(Accepted::New);
    }
    match known(db, new)? {
        Some(first) => Ok(Accepted::Duplicate { first }),
        None => Err(StoreError::Corrupt("an inbound row conflicts with none".into())),
    }
}

/// The message that was accepted before under the same external id.
///
/// # Errors
/// [`StoreError::KeyReused`] when the earlier one has other words, other files or another place.
pub fn known(db: &Connection, new: &NewInbound) -> Result<Option<InboundId>> {
    let sql = "SELECT id, text, conversation_id, attachments FROM inbound
               WHERE channel = ?1 AND external_id = ?2";
    let first = row(db, sql, params![new.channel, new.external_id], |row| {
        let text: String = row.get(1)?;
        let conversation: String = row.get(2)?;
        let same = text == new.text
            && conversation == new.conversation.as_str()
            && same_files(&files(row.get(3)?)?, &new.attachments);
        Ok((InboundId::new(row.get::<_, String>(0)?), same))
    })?;
    match first {
        Some((first, true)) => Ok(Some(first)),
        Some((_, false)) => Err(StoreError::KeyReused),
        None => Ok(None),
    }
}

/// True when this person said something, in a group, that a turn works on.
pub(super) fn spoke(db: &Connection, turn: &TurnId, speaker: &UserId) -> Result<bool> {
    let sql = "SELECT count(*) FROM inbound WHERE turn_id = ?1 AND speaker = ?2";
    Ok(super::count(db, sql, [turn.as_str(), speaker.as_str()])? > 0)
}

/// True when the files look alike: each time that a message comes its files are stored under new ids.
fn same_files(old: &[FileRef], new: &[FileRef]) -> bool {
    let looks = |file: &FileRef| (file.name.clone(), file.media_type.clone(), file.size);
    old.iter().map(looks).eq(new.iter().map(looks))
}

fn files(stored: Option<String>) -> Result<Vec<FileRef>> {
    Ok(stored.map(|text| from_json(&text)).transpose()?.unwrap_or_default())
}

/// Gives a message that waited to a turn. False when it was taken up or withdrawn.
pub(super) fn take(db: &Connection, id: &InboundId, turn: &TurnId) -> Result<bool> {
    let sql = "UPDATE inbound SET state = 'running', turn_id = ?1 WHERE id = ?2 AND state = 'queued'";
    Ok(execute(db, sql, params![turn.as_str(), id.as_str()])? == 1)
}

/// Notes that messages were answered (or withdrawn with their turn), and by which outgoing message.
pub(super) fn close(
    db: &Connection,
    ids: &[InboundId],
    state: State,
    turn: &TurnId,
    answer: Option<i64>,
) -> Result<()> {
    let sql = "UPDATE inbound SET state = ?1, answer_id = ?2 WHERE id = ?3 AND turn_id = ?4";
    for id in ids {
        execute(db, sql, params![state.as_str(), answer, id.as_str(), turn.as_str()])?;
    }
    Ok(())
}

/// Notes by which outgoing message a command was answered.
///
/// # Errors
/// When the store fails.
pub fn answered_by(db: &Connection, id: &InboundId, answer: i64) -> Result<()> {
    execute(db, "UPDATE inbound SET answer_id = ?1 WHERE id = ?2", params![answer, id.as_str()])?;
    Ok(())
}

/// Withdraws the messages that wait in a conversation, and names them.
///
/// # Errors
/// When the store fails.
pub fn cancel_queued(db: &Connection, conversation: &ConversationId) -> Result<Vec<InboundId>> {
    let sql = "UPDATE inbound SET state = 'cancelled' WHERE conversation_id = ?1 AND state = 'queued'
               RETURNING id";
    rows(db, sql, [conversation.as_str()], |row| Ok(InboundId::new(row.get::<_, String>(0)?)))
}

/// The messages that wait in a conversation, oldest first.
pub(super) fn queued(db: &Connection, conversation: &ConversationId) -> Result<Vec<Inbound>> {
    let sql = "SELECT id, text, attachments, state, turn_id, received_at FROM inbound
               WHERE conversation_id = ?1 AND state = 'queued' ORDER BY id";
    rows(db, sql, [conversation.as_str()], read)
}

/// One message, with its owner and its conversation.
///
/// # Errors
/// When the store fails.
pub fn find(db: &Connection, id: &InboundId) -> Result<Option<(Inbound, UserId, ConversationId)>> {
    let sql = "SELECT id, text, attachments, state, turn_id, received_at, user_id, conversation_id
               FROM inbound WHERE id = ?1";
    row(db, sql, [id.as_str()], |row| {
        let user = UserId::new(row.get::<_, String>(6)?);
        Ok((read(row)?, user, ConversationId::new(row.get::<_, String>(7)?)))
    })
}

/// What is under way for a user: state, words, when it came; newest first.
///
/// # Errors
/// When the store fails.
pub fn under_way(db: &Connection, user: &UserId) -> Result<Vec<(String, String, i64)>> {
    let sql = "SELECT CASE WHEN turns.state = 'parked' THEN 'parked' ELSE inbound.state END,
                      inbound.text, inbound.received_at
               FROM inbound LEFT JOIN turns ON turns.id = inbound.turn_id
               WHERE inbound.user_id = ?1 AND inbound.state IN ('queued', 'running')
               ORDER BY inbound.id DESC LIMIT 50";
    rows(db, sql, [user.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

fn read(row: &rusqlite::Row<'_>) -> Result<Inbound> {
    let state: String = row.get(3)?;
    Ok(Inbound {
        id: InboundId::new(row.get::<_, String>(0)?),
        text: row.get(1)?,
        attachments: files(row.get(2)?)?,
        state: State::parse(&state).ok_or_else(|| StoreError::Corrupt(format!("inbound state `{state}`")))?,
        turn: row.get::<_, Option<String>>(4)?.map(TurnId::new),
        received_at: row.get(5)?,
    })
}
