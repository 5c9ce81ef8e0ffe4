//! What sandboxes are made with, out of the configuration.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{config, ports::sandbox::SandboxLimits};

/// Open files of a process.
const OPEN_FILES: u64 = 20_000;
/// Largest file: 2 GiB.
const FILE_BYTES: u64 = 2 << 30;
const MIB: u64 = 1 << 20;

/// What sandboxes are made with.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSettings {
    /// The engine's socket.
    pub socket: PathBuf,
    /// The runtime. Everything but `runc` must turn out to be gVisor.
    pub runtime: String,
    /// The image when none is named.
    pub image: String,
    /// What a sandbox may use when nobody says otherwise.
    pub limits: SandboxLimits,
    /// Most that all folders that one sandbox can write to may hold, in bytes.
    pub disk_bytes: u64,
    /// How often these folders are measured.
    pub disk_every: Duration,
    /// A folder of Atoll's own, for evidence and for what throw-away sandboxes work in.
    pub folder: PathBuf,
    /// Which home this is: sandboxes of another one are none of ours.
    pub instance: String,
}

impl SandboxSettings {
    /// Out of the configuration, for the home at `root`; `folder` is a folder in it.
    pub fn new(config: &config::Sandbox, root: &Path, folder: PathBuf) -> Self {
        Self {
            socket: config.docker.clone(),
            runtime: config.runtime.clone(),
            image: config.image.clone(),
            limits: SandboxLimits {
                memory_bytes: config.memory_mib * MIB,
                cpus: config.cpus,
                processes: config.processes,
                open_files: OPEN_FILES,
                file_bytes: FILE_BYTES,
                tmp_bytes: config.tmp_mib * MIB,
            },
            disk_bytes: config.disk_mib * MIB,
            disk_every: Duration::from_secs(10),
            folder,
            instance: instance(root),
        }
    }

    /// True when the kernel of the machine itself is what runs the guest.
    pub(super) fn shares_kernel(&self) -> bool {
        self.runtime == "runc"
    }
}

/// A short name of a home, the same in every process that uses it.
fn instance(root: &Path) -> String {
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let hash = Sha256::digest(root.as_os_str().as_encoded_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
