//! API keys, by their hashes.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, row, rows, users};
use crate::domain::{
    Millis,
    access::Role,
    ids::{KeyId, UserId},
    records::KeyInfo,
};

const COLUMNS: &str = "id, name, role, user_id, acts_for_others, created_at, last_used_at, revoked_at";

/// Stores a key's hash.
///
/// # Errors
/// When the store fails.
pub fn create(db: &Connection, key: &KeyInfo, hash: &[u8]) -> Result<()> {
    users::ensure(db, &key.user_id, key.created_at)?;
    let sql = "INSERT INTO keys (id, name, hash, role, user_id, acts_for_others, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let params = params![
        key.id.as_str(),
        key.name,
        hash,
        key.role.as_str(),
        key.user_id.as_str(),
        key.acts_for_others,
        key.created_at
    ];
    execute(db, sql, params)?;
    Ok(())
}

/// Makes a key worthless.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such valid key.
pub fn revoke(db: &Connection, id: &KeyId, now: Millis) -> Result<KeyInfo> {
    let sql = "UPDATE keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    if execute(db, sql, params![id.as_str(), now])? == 0 {
        return Err(StoreError::NotFound("valid key"));
    }
    let sql = format!("SELECT {COLUMNS} FROM keys WHERE id = ?1");
    row(db, &sql, [id.as_str()], read)?.ok_or(StoreError::NotFound("key"))
}

/// The valid keys whose hash begins like this one, with their whole hashes: the caller compares them.
///
/// # Errors
/// When the store fails.
pub fn find(db: &Connection, hash: &[u8]) -> Result<Option<(KeyInfo, Vec<u8>)>> {
    let sql = format!("SELECT {COLUMNS}, hash FROM keys WHERE hash = ?1 AND revoked_at IS NULL");
    row(db, &sql, [hash], |row| Ok((read(row)?, row.get(8)?)))
}

/// Notes that a key was used.
///
/// # Errors
/// When the store fails.
pub fn touch(db: &Connection, id: &KeyId, now: Millis) -> Result<()> {
    execute(db, "UPDATE keys SET last_used_at = ?2 WHERE id = ?1", params![id.as_str(), now])?;
    Ok(())
}

/// All keys, oldest first.
///
/// # Errors
/// When the store fails.
pub fn list(db: &Connection) -> Result<Vec<KeyInfo>> {
    rows(db, &format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"), [], read)
}

fn read(row: &rusqlite::Row<'_>) -> Result<KeyInfo> {
    let role: String = row.get(2)?;
    Ok(KeyInfo {
        id: KeyId::new(row.get::<_, String>(0)?),
        name: row.get(1)?,
        role: Role::parse(&role).ok_or_else(|| StoreError::Corrupt(format!("role `{role}`")))?,
        user_id: UserId::new(row.get::<_, String>(3)?),
        acts_for_others: row.get(4)?,
        created_at: row.get(5)?,
        last_used_at: row.get(6)?,
        revoked_at: row.get(7)?,
    })
}
