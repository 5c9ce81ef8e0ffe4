//! What coding jobs are worked on with, out of the configuration: engines, ways out, prices.

use std::sync::Arc;

use crate::{
    actors::sandbox::{BenchPlaces, ModelFacts, PriceOf},
    config::{Config, Env, Provider, detect_provider},
    domain::{
        bot,
        gateway::usage::Api,
        price::{Price, Prices},
    },
    engines::{
        claude_code::ClaudeCode,
        codex::Codex,
        native::{Native, Places},
    },
    llm::{self, Auth, Codec, PROVIDERS},
    net::Clients,
    ports::{
        clock::Clock,
        engine::{Engine, Engines},
        gateway::Gateways,
        model::Model,
    },
    sandbox::gateway::{GatewayProvider, HostGateways, KeyHeader, SystemResolver},
};

/// The names under which engines look for the two protocols.
const ANTHROPIC: &str = "anthropic";
const OPENAI: &str = "openai";
/// Providers that have what engines ask for beside chat completions. The others speak those alone, or have their
/// addresses ordered otherwise.
const FITTING: &[&str] = &["anthropic", "openai", "openrouter", "openai-compatible"];

/// Our own engine and those of others, for sandboxes with these folders.
pub struct SandboxEngines {
    places: Places,
    clock: Arc<dyn Clock>,
}

impl SandboxEngines {
    /// For sandboxes in which things are here.
    pub fn new(places: &BenchPlaces, clock: Arc<dyn Clock>) -> Self {
        let places = Places { workspace: places.workspace.clone(), home: places.home.clone() };
        Self { places, clock }
    }
}

impl Engines for SandboxEngines {
    fn engine(&self, kind: bot::Engine, model: Arc<dyn Model>) -> Arc<dyn Engine> {
        let Places { workspace, home } = self.places.clone();
        match kind {
            bot::Engine::Native => {
                Arc::new(Native::new(model, Arc::clone(&self.clock), Places { workspace, home }))
            }
            bot::Engine::ClaudeCode => Arc::new(ClaudeCode::new(home)),
            bot::Engine::Codex => Arc::new(Codex::new(home, workspace)),
        }
    }
}

/// Ways out of sandboxes, to the configured providers.
pub fn gateways(config: &Config, env: &dyn Env, clock: Arc<dyn Clock>) -> Arc<dyn Gateways> {
    let (resolver, clients) = (Arc::new(SystemResolver), Arc::new(Clients::default()));
    Arc::new(HostGateways::new(gateway_providers(config, env), resolver, clock, clients))
}

/// The model APIs that sandboxes may use with the configured keys: as `anthropic` the first provider that speaks
/// Anthropic's protocol, which Claude Code needs, and as `openai` the first that speaks OpenAI's, which Codex needs. When
/// no provider is configured, the one whose key is in the environment.
pub fn gateway_providers(config: &Config, env: &dyn Env) -> Vec<GatewayProvider> {
    let detected: Vec<Provider> = match config.llm.as_slice() {
        [] => detect_provider(env).map(|(provider, _)| provider).into_iter().collect(),
        _ => Vec::new(),
    };
    let all: Vec<GatewayProvider> = config.llm.iter().chain(&detected).filter_map(gateway_provider).collect();
    let first = |name: &str| all.iter().find(|provider| provider.name == name).cloned();
    [ANTHROPIC, OPENAI].into_iter().filter_map(first).collect()
}

fn gateway_provider(config: &Provider) -> Option<GatewayProvider> {
    let kind = PROVIDERS.iter().find(|kind| kind.name == config.provider)?;
    let (name, api) = match kind.codec {
        Codec::Anthropic => (ANTHROPIC, Api::Anthropic),
        Codec::OpenAi => (OPENAI, Api::OpenAi),
        Codec::Rehearsal => return None,
    };
    let base_url = config.base_url.as_deref().unwrap_or(kind.base_url).to_owned();
    let key_header = match kind.auth {
        Auth::Bearer => KeyHeader::Bearer,
        Auth::Header(name) => KeyHeader::Named(name.to_owned()),
    };
    let key = config.api_key.clone();
    let fits = FITTING.contains(&kind.name) && !base_url.is_empty();
    fits.then(|| GatewayProvider { name: name.to_owned(), api, base_url, key_header, key })
}

/// What calls through the gateway cost.
pub fn price_of(prices: Prices) -> PriceOf {
    let highest = prices.highest();
    Arc::new(move |call| -> Price { prices.find(&call.model).unwrap_or(highest) })
}

/// What is known of these models.
pub fn model_facts(models: &[Arc<dyn Model>]) -> ModelFacts {
    let (worst_price, longest) = llm::worst(models);
    let names: Vec<&str> = models.iter().map(|model| model.model()).collect();
    ModelFacts {
        names: names.join(", "),
        worst_price,
        max_output: u32::try_from(longest).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, ports::gateway::ModelCall};

    fn providers(text: &str, env: &dyn Env) -> Vec<(String, String, KeyHeader, String)> {
        let config = config::parse(text, "config.yaml", &|_: &str| None).unwrap();
        let told = |one: GatewayProvider| (one.name, one.base_url, one.key_header, one.key.reveal().into());
        gateway_providers(&config, env).into_iter().map(told).collect()
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn the_first_of_each_protocol_is_offered_with_its_own_address_and_key() {
        let text = "llm:\n\
            - {provider: groq, api_key: g}\n\
            - {provider: azure, api_key: a, base_url: 'https://x.example', model: m, api_version: v}\n\
            - {provider: openai-compatible, api_key: c, base_url: 'http://10.0.0.1:8000/v1', model: m}\n\
            - {provider: openai, api_key: o}\n\
            - {provider: anthropic, api_key: k}\n\
            - {provider: anthropic, name: other, api_key: k2, base_url: 'https://other.example'}\n";
        let own = |name: &str, base: &str, header, key: &str| (name.into(), base.into(), header, key.into());
        assert_eq!(
            providers(text, &nothing),
            [
                own("anthropic", "https://api.anthropic.com", KeyHeader::Named("x-api-key".into()), "k"),
                own("openai", "http://10.0.0.1:8000/v1", KeyHeader::Bearer, "c"),
            ]
        );
        assert_eq!(providers("llm: {provider: groq, api_key: g}", &nothing), []);
        assert_eq!(providers("llm: {provider: rehearsal}", &nothing), []);
    }

    #[test]
    fn a_key_in_the_environment_counts_when_nothing_is_configured() {
        let env = |name: &str| (name == "ANTHROPIC_API_KEY").then(|| "from-env".to_owned());
        let found = providers("{}", &env);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.as_str(), found[0].3.as_str()), ("anthropic", "from-env"));
        let found = providers("llm: {provider: openai, api_key: o}", &env);
        assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["openai"]);
    }

    #[test]
    fn a_model_without_a_price_costs_the_highest() {
        let price = |input, output| Price { input, output, ..Price::default() };
        let price_of = price_of(Prices::new([("a".into(), price(1.0, 9.0)), ("b".into(), price(5.0, 2.0))]));
        let of = |model: &str| {
            price_of(&ModelCall { provider: "openai".into(), model: model.into(), input: 0, output: 0 })
        };
        assert_eq!((of("a-1"), of("nobody-knows")), (price(1.0, 9.0), price(5.0, 9.0)));
    }
}
