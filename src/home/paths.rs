//! The home folder and the places in it. Only its owner may look inside.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::domain::ids::JobId;

/// The home folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// The home cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the home {path} cannot be used: {source}")]
pub struct HomeFault {
    path: String,
    source: io::Error,
}

impl Home {
    /// Opens the home at `root`, and makes what is missing.
    ///
    /// # Errors
    /// [`HomeFault`] when a folder cannot be made or secured.
    pub fn open(root: &Path) -> Result<Self, HomeFault> {
        let fault = |path: &Path, source| HomeFault { path: path.display().to_string(), source };
        make(root).map_err(|source| fault(root, source))?;
        let root = fs::canonicalize(root).map_err(|source| fault(root, source))?;
        let home = Self { root };
        for folder in [home.files(), home.jobs(), home.skills(), home.run(), home.logs(), home.users()] {
            make(&folder).map_err(|source| fault(&folder, source))?;
        }
        Ok(home)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.root.join("atoll.db")
    }

    /// Files of people and tools.
    pub fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Logs and artefacts of jobs.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Own skills.
    pub fn skills(&self) -> PathBuf {
        self.root.join("skills")
    }

    /// Where script skills work.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }

    /// What belongs to the running process.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What belongs to sandboxes: evidence, and what throw-away ones work in.
    pub fn sandbox(&self) -> PathBuf {
        self.root.join("sandbox")
    }

    /// The cache of package managers of one project, which its sandboxes share with no other's.
    pub fn cache(&self, project: &str) -> PathBuf {
        self.root.join("caches").join(project)
    }

    /// What a coding job keeps beside its repository: its sandboxes' home, its log, its artefacts.
    pub fn job(&self, job: &JobId) -> PathBuf {
        // Ids are Atoll's own; whatever else comes stays below the folder all the same.
        let plain: String = job.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        self.root.join("jobs").join(plain)
    }

    /// Mirrors of projects, repositories and workspaces of coding jobs.
    pub fn repos(&self) -> PathBuf {
        self.root.join("repos")
    }

    /// The key and the known hosts for repositories over ssh.
    pub fn ssh(&self) -> PathBuf {
        self.root.join("ssh")
    }

    /// Logs of the daemon.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// What is known of single users.
    pub fn users(&self) -> PathBuf {
        self.root.join("users")
    }

    /// The daemon's log.
    pub fn log_file(&self) -> PathBuf {
        self.logs().join("atoll.log")
    }

    /// The number of the running process.
    pub fn pid_file(&self) -> PathBuf {
        self.run().join("atoll.pid")
    }

    /// The lock that one process holds.
    pub fn lock_file(&self) -> PathBuf {
        self.run().join("atoll.lock")
    }

    /// Where the running process listens.
    pub fn address_file(&self) -> PathBuf {
        self.run().join("address")
    }

    /// The key of the local command line; new with every start.
    pub fn local_key_file(&self) -> PathBuf {
        self.run().join("local.key")
    }

    /// What signs links to files; without it all that were given are void.
    pub fn link_key_file(&self) -> PathBuf {
        self.root.join("link.key")
    }

    /// Notes of running scripts.
    pub fn processes(&self) -> PathBuf {
        self.run().join("processes")
    }
}

/// Writes a file that only its owner may read, at once or not at all.
pub(super) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

impl Home {
    /// Writes one of the home's small files, for its owner's eyes only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        write_private(path, text.as_bytes())
    }
}

fn make(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode & 0o700))?;
    }
    Ok(())
}
