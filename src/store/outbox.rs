//! Messages on their way out. A row is born held by the process that stores it; a later run takes over what
//! an earlier one left.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, from_json, page, posts, row, rows, to_json};
use crate::domain::{
    Millis,
    ids::{ConversationId, InboundId, TurnId, UserId},
    inbound::State,
    outbound::{self, Body, NewOutbox, OutboxRow, Sent},
    records::{ChannelQueue, Fate, OutboxHealth, OutboxState, Outgoing, StoredAnswer},
};

const COLUMNS: &str = "id, user_id, conversation_id, turn_id, answers, body, attempts, created_at";
/// What is told of a row: none of its words.
const LISTED: &str = "id, channel, user_id, conversation_id, json_extract(body, '$.kind'), state, attempts,
                      error, created_at, due_at";
/// Rows that are on their way, and rows that somebody has to look at. An index is used only by who says it word by word.
const OPEN: &str = "state IN ('due', 'claimed')";
const STUCK: &str = "state IN ('parked', 'unknown', 'dead')";

/// Stores a message that this run will send at once. On channels whose clients fetch what is stored, it has
/// arrived with that.
pub(super) fn insert(db: &Connection, boot: i64, new: &NewOutbox, now: Millis) -> Result<OutboxRow> {
    let sql = "INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim,
                                   due_at, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?9, ?7, ?8, ?8)";
    let state = if outbound::is_stream(new.conversation.channel()) { "sent" } else { "claimed" };
    execute(
        db,
        sql,
        params![
            new.conversation.channel(),
            new.user.as_str(),
            new.conversation.as_str(),
            new.turn.as_ref().map(TurnId::as_str),
            to_json(&new.answers)?,
            to_json(&new.body)?,
            boot,
            now,
            state
        ],
    )?;
    Ok(OutboxRow { id: db.last_insert_rowid(), message: new.clone(), attempts: 0, created_at: now })
}

/// Stores a message that the outbox finds at its next look.
pub(super) fn queue(db: &Connection, new: &NewOutbox, now: Millis) -> Result<()> {
    let sql = "INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim,
                                   due_at, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'due', 0, ?7, ?7)";
    let (conversation, turn) = (&new.conversation, new.turn.as_ref().map(TurnId::as_str));
    let (answers, body) = (to_json(&new.answers)?, to_json(&new.body)?);
    let params =
        params![conversation.channel(), new.user.as_str(), conversation.as_str(), turn, answers, body, now];
    execute(db, sql, params)?;
    Ok(())
}

/// One message.
pub(super) fn get(db: &Connection, id: i64) -> Result<Option<OutboxRow>> {
    row(db, &format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1"), [id], read)
}

/// Stores a message that is to go out at once, on its own.
///
/// # Errors
/// When the store fails.
pub fn post(db: &Connection, boot: i64, new: &NewOutbox, now: Millis) -> Result<OutboxRow> {
    insert(db, boot, new, now)
}

/// Claims what is due: messages to be tried again, and what an earlier run held. The flag says that the
/// earlier run may have sent it.
///
/// # Errors
/// When the store fails.
pub fn claim(db: &Connection, boot: i64, now: Millis, limit: usize) -> Result<Vec<(OutboxRow, bool)>> {
    let found =
        rows(db, &claim_sql(), params![now, boot, limit as i64], |row| Ok((read(row)?, row.get(8)?)))?;
    for (message, _) in &found {
        let sql = "UPDATE outbox SET state = 'claimed', claim = ?2, attempts = attempts + 1 WHERE id = ?1";
        execute(db, sql, params![message.id, boot])?;
    }
    Ok(found)
}

pub(super) fn claim_sql() -> String {
    format!(
        "SELECT {COLUMNS}, state = 'claimed' FROM outbox
         WHERE {OPEN} AND ((state = 'due' AND due_at <= ?1) OR (state = 'claimed' AND claim <> ?2))
         ORDER BY id LIMIT ?3"
    )
}

/// Finds messages that this run holds, from the oldest, beyond this number.
///
/// # Errors
/// When the store fails.
pub fn held(db: &Connection, boot: i64, after: i64, limit: usize) -> Result<Vec<OutboxRow>> {
    rows(db, &held_sql(), params![boot, after, limit as i64], read)
}

pub(super) fn held_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM outbox
         WHERE {OPEN} AND state = 'claimed' AND claim = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    )
}

