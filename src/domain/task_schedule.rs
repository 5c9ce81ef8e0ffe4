//! Coding jobs that come by the clock: what they say, and when the next one is due.
//!
//! A clock has five fields as in crontab(5): minute, hour, day of the month, month, day of the week. It is read in a time
//! zone. When clocks go forward, a fixed time that is left out comes at the first moment after it, and times that are
//! repeated anyway (`*/15`) are left out; when clocks go back, a fixed time comes once, and repeated times go on.

use std::str::FromStr;

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, TimeZone, Timelike as _, Utc};
use chrono_tz::Tz;
use croner::{
    Cron, JobType,
    parser::{CronParser, Seconds, Year},
};

use super::{
    Millis,
    board::{Refusal, check_text},
    ids::{BotId, ProjectId, ScheduleId, UserId},
};

/// Longest instruction, in characters.
const INSTRUCTION: usize = 20_000;
/// Longest clock, in characters.
const CLOCK: usize = 200;
/// Clocks go back by less than this.
const BACK: Duration = Duration::hours(3);
/// A day was left out, at most, when a place changed its time.
const GAP_MINUTES: usize = 26 * 60;

/// A job that comes by the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// In which project.
    pub project: ProjectId,
    /// The bot that does it; `None` for nobody in particular.
    pub bot: Option<BotId>,
    /// Who set it up: whose budget it uses when no bot does it.
    pub user: UserId,
    /// What is to be done.
    pub instruction: String,
    /// When: five fields.
    pub cron: String,
    /// Whose clock, by its name in the time zone database, such as `Europe/Berlin`.
    pub timezone: String,
    /// It comes.
    pub enabled: bool,
    /// When it came last.
    pub last_run_at: Option<Millis>,
    /// When it comes next; `None` while it is not enabled.
    pub next_run_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A change to a schedule; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// The bot that does it; `Some(None)` for nobody in particular.
    pub bot: Option<Option<BotId>>,
    /// What is to be done.
    pub instruction: Option<String>,
    /// When.
    pub cron: Option<String>,
    /// Whose clock.
    pub timezone: Option<String>,
    /// It comes.
    pub enabled: Option<bool>,
}

impl Schedule {
    /// A schedule that was just made: enabled, in UTC, unless the change says otherwise. An instruction and a clock are
    /// needed.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn fresh(
        id: ScheduleId,
        project: ProjectId,
        user: UserId,
        change: &ScheduleChange,
        now: Millis,
    ) -> Result<Self, Refusal> {
        let blank = Self {
            id,
            project,
            bot: None,
            user,
            instruction: String::new(),
            cron: String::new(),
            timezone: "UTC".into(),
            enabled: true,
            last_run_at: None,
            next_run_at: None,
            created_at: now,
            updated_at: now,
        };
        blank.revise(change, now)
    }

    /// The schedule after a change. One that was not enabled, or had another clock, comes at the next time from now on:
    /// what it missed stays missed.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn revise(&self, change: &ScheduleChange, now: Millis) -> Result<Self, Refusal> {
        let mut next = Self { updated_at: now, ..self.clone() };
        if let Some(bot) = &change.bot {
            next.bot.clone_from(bot);
        }
        if let Some(instruction) = &change.instruction {
            instruction.trim().clone_into(&mut next.instruction);
        }
        if let Some(cron) = &change.cron {
            next.cron = cron.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if let Some(timezone) = &change.timezone {
            timezone.trim().clone_into(&mut next.timezone);
        }
        next.enabled = change.enabled.unwrap_or(self.enabled);
        check_text("instruction", &next.instruction, 1, INSTRUCTION, true)?;
        let clock = Clock::parse(&next.cron, &next.timezone)?;
        let due = clock.next_after(now);
        if due.is_none() {
            return Err(Refusal::Bad(format!(
                "cronExpression `{}` names a time that never comes",
                next.cron
            )));
        }
        let same = (&next.cron, &next.timezone) == (&self.cron, &self.timezone);
        next.next_run_at = match (next.enabled, self.next_run_at) {
            (false, _) => None,
            (true, Some(known)) if same => Some(known),
            (true, _) => due,
        };
        Ok(next)
    }

    /// When it comes after this moment. `None` while it is not enabled, or never again.
    pub fn next_after(&self, moment: Millis) -> Option<Millis> {
        let clock = Clock::parse(&self.cron, &self.timezone).ok()?;
        if self.enabled { clock.next_after(moment) } else { None }
    }
}

/// Times of day in a time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    cron: Cron,
    zone: Tz,
}

