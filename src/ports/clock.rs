//! Time and fresh names, so that tests can have their own.

use crate::domain::Millis;

/// Source of time and of ids.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> Millis;

    /// 128 bits that never came before and sort by the time they were made.
    fn fresh(&self) -> u128;

    /// A random number from 0 to 1, to keep herds apart.
    fn dice(&self) -> f64 {
        (self.fresh() & 0xffff_ffff) as f64 / f64::from(u32::MAX)
    }
}
