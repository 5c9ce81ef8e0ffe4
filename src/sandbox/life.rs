//! The life of one container: watched until it is dead, ended in a way that is certain, its reason kept.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bollard::{
    Docker,
    errors::Error,
    models::ContainerState,
    query_parameters::{
        InspectContainerOptions, KillContainerOptions, RemoveContainerOptions, WaitContainerOptions,
    },
};
use futures_util::{StreamExt, future::BoxFuture};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};

use crate::ports::sandbox::{Exec, ExecSpec, Sandbox, SandboxError};

use super::{
    connection::{Connection, is_conflict, is_missing},
    disk, exec,
    settings::SandboxSettings,
};

/// How long a container may take to be gone.
const END: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to, before it is killed.
const ASKED: Duration = Duration::from_secs(3);
/// How long programs that are just being started hold up the end of their sandbox.
const STARTING: Duration = Duration::from_secs(2);
/// Between looks at something that the engine is about to do.
const LOOK: Duration = Duration::from_millis(50);

/// How it stands with a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives.
    Alive,
    /// It is being killed. What its programs say must still be taken off the engine, which else never sees it die.
    Ending,
    /// It is dead, and why.
    Dead(String),
}

/// Waits until a sandbox is dead, and says why.
pub(super) async fn gone(fate: &mut watch::Receiver<Fate>) -> String {
    match fate.wait_for(|fate| matches!(fate, Fate::Dead(_))).await.as_deref() {
        Ok(Fate::Dead(why)) => why.clone(),
        _ => "nobody watches it any more".into(),
    }
}

/// Waits until a sandbox is being killed, or is dead.
pub(super) async fn ending(fate: &mut watch::Receiver<Fate>) {
    drop(fate.wait_for(|fate| *fate != Fate::Alive).await);
}

/// What a sandbox and those who watch it share.
struct Shared {
    id: String,
    connection: Arc<Connection>,
    fate: watch::Sender<Fate>,
    /// Why it is about to be killed, when it is us who kill it.
    verdict: Mutex<Option<String>>,
    /// Held by whoever starts a program, and taken whole by whoever ends the sandbox.
    starting: RwLock<()>,
}

impl Shared {
    fn condemn(&self, why: String) {
        if let Ok(mut verdict) = self.verdict.lock() {
            verdict.get_or_insert(why);
        }
        self.fate.send_if_modified(|fate| {
            let fresh = *fate == Fate::Alive;
            if fresh {
                *fate = Fate::Ending;
            }
            fresh
        });
    }

    fn bury(&self, seen: impl FnOnce() -> String) {
        let verdict = self.verdict.lock().ok().and_then(|verdict| verdict.clone());
        self.fate.send_if_modified(|fate| {
            let fresh = !matches!(fate, Fate::Dead(_));
            if fresh {
                *fate = Fate::Dead(verdict.unwrap_or_else(seen));
            }
            fresh
        });
    }

    async fn kill(self: Arc<Self>, why: String) -> Result<(), SandboxError> {
        self.condemn(why);
        let work = Arc::clone(&self);
        // Whoever asked may go away: what was begun is brought to its end.
        let ending = tokio::spawn(async move {
            // Nothing is started from now on. A container that dies while the engine starts something in it keeps
            // the engine busy for as long as one that dies of a signal, see `end`.
            drop(timeout(STARTING, work.starting.write()).await);
            end(&work.connection, &work.id).await?;
            work.bury(|| "it was ended".into());
            Ok(())
        });
        ending.await.map_err(|error| SandboxError::Engine(format!("ending a sandbox: {error}")))?
    }
}

/// A running container.
pub(super) struct DockerSandbox {
    shared: Arc<Shared>,
}

impl DockerSandbox {
    /// Takes up a container that runs, and watches it. It can write to these folders.
    pub(super) fn watch(
        id: String,
        connection: Arc<Connection>,
        docker: Docker,
        folders: Vec<PathBuf>,
        settings: &SandboxSettings,
    ) -> Self {
        let (fate, _) = watch::channel(Fate::Alive);
        let shared =
            Arc::new(Shared { id, connection, fate, verdict: Mutex::default(), starting: RwLock::default() });
        tokio::spawn(watch_death(Arc::clone(&shared), docker));
        if !folders.is_empty() {
            tokio::spawn(watch_disk(Arc::clone(&shared), folders, settings.disk_bytes, settings.disk_every));
        }
        Self { shared }
    }
}

