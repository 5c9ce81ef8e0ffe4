//! Looking after sandboxes: the cheap look, strays, folders, the image.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::mpsc, time::timeout};

use crate::ports::{
    sandbox::{Evidence, ExecSpec, FoundSandbox, Mount, Owner, SandboxError, SandboxLimits, SandboxSpec},
    sandbox_care::{BuildSpec, BuildStep, Look, Readiness, SandboxCare},
};

use super::{advice, image, life, maker::DockerSandboxes, self_test::failures};

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(5);
/// Where a folder that is to be emptied is seen.
const GONE: &str = "/gone";

impl DockerSandboxes {
    async fn looked(&self) -> Result<Look, SandboxError> {
        let image = self.settings.image.clone();
        let (subject, _) = self.subject(&image).await?;
        let setup = format!("{}, {}, {image}", subject.engine, subject.runtime);
        let look = |readiness, details, advice: &str| Look { readiness, details, advice: advice.to_owned() };
        let evidence = self.stored(&subject);
        if let Some(evidence) = evidence.as_ref().filter(|evidence| !evidence.holds()) {
            let advice = "mend it, then `atoll sandbox test`";
            return Ok(look(Readiness::Doubtful, failures(evidence), advice));
        }
        if self.settings.shares_kernel() {
            return Ok(look(Readiness::Doubtful, setup, advice::SHARED_KERNEL));
        }
        Ok(match evidence {
            Some(_) => look(Readiness::Ready, format!("{setup}; the self-test holds"), ""),
            None => {
                look(Readiness::Ready, format!("{setup}; not tested yet"), "`atoll sandbox test` tests it")
            }
        })
    }

    /// Ends one of ours, in whatever state it is.
    async fn end(&self, found: &FoundSandbox) -> Result<(), SandboxError> {
        life::end(&self.connection, &found.id).await
    }

    /// Removes a folder; what belongs to somebody else is removed from inside.
    pub(super) async fn clear(&self, folder: &Path) -> Result<(), SandboxError> {
        if remove(folder.to_owned()).await? {
            return Ok(());
        }
        let limits = SandboxLimits { memory_bytes: 256 << 20, tmp_bytes: 1 << 20, ..self.settings.limits };
        let spec = SandboxSpec {
            owner: Owner { kind: "check".into(), id: "clearing".into() },
            image: None,
            limits,
            mounts: vec![Mount { host: folder.to_owned(), inside: GONE.into(), read_only: false }],
            env: [].into(),
        };
        let sandbox = self.make(spec).await?;
        let argv = ["find", GONE, "-mindepth", "1", "-delete"].map(str::to_owned).into();
        let folder_inside = Some("/".to_owned());
        let cleared = async {
            let exec = sandbox.exec(ExecSpec { argv, folder: folder_inside, ..ExecSpec::default() }).await?;
            drop((exec.stdin, exec.stdout, exec.stderr));
            exec.exit.await.map_err(|_| SandboxError::Gone("clearing a folder broke off".into()))
        };
        let cleared = cleared.await;
        sandbox.kill().await?;
        cleared?;
        if remove(folder.to_owned()).await? {
            return Ok(());
        }
        Err(SandboxError::Engine(format!("{} cannot be removed", folder.display())))
    }
}

/// Removes a folder, and says whether it is gone; false when somebody else's things are in it.
async fn remove(folder: PathBuf) -> Result<bool, SandboxError> {
    use std::io::ErrorKind;
    let shown = folder.display().to_string();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await;
    match removed.map_err(|error| SandboxError::Engine(error.to_string()))? {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(SandboxError::Engine(format!("{shown} cannot be removed: {error}"))),
    }
}

impl SandboxCare for DockerSandboxes {
    fn look(&self) -> BoxFuture<'static, Look> {
        let all = self.clone();
        Box::pin(async move {
            let off = |advice: String| Look {
                readiness: Readiness::Off,
                details: "not set up: there are no coding jobs without it".into(),
                advice,
            };
            match timeout(LOOK, all.looked()).await {
                Ok(Ok(look)) => look,
                Ok(Err(
                    SandboxError::NoIsolation(text) | SandboxError::Engine(text) | SandboxError::Gone(text),
                )) => off(text),
                Err(_) => off(advice::no_engine(&all.settings.socket, "it does not answer in time")),
            }
        })
    }

    fn test_anew(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>> {
        let all = self.clone();
        Box::pin(async move { all.evidence(&all.settings.image, true).await })
    }

    fn end_strays(
        &self,
        claimed: BTreeSet<String>,
    ) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>> {
        let all = self.clone();
        Box::pin(async move {
            let mut ended = Vec::new();
            for found in all.list().await? {
                if !claimed.contains(&found.id) {
                    all.end(&found).await?;
                    ended.push(found);
                }
            }
            Ok(ended)
        })
    }

    fn remove_folder(&self, folder: PathBuf) -> BoxFuture<'static, Result<(), SandboxError>> {
        let all = self.clone();
        Box::pin(async move { all.clear(&folder).await })
    }

    fn build(&self, spec: BuildSpec) -> BoxFuture<'static, Result<mpsc::Receiver<BuildStep>, SandboxError>> {
        let all = Arc::new(self.clone());
        Box::pin(async move {
            let docker = all.connection.docker().await?.clone();
            Ok(image::build(docker, &spec, all.settings.image.clone()))
        })
    }
}
