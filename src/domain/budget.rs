//! What work may cost: amounts, caps, and the check that is made before anything is paid for.

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

/// Share of a cap, in per cent, at which a person is warned.
pub const WARN_PERCENT: u64 = 80;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Tokens in and out.
    Tokens,
    /// Money, in millionths of a US dollar.
    Money,
    /// Tool calls.
    ToolCalls,
    /// Time spent working, in milliseconds.
    Time,
}

impl Dimension {
    /// All dimensions, in the order in which they are checked.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Money, Self::ToolCalls, Self::Time];

    /// A quantity of this dimension in words.
    pub fn show(self, quantity: u64) -> String {
        match self {
            Self::Tokens => format!("{quantity} tokens"),
            Self::Money => format!("${}.{:04}", quantity / 1_000_000, quantity % 1_000_000 / 100),
            Self::ToolCalls => format!("{quantity} tool calls"),
            Self::Time => format!("{} s", quantity.div_ceil(1000)),
        }
    }
}

/// A quantity of every dimension.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Tokens in and out.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micros: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Milliseconds of work.
    pub time_ms: u64,
}

impl Amount {
    /// Nothing of anything.
    pub const ZERO: Self = Self { tokens: 0, micros: 0, tool_calls: 0, time_ms: 0 };

    /// The quantity in one dimension.
    pub fn of(&self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Tokens => self.tokens,
            Dimension::Money => self.micros,
            Dimension::ToolCalls => self.tool_calls,
            Dimension::Time => self.time_ms,
        }
    }

    /// A quantity in one dimension and nothing in the others.
    pub fn only(dimension: Dimension, quantity: u64) -> Self {
        let mut amount = Self::ZERO;
        match dimension {
            Dimension::Tokens => amount.tokens = quantity,
            Dimension::Money => amount.micros = quantity,
            Dimension::ToolCalls => amount.tool_calls = quantity,
            Dimension::Time => amount.time_ms = quantity,
        }
        amount
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            micros: self.micros.saturating_add(other.micros),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
            time_ms: self.time_ms.saturating_add(other.time_ms),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Amount {
    type Output = Self;
    /// Never below nothing.
    fn sub(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            micros: self.micros.saturating_sub(other.micros),
            tool_calls: self.tool_calls.saturating_sub(other.tool_calls),
            time_ms: self.time_ms.saturating_sub(other.time_ms),
        }
    }
}

/// The most that may be spent in each dimension; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Tokens in and out.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micros: Option<u64>,
    /// Tool calls.
    pub tool_calls: Option<u64>,
    /// Milliseconds of work.
    pub time_ms: Option<u64>,
}

impl Caps {
    /// The cap of one dimension.
    pub fn of(&self, dimension: Dimension) -> Option<u64> {
        match dimension {
            Dimension::Tokens => self.tokens,
            Dimension::Money => self.micros,
            Dimension::ToolCalls => self.tool_calls,
            Dimension::Time => self.time_ms,
        }
    }
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One turn.
    Turn,
    /// One user, one UTC day.
    User,
    /// One coding job.
    Job,
    /// One bot, one UTC day.
    Bot,
}

impl Scope {
    /// In words, before "budget".
    pub fn as_words(self) -> &'static str {
        match self {
            Self::Turn => "turn's",
            Self::User => "user's daily",
            Self::Job => "job's",
            Self::Bot => "bot's daily",
        }
    }
}

/// A budget that has no room for the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exceeded {
    /// Whose budget.
    pub scope: Scope,
    /// In which dimension.
    pub dimension: Dimension,
    /// The cap, with what has been raised.
    pub cap: u64,
    /// Spent and reserved so far.
    pub used: u64,
    /// What the next step may cost at worst.
    pub asked: u64,
    /// What an approval adds to the cap.
    pub raise: u64,
}

/// What may be reserved of `asked` beside `used`, under `caps` raised by `raised`: all of it, but for time,
/// of which what is left is granted. Whoever gets less time than it asked for must end when that is over.
///
/// # Errors
/// The first dimension that has no room.
pub fn grant(
    scope: Scope,
    caps: &Caps,
    raised: Amount,
    used: Amount,
    asked: Amount,
) -> Result<Amount, Exceeded> {
    let mut granted = asked;
    for dimension in Dimension::ALL {
        let Some(base) = caps.of(dimension) else { continue };
        let cap = base.saturating_add(raised.of(dimension));
        let (used, asked) = (used.of(dimension), asked.of(dimension));
        let room = cap.saturating_sub(used);
        if asked == 0 || asked <= room {
            continue;
        }
        if dimension != Dimension::Time || room == 0 {
            // With it there is room for the step, however far over the cap the account is.
            let over = used.saturating_sub(cap);
            let raise =
                if dimension == Dimension::Time { base } else { base.max(asked) }.saturating_add(over);
            return Err(Exceeded { scope, dimension, cap, used, asked, raise });
        }
        granted.time_ms = room;
    }
    Ok(granted)
}

