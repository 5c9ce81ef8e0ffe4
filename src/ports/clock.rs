//! Time and fresh names, so that tests can have their own.

use crate::domain::Millis;

/// The system has no random numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoRandom(pub String);

/// Source of time and of ids.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;

    /// 128 bits that never came before and sort by the time they were made.
    fn fresh(&self) -> u128;

    /// 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// When the system has no random numbers.
    fn secret(&self) -> Result<[u8; 32], NoRandom>;

    /// A random number from 0 to 1, to keep herds apart.
    fn dice(&self) -> f64 {
        (self.fresh() & 0xffff_ffff) as f64 / f64::from(u32::MAX)
    }
}