impl Clock {
    /// Reads a clock.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn parse(cron: &str, timezone: &str) -> Result<Self, Refusal> {
        let bad = |why: String| Refusal::Bad(format!("cronExpression `{}` {why}", short(cron)));
        if cron.split_whitespace().count() != 5 || cron.chars().count() > CLOCK {
            let why = "must have five fields: minute, hour, day of the month, month, day of the week";
            return Err(bad(why.into()));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(cron).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let zone = Tz::from_str(timezone).map_err(|_| {
            let name = short(timezone);
            Refusal::Bad(format!("timezone `{name}` is not known: name one such as UTC or Europe/Berlin"))
        })?;
        Ok(Self { cron, zone })
    }

    /// The first time after this moment; `None` when there is none.
    pub fn next_after(&self, moment: Millis) -> Option<Millis> {
        let after = DateTime::<Utc>::from_timestamp_millis(moment)?;
        let fixed = self.cron.determine_job_type() == JobType::FixedTime;
        // Times are counted on the wall, where no hour is missing or comes twice, and then looked up in the zone. Those
        // that clocks repeat may come after the moment though they are before it on the wall.
        let wall = after.with_timezone(&self.zone).naive_local().checked_sub_signed(BACK)?;
        // Parts of a second would be carried along.
        let mut wall = wall.with_nanosecond(0)?.and_utc();
        let mut again: Option<DateTime<Utc>> = None;
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let (first, second) = match self.zone.from_local_datetime(&wall.naive_utc()) {
                LocalResult::Single(only) => (only, None),
                LocalResult::Ambiguous(first, _) if fixed => (first, None),
                LocalResult::Ambiguous(first, second) => (first, Some(second)),
                LocalResult::None if fixed => (self.after_gap(wall.naive_utc())?, None),
                LocalResult::None => continue,
            };
            if let Some(second) = second.map(|second| second.to_utc()).filter(|second| *second > after) {
                again = Some(again.map_or(second, |known| known.min(second)));
            }
            let first = first.to_utc();
            if first > after {
                return Some(again.map_or(first, |again| again.min(first)).timestamp_millis());
            }
        }
    }

    /// The first moment after a time that the zone leaves out.
    fn after_gap(&self, missing: NaiveDateTime) -> Option<DateTime<Tz>> {
        let minute = |count: usize| missing.checked_add_signed(Duration::minutes(i64::try_from(count).ok()?));
        (1..=GAP_MINUTES).find_map(|count| self.zone.from_local_datetime(&minute(count)?).earliest())
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn show(moment: Millis) -> String {
        DateTime::<Utc>::from_timestamp_millis(moment).unwrap().format("%m-%dT%H:%MZ").to_string()
    }

    /// The next times after a moment.
    fn times(cron: &str, zone: &str, from: &str, count: usize) -> String {
        let clock = Clock::parse(cron, zone).unwrap();
        let mut moment = at(from);
        let mut times = Vec::new();
        for _ in 0..count {
            moment = clock.next_after(moment).unwrap();
            times.push(show(moment));
        }
        times.join(" ")
    }

    #[test]
    fn a_clock_is_read_in_its_zone() {
        let winter = "2026-01-15T12:00:00Z";
        for (cron, zone, expected) in [
            ("0 9 * * *", "UTC", "01-16T09:00Z 01-17T09:00Z"),
            ("0 9 * * *", "Europe/Berlin", "01-16T08:00Z 01-17T08:00Z"),
            ("30 17 * * MON-FRI", "America/New_York", "01-15T22:30Z 01-16T22:30Z"),
            ("0 0 1 * *", "Asia/Kolkata", "01-31T18:30Z 02-28T18:30Z"),
            ("0 12 * * *", "UTC", "01-16T12:00Z 01-17T12:00Z"),
            ("59 11 29 2 *", "UTC", "02-29T11:59Z 02-29T11:59Z"),
        ] {
            assert_eq!(times(cron, zone, winter, 2), expected, "{cron} {zone}");
        }
        assert_eq!(times("0 12 * * *", "UTC", "2026-01-15T11:59:59.999Z", 1), "01-15T12:00Z");
    }

    #[test]
    fn when_clocks_go_forward_a_fixed_time_is_not_lost() {
        // On 29 March 2026 Berlin goes from 02:00 to 03:00, which is 01:00 in UTC.
        let eve = "2026-03-28T12:00:00Z";
        for (cron, expected) in [
            ("30 2 * * *", "03-29T01:00Z 03-30T00:30Z"),
            ("0 2 * * *", "03-29T01:00Z 03-30T00:00Z"),
            ("0 3 * * *", "03-29T01:00Z 03-30T01:00Z"),
            ("10 1-3 29 3 *", "03-29T00:10Z 03-29T01:10Z"),
        ] {
            assert_eq!(times(cron, "Europe/Berlin", eve, 2), expected, "{cron}");
        }
        let night = times("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 4);
        assert_eq!(night, "03-29T00:30Z 03-29T01:00Z 03-29T01:30Z 03-29T02:00Z");
        assert_eq!(
            times("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1),
            "12-30T10:00Z",
            "a day left out"
        );
    }

    #[test]
    fn when_clocks_go_back_a_fixed_time_comes_once_and_repeated_ones_go_on() {
        // On 25 October 2026 Berlin goes from 03:00 back to 02:00, which is 01:00 in UTC.
        let eve = "2026-10-24T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", eve, 2), "10-25T00:30Z 10-26T01:30Z");
        // Asked from within the second round.
        assert_eq!(times("45 2 * * *", "Europe/Berlin", "2026-10-25T01:20:00Z", 1), "10-26T01:45Z");
        let night = times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5);
        assert_eq!(night, "10-25T00:00Z 10-25T00:30Z 10-25T01:00Z 10-25T01:30Z 10-25T02:00Z");
    }

    #[test]
    fn what_is_no_clock_is_refused_with_what_to_do() {
        for (cron, zone, says) in [
            ("", "UTC", "five fields"),
            ("@daily", "UTC", "five fields"),
            ("0 0 0 * * *", "UTC", "five fields"),
            ("60 * * * *", "UTC", "cannot be read"),
            ("x * * * *", "UTC", "cannot be read"),
            ("* * * * *", "Mars/Base", "timezone `Mars/Base`"),
            ("* * * * *", "", "timezone"),
        ] {
            let error = Clock::parse(cron, zone).unwrap_err().to_string();
            assert!(error.contains(says), "{cron}: {error}");
        }
    }

    fn change(cron: &str) -> ScheduleChange {
        let (cron, instruction) = (Some(cron.to_owned()), Some(" mend it ".to_owned()));
        ScheduleChange { cron, instruction, ..Default::default() }
    }

    fn fresh(change: &ScheduleChange) -> Result<Schedule, Refusal> {
        Schedule::fresh(
            ScheduleId::new("s"),
            ProjectId::new("p"),
            UserId::new("ann"),
            change,
            at("2026-01-15T12:00:00Z"),
        )
    }

    #[test]
    fn a_change_moves_the_next_time_only_when_the_clock_changes() {
        let later = at("2026-01-20T00:00:00Z");
        let daily = fresh(&change("0  9 * * *")).unwrap();
        assert_eq!((daily.cron.as_str(), daily.instruction.as_str()), ("0 9 * * *", "mend it"));
        assert_eq!(show(daily.next_run_at.unwrap()), "01-16T09:00Z");
        let words = ScheduleChange { instruction: Some("more".into()), ..Default::default() };
        assert_eq!(daily.revise(&words, later).unwrap().next_run_at, daily.next_run_at, "still due");
        let off =
            daily.revise(&ScheduleChange { enabled: Some(false), ..Default::default() }, later).unwrap();
        assert_eq!((off.next_run_at, off.next_after(later)), (None, None));
        let on = off.revise(&ScheduleChange { enabled: Some(true), ..Default::default() }, later).unwrap();
        assert_eq!(show(on.next_run_at.unwrap()), "01-20T09:00Z", "what was missed stays missed");
        let zone = ScheduleChange { timezone: Some("Asia/Tokyo".into()), ..Default::default() };
        assert_eq!(show(on.revise(&zone, later).unwrap().next_run_at.unwrap()), "01-21T00:00Z");
        assert_eq!(show(on.next_after(later + 86_400_000).unwrap()), "01-21T09:00Z");
    }

    #[test]
    fn a_schedule_that_never_comes_or_says_nothing_is_refused() {
        for (change, says) in [
            (change("0 0 31 2 *"), "never comes"),
            (ScheduleChange { instruction: Some(" ".into()), ..change("* * * * *") }, "instruction"),
            (ScheduleChange { cron: None, ..change("") }, "five fields"),
        ] {
            let error = fresh(&change).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    proptest! {
        #[test]
        fn the_next_time_is_always_later(
            days in 20_000i64..30_000,
            second in 0i64..86_400,
            cron in prop::sample::select(vec!["* * * * *", "*/7 * * * *", "30 2 * * *", "15 1-3 * * SUN", "0 0 * * *"]),
            zone in prop::sample::select(vec![
                "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC",
            ]),
        ) {
            let moment = (days * 86_400 + second) * 1_000;
            let next = Clock::parse(cron, zone).unwrap().next_after(moment).unwrap();
            prop_assert!(next > moment);
            if cron == "* * * * *" {
                prop_assert!(next - moment <= 60_000);
            }
        }
    }

    #[test]
    fn a_time_is_at_the_full_minute_whenever_it_is_asked_for() {
        let clock = Clock::parse("*/5 * * * *", "UTC").unwrap();
        assert_eq!(clock.next_after(5_001), Some(300_000));
        assert_eq!(clock.next_after(299_999), Some(300_000));
        assert_eq!(clock.next_after(300_000), Some(600_000));
    }
}
