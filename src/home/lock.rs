//! One process a home.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    thread::sleep,
    time::Duration,
};

/// How often, and after which pause, a lock that is held is tried again.
const LOOKS: u32 = 10;
const LOOK: Duration = Duration::from_millis(30);

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
    /// Takes the lock. Somebody who only looks whether it is held has it for a moment: that is waited for.
    ///
    /// # Errors
    /// [`LockFault::Held`] when another process has it.
    #[expect(clippy::disallowed_methods, reason = "before any actor runs")]
    pub fn take(path: &Path) -> Result<Self, LockFault> {
        for _ in 1..LOOKS {
            match Self::try_take(path) {
                Err(LockFault::Held(_)) => sleep(LOOK),
                taken => return taken,
            }
        }
        Self::try_take(path)
    }

    /// True when another process has it.
    pub fn is_held(path: &Path) -> bool {
        matches!(Self::try_take(path), Err(LockFault::Held(_)))
    }

    fn try_take(path: &Path) -> Result<Self, LockFault> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_the_lock_does_not_keep_a_server_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let looking = Lock::take(&path).unwrap();
        assert!(Lock::is_held(&path));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Lock::take(&path));
            drop(looking);
            assert!(waiting.join().unwrap().is_ok());
        });
        assert!(!Lock::is_held(&path));
    }
}