/// Notes what came of sending. A message that failed too often, or was refused, is dead: kept and listed.
///
/// # Errors
/// When the store fails.
pub fn settle(db: &Connection, id: i64, sent: &Sent, now: Millis, max_attempts: u32) -> Result<()> {
    let (state, due, error) = match sent {
        Sent::Done => ("sent", now, None),
        Sent::Unknown(why) => ("unknown", now, Some(why)),
        Sent::Parked(why) => ("parked", now, Some(why)),
        Sent::Refused(why) => ("dead", now, Some(why)),
        Sent::Later { after_ms, why } => {
            ("due", now.saturating_add(i64::try_from(*after_ms).unwrap_or(i64::MAX)), Some(why))
        }
    };
    let sql = "UPDATE outbox SET state = CASE WHEN ?2 = 'due' AND attempts >= ?6 THEN 'dead' ELSE ?2 END,
                      due_at = ?3, sent_at = CASE WHEN ?2 = 'sent' THEN ?4 END, error = ?5
               WHERE id = ?1 AND state = 'claimed'";
    // An outcome that is told once more undoes nothing that came after it.
    let is_new = execute(db, sql, params![id, state, due, now, error, max_attempts])? > 0;
    if is_new && state == "sent" { posts::arrived(db, id) } else { Ok(()) }
}

/// Lets go of what is parked in a conversation: somebody wrote from there, so it can be reached again. Says how many.
pub(super) fn unpark(db: &Connection, conversation: &ConversationId, now: Millis) -> Result<usize> {
    execute(db, UNPARK, params![conversation.as_str(), now])
}

pub(super) const UNPARK: &str = "UPDATE outbox SET state = 'due', due_at = ?2, attempts = 0
                                 WHERE state = 'parked' AND conversation_id = ?1";

/// Messages that did not arrive, the newest first: of one user or of all, in one state or in every one that somebody has
/// to look at, below this number.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    user: Option<&UserId>,
    state: Option<OutboxState>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Outgoing>> {
    let params = params![user.map(UserId::as_str), before.unwrap_or(i64::MAX), page(limit)];
    rows(db, &list_sql(state), params, listed)
}

pub(super) fn list_sql(state: Option<OutboxState>) -> String {
    let which = match state {
        None => STUCK.to_owned(),
        Some(OutboxState::Waiting) => OPEN.to_owned(),
        Some(state) => format!("{STUCK} AND state = '{}'", state.as_str()),
    };
    format!(
        "SELECT {LISTED} FROM outbox WHERE {which} AND (?1 IS NULL OR user_id = ?1) AND id < ?2
         ORDER BY id DESC LIMIT ?3"
    )
}

/// Has a message that did not arrive sent again, as if for the first time.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none, or it is on its way or arrived.
pub fn resend(db: &Connection, id: i64, now: Millis) -> Result<Outgoing> {
    let sql = format!(
        "UPDATE outbox SET state = 'due', due_at = ?2, attempts = 0, error = NULL WHERE id = ?1 AND {STUCK}
         RETURNING {LISTED}"
    );
    let found = row(db, &sql, params![id, now], listed)?;
    posts::again(db, id)?;
    found.ok_or(StoreError::NotFound("message that is dead, unknown or parked"))
}

fn listed(row: &rusqlite::Row<'_>) -> Result<Outgoing> {
    let state: String = row.get(5)?;
    Ok(Outgoing {
        id: row.get(0)?,
        channel: row.get(1)?,
        user: UserId::new(row.get::<_, String>(2)?),
        conversation: ConversationId::new(row.get::<_, String>(3)?),
        kind: row.get(4)?,
        state: match state.as_str() {
            "due" | "claimed" => OutboxState::Waiting,
            other => OutboxState::parse(other)
                .ok_or_else(|| StoreError::Corrupt(format!("outbox state `{other}`")))?,
        },
        attempts: row.get(6)?,
        error: row.get(7)?,
        created_at: row.get(8)?,
        due_at: row.get(9)?,
    })
}

