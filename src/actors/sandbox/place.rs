//! An open sandbox with all that belongs to it, and who watches over it.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    egress::JobEgress,
    messages::{BenchError, BenchEvent},
    meter::JobMeter,
};
use crate::{
    domain::engine::Control,
    ports::{
        gateway::{Gateway, JobToken},
        sandbox::Sandbox,
    },
};

/// How long a sandbox may take to be confirmed dead.
pub(super) const KILL: Duration = Duration::from_secs(70);
/// How long the cause may take to be known when the relay ends: the sandbox may have died with it.
const CAUSE: Duration = Duration::from_secs(3);

/// An open sandbox.
pub(super) struct Place {
    /// Its programs know the way out.
    pub(super) sandbox: Arc<dyn Sandbox>,
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) token: JobToken,
    pub(super) meter: JobMeter,
    pub(super) egress: Arc<JobEgress>,
    /// The home on the host.
    pub(super) home: PathBuf,
    /// Orders to the engine that runs.
    pub(super) engine: Mutex<Option<mpsc::Sender<Control>>>,
    /// Why nothing can be done here any more.
    pub(super) gone: watch::Sender<Option<String>>,
    /// It is closed: nobody wonders that it dies.
    pub(super) closing: AtomicBool,
}

impl Place {
    /// Gives it up, for this reason: its keeper ends it. The first reason stays.
    pub(super) fn doom(&self, why: &str) {
        self.gone.send_if_modified(|gone| {
            let fresh = gone.is_none();
            if fresh {
                *gone = Some(why.to_owned());
            }
            fresh
        });
    }

    /// Why it is gone, if it is.
    pub(super) fn why_gone(&self) -> Option<String> {
        self.gone.borrow().clone()
    }

    /// Waits until it is gone.
    pub(super) async fn gone(&self) -> String {
        let mut gone = self.gone.subscribe();
        let why = gone.wait_for(Option::is_some).await;
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// The engine's orders, whoever panicked while holding them.
    pub(super) fn engine(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Control>>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends everything here; answers when it is confirmed.
    pub(super) async fn close(&self) -> Result<(), BenchError> {
        self.closing.store(true, Ordering::Relaxed);
        self.doom("it was closed");
        self.gateway.close();
        let killed = kill(self.sandbox.as_ref()).await;
        self.egress.flush().await;
        killed
    }

    /// Watches over it until its end, and tells of a death that nobody wanted. `abandoned` is set when its owner is gone.
    pub(super) async fn keep(
        self: Arc<Self>,
        abandoned: CancellationToken,
        events: mpsc::Sender<BenchEvent>,
    ) {
        let mut died = self.sandbox.died();
        let why = tokio::select! {
            biased;
            why = &mut died => why,
            why = self.gone() => why,
            () = abandoned.cancelled() => "its job does not need it any more".into(),
            why = self.gateway.ended() => match timeout(CAUSE, died).await {
                Ok(cause) => cause,
                Err(_) => format!("its way out ended: {why}"),
            },
        };
        self.doom(&why);
        if self.closing.load(Ordering::Relaxed) {
            return;
        }
        self.gateway.close();
        if let Err(error) = kill(self.sandbox.as_ref()).await {
            tracing::warn!(sandbox = self.sandbox.id(), %error, "a sandbox that is not needed cannot be ended");
        }
        self.egress.flush().await;
        let _ = events.send(BenchEvent::Died { why }).await;
    }
}

/// Kills a sandbox; answers when that is confirmed.
pub(super) async fn kill(sandbox: &dyn Sandbox) -> Result<(), BenchError> {
    match timeout(KILL, sandbox.kill()).await {
        Ok(killed) => {
            killed.map_err(|error| BenchError::Failed(format!("the sandbox does not end: {error}")))
        }
        Err(_) => {
            Err(BenchError::Failed("the sandbox does not end: the container engine does not answer".into()))
        }
    }
}
