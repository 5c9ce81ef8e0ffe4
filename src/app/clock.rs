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
        Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
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
