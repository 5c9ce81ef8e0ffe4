//! Files that a job made, kept whole or not at all, under names that are checked.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use crate::ports::job_files::Artefact;

use super::{NAME, make};

/// Numbers for files that are being written: two at once never share one.
static FRESH: AtomicU64 = AtomicU64::new(0);

/// True for letters, digits, `.`, `_` and `-`, with no dot at the beginning.
fn is_fine(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.len() <= NAME && !name.starts_with('.') && name.chars().all(fine)
}

pub(super) fn keep(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    if !is_fine(name) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no name for an artefact"));
    }
    make(folder)?;
    let beside = folder.join(format!(".{name}.{}", FRESH.fetch_add(1, Ordering::Relaxed)));
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, folder.join(name))
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

pub(super) fn list(folder: &Path) -> io::Result<Vec<Artefact>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (name, meta) = (entry.file_name(), entry.metadata()?);
        let name = name.to_str().filter(|name| is_fine(name) && meta.is_file());
        found.extend(name.map(|name| Artefact { name: name.to_owned(), bytes: meta.len() }));
    }
    found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(found)
}

pub(super) fn read(folder: &Path, name: &str) -> io::Result<Option<Bytes>> {
    if !is_fine(name) {
        return Ok(None);
    }
    match fs::read(folder.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(|bytes| Some(bytes.into())),
    }
}
