//! Finds who answers: what is configured; else keys in the environment; else a local Ollama; else the script.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    config::{Config, Env, Provider, detect_provider},
    llm::{self, PriceFault},
    net::Clients,
    ports::{files::Files, model::Model},
};

/// How long a local Ollama may take to say that it is there.
const OLLAMA: Duration = Duration::from_millis(500);
/// Where a local Ollama listens.
const OLLAMA_ADDRESS: &str = "http://127.0.0.1:11434";

/// Who answers, and how they were found.
pub struct Found {
    /// In order.
    pub models: Vec<Arc<dyn Model>>,
    /// In words, for the start.
    pub how: String,
    /// None was found: the script stands in.
    pub rehearsal: bool,
}

/// Why there are no models.
#[derive(Debug, thiserror::Error)]
pub enum ModelsFault {
    /// The price list is broken.
    #[error(transparent)]
    Prices(#[from] PriceFault),
    /// A provider cannot be built.
    #[error(transparent)]
    Provider(#[from] llm::NoModel),
}

/// Finds them.
///
/// # Errors
/// A fault when what was found cannot be used.
pub async fn find_models(
    config: &Config,
    env: &dyn Env,
    clients: &Clients,
    files: &Arc<dyn Files>,
) -> Result<Found, ModelsFault> {
    let prices = llm::with_overrides(&config.prices)?;
    let build = |providers: &[Provider]| llm::build(providers, &prices, clients, files);
    let describe = |models: &[Arc<dyn Model>]| {
        models
            .iter()
            .map(|model| format!("{} ({})", model.name(), model.model()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !config.llm.is_empty() {
        let models = build(&config.llm)?;
        let rehearsal = models.iter().all(|model| model.name() == "rehearsal");
        return Ok(Found { how: describe(&models), models, rehearsal });
    }
    if let Some((provider, variable)) = detect_provider(env) {
        let models = build(&[provider])?;
        return Ok(Found { how: format!("{}, by {variable}", describe(&models)), models, rehearsal: false });
    }
    if let Some(provider) = ollama(clients).await {
        let models = build(&[provider])?;
        return Ok(Found {
            how: format!("{}, found on this machine", describe(&models)),
            models,
            rehearsal: false,
        });
    }
    Ok(Found {
        models: vec![llm::rehearsal()],
        how: "rehearsal, a script and no model".into(),
        rehearsal: true,
    })
}

/// A local Ollama with at least one model.
async fn ollama(clients: &Clients) -> Option<Provider> {
    let asked =
        clients.to(OLLAMA_ADDRESS).ok()?.get(format!("{OLLAMA_ADDRESS}/api/tags")).timeout(OLLAMA).send();
    let answer: Value = asked.await.ok()?.error_for_status().ok()?.json().await.ok()?;
    let model = answer["models"][0]["name"].as_str()?.to_owned();
    Some(Provider {
        model: Some(model),
        base_url: Some(format!("{OLLAMA_ADDRESS}/v1")),
        ..Provider::of("ollama")
    })
}
