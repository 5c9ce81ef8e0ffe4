//! The way to the container engine: one socket, its version agreed once, its faults told so that one can mend them.

use std::{path::PathBuf, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error};
use tokio::sync::OnceCell;

use crate::ports::sandbox::SandboxError;

use super::advice;

/// How long the engine may take until it begins to answer, in seconds.
const ANSWER: u64 = 120;

/// The container engine.
pub(super) struct Connection {
    socket: PathBuf,
    runtime: String,
    docker: OnceCell<Docker>,
}

impl Connection {
    /// A connection that is made when it is first needed.
    pub(super) fn new(socket: PathBuf, runtime: String) -> Self {
        Self { socket, runtime, docker: OnceCell::new() }
    }

    /// The engine. There is no open connection behind it: each request makes its own.
    pub(super) async fn docker(&self) -> Result<&Docker, SandboxError> {
        self.docker.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Docker, SandboxError> {
        let path = self.socket.to_str().unwrap_or_default();
        let docker = Docker::connect_with_unix(path, ANSWER, API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| self.fault("connecting", error))?;
        let agreed = tokio::time::timeout(Duration::from_secs(10), docker.negotiate_version()).await;
        let agreed = agreed.map_err(|_| SandboxError::Engine(self.absent("it does not answer")))?;
        agreed.map_err(|error| self.fault("connecting", error))
    }

    fn absent(&self, why: &str) -> String {
        advice::no_engine(&self.socket, why)
    }

    /// An error of the engine in our words; `doing` is what was tried.
    pub(super) fn fault(&self, doing: &str, error: Error) -> SandboxError {
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                let low = message.to_lowercase();
                if low.contains("unknown runtime") || low.contains("invalid runtime name") {
                    SandboxError::NoIsolation(advice::no_runtime(&self.runtime))
                } else if status_code == 404 && low.contains("image") {
                    let name = message.split(':').skip(1).collect::<Vec<_>>().join(":");
                    SandboxError::Engine(advice::no_image(name.trim()))
                } else if matches!(status_code, 404 | 409) {
                    SandboxError::Gone(message)
                } else {
                    SandboxError::Engine(format!("{doing}: {message}"))
                }
            }
            Error::SocketNotFoundError(_) => SandboxError::Engine(self.absent("there is no such file")),
            Error::RequestTimeoutError => SandboxError::Engine(format!("{doing}: no answer in {ANSWER} s")),
            other => SandboxError::Engine(match refusal(&other) {
                Some(why) => self.absent(&why),
                None => format!("{doing}: {other}"),
            }),
        }
    }
}

/// The operating system's words, when it was it that refused the connection.
fn refusal(error: &Error) -> Option<String> {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind;
            let kinds = [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused];
            return kinds.contains(&io.kind()).then(|| io.to_string());
        }
        cause = error.source();
    }
    None
}

/// True when the engine says that there is no such thing (any more).
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// True when the engine says that it is not in the right state, such as already dead or being removed.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
}
