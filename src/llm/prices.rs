//! The price list: what comes with Atoll, and what the configuration replaces.

use std::collections::BTreeMap;

use crate::domain::price::{Price, Prices};

const BUILT_IN: &str = include_str!("../../assets/prices.yaml");

/// The built-in list cannot be read, which a test would see.
#[derive(Debug, thiserror::Error)]
#[error("assets/prices.yaml: {0}")]
pub struct PriceFault(String);

/// The list that comes with Atoll.
///
/// # Errors
/// [`PriceFault`] when it cannot be read.
pub fn built_in() -> Result<BTreeMap<String, Price>, PriceFault> {
    serde_saphyr::from_str(BUILT_IN).map_err(|error| PriceFault(error.to_string()))
}

/// That list with these entries in the place of its own.
///
/// # Errors
/// [`PriceFault`] when the built-in list cannot be read.
pub fn with_overrides(overrides: &BTreeMap<String, Price>) -> Result<Prices, PriceFault> {
    let list = built_in()?;
    Ok(Prices::new(list.into_iter().chain(overrides.iter().map(|(name, price)| (name.clone(), *price)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::providers::PROVIDERS;

    #[test]
    fn every_provider_s_usual_model_that_costs_money_has_a_price() {
        let prices = with_overrides(&BTreeMap::new()).unwrap();
        for kind in PROVIDERS {
            let free = matches!(kind.name, "ollama" | "rehearsal");
            assert!(
                free || prices.find(kind.model).is_some(),
                "{} has no price for {}",
                kind.name,
                kind.model
            );
        }
    }
}
