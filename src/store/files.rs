//! What is known of stored files; their bytes lie in the home.

use rusqlite::{Connection, params};

use super::{Result, execute, row};
use crate::domain::{
    Millis,
    ids::{FileId, UserId},
    message::FileRef,
};

/// Notes a file.
///
/// # Errors
/// When the store fails.
pub fn put(db: &Connection, user: &UserId, file: &FileRef, now: Millis) -> Result<()> {
    let sql = "INSERT INTO files (id, user_id, name, media_type, size, created_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let params = params![file.id.as_str(), user.as_str(), file.name, file.media_type, file.size as i64, now];
    execute(db, sql, params)?;
    Ok(())
}

/// A file, and whose it is.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &FileId) -> Result<Option<(FileRef, UserId)>> {
    let sql = "SELECT id, name, media_type, size, user_id FROM files WHERE id = ?1";
    row(db, sql, [id.as_str()], |row| {
        let file = FileRef {
            id: FileId::new(row.get::<_, String>(0)?),
            name: row.get(1)?,
            media_type: row.get(2)?,
            size: row.get::<_, i64>(3)?.max(0) as u64,
        };
        Ok((file, UserId::new(row.get::<_, String>(4)?)))
    })
}
