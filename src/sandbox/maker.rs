//! Makes sandboxes, and finds those that are there.

use std::{collections::HashMap, ops::Deref, path::PathBuf, sync::Arc};

use bollard::{
    Docker,
    query_parameters::{
        CreateContainerOptions, InspectContainerOptions, ListContainersOptions, RemoveContainerOptions,
        StartContainerOptions,
    },
};
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, oneshot};

use crate::ports::{
    clock::Clock,
    sandbox::{Evidence, FoundSandbox, Sandbox, SandboxError, SandboxSpec, Sandboxes},
};

use super::{
    body::{self, INSTANCE, LABEL},
    connection::Connection,
    folders,
    life::DockerSandbox,
    self_test::failures,
    settings::SandboxSettings,
};

/// Makes sandboxes with Docker. Nothing is asked of Docker before it is needed.
#[derive(Clone)]
pub struct DockerSandboxes {
    inner: Arc<Inner>,
}

/// What all copies share.
pub struct Inner {
    pub(super) settings: SandboxSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) connection: Arc<Connection>,
    pub(super) testing: Mutex<()>,
}

impl Deref for DockerSandboxes {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl DockerSandboxes {
    /// Sandboxes with these settings.
    pub fn new(settings: SandboxSettings, clock: Arc<dyn Clock>) -> Self {
        let connection = Arc::new(Connection::new(settings.socket.clone(), settings.runtime.clone()));
        Self { inner: Arc::new(Inner { settings, clock, connection, testing: Mutex::default() }) }
    }

    /// Makes and starts a sandbox. Whether the isolation may be trusted was asked before.
    pub(super) async fn make(&self, mut spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, SandboxError> {
        body::refuse(&spec).map_err(SandboxError::Engine)?;
        for mount in &mut spec.mounts {
            mount.host = prepare(mount.host.clone(), mount.read_only).await?;
        }
        let docker = self.connection.docker().await?;
        let body = body::container(&spec, &self.settings);
        let fault = |error| self.connection.fault("making a sandbox", error);
        let made = docker.create_container(None::<CreateContainerOptions>, body).await;
        let id = made.map_err(fault)?.id;
        if let Err(error) = docker.start_container(&id, None::<StartContainerOptions>).await {
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            if let Err(error) = docker.remove_container(&id, Some(options)).await {
                tracing::warn!(%error, id, "a sandbox that did not start cannot be removed");
            }
            return Err(fault(error));
        }
        // What it was made with is known; an image that brings folders of its own was refused before.
        let writable = spec.mounts.into_iter().filter(|mount| !mount.read_only);
        Ok(self.watched(id, docker, writable.map(|mount| mount.host).collect()))
    }

    fn watched(&self, id: String, docker: &Docker, folders: Vec<PathBuf>) -> Arc<dyn Sandbox> {
        let connection = Arc::clone(&self.connection);
        Arc::new(DockerSandbox::watch(id, connection, docker.clone(), folders, &self.settings))
    }

    /// Takes up a container of ours that runs.
    async fn watch(&self, id: String) -> Result<Arc<dyn Sandbox>, SandboxError> {
        let docker = self.connection.docker().await?;
        let found = docker.inspect_container(&id, None::<InspectContainerOptions>).await;
        let found = found.map_err(|error| self.connection.fault("looking at a sandbox", error))?;
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if labels.get(INSTANCE) != Some(&self.settings.instance) {
            return Err(SandboxError::Gone(format!("{id} is no sandbox of this home")));
        }
        if found.state.and_then(|state| state.running) != Some(true) {
            return Err(SandboxError::Gone(format!("{id} runs no more")));
        }
        let writable = found.mounts.into_iter().flatten().filter(|mount| mount.rw == Some(true));
        let folders = writable.filter_map(|mount| mount.source).map(PathBuf::from).collect();
        Ok(self.watched(id, docker, folders))
    }

    /// All containers with our labels.
    pub(super) async fn list(&self) -> Result<Vec<FoundSandbox>, SandboxError> {
        let docker = self.connection.docker().await?;
        let labels = vec![LABEL.to_owned(), format!("{INSTANCE}={}", self.settings.instance)];
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("label".to_owned(), labels)])),
            ..Default::default()
        };
        let found = docker.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.connection.fault("listing sandboxes", error))?;
        let read = |summary: bollard::models::ContainerSummary| FoundSandbox {
            id: summary.id.unwrap_or_default(),
            owner: body::owner(&summary.labels.unwrap_or_default()),
            running: summary.state.is_some_and(|state| state.to_string() == "running"),
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// Answers when the isolation holds for this image.
    async fn prove(&self, image: &str) -> Result<(), SandboxError> {
        let evidence = self.evidence(image, false).await?;
        if evidence.holds() {
            return Ok(());
        }
        let failed = failures(&evidence);
        Err(SandboxError::NoIsolation(format!("{failed}. `atoll sandbox test` shows all of it")))
    }
}

impl Sandboxes for DockerSandboxes {
    fn create(&self, spec: SandboxSpec) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        let all = self.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            // Whoever asked may go away in the middle: then it is ended again, not left behind.
            tokio::spawn(async move {
                let image = spec.image.clone().unwrap_or_else(|| all.settings.image.clone());
                let made = async {
                    let (proved, trimmed) = tokio::join!(all.prove(&image), all.trim_cache(&spec));
                    proved.and(trimmed)?;
                    all.make(spec).await
                };
                let made = made.await;
                if let Err(Ok(unwanted)) = answer.send(made)
                    && let Err(error) = unwanted.kill().await
                {
                    tracing::warn!(%error, "a sandbox that nobody wants any more cannot be ended");
                }
            });
            answered.await.map_err(|_| SandboxError::Engine("making a sandbox broke off".into()))?
        })
    }

    fn found(&self) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>> {
        let all = self.clone();
        Box::pin(async move { all.list().await })
    }

    fn adopt(&self, id: &str) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        let (all, id) = (self.clone(), id.to_owned());
        Box::pin(async move { all.watch(id).await })
    }

    fn self_test(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>> {
        let all = self.clone();
        Box::pin(async move { all.evidence(&all.settings.image, false).await })
    }
}

/// A folder as the engine is to see it: without links in its path, and writable inside when it may be written.
async fn prepare(host: PathBuf, read_only: bool) -> Result<PathBuf, SandboxError> {
    let shown = host.display().to_string();
    let work = tokio::task::spawn_blocking(move || {
        let real = std::fs::canonicalize(host)?;
        if !read_only {
            folders::give(&real)?;
        }
        Ok::<_, std::io::Error>(real)
    });
    let done = work.await.map_err(|error| SandboxError::Engine(error.to_string()))?;
    done.map_err(|error| SandboxError::Engine(format!("{shown} cannot be seen inside: {error}")))
}
