//! The relay's program: built with Atoll, written to the home, mounted read-only into sandboxes.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The program: static, for the architecture that Atoll is built for. Usage: `relay [ADDRESS]` for connections,
/// `relay -` for terminals.
pub const RELAY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relay"));

/// Writes the relay as `relay` into `folder` (the home's `run`), executable and not writable, and gives its path.
/// What is there and the same stays: sandboxes may run it. What is there and differs is replaced at once, and
/// sandboxes that have it mounted keep theirs.
///
/// # Errors
/// When it cannot be written.
pub fn install_relay(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("relay");
    let is_there = fs::read(&path).is_ok_and(|bytes| bytes == RELAY);
    if is_there && mode(&path)? == MODE {
        return Ok(path);
    }
    let beside = folder.join("relay.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&beside)?;
    file.write_all(RELAY)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE))?;
    file.sync_all()?;
    drop(file);
    fs::rename(beside, &path)?;
    Ok(path)
}

/// Anybody may run it, nobody may write it: the user of a sandbox is not the owner of the file.
const MODE: u32 = 0o555;

fn mode(path: &Path) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_written_once_executable_and_replaced_when_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = install_relay(folder.path()).unwrap();
        assert_eq!((fs::read(&path).unwrap() == RELAY, mode(&path).unwrap()), (true, 0o555));
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        install_relay(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first, "it was written again");
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"of an older version").unwrap();
        install_relay(folder.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), RELAY);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_relay_is_a_static_program() {
        assert_eq!(&RELAY[..4], b"\x7fELF");
        let has = |text: &[u8]| RELAY.windows(text.len()).any(|window| window == text);
        assert!(!has(b"/lib64/ld-linux") && !has(b"ld-linux-aarch64"), "it asks for a loader");
    }
}
