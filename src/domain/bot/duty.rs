//! What a bot does next: whether its day has room, whether it may look for work of its own, which of its jobs are to end.

use super::{Bot, BotState, Idle};
use crate::domain::{
    Millis,
    board::{ColumnRole, Story},
    budget::{self, Amount, Caps, Scope},
    job::Task,
};

/// How often a bot without work may look for some, in milliseconds.
const DISCOVERY_EVERY: Millis = 3_600_000;

/// Why a bot takes nothing more today; `None` when its day has room. `spent` is its day so far, and `raised` what people
/// added to its cap.
pub fn day_is_spent(bot: &Bot, spent: Amount, raised: Amount) -> Option<String> {
    let caps = Caps { micros: bot.settings.day_micros, ..Caps::default() };
    let least = Amount { micros: 1, ..Amount::ZERO };
    let exceeded = budget::grant(Scope::Bot, &caps, raised, spent, least).err()?;
    let (used, cap) = (exceeded.dimension.show(exceeded.used), exceeded.dimension.show(exceeded.cap));
    Some(format!("the day's budget is spent ({used} of {cap}): it takes stories again the next day (UTC)"))
}

/// True when a bot that found no story may look for work to propose: it is to, nothing of it is open, and none of what it
/// proposed before waits in the backlog.
pub fn may_discover(bot: &Bot, open_jobs: u64, waiting_proposals: u64) -> bool {
    bot.settings.idle == Idle::Discovery && open_jobs == 0 && waiting_proposals == 0
}

/// Which hour a moment is in: a bot looks for work once in each, at most.
pub fn discovery_hour(now: Millis) -> i64 {
    now.div_euclid(DISCOVERY_EVERY)
}

/// True when a job is to end: its story was given back or taken by somebody else, or it only looks for work and its bot
/// was stopped. `bot` is the state of its bot, if there is one; `story` its story with the role of the column, if it is
/// there. Work that waits for a person's word, and what is on its way out, is never ended.
pub fn is_to_end(task: &Task, bot: Option<BotState>, story: Option<(&Story, Option<ColumnRole>)>) -> bool {
    if !task.head.at_work() {
        return false;
    }
    let stopped = matches!(bot, None | Some(BotState::Stopped));
    match (&task.asked.story, story) {
        (Some(_), None) => true,
        (Some(on), Some((story, role))) => {
            let free = story.claim.is_none() && role == Some(ColumnRole::Todo);
            story.token != on.token || free
        }
        (None, _) => task.asked.discovery && stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        board::{claim::take, story::tests::story},
        bot::{BotChange, BotState},
        ids::{BotId, ProjectId, StoryId},
        job::{ForStory, Head, NewTask, Spent},
    };

    fn bot(change: BotChange) -> Bot {
        let change = BotChange { name: Some("b".into()), ..change };
        Bot::fresh(BotId::new("b"), ProjectId::new("p"), &change, 0).unwrap()
    }

    fn task(state: &str, story: Option<u64>, discovery: bool) -> Task {
        let story = story.map(|token| ForStory { story: StoryId::new("s"), token });
        let asked = NewTask { story, discovery, ..crate::domain::job::test_task("j") };
        Task {
            asked,
            head: Head { state: state.into(), ..Head::default() },
            spent: Spent::default(),
            started_at: None,
            ended_at: None,
            updated_at: 0,
        }
    }

    #[test]
    fn a_day_has_room_until_its_cap_with_what_was_added_is_reached() {
        let spent = |micros| Amount { micros, ..Amount::ZERO };
        let capped = bot(BotChange { day_micros: Some(Some(1_000)), ..Default::default() });
        assert_eq!(day_is_spent(&capped, spent(999), Amount::ZERO), None);
        let why = day_is_spent(&capped, spent(1_000), Amount::ZERO).unwrap();
        assert!(why.contains("$0.0010 of $0.0010") && why.contains("next day"), "{why}");
        assert_eq!(day_is_spent(&capped, spent(1_000), spent(1)), None);
        assert_eq!(day_is_spent(&bot(BotChange::default()), spent(u64::MAX), Amount::ZERO), None);
    }

    #[test]
    fn only_a_bot_that_is_to_and_has_nothing_open_looks_for_work() {
        let looks = bot(BotChange { idle: Some(Idle::Discovery), ..Default::default() });
        assert!(may_discover(&looks, 0, 0));
        assert!(!may_discover(&looks, 1, 0) && !may_discover(&looks, 0, 1));
        assert!(!may_discover(&bot(BotChange::default()), 0, 0));
        assert_eq!(discovery_hour(3_599_999) + 1, discovery_hour(3_600_000));
    }

    #[test]
    fn a_job_ends_when_its_story_is_not_its_own_any_more() {
        let held = take(&story("s", "c"), &BotId::new("b"), 0, 10);
        let free = Story { claim: None, ..held.clone() };
        let again = take(&held, &BotId::new("c"), 0, 10);
        let (run, todo, doing) = (Some(BotState::Running), ColumnRole::Todo, ColumnRole::InProgress);
        let ends = |state, on: Option<(&Story, ColumnRole)>| {
            is_to_end(&task(state, Some(1), false), run, on.map(|(story, role)| (story, Some(role))))
        };
        assert!(!ends("running", Some((&held, doing))), "it works on it");
        assert!(ends("running", Some((&free, todo))) && ends("queued", Some((&free, todo))), "given back");
        assert!(!ends("running", Some((&free, doing))), "a person continued it");
        assert!(ends("running", Some((&again, doing))), "somebody else has it");
        assert!(ends("running", None), "it is gone");
        for state in ["awaiting_approval", "pushing", "requesting"] {
            assert!(!ends(state, Some((&free, todo))), "{state}");
        }
    }

    #[test]
    fn a_look_for_work_ends_with_its_bot_and_other_jobs_go_on() {
        let stopped = Some(BotState::Stopped);
        assert!(is_to_end(&task("running", None, true), stopped, None));
        assert!(is_to_end(&task("running", None, true), None, None));
        assert!(!is_to_end(&task("running", None, true), Some(BotState::Paused), None));
        assert!(!is_to_end(&task("running", None, false), stopped, None));
    }
}
