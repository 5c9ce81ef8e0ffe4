//! The caches of package managers: they outlive sandboxes, so that nothing may make them grow without end.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bollard::query_parameters::ListContainersOptions;

use crate::ports::sandbox::{SandboxError, SandboxSpec, place};

use super::{body::LABEL, disk, maker::DockerSandboxes};

impl DockerSandboxes {
    /// Makes the cache of a sandbox that is to be made, when it is not there, and empties it when it holds more than half of what the sandbox may store:
    /// else its folders would be too full from the beginning. One that another sandbox uses stays as it is.
    pub(super) async fn trim_cache(&self, spec: &SandboxSpec) -> Result<(), SandboxError> {
        let found = spec.mounts.iter().find(|mount| mount.inside == place::CACHE && !mount.read_only);
        let Some(folder) = found.map(|mount| mount.host.clone()) else { return Ok(()) };
        make(folder.clone()).await?;
        let most = self.settings.disk_bytes / 2;
        let measured = vec![folder.clone()];
        let too_full = tokio::task::spawn_blocking(move || disk::holds_more(&measured, most)).await;
        if !matches!(too_full, Ok(true)) || self.is_used(&folder).await? {
            return Ok(());
        }
        tracing::info!(folder = %folder.display(), "a cache of package managers is emptied: it holds too much");
        self.clear(&folder).await?;
        make(folder).await
    }

    async fn is_used(&self, folder: &Path) -> Result<bool, SandboxError> {
        let docker = self.connection.docker().await?;
        let options = ListContainersOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])])),
            ..Default::default()
        };
        let found = docker.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.connection.fault("listing sandboxes", error))?;
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut sources = found.into_iter().flat_map(|container| container.mounts.unwrap_or_default());
        Ok(sources.any(|mount| mount.source.is_some_and(|source| Path::new(&source) == real)))
    }
}

async fn make(folder: PathBuf) -> Result<(), SandboxError> {
    let shown = folder.display().to_string();
    let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(folder)).await;
    let made = made.map_err(|error| SandboxError::Engine(error.to_string()))?;
    made.map_err(|error| SandboxError::Engine(format!("{shown}: {error}")))
}
