//! The audit log: appended in the transaction of the act itself, verified row by row.

use rusqlite::{Connection, params};

use super::{Result, execute, row, rows};
use crate::domain::audit::{self, Act, GENESIS, Row};

/// Appends an act. The chain continues from the last stored row, whoever stored it.
///
/// # Errors
/// When the store fails.
pub fn append(db: &Connection, act: Act) -> Result<Row> {
    let sql = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1";
    let last = row(db, sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let (seq, prev) = last.unwrap_or_else(|| (0, GENESIS.to_owned()));
    let next = audit::chain(&prev, seq + 1, act);
    let sql = "INSERT INTO audit (seq, at, actor, action, subject, details, prev, hash)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let act = &next.act;
    let params =
        params![next.seq, act.at, act.actor, act.action, act.subject, act.details, next.prev, next.hash];
    execute(db, sql, params)?;
    Ok(next)
}

/// Rows after number `after`, oldest first.
///
/// # Errors
/// When the store fails.
pub fn list(db: &Connection, after: i64, limit: usize) -> Result<Vec<Row>> {
    let sql = "SELECT seq, at, actor, action, subject, details, prev, hash FROM audit WHERE seq > ?1
               ORDER BY seq LIMIT ?2";
    rows(db, sql, params![after, limit as i64], |row| {
        let act = Act {
            at: row.get(1)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            subject: row.get(4)?,
            details: row.get(5)?,
        };
        Ok(Row { seq: row.get(0)?, act, prev: row.get(6)?, hash: row.get(7)? })
    })
}

/// Checks the whole chain and says how many rows it has, and the hash of the last one.
///
/// # Errors
/// [`super::StoreError::Audit`] at the first row that is wrong.
pub fn verify(db: &Connection) -> Result<(i64, String)> {
    const PAGE: usize = 1_000;
    let (mut seq, mut prev) = (0, GENESIS.to_owned());
    loop {
        let page = list(db, seq, PAGE)?;
        if page.is_empty() {
            return Ok((seq, prev));
        }
        for row in page {
            audit::verify(&prev, seq + 1, &row)?;
            (seq, prev) = (row.seq, row.hash);
        }
    }
}
