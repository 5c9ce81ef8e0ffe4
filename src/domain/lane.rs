//! Which provider answers: round robin over the healthy ones, with a circuit breaker and a memory for limits.

use super::{Millis, model::ModelError};

/// Failures in a row that open the circuit.
const FAILURES_TO_OPEN: u32 = 3;
/// First pause of an open circuit, in milliseconds; doubles each time it opens again.
const FIRST_PAUSE: i64 = 10_000;
/// Longest pause, in milliseconds.
const MAX_PAUSE: i64 = 600_000;
/// Pause after a 429 that does not say how long, in milliseconds.
const LIMITED_PAUSE: i64 = 5_000;

/// How a provider is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Well.
    Up,
    /// Failing; tried again, by one call, from this time on.
    Paused {
        /// When.
        until: Millis,
        /// Why.
        why: String,
    },
    /// It asked to slow down until this time.
    Limited {
        /// When.
        until: Millis,
    },
    /// Its key was refused: out until the configuration is mended and Atoll restarted.
    Out {
        /// Why.
        why: String,
    },
}

#[derive(Debug, Clone)]
struct Slot {
    health: Health,
    failures: u32,
    opened: u32,
    in_flight: u32,
    capacity: u32,
    calls: u64,
}

/// What to do about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Ask this provider; it is counted as busy with the call until [`Lane::ended`].
    Use(usize),
    /// All that could answer are busy: wait until one is not.
    Busy,
    /// None can answer before this time.
    WaitUntil(Millis),
    /// None is left.
    None(String),
}

/// The providers of one lane, in the order of the configuration.
#[derive(Debug, Clone)]
pub struct Lane {
    slots: Vec<Slot>,
    next: usize,
}

impl Lane {
    /// A lane of providers that take so many calls at a time.
    pub fn new(capacities: impl IntoIterator<Item = u32>) -> Self {
        let slots = capacities
            .into_iter()
            .map(|capacity| Slot {
                health: Health::Up,
                failures: 0,
                opened: 0,
                in_flight: 0,
                capacity: capacity.max(1),
                calls: 0,
            })
            .collect();
        Self { slots, next: 0 }
    }

    /// Chooses among the providers for which `fits` holds and that were not `tried` for this call.
    pub fn choose(&mut self, now: Millis, tried: &[usize], fits: impl Fn(usize) -> bool) -> Choice {
        let count = self.slots.len();
        let mut wait: Option<Millis> = None;
        let mut busy = false;
        let mut out = Vec::new();
        for step in 0..count {
            let at = (self.next + step) % count;
            if tried.contains(&at) || !fits(at) {
                continue;
            }
            let slot = &self.slots[at];
            let ready = match &slot.health {
                Health::Up => true,
                Health::Limited { until } | Health::Paused { until, .. } if *until > now => {
                    wait = Some(wait.map_or(*until, |known| known.min(*until)));
                    false
                }
                Health::Limited { .. } => true,
                // Half open: one call finds out.
                Health::Paused { .. } => slot.in_flight == 0,
                Health::Out { why } => {
                    out.push(why.clone());
                    false
                }
            };
            if !ready {
                busy |= matches!(&slot.health, Health::Paused { until, .. } if *until <= now);
                continue;
            }
            if slot.in_flight >= slot.capacity {
                busy = true;
                continue;
            }
            self.next = (at + 1) % count;
            self.slots[at].in_flight += 1;
            self.slots[at].calls += 1;
            return Choice::Use(at);
        }
        if busy {
            return Choice::Busy;
        }
        match wait {
            Some(until) => Choice::WaitUntil(until),
            None if out.is_empty() => Choice::None("no other provider is configured".into()),
            None => Choice::None(out.join("; ")),
        }
    }

    /// Notes how a call ended. True when this took the provider out for good, which is worth saying aloud.
    pub fn ended(&mut self, now: Millis, at: usize, outcome: Result<(), &ModelError>) -> bool {
        let Some(slot) = self.slots.get_mut(at) else { return false };
        slot.in_flight = slot.in_flight.saturating_sub(1);
        match outcome {
            Ok(()) => {
                (slot.failures, slot.opened) = (0, 0);
                slot.health = Health::Up;
            }
            // The caller's doing, not the provider's.
            Err(ModelError::BadRequest(_) | ModelError::TooLong(_) | ModelError::Cancelled) => {}
            Err(error @ ModelError::Auth(_)) => {
                slot.health = Health::Out { why: error.to_string() };
                return true;
            }
            Err(ModelError::RateLimited { retry_after_ms }) => {
                let pause = retry_after_ms.map_or(LIMITED_PAUSE, |ms| i64::try_from(ms).unwrap_or(MAX_PAUSE));
                slot.health = Health::Limited { until: now + pause.min(MAX_PAUSE) };
            }
            Err(error @ (ModelError::Unavailable(_) | ModelError::TimedOut | ModelError::Exhausted(_))) => {
                slot.failures += 1;
                let half_open = matches!(slot.health, Health::Paused { .. });
                if half_open || slot.failures >= FAILURES_TO_OPEN {
                    let pause = FIRST_PAUSE.saturating_mul(1 << slot.opened.min(10)).min(MAX_PAUSE);
                    slot.opened += 1;
                    slot.health = Health::Paused { until: now + pause, why: error.to_string() };
                }
            }
        }
        false
    }