/// A budget of which four fifths are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// In which dimension.
    pub dimension: Dimension,
    /// Used so far.
    pub used: u64,
    /// The cap, with what has been raised.
    pub cap: u64,
}

/// The dimensions in which spending crossed the warning line between `before` and `after`.
pub fn crossed(caps: &Caps, raised: Amount, before: Amount, after: Amount) -> Vec<Warning> {
    let line = |cap: u64| cap - cap / 100 * (100 - WARN_PERCENT) - cap % 100 * (100 - WARN_PERCENT) / 100;
    Dimension::ALL
        .into_iter()
        .filter_map(|dimension| {
            let cap = caps.of(dimension)?.saturating_add(raised.of(dimension));
            let (before, used) = (before.of(dimension), after.of(dimension));
            (before < line(cap) && used >= line(cap)).then_some(Warning { dimension, used, cap })
        })
        .collect()
}

/// The name of the UTC day that holds `now`, counted in days since the epoch: the window of a user's budget.
pub fn window(now: super::Millis) -> i64 {
    now.div_euclid(86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(quantity: u64) -> Amount {
        Amount::only(Dimension::Tokens, quantity)
    }

    #[test]
    fn a_cap_is_kept_to_the_last_unit_and_a_raise_moves_it() {
        let caps = Caps { tokens: Some(100), ..Caps::default() };
        assert!(grant(Scope::User, &caps, Amount::ZERO, tokens(60), tokens(40)).is_ok());
        let over = grant(Scope::User, &caps, Amount::ZERO, tokens(60), tokens(41)).unwrap_err();
        assert_eq!((over.dimension, over.cap, over.used, over.raise), (Dimension::Tokens, 100, 60, 100));
        assert!(grant(Scope::User, &caps, tokens(100), tokens(60), tokens(140)).is_ok());
        assert!(grant(Scope::User, &Caps::default(), Amount::ZERO, tokens(u64::MAX), tokens(1)).is_ok());
    }

    #[test]
    fn a_raise_is_never_too_small_for_the_step_that_asked() {
        let caps = Caps { tokens: Some(10), ..Caps::default() };
        let over = grant(Scope::Turn, &caps, Amount::ZERO, Amount::ZERO, tokens(500)).unwrap_err();
        assert!(grant(Scope::Turn, &caps, tokens(over.raise), Amount::ZERO, tokens(500)).is_ok());
        let overrun = tokens(10_119);
        let over = grant(Scope::Turn, &caps, Amount::ZERO, overrun, tokens(500)).unwrap_err();
        assert!(grant(Scope::Turn, &caps, tokens(over.raise), overrun, tokens(500)).is_ok());
    }

    #[test]
    fn of_time_what_is_left_is_granted() {
        let caps = Caps { time_ms: Some(1000), ..Caps::default() };
        let time = |ms| Amount::only(Dimension::Time, ms);
        assert_eq!(grant(Scope::User, &caps, Amount::ZERO, time(400), time(5000)), Ok(time(600)));
        assert_eq!(grant(Scope::User, &caps, Amount::ZERO, time(400), time(50)), Ok(time(50)));
        assert!(grant(Scope::User, &caps, Amount::ZERO, time(1000), time(1)).is_err());
    }

    #[test]
    fn the_warning_comes_once_at_four_fifths() {
        let caps = Caps { tokens: Some(1000), ..Caps::default() };
        assert_eq!(crossed(&caps, Amount::ZERO, tokens(0), tokens(799)), vec![]);
        let warning = Warning { dimension: Dimension::Tokens, used: 800, cap: 1000 };
        assert_eq!(crossed(&caps, Amount::ZERO, tokens(799), tokens(800)), vec![warning]);
        assert_eq!(crossed(&caps, Amount::ZERO, tokens(800), tokens(900)), vec![]);
    }

    proptest! {
        #[test]
        fn no_order_of_reservations_passes_a_cap(cap in 0u64..1000, asks in proptest::collection::vec(0u64..300, 0..50)) {
            let caps = Caps { tokens: Some(cap), ..Caps::default() };
            let mut used = Amount::ZERO;
            for ask in asks {
                if grant(Scope::User, &caps, Amount::ZERO, used, tokens(ask)).is_ok() {
                    used += tokens(ask);
                }
            }
            prop_assert!(used.tokens <= cap);
        }
    }
}
