//! Folders of the host that are seen inside: made over to the user inside, and taken back.

use std::{
    io,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::Path,
};

use super::body::USER;

/// Makes a folder over to the user inside, with all that is in it, unless that was done before. Only root can give
/// it away; else everybody may write to it, which in a home that only its owner may enter is the container alone.
pub(super) fn give(folder: &Path) -> io::Result<()> {
    let data = std::fs::symlink_metadata(folder)?;
    if !data.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder"));
    }
    if data.uid() == USER || (!is_root() && data.mode() & 0o007 == 0o007) {
        return Ok(());
    }
    // The folder itself comes last: when this is cut off, the next time does it again.
    for entry in std::fs::read_dir(folder)? {
        give_all(&entry?.path())?;
    }
    give_one(folder)
}

fn give_all(path: &Path) -> io::Result<()> {
    give_one(path)?;
    if std::fs::symlink_metadata(path)?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_all(&entry?.path())?;
        }
    }
    Ok(())
}

fn give_one(path: &Path) -> io::Result<()> {
    if is_root() {
        return lchown(path, Some(USER), Some(USER));
    }
    let data = std::fs::symlink_metadata(path)?;
    if data.is_symlink() {
        return Ok(());
    }
    let mode = data.mode() & 0o7777;
    let wide = if data.is_dir() { 0o777 } else { mode | 0o666 | ((mode & 0o100) >> 6) };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(wide))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
