//! Where mirrors and jobs lie on the disk, who works on them at a time, and opening files that an agent may have planted.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{domain::review::shown, ports::repo::RepoError};

use super::environment::ASKPASS;

/// The folders.
#[derive(Debug)]
pub(super) struct Places {
    root: PathBuf,
    locks: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
}

impl Places {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        private(root)?;
        let root = fs::canonicalize(root)?;
        let places = Self { root, locks: Mutex::default() };
        for folder in ["mirrors", "jobs", "empty"] {
            private(&places.root.join(folder))?;
        }
        let askpass = places.askpass();
        let fresh = askpass.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&fresh)?;
        file.write_all(ASKPASS.as_bytes())?;
        drop(file);
        fs::rename(fresh, askpass)?;
        Ok(places)
    }

    pub(super) fn askpass(&self) -> PathBuf {
        self.root.join("askpass")
    }

    pub(super) fn empty(&self) -> PathBuf {
        self.root.join("empty")
    }

    pub(super) fn mirror(&self, project: &str) -> Result<PathBuf, RepoError> {
        Ok(self.root.join("mirrors").join(format!("{}.git", name("project", project)?)))
    }

    pub(super) fn job(&self, job: &str) -> Result<Job, RepoError> {
        Ok(Job { folder: self.root.join("jobs").join(name("job", job)?) })
    }

    /// Waits until nobody else works on this folder.
    pub(super) async fn alone(&self, folder: &Path) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(folder).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let fresh = Arc::new(tokio::sync::Mutex::new(()));
                locks.insert(folder.to_owned(), Arc::downgrade(&fresh));
                fresh
            })
        };
        lock.lock_owned().await
    }
}

/// The places of one job.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) folder: PathBuf,
}

impl Job {
    /// The repository of the host; no agent ever sees it.
    pub(super) fn repo(&self) -> PathBuf {
        self.folder.join("repo.git")
    }

    /// The folder that is mounted.
    pub(super) fn workspace(&self) -> PathBuf {
        self.folder.join("workspace")
    }

    /// The bundle, once it is the host's own.
    pub(super) fn incoming(&self) -> PathBuf {
        self.folder.join("incoming.bundle")
    }
}

/// An id of Atoll's own becomes a name on the disk.
fn name<'a>(what: &str, id: &'a str) -> Result<&'a str, RepoError> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&id.len()) && id.bytes().all(fine) && !id.starts_with('-') {
        Ok(id)
    } else {
        Err(RepoError::Invalid(format!("the id of a {what} must be 1 to 64 letters, digits, `-` or `_`")))
    }
}

fn private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

pub(super) fn failed(what: &str) -> impl FnOnce(io::Error) -> RepoError + '_ {
    move |error| RepoError::Failed(format!("{what}: {error}"))
}

/// Runs what waits for the disk beside the actors' threads.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepoError> + Send + 'static,
) -> Result<T, RepoError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(RepoError::Failed(format!("work on the disk was lost: {error}"))))
}

/// Copies a regular file below a folder that an agent may have written, following no link on the way.
pub(super) fn copy_out(folder: &Path, file: &Path, to: &Path, most: u64) -> Result<(), RepoError> {
    let odd = |error: io::Error| RepoError::Broken(format!("the bundle cannot be read: {error}"));
    let source = open_below(folder, file).map_err(odd)?;
    let about = source.metadata().map_err(odd)?;
    if !about.is_file() {
        return Err(RepoError::Broken("the bundle is no regular file".into()));
    }
    let too_large = || RepoError::TooLarge(format!("the bundle is larger than {most} bytes"));
    if about.len() > most {
        return Err(too_large());
    }
    let _ = fs::remove_file(to);
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(failed("the bundle"))?;
    // It may grow while it is read.
    let copied = io::copy(&mut source.take(most + 1), &mut target).map_err(failed("the bundle"))?;
    if copied > most { Err(too_large()) } else { Ok(()) }
}

fn open_below(folder: &Path, file: &Path) -> io::Result<File> {
    let parts: Vec<Component<'_>> = file.components().collect();
    let plain = !parts.is_empty() && parts.iter().all(|part| matches!(part, Component::Normal(_)));
    if !plain {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path leads elsewhere"));
    }
    let on_way = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut here = openat(CWD, folder, on_way, Mode::empty())?;
    let (last, before) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
    for part in before {
        here = openat(&here, part.as_os_str(), on_way, Mode::empty())?;
    }
    // A pipe would hold whoever opens it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(&here, last.as_os_str(), flags, Mode::empty())?))
}

/// Removes a folder, whatever permissions an agent gave to what is in it. Follows no link.
pub(super) fn remove(folder: &Path) -> Result<(), RepoError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(_) => {}
    }
    // Folders that are too deep for one path, or that nobody may open: these tools walk them step by step.
    let run = |program: &str, args: &[&str]| {
        let done = Command::new(program).args(args).arg("--").arg(folder).stdin(Stdio::null()).output();
        done.map_err(failed("a folder cannot be removed"))
    };
    run("/bin/chmod", &["-R", "u+rwX"])?;
    let removed = run("/bin/rm", &["-rf", "--one-file-system"])?;
    if removed.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&removed.stderr);
    Err(RepoError::Failed(format!("a folder cannot be removed: {:.200}", shown(words.trim()))))
}

/// Gives a folder and everything in it to a user. Follows no link.
pub(super) fn give_to(folder: &Path, owner: (u32, u32)) -> io::Result<()> {
    std::os::unix::fs::lchown(folder, Some(owner.0), Some(owner.1))?;
    if fs::symlink_metadata(folder)?.is_dir() {
        for entry in fs::read_dir(folder)? {
            give_to(&entry?.path(), owner)?;
        }
    }
    Ok(())
}
