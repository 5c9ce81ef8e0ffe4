//! When a child that fell is started again, and when it is left lying for a person to see.

use std::collections::VecDeque;

use serde::Serialize;

use super::Millis;

/// Why a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It panicked.
    Panic,
    /// It gave up with an error.
    Error,
    /// It stopped as it was told.
    Stop,
    /// It stopped answering and was replaced.
    Frozen,
}

/// The rule for restarts.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// More falls than this within the window park the child.
    pub max_falls: usize,
    /// The window, in milliseconds.
    pub window_ms: i64,
    /// Wait before the first restart, in milliseconds; doubles with every fall in the window.
    pub backoff_ms: i64,
    /// Longest wait, in milliseconds.
    pub max_backoff_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_falls: 5, window_ms: 60_000, backoff_ms: 20, max_backoff_ms: 5_000 }
    }
}

/// What to do about a fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again at this time.
    RestartAt(Millis),
    /// Leave it: too many falls. A person may restart it.
    Park,
}

/// The falls of one child.
#[derive(Debug, Clone, Default)]
pub struct Falls {
    recent: VecDeque<Millis>,
}

impl Falls {
    /// Notes a fall and decides.
    pub fn fell(&mut self, now: Millis, policy: &Policy) -> Decision {
        while self.recent.front().is_some_and(|&at| now - at >= policy.window_ms) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        if self.recent.len() > policy.max_falls {
            return Decision::Park;
        }
        let doublings = u32::try_from(self.recent.len() - 1).unwrap_or(u32::MAX).min(30);
        let wait = policy.backoff_ms.saturating_mul(1 << doublings).min(policy.max_backoff_ms);
        Decision::RestartAt(now + wait)
    }

    /// Forgets the past: a person restarted it.
    pub fn forgive(&mut self) {
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_back_off_then_park_and_old_falls_are_forgotten() {
        let policy = Policy { max_falls: 3, window_ms: 1_000, backoff_ms: 10, max_backoff_ms: 25 };
        let mut falls = Falls::default();
        assert_eq!(falls.fell(0, &policy), Decision::RestartAt(10));
        assert_eq!(falls.fell(1, &policy), Decision::RestartAt(21));
        assert_eq!(falls.fell(2, &policy), Decision::RestartAt(27));
        assert_eq!(falls.fell(3, &policy), Decision::Park);
        assert_eq!(falls.fell(5_000, &policy), Decision::RestartAt(5_010));
        falls.forgive();
        assert_eq!(falls.fell(5_001, &policy), Decision::RestartAt(5_011));
    }
}
