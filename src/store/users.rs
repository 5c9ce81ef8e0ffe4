//! People.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, row, rows};
use crate::domain::{Millis, ids::UserId, journal::WhileBusy, records::User};

/// Notes a person whom nobody knew.
pub(super) fn ensure(db: &Connection, id: &UserId, now: Millis) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO users (id, name, created_at) VALUES (?1, ?1, ?2)";
    execute(db, sql, params![id.as_str(), now])?;
    Ok(())
}

/// Notes a person, or changes what they are called and what they wish; what is `None` stays.
///
/// # Errors
/// When the store fails.
pub fn put(
    db: &Connection,
    id: &UserId,
    name: Option<&str>,
    while_busy: Option<Option<WhileBusy>>,
    now: Millis,
) -> Result<User> {
    ensure(db, id, now)?;
    if let Some(name) = name {
        execute(db, "UPDATE users SET name = ?2 WHERE id = ?1", params![id.as_str(), name])?;
    }
    if let Some(mode) = while_busy {
        let mode = mode.map(WhileBusy::as_str);
        execute(db, "UPDATE users SET while_busy = ?2 WHERE id = ?1", params![id.as_str(), mode])?;
    }
    list(db)?.into_iter().find(|user| user.id == *id).ok_or(StoreError::NotFound("user"))
}

/// What a person wishes that their messages do while a turn runs.
///
/// # Errors
/// When the store fails.
pub fn while_busy(db: &Connection, id: &UserId) -> Result<Option<WhileBusy>> {
    let sql = "SELECT while_busy FROM users WHERE id = ?1";
    let mode: Option<Option<String>> = row(db, sql, [id.as_str()], |row| Ok(row.get(0)?))?;
    Ok(mode.flatten().and_then(|mode| WhileBusy::parse(&mode)))
}

/// All people.
///
/// # Errors
/// When the store fails.
pub fn list(db: &Connection) -> Result<Vec<User>> {
    let sql = "SELECT id, name, while_busy, created_at FROM users ORDER BY id";
    rows(db, sql, [], |row| {
        let mode: Option<String> = row.get(2)?;
        Ok(User {
            id: UserId::new(row.get::<_, String>(0)?),
            name: row.get(1)?,
            while_busy: mode.and_then(|mode| WhileBusy::parse(&mode)),
            created_at: row.get(3)?,
        })
    })
}
