//! The gateway on the host: an HTTP server on the streams of one sandbox, its only way out.
//!
//! `/llm/<provider>/v1/…` are the model APIs (`model`, `metered`), `CONNECT host:443` are tunnels (`tunnel`), everything
//! else is refused with a text. `head` looks at every request before the HTTP library does, `answer` words the answers,
//! `trail` keeps the records. One request a connection: nothing can hide behind another.

mod answer;
pub mod head;
mod metered;
mod model;
mod resolver;
mod server;
mod trail;
mod tunnel;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

use super::{
    mux::{Mux, MuxFault, MuxStream},
    terminal::RelayTerminals,
};
use crate::{
    config::Secret,
    domain::gateway::{EgressLimits, EgressPolicy, usage::Api},
    net::Clients,
    ports::{
        clock::Clock,
        gateway::{Gateway, GatewayFault, GatewaySpec, Gateways, JobToken, Meter, Resolver, Terminals},
        sandbox::Exec,
    },
};

pub use resolver::SystemResolver;
use trail::Trail;

/// How a provider takes its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    Bearer,
    /// A header of this name.
    Named(String),
}

/// One model API that sandboxes may use, under `/llm/<name>`.
#[derive(Debug, Clone)]
pub struct GatewayProvider {
    /// The name in the path: `anthropic`, `openai`.
    pub name: String,
    /// What it speaks.
    pub api: Api,
    /// Where it is: what comes before `/v1/messages` for Anthropic, what comes before `/responses` for OpenAI
    /// (`https://api.openai.com/v1`).
    pub base_url: String,
    /// How it takes its key.
    pub key_header: KeyHeader,
    /// The key; empty for none.
    pub key: Secret,
}

/// Makes gateways: what all of them share.
#[derive(Clone)]
pub struct HostGateways {
    providers: Arc<BTreeMap<String, GatewayProvider>>,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    clients: Arc<Clients>,
}

impl HostGateways {
    /// Gateways to these providers.
    pub fn new(
        providers: Vec<GatewayProvider>,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
        clients: Arc<Clients>,
    ) -> Self {
        let providers = providers.into_iter().map(|provider| (provider.name.clone(), provider)).collect();
        Self { providers: Arc::new(providers), resolver, clock, clients }
    }
}

impl Gateways for HostGateways {
    fn serve(
        &self,
        exec: Exec,
        spec: GatewaySpec,
    ) -> BoxFuture<'static, Result<Arc<dyn Gateway>, GatewayFault>> {
        let host = self.clone();
        Box::pin(async move {
            let (mux, arrivals) = Mux::start(exec).await.map_err(fault)?;
            let policy = watch::Sender::new(Arc::new(spec.policy));
            let inside = Inside {
                token: spec.token,
                tunnels: Arc::new(Semaphore::new(spec.limits.tunnels)),
                calls: Arc::new(Semaphore::new(spec.limits.model_calls)),
                tunnelled: Arc::new(AtomicU64::new(0)),
                trail: Trail::new(spec.egress, host.clock.clone(), spec.limits.refusals),
                limits: spec.limits,
                policy: policy.subscribe(),
                meter: spec.meter,
                host,
            };
            let served: Arc<dyn Gateway> =
                Arc::new(Served { policy, work: tokio::spawn(accept(Arc::new(inside), arrivals)), mux });
            Ok(served)
        })
    }

    fn terminals(&self, exec: Exec) -> BoxFuture<'static, Result<Arc<dyn Terminals>, GatewayFault>> {
        Box::pin(async move {
            // Nothing may come from inside on this way: what does has nobody who takes it, and is reset.
            let (mux, _) = Mux::start(exec).await.map_err(fault)?;
            let opened: Arc<dyn Terminals> = Arc::new(RelayTerminals(mux));
            Ok(opened)
        })
    }
}

pub(super) fn fault(fault: MuxFault) -> GatewayFault {
    match fault {
        MuxFault::BadTerminal => GatewayFault::BadTerminal(fault.to_string()),
        other => GatewayFault::Relay(other.to_string()),
    }
}

/// What the requests of one sandbox share.
struct Inside {
    host: HostGateways,
    token: JobToken,
    policy: watch::Receiver<Arc<EgressPolicy>>,
    limits: EgressLimits,
    meter: Arc<dyn Meter>,
    trail: Trail,
    tunnels: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// Bytes of all tunnels so far.
    tunnelled: Arc<AtomicU64>,
}

/// One open gateway.
struct Served {
    policy: watch::Sender<Arc<EgressPolicy>>,
    work: tokio::task::JoinHandle<()>,
    mux: Mux,
}

impl Gateway for Served {
    fn port(&self) -> u16 {
        self.mux.port()
    }

    fn set_policy(&self, policy: EgressPolicy) {
        self.policy.send_replace(Arc::new(policy));
    }

    fn ended(&self) -> BoxFuture<'static, String> {
        Box::pin(self.mux.ended())
    }

    fn close(&self) {
        self.mux.close();
        self.work.abort();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.close();
    }
}

/// Serves every connection of the sandbox in a task of its own, until there are no more. Dropped, it cuts them all.
async fn accept(inside: Arc<Inside>, mut arrivals: mpsc::UnboundedReceiver<MuxStream>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(stream) => drop(running.spawn(server::serve(inside.clone(), stream))),
                None => return,
            },
            Some(_) = running.join_next(), if !running.is_empty() => {}
        }
    }
}
