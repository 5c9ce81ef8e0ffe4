//! The clock of the real world.

use crate::{
    domain::Millis,
    ports::clock::{Clock, NoRandom},
};

/// System time, UUIDs of version 7 (RFC 9562), the system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX) + ahead()
    }

    fn fresh(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }

    fn secret(&self) -> Result<[u8; 32], NoRandom> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| NoRandom(error.to_string()))?;
        Ok(bytes)
    }
}

/// How far ahead of the system's time the clock goes.
#[cfg(not(feature = "chaos"))]
fn ahead() -> Millis {
    0
}

/// How far ahead of the system's time the clock goes: what the file `ATOLL_CLOCK` says, in milliseconds.
#[cfg(feature = "chaos")]
fn ahead() -> Millis {
    static FILE: std::sync::LazyLock<Option<String>> =
        std::sync::LazyLock::new(|| std::env::var("ATOLL_CLOCK").ok());
    let text = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
