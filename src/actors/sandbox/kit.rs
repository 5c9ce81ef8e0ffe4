//! What benches are made with, the same for all jobs.

use std::{path::PathBuf, sync::Arc};

use crate::{
    actors::{
        db::messages::{AddEgress, PrepayJob, SettleJob},
        kernel::Door,
        llm_pool::messages::Complete,
    },
    domain::{budget::Caps, price::Price},
    ports::{
        clock::Clock,
        engine::Engines,
        gateway::{Gateways, ModelCall},
        sandbox::Sandboxes,
    },
};

/// The price of a call through the gateway; of a model that the price list does not know, the highest that it has.
pub type PriceOf = Arc<dyn Fn(&ModelCall) -> Price + Send + Sync>;

/// Whom a bench talks to.
#[derive(Clone)]
pub struct BenchDoors {
    /// Ask a configured model.
    pub complete: Door<Complete>,
    /// Reserve what a call may cost.
    pub prepay: Door<PrepayJob>,
    /// Put what it came to in its place.
    pub settle: Door<SettleJob>,
    /// Note requests.
    pub egress: Door<AddEgress>,
}

/// Where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchPlaces {
    /// The work tree inside.
    pub workspace: String,
    /// The home inside.
    pub home: String,
    /// The relay's program inside.
    pub relay: String,
    /// The relay's program on the host.
    pub relay_host: PathBuf,
    /// Where the relay listens inside.
    pub address: String,
}

impl BenchPlaces {
    /// The usual places of the image, with the relay's program here on the host.
    pub fn usual(relay_host: PathBuf) -> Self {
        Self {
            workspace: "/workspace".into(),
            home: "/home/agent".into(),
            relay: "/opt/atoll/relay".into(),
            relay_host,
            address: "127.0.0.1:3128".into(),
        }
    }
}

/// Most that may be spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BenchCaps {
    /// By one job.
    pub job: Caps,
    /// By one user in a day.
    pub user: Caps,
}

/// What is known of the configured models, any of which may answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// Their names, for people.
    pub names: String,
    /// The highest of their prices.
    pub worst_price: Price,
    /// The longest of their answers, in tokens.
    pub max_output: u32,
}

/// All that benches share.
pub struct BenchKit {
    /// Makes sandboxes.
    pub sandboxes: Arc<dyn Sandboxes>,
    /// Makes their ways out.
    pub gateways: Arc<dyn Gateways>,
    /// Makes engines.
    pub engines: Arc<dyn Engines>,
    /// Whom they talk to.
    pub doors: BenchDoors,
    /// Where things are.
    pub places: BenchPlaces,
    /// What calls through the gateway cost.
    pub price_of: PriceOf,
    /// Most that may be spent.
    pub caps: BenchCaps,
    /// The models of our own engine.
    pub models: ModelFacts,
    /// Time and names.
    pub clock: Arc<dyn Clock>,
}
