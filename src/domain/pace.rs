//! How fast a platform lets a bot send: so many in any stretch of time, in one chat and over all. Time is passed in.
//!
//! A token bucket ([`super::rate::Buckets`]) lets twice its size through around a refill, which a person is forgiven and
//! a platform answers with 429. Here each call has a slot, and no window of a limit's length holds more slots than it
//! takes, wherever it begins.

use std::collections::HashMap;

use super::Millis;

/// How often chats without a word are forgotten, in milliseconds.
const SWEEP: Millis = 60_000;

/// So many calls in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Calls.
    pub calls: usize,
    /// The window, in milliseconds.
    pub window: Millis,
}

const fn limit(calls: usize, window: Millis) -> Limit {
    Limit { calls, window }
}

/// What a platform allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Over all chats.
    pub all: &'static [Limit],
    /// In one chat.
    pub chat: &'static [Limit],
    /// In one chat of several people, beside `chat`.
    pub group: &'static [Limit],
}

// The windows are a little longer than what is told: a call takes a moment to arrive, and not always the same, so that two
// of them come closer to each other than they were sent. Without that, one call in five is refused under load.

/// Telegram: 30 a second over all, one a second in a chat with short bursts, 20 a minute in a group
/// (<https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>).
pub const TELEGRAM: Limits =
    Limits { all: &[limit(30, 1_100)], chat: &[limit(3, 3_200)], group: &[limit(20, 61_000)] };

/// Discord: 50 a second over all, 5 in 5 seconds in a channel (<https://discord.com/developers/docs/topics/rate-limits>;
/// the second is what its answers tell for messages).
pub const DISCORD: Limits = Limits { all: &[limit(50, 1_100)], chat: &[limit(5, 5_200)], group: &[] };

/// Slots that were given, oldest first, and until when none is.
#[derive(Debug, Default)]
struct Slots {
    times: Vec<Millis>,
    held_until: Millis,
}

impl Slots {
    /// The first time from `from` on at which one more call keeps the limits.
    fn free(&self, limits: &[&[Limit]], from: Millis) -> Millis {
        let mut at = from.max(self.held_until);
        loop {
            let later = limits.iter().copied().flatten().fold(at, |at, limit| limit.free(&self.times, at));
            if later == at {
                return at;
            }
            at = later;
        }
    }

    fn take(&mut self, at: Millis) {
        let place = self.times.partition_point(|time| *time <= at);
        self.times.insert(place, at);
    }

    /// Forgets what no limit can count any more.
    fn forget(&mut self, limits: &[&[Limit]], now: Millis) {
        let longest = limits.iter().copied().flatten().map(|limit| limit.window).max().unwrap_or_default();
        let gone = self.times.partition_point(|time| *time <= now - longest);
        self.times.drain(..gone);
    }
}

impl Limit {
    /// The first time from `at` on at which one more slot fits between those that are taken.
    fn free(self, times: &[Millis], mut at: Millis) -> Millis {
        let calls = self.calls.max(1);
        'again: loop {
            let place = times.partition_point(|time| *time <= at);
            // Each run of one more than `calls` slots that would have the new one in it must be longer than the window.
            for before in (0..=calls.min(place)).rev() {
                let first = if before == 0 { at } else { times[place - before] };
                let after = calls - before;
                let Some(last) = (if after == 0 { Some(&at) } else { times.get(place + after - 1) }) else {
                    break;
                };
                if last - first < self.window {
                    // Without one before it, it is too close to those after it: it goes in among them.
                    at = if before == 0 { times[place] } else { first + self.window };
                    continue 'again;
                }
            }
            return at;
        }
    }
}

/// The pace of one bot.
#[derive(Debug)]
pub struct Pace {
    limits: Limits,
    all: Slots,
    chats: HashMap<String, Slots>,
    swept: Millis,
    /// No sign of life before.
    quiet_until: Millis,
}

