//! The configuration: one table of keys, read strictly, all faults reported at once with their path.

mod chat_keys;
mod chats;
mod check;
mod env;
mod keys;
mod outside;
mod raw;
mod settings;
mod types;

use std::path::Path;

pub use chats::open_warning;
pub use check::{Fault, detect_provider};
pub use env::Env;
pub use keys::{KEYS, Key, Kind};
pub use types::*;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML.
    #[error("{path}: {message}")]
    Yaml {
        /// The file.
        path: String,
        /// Where and why, without its text: that may hold secrets.
        message: String,
    },
    /// It has faults.
    #[error("{path} has {} fault{}:\n{}", .faults.len(), if .faults.len() == 1 { "" } else { "s" }, check::list(.faults))]
    Faults {
        /// The file.
        path: String,
        /// All of them.
        faults: Vec<Fault>,
    },
}

/// Reads a configuration file.
///
/// # Errors
/// [`ConfigError`] with every fault that it has.
pub fn load(path: &Path, env: &dyn Env) -> Result<Config, ConfigError> {
    let shown = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
    parse(&text, &shown, env)
}

/// Reads a configuration from text; `path` is its name in messages.
///
/// # Errors
/// [`ConfigError`] with every fault that it has.
pub fn parse(text: &str, path: &str, env: &dyn Env) -> Result<Config, ConfigError> {
    let value = raw::yaml(text).map_err(|message| ConfigError::Yaml { path: path.to_owned(), message })?;
    let mut settings = settings::Settings::read(&value, env);
    let config = check::build(&mut settings);
    let faults = settings.into_faults();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(ConfigError::Faults { path: path.to_owned(), faults }),
    }
}

#[cfg(test)]
mod tests;
