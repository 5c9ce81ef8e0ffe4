//! Discord's rate limits (<https://docs.discord.com/developers/topics/rate-limits>): what the answers say of them, and how
//! long a call has to wait. Pure.

use std::collections::HashMap;

use super::session::Moment;

/// Most buckets that are kept; those that are full again are forgotten first.
const BUCKETS: usize = 2_000;
/// The wait when Discord says too much, but not how long, in milliseconds.
const UNTOLD: u64 = 5_000;
/// Longest wait that is believed, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// A kind of call, and what its limit is counted for beside the kind: a channel, an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// Method and path without ids.
    pub(super) kind: &'static str,
    pub(super) major: String,
}

/// What an answer said of limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Told {
    pub(super) bucket: Option<String>,
    pub(super) remaining: Option<u64>,
    pub(super) reset_after: Option<f64>,
    /// It was too much: the wait in seconds, when it was told, and whether it is for all calls.
    pub(super) refused: Option<(Option<f64>, bool)>,
}

/// A wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) ms: u64,
    /// Only for calls of this class; else for all.
    pub(super) of_class: bool,
}

#[derive(Debug)]
struct Bucket {
    remaining: u64,
    until: Moment,
}

/// What is known of the limits.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// Kinds of calls share buckets; Discord tells with each answer.
    names: HashMap<&'static str, String>,
    buckets: HashMap<(String, String), Bucket>,
    all_until: Moment,
}

impl Limits {
    /// Takes a place for a call, or says how long to wait for one.
    pub(super) fn take(&mut self, class: &Class, now: Moment) -> Result<(), Wait> {
        if now < self.all_until {
            return Err(Wait { ms: self.all_until - now, of_class: false });
        }
        let name = self.name(class);
        let Some(bucket) = self.buckets.get_mut(&name) else { return Ok(()) };
        if now >= bucket.until {
            self.buckets.remove(&name);
            return Ok(());
        }
        if bucket.remaining == 0 {
            return Err(Wait { ms: bucket.until - now, of_class: true });
        }
        bucket.remaining -= 1;
        Ok(())
    }

    /// An answer came. A wait when it was too much.
    pub(super) fn answered(&mut self, class: &Class, told: &Told, now: Moment) -> Option<Wait> {
        if let Some(bucket) = &told.bucket {
            self.names.insert(class.kind, bucket.clone());
        }
        let ms = |seconds: f64| ((seconds.max(0.0) * 1_000.0).ceil() as u64).min(LONGEST);
        if let Some((wait, all)) = told.refused {
            let wait = wait.or(told.reset_after).map_or(UNTOLD, ms).max(1);
            if all {
                self.all_until = self.all_until.max(now + wait);
            } else {
                self.set(class, 0, now + wait, now);
            }
            return Some(Wait { ms: wait, of_class: !all });
        }
        if let (Some(remaining), Some(after)) = (told.remaining, told.reset_after) {
            let name = self.name(class);
            let until = now + ms(after);
            // Answers overtake each other: within a window the lower count is the newer one.
            let known = self.buckets.get(&name).filter(|bucket| bucket.until.abs_diff(until) < 500);
            let remaining = known.map_or(remaining, |bucket| bucket.remaining.min(remaining));
            self.set(class, remaining, until, now);
        }
        None
    }

    fn name(&self, class: &Class) -> (String, String) {
        let name = self.names.get(class.kind).cloned().unwrap_or_else(|| class.kind.to_owned());
        (name, class.major.clone())
    }

    fn set(&mut self, class: &Class, remaining: u64, until: Moment, now: Moment) {
        if self.buckets.len() >= BUCKETS {
            self.buckets.retain(|_, bucket| bucket.until > now);
        }
        if self.buckets.len() < BUCKETS {
            self.buckets.insert(self.name(class), Bucket { remaining, until });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(major: &str) -> Class {
        Class { kind: "POST /channels/messages", major: major.into() }
    }

    fn told(remaining: u64, reset_after: f64) -> Told {
        Told {
            bucket: Some("b1".into()),
            remaining: Some(remaining),
            reset_after: Some(reset_after),
            refused: None,
        }
    }

    #[test]
    fn a_bucket_is_used_up_and_filled_again() {
        let mut limits = Limits::default();
        assert_eq!(limits.take(&class("1"), 0), Ok(()));
        assert_eq!(limits.answered(&class("1"), &told(1, 2.0), 0), None);
        assert_eq!(limits.take(&class("1"), 10), Ok(()));
        assert_eq!(limits.take(&class("1"), 10), Err(Wait { ms: 1_990, of_class: true }));
        assert_eq!(limits.take(&class("2"), 10), Ok(()), "another channel");
        assert_eq!(limits.take(&class("1"), 2_000), Ok(()));
    }

    #[test]
    fn kinds_that_share_a_bucket_wait_for_each_other() {
        let mut limits = Limits::default();
        let other = Class { kind: "PATCH /channels/messages/id", major: "1".into() };
        limits.answered(&other, &told(5, 0.1), 0);
        limits.answered(&class("1"), &told(0, 1.0), 0);
        assert!(limits.take(&other, 0).is_err());
    }

    #[test]
    fn too_much_is_waited_for_as_long_as_discord_says() {
        let mut limits = Limits::default();
        let refused = |wait, all| Told { refused: Some((wait, all)), ..Told::default() };
        let wait = limits.answered(&class("1"), &refused(Some(0.25), false), 0);
        assert_eq!(wait, Some(Wait { ms: 250, of_class: true }));
        assert_eq!(limits.take(&class("1"), 249), Err(Wait { ms: 1, of_class: true }));
        assert_eq!(limits.take(&class("1"), 250), Ok(()));
        limits.answered(&class("1"), &refused(Some(3.0), true), 0);
        assert_eq!(limits.take(&class("2"), 0), Err(Wait { ms: 3_000, of_class: false }));
        let untold = limits.answered(&class("1"), &refused(None, false), 5_000);
        assert_eq!(untold, Some(Wait { ms: UNTOLD, of_class: true }));
        let endless = limits.answered(&class("1"), &refused(Some(f64::MAX), false), 0);
        assert_eq!(endless.unwrap().ms, LONGEST);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut limits = Limits::default();
        for n in 0..10_000u64 {
            limits.answered(&class(&n.to_string()), &told(0, 1.0), n);
        }
        assert!(limits.buckets.len() <= BUCKETS);
    }
}
