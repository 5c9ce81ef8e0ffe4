//! The store's own housekeeping: the number of this run, retention, checkpoints, health.

use rusqlite::{Connection, params};

use super::{Result, execute, outbox, posts, row, rows};
use crate::domain::{Millis, ids, records::StoreHealth};

/// Counts this run of the process: rows that an earlier run held can be told from this one's.
///
/// # Errors
/// When the store fails.
pub fn next_boot(db: &Connection) -> Result<i64> {
    let sql = "INSERT INTO meta (key, value) VALUES ('boot', '1')
               ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1
               RETURNING CAST(value AS INTEGER)";
    Ok(row(db, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(1))
}

/// Lets go of turns that ended before `before` with their journals, of messages that were delivered before it, and of
/// their accepted messages; of jobs that ended before it, the journals and what their sandboxes asked for. Jobs
/// themselves, history, costs and the audit log stay. At most `limit` of each; says how many rows.
///
/// # Errors
/// When the store fails.
pub fn prune(db: &Connection, before: Millis, limit: usize) -> Result<usize> {
    let limit = limit as i64;
    // Ids begin with the time, so the old ones are found without an index on it.
    let oldest = ids::lowest_at(before);
    let turns = "DELETE FROM turns WHERE id IN
                     (SELECT id FROM turns WHERE id < ?3 AND state = 'over' AND ended_at < ?1 LIMIT ?2)
                 RETURNING id";
    let sent = "DELETE FROM outbox WHERE id IN
                    (SELECT id FROM outbox WHERE created_at < ?1 AND state = 'sent'
                     AND id < (SELECT max(id) FROM outbox) ORDER BY id LIMIT ?2)";
    let inbound = "DELETE FROM inbound WHERE id IN
                       (SELECT id FROM inbound WHERE id < ?3 AND received_at < ?1
                        AND state IN ('answered', 'cancelled') LIMIT ?2)";
    // What a job was allowed holds as long as the job goes on.
    let approvals = "DELETE FROM approvals WHERE id IN
                         (SELECT id FROM approvals WHERE asked_at < ?1
                          AND status NOT IN ('pending', 'approved')
                          AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = turn_id AND over = 0) LIMIT ?2)";
    // Of a journal either all is there or nothing.
    let jobs = "SELECT id FROM jobs WHERE over = 1 AND ended_at < ?1
                AND EXISTS (SELECT 1 FROM job_journal WHERE job_id = jobs.id) LIMIT ?2";
    let egress = "DELETE FROM job_egress WHERE id IN
                      (SELECT job_egress.id FROM jobs JOIN job_egress ON job_id = jobs.id
                       WHERE over = 1 AND ended_at < ?1 LIMIT ?2)";
    let turned_away = "DELETE FROM turned_away WHERE (channel, external_id) IN
                           (SELECT channel, external_id FROM turned_away WHERE at < ?1 LIMIT ?2)";
    let guesses = "DELETE FROM guesses WHERE since < ?1 AND locked_until < ?1";
    let ended = rows(db, turns, params![before, limit, oldest], |row| Ok(row.get::<_, String>(0)?))?;
    for turn in &ended {
        execute(db, "DELETE FROM journal WHERE turn_id = ?1", [turn])?;
    }
    let mut gone = ended.len();
    gone += execute(db, sent, params![before, limit])?;
    posts::prune(db)?;
    gone += execute(db, inbound, params![before, limit, oldest])?;
    gone += execute(db, approvals, params![before, limit])?;
    gone += execute(db, egress, params![before, limit])?;
    gone += execute(db, turned_away, params![before, limit])?;
    gone += execute(db, guesses, [before])?;
    for job in rows(db, jobs, params![before, limit], |row| Ok(row.get::<_, String>(0)?))? {
        gone += execute(db, "DELETE FROM job_journal WHERE job_id = ?1", [&job])?;
    }
    Ok(gone)
}

/// Moves what the log holds into the store's file, without waiting for anybody.
///
/// # Errors
/// When the store fails.
pub fn checkpoint(db: &Connection) -> Result<()> {
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}

/// Moves all of it and empties the log; waits for readers.
///
/// # Errors
/// When the store fails.
pub fn checkpoint_all(db: &Connection) -> Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// How the store is doing.
///
/// # Errors
/// When the store fails.
pub fn health(db: &Connection) -> Result<StoreHealth> {
    let number = |sql: &str| -> Result<u64> {
        Ok(row(db, sql, [], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0).max(0) as u64)
    };
    Ok(StoreHealth {
        bytes: number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?,
        schema: number("PRAGMA user_version")? as u32,
        keys: number("SELECT count(*) FROM keys WHERE revoked_at IS NULL")?,
        conversations: number("SELECT count(*) FROM conversations")?,
        memories: number("SELECT count(*) FROM memories")?,
        parked: number("SELECT count(*) FROM turns WHERE state = 'parked'")?,
        approvals: number("SELECT count(*) FROM approvals WHERE status = 'pending'")?,
        outbox: outbox::health(db)?,
    })
}
