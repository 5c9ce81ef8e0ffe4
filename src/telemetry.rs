//! Logs of the process: to standard error, pretty for people or JSON for machines.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::Log;

/// The filter of the configuration cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "log.level: `{0}` is no filter; use error, warn, info, debug, trace, or one such as `info,atoll=debug`"
)]
pub struct BadFilter(String);

/// Starts logging. Called once.
///
/// # Errors
/// [`BadFilter`] when the level cannot be read.
pub fn start(log: &Log) -> Result<(), BadFilter> {
    // A bare word is about Atoll; its libraries are worth hearing only when something is wrong.
    let plain = log.level.chars().all(|c| c.is_ascii_alphabetic());
    let level = if plain { format!("warn,atoll={}", log.level) } else { log.level.clone() };
    let filter = EnvFilter::try_new(level).map_err(|_| BadFilter(log.level.clone()))?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = if log.json {
        let lines =
            fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(std::io::stderr);
        registry.with(lines).try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .compact()
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_writer(std::io::stderr),
            )
            .try_init()
    };
    // A test may have started it before.
    let _ = started;
    Ok(())
}
