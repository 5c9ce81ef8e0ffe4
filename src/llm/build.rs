//! From the configuration to providers that can be asked.

use std::sync::Arc;

use crate::{
    config::Provider,
    domain::price::{Price, Prices},
    net::{BuildError, Clients},
    ports::{files::Files, model::Model},
};

use super::{
    http::HttpModel,
    providers::{Codec, find},
    rehearsal::Rehearsal,
};

/// A provider cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum NoModel {
    /// The table does not have it.
    #[error("there is no provider `{0}`")]
    Unknown(String),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] BuildError),
}

/// The configured providers, in order.
///
/// # Errors
/// [`NoModel`] for a name that the table does not have (the configuration's check is stricter), or when no
/// client can be built.
pub fn build(
    providers: &[Provider],
    prices: &Prices,
    clients: &Clients,
    files: &Arc<dyn Files>,
) -> Result<Vec<Arc<dyn Model>>, NoModel> {
    providers
        .iter()
        .map(|config| {
            let kind = find(&config.provider).ok_or_else(|| NoModel::Unknown(config.provider.clone()))?;
            if kind.codec == Codec::Rehearsal {
                return Ok(rehearsal());
            }
            let model = config.model.as_deref().unwrap_or(kind.model);
            let price = if kind.name == "ollama" {
                Some(prices.find(model).unwrap_or_default())
            } else {
                prices.find(model)
            };
            let model: Arc<dyn Model> =
                Arc::new(HttpModel::new(kind, config.clone(), price, clients, Arc::clone(files))?);
            Ok(model)
        })
        .collect()
}

/// The scripted stand-in.
pub fn rehearsal() -> Arc<dyn Model> {
    Arc::new(Rehearsal)
}

/// The highest prices and the longest answer of all providers: what a reservation assumes, because any of
/// them may answer.
pub fn worst(models: &[Arc<dyn Model>]) -> (Price, u64) {
    let prices = models.iter().filter_map(|model| model.price());
    let worst = prices.fold(Price::default(), Price::or_higher);
    let longest = models.iter().map(|model| u64::from(model.max_output())).max().unwrap_or(0);
    (worst, longest)
}
