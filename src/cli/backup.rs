//! `atoll backup`: a consistent copy of the store, also while the server runs.

use std::path::{Path, PathBuf};

use crate::{actors::db::messages::Backup, home::Home};

use super::{CliResult, Surroundings, table::say};

pub(super) fn run(home: &Home, file: Option<&Path>, surroundings: &dyn Surroundings) -> CliResult {
    let target = match file {
        Some(file) => std::path::absolute(file)?,
        None => default_target(home, surroundings.now())?,
    };
    surroundings.with_store(
        home,
        Box::new(move |doors| {
            Box::pin(async move {
                doors.backup.ask(Backup { target: target.clone() }).await?;
                let size = std::fs::metadata(&target).map_or(0, |found| found.len());
                say(&format!("{} ({} KiB)", target.display(), size / 1024));
                say("to go back: stop atoll, put this file in the place of atoll.db, remove atoll.db-wal, start");
                Ok(())
            })
        }),
    )
}

fn default_target(home: &Home, now: i64) -> std::io::Result<PathBuf> {
    let folder = home.root().join("backups");
    std::fs::create_dir_all(&folder)?;
    let name = chrono::DateTime::from_timestamp_millis(now)
        .map(|utc| utc.format("atoll-%Y%m%d-%H%M%S.db").to_string())
        .unwrap_or_else(|| "atoll.db".into());
    Ok(folder.join(name))
}
