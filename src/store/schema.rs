//! Opening the store: pragmas, migrations, a backup before each of them.

use std::{fs::OpenOptions, io::ErrorKind, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::{Result, StoreError};

/// How long a write waits for another process (a command line beside the server).
const BUSY: Duration = Duration::from_secs(10);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

const STEPS: &[&str] = &[
    include_str!("migrations/0001_foundation.sql"),
    include_str!("migrations/0002_extraction.sql"),
    include_str!("migrations/0003_board.sql"),
    include_str!("migrations/0004_jobs.sql"),
    include_str!("migrations/0005_bots.sql"),
    include_str!("migrations/0006_chats.sql"),
    include_str!("migrations/0007_posts.sql"),
    include_str!("migrations/0008_outbox.sql"),
    include_str!("migrations/0009_replies.sql"),
    include_str!("migrations/0010_pairing_posts.sql"),
];

fn migrations() -> Migrations<'static> {
    Migrations::new(STEPS.iter().map(|sql| M::up(sql)).collect())
}

/// The schema version that this program writes.
pub fn latest() -> usize {
    STEPS.len()
}

/// Opens the one connection that writes, and brings the schema up to date.
///
/// # Errors
/// [`StoreError::Schema`] when the store is newer than this program or a migration fails.
pub fn open_writer(path: &Path) -> Result<Connection> {
    // Nobody else may read it, from its first byte on; SQLite gives the log beside it the same mode.
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|error| StoreError::Schema(format!("{} cannot be opened: {error}", path.display())))?;
    let mut db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // Checkpoints are made beside the writer, not inside a commit that somebody waits for.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate(&mut db, path)?;
    scratch(&db)?;
    Ok(db)
}

/// Opens a connection for housekeeping beside the writer. The store must exist.
///
/// # Errors
/// When it cannot be opened.
pub fn open_keeper(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "synchronous", "FULL")?;
    Ok(db)
}

/// Opens a connection that only reads. The store must exist.
///
/// # Errors
/// When it cannot be opened.
pub fn open_reader(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    scratch(&db)?;
    Ok(db)
}

/// Tables of this connection alone, in memory: what words become in the index of memories.
fn scratch(db: &Connection) -> Result<()> {
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.execute_batch(
        "CREATE VIRTUAL TABLE temp.stem USING fts5 (
             word, content = '', contentless_delete = 1,
             tokenize = 'porter unicode61 remove_diacritics 2'
         );
         CREATE VIRTUAL TABLE temp.stem_terms USING fts5vocab (temp, stem, 'instance');",
    )?;
    Ok(())
}

fn migrate(db: &mut Connection, path: &Path) -> Result<()> {
    let migrations = migrations();
    let version = match migrations.current_version(db).map_err(schema)? {
        SchemaVersion::NoneSet => 0,
        SchemaVersion::Inside(version) => version.get(),
        SchemaVersion::Outside(version) => {
            return Err(StoreError::Schema(format!(
                "the store has schema {version}, and this program knows only up to {}: run the newer atoll \
                 that wrote it, or restore a backup",
                latest()
            )));
        }
    };
    if version == latest() {
        return Ok(());
    }
    if version > 0 {
        backup(db, &path.with_file_name(format!("before-schema-{}.db", latest())))?;
    }
    migrations.to_latest(db).map_err(schema)
}

fn schema(error: rusqlite_migration::Error) -> StoreError {
    StoreError::Schema(format!("the schema cannot be brought up to date: {error}"))
}

/// Writes a consistent copy of the store while it is in use.
///
/// # Errors
/// When the target exists or cannot be written.
pub fn backup(db: &Connection, target: &Path) -> Result<()> {
    let Some(target) = target.to_str() else {
        return Err(StoreError::Schema("the backup's path is no text".into()));
    };
    // It holds what people said: nobody else may read it, from its first byte on.
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => StoreError::Schema(format!("{target} exists already: name another file")),
        _ => StoreError::Schema(format!("{target} cannot be written: {error}")),
    })?;
    if let Err(error) = db.execute("VACUUM INTO ?1", [target]) {
        let _ = std::fs::remove_file(target);
        return Err(error.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_apply_and_a_newer_store_is_refused() {
        migrations().validate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("atoll.db");
        let db = open_writer(&path).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        let error = open_writer(&path).unwrap_err().to_string();
        assert!(error.contains("schema 98") || error.contains("schema 99"), "{error}");
    }

    #[test]
    fn a_backup_is_a_whole_store() {
        let folder = tempfile::tempdir().unwrap();
        let db = open_writer(&folder.path().join("atoll.db")).unwrap();
        db.execute("INSERT INTO meta VALUES ('a', 'b')", []).unwrap();
        let copy = folder.path().join("copy.db");
        backup(&db, &copy).unwrap();
        assert!(backup(&db, &copy).is_err(), "an existing file is not written over");
        let copy = open_reader(&copy).unwrap();
        let value: String = copy.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!(value, "b");
    }
}