/// A user's messages after event number `after`, on these channels, oldest first, among the next `limit`
/// messages of everybody; and the number up to which that looked. It looked at all when it found fewer.
///
/// # Errors
/// When the store fails.
pub fn replay(
    db: &Connection,
    user: &UserId,
    channels: &[&str],
    after: i64,
    limit: usize,
) -> Result<(Vec<OutboxRow>, Option<i64>)> {
    let sql = "SELECT max(id), count(*) FROM (SELECT id FROM outbox WHERE id > ?1 ORDER BY id LIMIT ?2)";
    let page = row(db, sql, params![after, limit as i64], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?))
    })?;
    let Some((Some(last), count)) = page else { return Ok((Vec::new(), None)) };
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE id > ?1 AND id <= ?2 AND user_id = ?3
         AND channel IN (SELECT value FROM json_each(?4)) ORDER BY id"
    );
    let found = rows(db, &sql, params![after, last, user.as_str(), to_json(&channels)?], read)?;
    Ok((found, (count == limit as i64).then_some(last)))
}

/// The number of the newest message.
///
/// # Errors
/// When the store fails.
pub fn last_id(db: &Connection) -> Result<i64> {
    let last = row(db, "SELECT max(id) FROM outbox", [], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
    Ok(last.flatten().unwrap_or(0))
}

/// What became of an accepted message.
///
/// # Errors
/// When the store fails.
pub fn fate(db: &Connection, inbound: &InboundId) -> Result<Option<Fate>> {
    let sql = "SELECT user_id, state, answer_id FROM inbound WHERE id = ?1";
    let found = row(db, sql, [inbound.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let Some((user, state, answer)) = found else { return Ok(None) };
    let state =
        State::parse(&state).ok_or_else(|| StoreError::Corrupt(format!("inbound state `{state}`")))?;
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    let answer = match answer {
        Some(id) => row(db, &sql, [id], read)?.and_then(stored_answer),
        None => None,
    };
    Ok(Some(Fate { inbound: inbound.clone(), user: UserId::new(user), state, answer }))
}

fn stored_answer(message: OutboxRow) -> Option<StoredAnswer> {
    match message.message.body {
        Body::Answer { text, files, outcome, .. } => {
            Some(StoredAnswer { id: message.id, text, files, outcome })
        }
        Body::Notice { .. }
        | Body::Approval { .. }
        | Body::Standing { .. }
        | Body::Pairing { .. }
        | Body::PairingOver { .. }
        | Body::Decided { .. }
        | Body::Callback { .. } => None,
    }
}

/// How the outbox is doing.
///
/// # Errors
/// When the store fails.
pub fn health(db: &Connection) -> Result<OutboxHealth> {
    let mut health = OutboxHealth::default();
    for (state, count, oldest) in rows(db, &health_sql(), [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64, row.get::<_, i64>(2)?))
    })? {
        match state.as_str() {
            "parked" => health.parked = count,
            "unknown" => health.unknown = count,
            "dead" => health.dead = count,
            _ => {
                health.waiting += count;
                health.oldest = Some(health.oldest.map_or(oldest, |known| known.min(oldest)));
            }
        }
    }
    Ok(health)
}

pub(super) fn health_sql() -> String {
    let of = |which: &str| {
        format!("SELECT state, count(*), min(created_at) FROM outbox WHERE {which} GROUP BY state")
    };
    format!("{} UNION ALL {}", of(OPEN), of(STUCK))
}

/// How each channel's messages are doing that did not arrive.
///
/// # Errors
/// When the store fails.
pub fn queues(db: &Connection) -> Result<Vec<ChannelQueue>> {
    rows(db, &queues_sql(), [], |row| {
        let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(ChannelQueue {
            channel: row.get(0)?,
            waiting: number(1)?,
            oldest: row.get(2)?,
            unknown: number(3)?,
            dead: number(4)?,
            parked: number(5)?,
        })
    })
}

pub(super) fn queues_sql() -> String {
    format!(
        "SELECT channel, sum({OPEN}), min(CASE WHEN {OPEN} THEN created_at END), sum(state = 'unknown'),
                sum(state = 'dead'), sum(state = 'parked')
         FROM outbox WHERE {OPEN} OR {STUCK} GROUP BY channel ORDER BY channel"
    )
}

fn read(row: &rusqlite::Row<'_>) -> Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.get(0)?,
        message: NewOutbox {
            user: UserId::new(row.get::<_, String>(1)?),
            conversation: ConversationId::new(row.get::<_, String>(2)?),
            turn: row.get::<_, Option<String>>(3)?.map(TurnId::new),
            answers: from_json(&row.get::<_, String>(4)?)?,
            body: from_json(&row.get::<_, String>(5)?)?,
        },
        attempts: row.get(6)?,
        created_at: row.get(7)?,
    })
}
