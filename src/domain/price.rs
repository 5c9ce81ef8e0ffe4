//! What tokens cost.

use serde::{Deserialize, Serialize};

use super::model::Usage;

/// Prices of one model, in US dollars for a million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Tokens read.
    pub input: f64,
    /// Tokens written.
    pub output: f64,
    /// Tokens read from the prompt cache.
    pub cache_read: f64,
    /// Tokens written to the prompt cache.
    pub cache_write: f64,
}

impl Price {
    /// What `usage` costs, in millionths of a dollar, rounded up.
    /// Dollars for a million tokens are millionths of a dollar for one.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let plain = usage.input.saturating_sub(usage.cached).saturating_sub(usage.cache_written);
        let micros = plain as f64 * self.input
            + usage.cached as f64 * self.cache_read
            + usage.cache_written as f64 * self.cache_write
            + usage.output as f64 * self.output;
        micros.ceil() as u64
    }

    /// The higher of two prices, for each kind of token.
    #[must_use]
    pub fn or_higher(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
        }
    }

    /// The most that a call with these token counts can cost.
    pub fn worst(&self, input: u64, output: u64) -> u64 {
        let read = self.input.max(self.cache_write);
        (input as f64 * read + output as f64 * self.output).ceil() as u64
    }
}

/// A list of prices by model name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    list: Vec<(String, Price)>,
}

impl Prices {
    /// A list in which a later entry for the same name replaces an earlier one.
    pub fn new(entries: impl IntoIterator<Item = (String, Price)>) -> Self {
        let mut list: Vec<(String, Price)> = Vec::new();
        for (name, price) in entries {
            list.retain(|(known, _)| *known != name);
            list.push((name, price));
        }
        Self { list }
    }

    /// The price of `model`: the entry with the longest name that the model's name begins with, where
    /// a vendor's prefix (`anthropic/…`) is also tried without.
    pub fn find(&self, model: &str) -> Option<Price> {
        let bare = model.rsplit('/').next().unwrap_or(model);
        self.list
            .iter()
            .filter(|(name, _)| model.starts_with(name.as_str()) || bare.starts_with(name.as_str()))
            .max_by_key(|(name, _)| name.len())
            .map(|(_, price)| *price)
    }

    /// The highest prices of the list: what a model that it does not know is taken to cost.
    pub fn highest(&self) -> Price {
        self.list.iter().fold(Price::default(), |highest, (_, price)| highest.or_higher(*price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_wins_and_an_override_replaces() {
        let price = |input| Price { input, ..Price::default() };
        let prices = Prices::new([
            ("gpt-4o".to_owned(), price(2.5)),
            ("gpt-4o-mini".to_owned(), price(0.15)),
            ("gpt-4o".to_owned(), price(9.0)),
        ]);
        assert_eq!(prices.find("gpt-4o-2024-11-20").unwrap().input, 9.0);
        assert_eq!(prices.find("openai/gpt-4o-mini-x").unwrap().input, 0.15);
        assert_eq!(prices.find("llama"), None);
    }

    #[test]
    fn cached_tokens_cost_their_own_price_and_the_worst_case_is_no_less() {
        let price = Price { input: 3.0, output: 15.0, cache_read: 0.3, cache_write: 3.75 };
        let usage = Usage { input: 1000, cached: 800, cache_written: 100, output: 10 };
        assert_eq!(price.cost(&usage), 300 + 240 + 375 + 150);
        assert!(price.worst(1000, 10) >= price.cost(&usage));
    }
}