impl Pace {
    /// A bot that has sent nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, all: Slots::default(), chats: HashMap::new(), swept: 0, quiet_until: 0 }
    }

    /// Milliseconds until a call in this chat may be made, without a slot for it.
    pub fn wait(&self, chat: &str, is_group: bool, now: Millis) -> Millis {
        let (chat_limits, all_limits) = (self.limits_of(is_group), [self.limits.all]);
        let known = self.chats.get(chat);
        // Calls of one chat keep their order: none is given a slot before those that were asked for earlier.
        let last = known.and_then(|slots| slots.times.last().copied()).unwrap_or(now);
        let mut at = now.max(last);
        loop {
            let of_chat = known.map_or(at, |slots| slots.free(&chat_limits, at));
            let of_all = self.all.free(&all_limits, of_chat);
            if of_all == at {
                return at - now;
            }
            at = of_all;
        }
    }

    /// Milliseconds to wait before a call in this chat; the slot then is taken.
    pub fn next(&mut self, chat: &str, is_group: bool, now: Millis) -> Millis {
        self.forget(now);
        let wait = self.wait(chat, is_group, now);
        self.all.take(now + wait);
        self.chats.entry(chat.to_owned()).or_default().take(now + wait);
        wait
    }

    /// Takes a slot for a sign of life, which is worth less than any message: only while half of what the bot may do over
    /// all is free. Chats have no limit for them that is told.
    pub fn aside(&mut self, chat: &str, now: Millis) -> bool {
        self.forget(now);
        let many = |limit: &Limit| {
            let gone = self.all.times.partition_point(|time| *time <= now - limit.window);
            (self.all.times.len() - gone) * 2 >= limit.calls
        };
        let free = now >= self.quiet_until && self.held(chat, now) == 0 && !self.limits.all.iter().any(many);
        if free {
            self.all.take(now);
        }
        free
    }

    /// The platform has enough of signs of life until then. What matters goes on.
    pub fn quiet(&mut self, until: Millis) {
        self.quiet_until = self.quiet_until.max(until);
    }

    /// The platform said 429: no slot before `until`, in one chat or, without one, at all. Slots that were given already
    /// stay; whoever waited for one asks [`Pace::held`] before using it.
    pub fn hold(&mut self, chat: Option<&str>, until: Millis) {
        let slots = match chat {
            Some(chat) => self.chats.entry(chat.to_owned()).or_default(),
            None => &mut self.all,
        };
        slots.held_until = slots.held_until.max(until);
    }

    /// Milliseconds for which the platform wants nothing in this chat; 0 when it does not say so.
    pub fn held(&self, chat: &str, now: Millis) -> Millis {
        let of_chat = self.chats.get(chat).map_or(0, |slots| slots.held_until);
        (of_chat.max(self.all.held_until) - now).max(0)
    }

    fn limits_of(&self, is_group: bool) -> [&'static [Limit]; 2] {
        [self.limits.chat, if is_group { self.limits.group } else { &[] }]
    }

    /// Lets go of slots that are over, and now and then of chats that have none.
    fn forget(&mut self, now: Millis) {
        self.all.forget(&[self.limits.all], now);
        if (now - self.swept).abs() < SWEEP {
            return;
        }
        self.swept = now;
        let limits = self.limits_of(true);
        self.chats.retain(|_, slots| {
            slots.forget(&limits, now);
            !slots.times.is_empty() || slots.held_until > now
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waits(pace: &mut Pace, chat: &str, is_group: bool, now: Millis, calls: usize) -> Vec<Millis> {
        (0..calls).map(|_| pace.next(chat, is_group, now)).collect()
    }

    #[test]
    fn one_chat_has_a_short_burst_and_then_its_rate() {
        let mut pace = Pace::new(TELEGRAM);
        assert_eq!(waits(&mut pace, "a", false, 10_000, 7), [0, 0, 0, 3_200, 3_200, 3_200, 6_400]);
        assert_eq!(pace.next("b", false, 10_000), 0, "chats do not share");
        let mut pace = Pace::new(DISCORD);
        assert_eq!(waits(&mut pace, "a", true, 0, 6), [0, 0, 0, 0, 0, 5_200]);
    }

    #[test]
    fn a_group_has_twenty_a_minute() {
        let mut pace = Pace::new(TELEGRAM);
        let waits = waits(&mut pace, "g", true, 0, 22);
        assert_eq!((waits[19], waits[20], waits[21]), (19_200, 61_000, 61_000));
    }

    #[test]
    fn all_chats_share_what_the_bot_may() {
        let mut pace = Pace::new(TELEGRAM);
        let waits: Vec<_> = (0..61).map(|chat| pace.next(&chat.to_string(), false, 0)).collect();
        assert!(waits[..30].iter().all(|wait| *wait == 0) && waits[30..60].iter().all(|wait| *wait == 1_100));
        assert_eq!(waits[60], 2_200);
    }

    #[test]
    fn a_slot_far_ahead_is_in_nobodys_way() {
        let mut pace = Pace::new(TELEGRAM);
        waits(&mut pace, "g", true, 0, 25);
        assert_eq!(pace.next("a", false, 0), 0);
    }

    #[test]
    fn a_hold_is_kept_by_one_chat_or_by_all() {
        let mut pace = Pace::new(TELEGRAM);
        pace.hold(Some("a"), 7_000);
        pace.hold(Some("a"), 5_000);
        assert_eq!((pace.next("a", false, 1_000), pace.next("b", false, 1_000)), (6_000, 0));
        assert_eq!((pace.held("a", 1_000), pace.held("b", 1_000)), (6_000, 0));
        pace.hold(None, 9_000);
        assert_eq!(
            (pace.next("b", false, 1_000), pace.held("a", 8_000), pace.held("c", 9_000)),
            (8_000, 1_000, 0)
        );
    }

    #[test]
    fn signs_of_life_leave_half_of_all_to_messages_and_end_when_they_are_too_many() {
        let mut pace = Pace::new(TELEGRAM);
        let shown = |pace: &mut Pace, now| (0..200).filter(|chat| pace.aside(&chat.to_string(), now)).count();
        assert_eq!((shown(&mut pace, 0), shown(&mut pace, 1_099), shown(&mut pace, 1_100)), (15, 0, 15));
        assert!(waits(&mut pace, "a", false, 1_100, 3).iter().all(|wait| *wait == 0));
        assert_eq!((0..12).map(|chat| pace.next(&format!("m{chat}"), false, 1_100)).max(), Some(0));
        pace.quiet(9_000);
        assert_eq!((shown(&mut pace, 8_999), pace.next("a", false, 8_999)), (0, 0));
        pace.hold(Some("3"), 20_000);
        assert_eq!(shown(&mut pace, 9_000), 14, "one is free less, and none of the chat that is held");
        assert!(!pace.aside("3", 12_000) && pace.aside("4", 12_000));
    }

    #[test]
    fn chats_without_a_word_are_forgotten() {
        let mut pace = Pace::new(TELEGRAM);
        for chat in 0..10_000i64 {
            pace.next(&chat.to_string(), chat % 2 == 0, chat * 100);
        }
        assert!(pace.chats.len() < 2_000 && pace.all.times.len() < 100, "{} chats", pace.chats.len());
        pace.hold(Some("late"), 10_000_000);
        pace.next("x", false, 5_000_000);
        assert_eq!(pace.chats.len(), 2, "a chat that is held is not");
    }

    fn keeps(times: &[Millis], limits: &[Limit]) -> bool {
        let mut times = times.to_vec();
        times.sort_unstable();
        limits
            .iter()
            .all(|limit| times.windows(limit.calls + 1).all(|run| run[limit.calls] - run[0] >= limit.window))
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more_than_its_limit(
            calls in prop::collection::vec((0u8..12, 0i64..400, 0u8..40), 1..400),
            discord in any::<bool>(),
        ) {
            let limits = if discord { DISCORD } else { TELEGRAM };
            let (mut pace, mut now) = (Pace::new(limits), 1_000_000);
            let mut slots: Vec<(u8, Millis)> = Vec::new();
            let (mut held, mut held_all, mut signs) = ([0; 12], 0, Vec::new());
            for (chat, later, dice) in calls {
                now += later;
                match dice {
                    0 => { held[usize::from(chat)] = now + 2_000; pace.hold(Some(&chat.to_string()), now + 2_000); }
                    1 => { held_all = now + 1_000; pace.hold(None, now + 1_000); }
                    _ => {}
                }
                if dice > 30 && pace.aside(&chat.to_string(), now) {
                    signs.push(now);
                }
                let seen = pace.wait(&chat.to_string(), chat < 4, now);
                let wait = pace.next(&chat.to_string(), chat < 4, now);
                prop_assert!(wait >= 0 && wait == seen);
                let at = now + wait;
                prop_assert!(at >= held_all && at >= held[usize::from(chat)]);
                prop_assert!(slots.iter().all(|(other, before)| *other != chat || *before <= at), "out of order");
                slots.push((chat, at));
            }
            let all: Vec<_> = slots.iter().map(|(_, at)| *at).chain(signs).collect();
            prop_assert!(keeps(&all, limits.all));
            for chat in 0..12 {
                let own: Vec<_> = slots.iter().filter(|(other, _)| *other == chat).map(|(_, at)| *at).collect();
                prop_assert!(keeps(&own, limits.chat) && (chat >= 4 || keeps(&own, limits.group)));
            }
        }
    }
}
