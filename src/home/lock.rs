//! One process a home.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// Held for as long as the process works on the home; the system lets go of it when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The home is not free.
#[derive(Debug, thiserror::Error)]
pub enum LockFault {
    /// Another process works on it.
    #[error(
        "another atoll works on {0} already: stop it with `atoll stop`, or give this one another home with --home"
    )]
    Held(String),
    /// The lock cannot be taken.
    #[error("the lock cannot be taken: {0}")]
    Io(#[from] io::Error),
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`LockFault::Held`] when another process has it.
    pub fn take(path: &Path) -> Result<Self, LockFault> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let home = path.parent().and_then(Path::parent).unwrap_or(path);
                Err(LockFault::Held(home.display().to_string()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// True when another process has it.
    pub fn is_held(path: &Path) -> bool {
        matches!(Self::take(path), Err(LockFault::Held(_)))
    }
}
