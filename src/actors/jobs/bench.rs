//! The way to the actor that owns the job's sandbox.

use std::sync::Arc;

use actix::prelude::*;

use crate::actors::{
    kernel::{Life, Mail, Unreachable, Vitals},
    sandbox::{SandboxActor, messages::BenchError},
};

/// Starts the actor of a sandbox.
pub type StartBench = Arc<dyn Fn(Life) -> Addr<SandboxActor> + Send + Sync>;

/// The way there.
#[derive(Clone)]
pub(super) struct Bench {
    addr: Addr<SandboxActor>,
    vitals: Arc<Vitals>,
}

impl Bench {
    pub(super) fn new(addr: Addr<SandboxActor>, vitals: Arc<Vitals>) -> Self {
        Self { addr, vitals }
    }

    /// Sends and waits for the answer. The message is on its way when this returns.
    pub(super) fn ask<M, T>(&self, message: M) -> impl Future<Output = Result<T, BenchError>> + use<M, T>
    where
        SandboxActor: Handler<Mail<M>>,
        M: Message<Result = Result<T, BenchError>> + Send + 'static,
        T: Send + 'static,
    {
        let sent = self.addr.send(Mail::new(message, &self.vitals));
        async move { sent.await.map_err(|_| Unreachable::Gone("the sandbox"))? }
    }
}