impl Sandbox for DockerSandbox {
    fn id(&self) -> &str {
        &self.shared.id
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Exec, SandboxError>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let starting = shared.starting.read().await;
            let mut fate = shared.fate.subscribe();
            let now = fate.borrow().clone();
            match now {
                Fate::Alive => exec::start(&shared.connection, &shared.id, spec, fate).await,
                // Its end is near, and says why.
                Fate::Ending => {
                    drop(starting);
                    let why = timeout(END, gone(&mut fate)).await;
                    Err(SandboxError::Gone(why.unwrap_or_else(|_| "it is being ended".into())))
                }
                Fate::Dead(why) => Err(SandboxError::Gone(why)),
            }
        })
    }

    fn kill(&self) -> BoxFuture<'static, Result<(), SandboxError>> {
        Box::pin(Arc::clone(&self.shared).kill("it was ended".into()))
    }

    fn died(&self) -> BoxFuture<'static, String> {
        let mut fate = self.shared.fate.subscribe();
        Box::pin(async move { gone(&mut fate).await })
    }
}

/// Waits until the container runs no more, and tells why.
async fn watch_death(shared: Arc<Shared>, docker: Docker) {
    loop {
        let options = WaitContainerOptions { condition: "not-running".into() };
        let waited = docker.wait_container(&shared.id, Some(options)).next().await;
        if matches!(&waited, Some(Err(error)) if is_missing(error)) {
            return shared.bury(|| "it was removed".into());
        }
        match docker.inspect_container(&shared.id, None::<InspectContainerOptions>).await {
            Ok(found) => {
                let state = found.state.unwrap_or_default();
                if state.running != Some(true) {
                    return shared.bury(|| reason(&state));
                }
            }
            Err(error) if is_missing(&error) => return shared.bury(|| "it was removed".into()),
            // The engine is away: the sandbox may live on, and the engine may come back.
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What the engine says of a dead container.
fn reason(state: &ContainerState) -> String {
    let code = state.exit_code.unwrap_or_default();
    if state.oom_killed == Some(true) {
        return "it needed more memory than it may have".into();
    }
    match state.error.as_deref() {
        Some(error) if !error.is_empty() => format!("it ended with {code}: {error}"),
        // gVisor may not have one more thread of the machine: too many programs at once.
        _ if code == 2 => "gVisor itself ended; too many programs at once make it do so".into(),
        _ => format!("it ended with {code}"),
    }
}

/// Measures the folders that a sandbox can write to, and ends it when they hold too much.
async fn watch_disk(shared: Arc<Shared>, folders: Vec<PathBuf>, most: u64, every: Duration) {
    let mut fate = shared.fate.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = gone(&mut fate) => return,
        }
        let measured = folders.clone();
        let verdict = tokio::task::spawn_blocking(move || disk::verdict(&measured, most)).await;
        let Ok(Some(why)) = verdict else { continue };
        tracing::warn!(sandbox = %shared.id, why, "ending a sandbox for what it stores");
        if let Err(error) = Arc::clone(&shared).kill(why).await {
            tracing::error!(%error, "a sandbox that stores too much cannot be ended; trying again");
        }
    }
}

/// Ends and removes a container, and answers when the engine confirms that it is gone. Idempotent.
///
/// It is asked to end before it is killed. containerd's shim locks a container for as long as its runtime delivers a
/// signal, and the death of the container waits for that lock; a queue of 32 dead children fills up behind it, and
/// each further one costs a second (`Monitor.notify` of containerd's `sys/reaper`), the program that delivers the
/// signal among the last. gVisor has a child for each process of the guest. So its first process ends by itself, a
/// moment after the signal was delivered (see `body::FIRST`); the kill is for those that do not.
pub(super) async fn end(connection: &Connection, id: &str) -> Result<(), SandboxError> {
    let docker = connection.docker().await?;
    let work = async {
        signal(docker, id, "TERM").await?;
        match timeout(ASKED, wait_dead(docker, id)).await {
            Ok(dead) => dead?,
            Err(_) => {
                signal(docker, id, "KILL").await?;
                wait_dead(docker, id).await?;
            }
        }
        let options = RemoveContainerOptions { force: true, v: true, link: false };
        match docker.remove_container(id, Some(options)).await {
            Err(error) if !is_missing(&error) && !is_conflict(&error) => return Err(error),
            _ => {}
        }
        while inspect(docker, id).await?.is_some() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    let ended = timeout(END, work).await;
    let ended = ended.map_err(|_| SandboxError::Engine(format!("the sandbox {id} does not die")))?;
    ended.map_err(|error| connection.fault("ending a sandbox", error))
}

/// Sends a signal to a container; one that is dead or gone needs none.
async fn signal(docker: &Docker, id: &str, signal: &str) -> Result<(), Error> {
    match docker.kill_container(id, Some(KillContainerOptions { signal: signal.into() })).await {
        Err(error) if !is_missing(&error) && !is_conflict(&error) => Err(error),
        _ => Ok(()),
    }
}

async fn inspect(docker: &Docker, id: &str) -> Result<Option<ContainerState>, Error> {
    match docker.inspect_container(id, None::<InspectContainerOptions>).await {
        Ok(found) => Ok(Some(found.state.unwrap_or_default())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn wait_dead(docker: &Docker, id: &str) -> Result<(), Error> {
    while inspect(docker, id).await?.is_some_and(|state| state.running == Some(true)) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
