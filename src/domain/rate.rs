//! How often is too often: token buckets, and a lock after too many failures. Time is passed in.

use std::collections::HashMap;

use super::Millis;

/// Most keys that are remembered; beyond it the ones that are full again are forgotten.
const MAX_KEYS: usize = 10_000;

/// One bucket a key, refilled evenly.
#[derive(Debug)]
pub struct Buckets {
    per_minute: u32,
    buckets: HashMap<String, (f64, Millis)>,
}

impl Buckets {
    /// `per_minute` takes a minute, as a burst too; 0 is no limit.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: HashMap::new() }
    }

    /// Takes one from the key's bucket. A time before that of an earlier call refills nothing.
    ///
    /// # Errors
    /// The milliseconds to wait when it is empty.
    pub fn take(&mut self, now: Millis, key: &str) -> Result<(), u64> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let full = f64::from(self.per_minute);
        let per_ms = full / 60_000.0;
        let level = |(level, at): (f64, Millis)| (level + (now - at).max(0) as f64 * per_ms).min(full);
        if self.buckets.len() >= MAX_KEYS {
            self.buckets.retain(|_, bucket| level(*bucket) < full);
        }
        let bucket = self.buckets.entry(key.to_owned()).or_insert((full, now));
        let available = level(*bucket);
        if available < 1.0 {
            return Err(((1.0 - available) / per_ms).ceil() as u64);
        }
        *bucket = (available - 1.0, now.max(bucket.1));
        Ok(())
    }
}

/// Locks a key out after too many failures in a minute.
#[derive(Debug)]
pub struct Lockout {
    failures: u32,
    lock_ms: i64,
    keys: HashMap<String, Failed>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    since: Millis,
    locked_until: Millis,
}

impl Lockout {
    /// `failures` in a minute lock for `lock_ms` milliseconds.
    pub fn new(failures: u32, lock_ms: i64) -> Self {
        Self { failures, lock_ms, keys: HashMap::new() }
    }

    /// Checks whether the key is locked.
    ///
    /// # Errors
    /// The milliseconds to wait when it is.
    pub fn check(&self, now: Millis, key: &str) -> Result<(), u64> {
        match self.keys.get(key) {
            Some(failed) if failed.locked_until > now => Err((failed.locked_until - now).unsigned_abs()),
            _ => Ok(()),
        }
    }

    /// Notes a failure; true when it locked the key just now.
    pub fn fail(&mut self, now: Millis, key: &str) -> bool {
        const WINDOW: i64 = 60_000;
        if self.keys.len() >= MAX_KEYS {
            self.keys.retain(|_, failed| failed.locked_until > now || now - failed.since < WINDOW);
        }
        let failed =
            self.keys.entry(key.to_owned()).or_insert(Failed { times: 0, since: now, locked_until: 0 });
        if now - failed.since >= WINDOW {
            (failed.times, failed.since) = (0, now);
        }
        failed.times += 1;
        let locks = failed.times >= self.failures && failed.locked_until <= now;
        if locks {
            failed.locked_until = now + self.lock_ms;
            failed.times = 0;
        }
        locks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let mut buckets = Buckets::new(60);
        assert_eq!((0..100).filter(|_| buckets.take(0, "a").is_ok()).count(), 60);
        assert_eq!(buckets.take(0, "a"), Err(1000));
        assert!(buckets.take(0, "b").is_ok(), "keys do not share");
        assert!(buckets.take(1000, "a").is_ok());
        assert!(buckets.take(1000, "a").is_err());
        assert!((0..1000).all(|_| Buckets::new(0).take(0, "a").is_ok()));
    }

    #[test]
    fn what_comes_late_is_counted_when_it_was_sent() {
        let mut buckets = Buckets::new(2);
        assert!((0..10).all(|minute| buckets.take(minute * 60_000, "a").is_ok()));
        assert!(buckets.take(0, "a").is_ok(), "the second of the last minute");
        assert!(buckets.take(540_000, "a").is_err(), "an old one has not refilled it");
    }

    #[test]
    fn too_many_failures_lock_for_the_time_and_not_longer() {
        let mut lockout = Lockout::new(3, 5_000);
        assert!(!lockout.fail(0, "a") && !lockout.fail(1, "a"));
        assert!(lockout.fail(2, "a"));
        assert_eq!(lockout.check(3, "a"), Err(4_999));
        assert_eq!(lockout.check(3, "b"), Ok(()));
        assert_eq!(lockout.check(5_003, "a"), Ok(()));
        assert!(!lockout.fail(5_003, "a"), "the count starts anew");
    }

    #[test]
    fn forgetful_slowness_is_not_punished() {
        let mut lockout = Lockout::new(3, 5_000);
        assert!((0..10).all(|minute| !lockout.fail(minute * 60_000, "a")));
    }
}
