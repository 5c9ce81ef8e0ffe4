//! People, and what they wish for.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, row, rows};
use crate::domain::{
    Millis,
    ids::UserId,
    job::Verbosity,
    journal::WhileBusy,
    records::{Preference, User},
};

const COLUMNS: &str = "id, name, while_busy, verbosity, model, created_at";

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
    get(db, id)?.ok_or(StoreError::NotFound("user"))
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
    rows(db, &format!("SELECT {COLUMNS} FROM users ORDER BY id"), [], read)
}

/// One person.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &UserId) -> Result<Option<User>> {
    row(db, &format!("SELECT {COLUMNS} FROM users WHERE id = ?1"), [id.as_str()], read)
}

/// Notes what a person chose for themselves.
///
/// # Errors
/// When the store fails.
pub fn prefer(db: &Connection, id: &UserId, preference: &Preference, now: Millis) -> Result<User> {
    ensure(db, id, now)?;
    match preference {
        Preference::Verbosity(chosen) => {
            let sql = "UPDATE users SET verbosity = ?2 WHERE id = ?1";
            execute(db, sql, params![id.as_str(), chosen.map(Verbosity::as_str)])?
        }
        Preference::Model(chosen) => {
            execute(db, "UPDATE users SET model = ?2 WHERE id = ?1", params![id.as_str(), chosen])?
        }
    };
    get(db, id)?.ok_or(StoreError::NotFound("user"))
}

/// The model that is to answer a person.
pub(super) fn model(db: &Connection, id: &UserId) -> Result<Option<String>> {
    let sql = "SELECT model FROM users WHERE id = ?1";
    Ok(row(db, sql, [id.as_str()], |row| Ok(row.get::<_, Option<String>>(0)?))?.flatten())
}

fn read(row: &rusqlite::Row<'_>) -> Result<User> {
    let (mode, verbosity): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    Ok(User {
        id: UserId::new(row.get::<_, String>(0)?),
        name: row.get(1)?,
        while_busy: mode.and_then(|mode| WhileBusy::parse(&mode)),
        verbosity: verbosity.and_then(|word| Verbosity::parse(&word)),
        model: row.get(4)?,
        created_at: row.get(5)?,
    })
}
