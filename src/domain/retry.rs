//! How long to wait before trying again, and when to stop trying.

use super::Millis;

/// Bounds on trying again: in number and in total time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most attempts, the first one included.
    pub attempts: u32,
    /// Longest time for all attempts and waits together, in milliseconds.
    pub total_ms: i64,
}

/// The wait before attempt number `attempt` (from 1): `base_ms` doubled each time, at most `max_ms`, of which
/// between half and all is waited. `dice` is a random number from 0 to 1; it keeps a herd apart.
pub fn backoff(attempt: u32, base_ms: u64, max_ms: u64, dice: f64) -> u64 {
    let full = base_ms.saturating_mul(1u64 << attempt.saturating_sub(1).min(30)).min(max_ms);
    let half = full / 2;
    half + ((full - half) as f64 * dice.clamp(0.0, 1.0)) as u64
}

/// True when another attempt may be made after `attempts` of them, after waiting until `at`.
pub fn may_try(bounds: Bounds, started: Millis, attempts: u32, at: Millis) -> bool {
    attempts < bounds.attempts && at - started < bounds.total_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_stay_apart() {
        let waits: Vec<u64> = (1..6).map(|attempt| backoff(attempt, 100, 1_000, 1.0)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000]);
        assert_eq!(backoff(3, 100, 1_000, 0.0), 200);
        assert_eq!(backoff(u32::MAX, u64::MAX, 7, 1.0), 7);
    }

    #[test]
    fn attempts_end_by_number_and_by_time() {
        let bounds = Bounds { attempts: 3, total_ms: 1_000 };
        assert!(may_try(bounds, 0, 2, 999));
        assert!(!may_try(bounds, 0, 3, 10));
        assert!(!may_try(bounds, 0, 1, 1_000));
    }
}
