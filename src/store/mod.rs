//! SQLite: the schema, and queries by topic. Only the db actor calls them; every function takes the connection.

pub mod approvals;
pub mod audit;
pub mod boards;
pub mod bot_journal;
pub mod bots;
pub mod claims;
pub mod conversations;
pub mod costs;
pub mod facts;
pub mod files;
pub mod identities;
pub mod inbound;
mod job_cards;
pub mod job_costs;
mod job_questions;
mod job_write;
pub mod jobs;
pub mod keys;
pub mod memories;
pub mod outbox;
pub mod pairings;
pub mod posts;
pub mod projects;
pub mod proposals;
pub mod requests;
pub mod schema;
mod spend;
pub mod stories;
pub mod task_schedules;
pub mod turns;
pub mod upkeep;
pub mod users;
pub mod wakeups;
pub mod webhook;

use rusqlite::Connection;

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed.
    #[error("the store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A stored value cannot be read.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// Somebody else holds the turn, or a newer step was stored.
    #[error("stale: {0}")]
    Stale(&'static str),
    /// The same `Idempotency-Key` came with other words.
    #[error("this Idempotency-Key was used for a different message")]
    KeyReused,
    /// An approval cannot be answered so.
    #[error(transparent)]
    Approval(#[from] crate::domain::approval::Refusal),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A project, its board, a story or a bot cannot be changed so.
    #[error(transparent)]
    Board(#[from] crate::domain::board::Refusal),
    /// Something about an account on a platform cannot be done.
    #[error(transparent)]
    Identity(#[from] crate::domain::identity::Refusal),
    /// The audit log is broken.
    #[error(transparent)]
    Audit(#[from] crate::domain::audit::Broken),
    /// The schema cannot be brought up to date.
    #[error("{0}")]
    Schema(String),
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// What a query gives back.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A JSON column.
fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

/// A JSON column.
fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    Ok(serde_json::from_str(text)?)
}

/// All rows of a query.
fn rows<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut list = Vec::new();
    while let Some(row) = found.next()? {
        list.push(read(row)?);
    }
    Ok(list)
}

/// The first row of a query, if there is one.
fn row<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    found.next()?.map(read).transpose()
}

/// Runs a statement and says how many rows it changed.
fn execute(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
    Ok(db.prepare_cached(sql)?.execute(params)?)
}

/// The number that a query gives.
fn count(db: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<u64> {
    Ok(row(db, sql, params, |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0).unsigned_abs())
}

/// A length or a place of a list as SQLite takes it.
fn page(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod board_tests;
#[cfg(test)]
mod bot_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod job_card_tests;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod webhook_tests;