    /// How each provider is doing: health, calls under way, calls so far.
    pub fn report(&self) -> impl Iterator<Item = (&Health, u32, u64)> {
        self.slots.iter().map(|slot| (&slot.health, slot.in_flight, slot.calls))
    }
}

/// Whether another provider could do better after this error.
pub fn fails_over(error: &ModelError) -> bool {
    match error {
        ModelError::BadRequest(_)
        | ModelError::TooLong(_)
        | ModelError::Cancelled
        | ModelError::Exhausted(_) => false,
        ModelError::Auth(_)
        | ModelError::RateLimited { .. }
        | ModelError::Unavailable(_)
        | ModelError::TimedOut => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(_: usize) -> bool {
        true
    }

    fn used(choice: Choice) -> usize {
        match choice {
            Choice::Use(at) => at,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn calls_go_round_and_skip_the_tried_and_the_unfit() {
        let mut lane = Lane::new([9, 9, 9]);
        let order: Vec<usize> = (0..4).map(|_| used(lane.choose(0, &[], all))).collect();
        assert_eq!(order, [0, 1, 2, 0]);
        assert_eq!(used(lane.choose(0, &[1], all)), 2);
        assert_eq!(used(lane.choose(0, &[], |at| at == 1)), 1);
        assert!(matches!(lane.choose(0, &[0, 1, 2], all), Choice::None(_)));
    }

    #[test]
    fn three_failures_open_the_circuit_and_one_call_probes_it() {
        let mut lane = Lane::new([9]);
        let down = ModelError::Unavailable("503".into());
        for _ in 0..3 {
            used(lane.choose(0, &[], all));
            lane.ended(0, 0, Err(&down));
        }
        assert_eq!(lane.choose(1, &[], all), Choice::WaitUntil(FIRST_PAUSE));
        assert_eq!(used(lane.choose(FIRST_PAUSE, &[], all)), 0);
        assert_eq!(lane.choose(FIRST_PAUSE, &[], all), Choice::Busy, "one probe at a time");
        lane.ended(FIRST_PAUSE, 0, Err(&down));
        assert_eq!(lane.choose(FIRST_PAUSE + 1, &[], all), Choice::WaitUntil(3 * FIRST_PAUSE));
        used(lane.choose(3 * FIRST_PAUSE, &[], all));
        lane.ended(3 * FIRST_PAUSE, 0, Ok(()));
        assert_eq!(used(lane.choose(3 * FIRST_PAUSE, &[], all)), 0);
    }

    #[test]
    fn a_refused_key_takes_the_provider_out_and_a_limit_is_remembered() {
        let mut lane = Lane::new([9, 9]);
        used(lane.choose(0, &[], all));
        assert!(lane.ended(0, 0, Err(&ModelError::Auth("bad key".into()))));
        assert_eq!(used(lane.choose(0, &[], all)), 1);
        lane.ended(0, 1, Err(&ModelError::RateLimited { retry_after_ms: Some(700) }));
        assert_eq!(lane.choose(1, &[], all), Choice::WaitUntil(700));
        assert_eq!(used(lane.choose(700, &[], all)), 1);
        let why = "the provider refused its key: bad key";
        assert_eq!(lane.choose(0, &[1], all), Choice::None(why.into()));
    }

    #[test]
    fn what_the_caller_did_wrong_is_not_held_against_the_provider() {
        let mut lane = Lane::new([9]);
        for _ in 0..10 {
            used(lane.choose(0, &[], all));
            lane.ended(0, 0, Err(&ModelError::BadRequest("x".into())));
        }
        assert_eq!(used(lane.choose(0, &[], all)), 0);
    }

    proptest! {
        #[test]
        fn no_provider_gets_more_calls_at_a_time_than_it_takes(steps in proptest::collection::vec((any::<bool>(), 0u8..5), 0..200)) {
            let mut lane = Lane::new([1, 2]);
            let mut open: Vec<usize> = Vec::new();
            for (now, (ask, outcome)) in steps.into_iter().enumerate() {
                let now = now as i64 * 1_000;
                if ask {
                    if let Choice::Use(at) = lane.choose(now, &[], all) {
                        open.push(at);
                    }
                } else if let Some(at) = open.pop() {
                    let error = match outcome {
                        0 => None,
                        1 => Some(ModelError::TimedOut),
                        2 => Some(ModelError::RateLimited { retry_after_ms: None }),
                        3 => Some(ModelError::BadRequest(String::new())),
                        _ => Some(ModelError::Cancelled),
                    };
                    lane.ended(now, at, error.as_ref().map_or(Ok(()), Err));
                }
                for (at, limit) in [(0, 1), (1, 2)] {
                    prop_assert!(open.iter().filter(|&&other| other == at).count() <= limit);
                }
            }
        }
    }
}
