//! Who works on what: which story a bot may take next, claims that lapse, tokens that fence off stale work.

use super::{Assignee, Board, Claim, ColumnRole, Refusal, Story, check_text};
use crate::domain::{
    Millis,
    bot::{Bot, BotState},
    ids::BotId,
};

/// A story that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The story, in progress.
    pub story: Story,
    /// Shown with everything that is done to it under this claim.
    pub token: u64,
    /// When the claim lapses, unless it is renewed.
    pub until: Millis,
}

/// What came of the work on a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done as far as the bot goes: people look at it.
    Finished,
    /// It did not work.
    Failed {
        /// Why, in words.
        reason: String,
    },
    /// It was given back, and nobody is to blame.
    Returned,
}

impl Outcome {
    /// Checks its words.
    ///
    /// # Errors
    /// [`Refusal::Bad`] when the reason is missing or too long.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Failed { reason } => check_text("reason", reason, 1, 2_000, true),
            Self::Finished | Self::Returned => Ok(()),
        }
    }
}

/// Where a story goes when a claim on it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goes {
    /// To the first column with this role, however full it is: what happened cannot be refused.
    pub to: ColumnRole,
    /// To its top; else to its end.
    pub top: bool,
}

/// Checks that a bot that holds `held` stories may take another one; false when it has enough.
///
/// # Errors
/// [`Refusal::NotRunning`] when it is stopped or paused.
pub fn may_take(bot: &Bot, held: u64) -> Result<bool, Refusal> {
    match bot.state {
        BotState::Running => Ok(held < u64::from(bot.settings.max_concurrent_stories)),
        BotState::Paused | BotState::Stopped => Err(Refusal::NotRunning(bot.state.as_str())),
    }
}

/// The story that a bot takes next. `open` is every story of the project that is not in a column with the role
/// `done`: whatever is not in it is done. A story can be taken when it is ready (in a column with the role `todo`),
/// not blocked, not held, assigned to this bot or to nobody, and waits for nothing. The most urgent goes first, then
/// the order of the board.
pub fn next_for<'a>(bot: &Bot, board: &Board, open: &'a [Story]) -> Option<&'a Story> {
    let own = Assignee::Bot(bot.id.clone());
    let ready = |story: &&Story| {
        board.role(&story.column) == Some(ColumnRole::Todo)
            && story.project == bot.project
            && story.blocked.is_none()
            && story.claim.is_none()
            && story.assignee.as_ref().is_none_or(|assignee| *assignee == own)
            && !open.iter().any(|other| story.depends_on.contains(&other.id))
    };
    let column = |story: &Story| board.columns.iter().position(|column| column.id == story.column);
    open.iter().filter(ready).min_by_key(|story| (story.priority, column(story), story.position))
}

/// The story under a fresh claim. Every claim has a greater token than the one before.
pub fn take(story: &Story, bot: &BotId, now: Millis, lease_ms: i64) -> Story {
    let claim = Claim { bot: bot.clone(), until: now.saturating_add(lease_ms) };
    Story { claim: Some(claim), token: story.token + 1, ..story.clone() }
}

/// The claim that a token stands for. A claim whose time is over counts as long as nobody took the story: what
/// fences is the token, and the time only says when others may take it.
///
/// # Errors
/// [`Refusal::Fenced`] when the claim ended or the story was claimed again.
pub fn fence(story: &Story, token: u64) -> Result<&Claim, Refusal> {
    story.claim.as_ref().filter(|_| story.token == token).ok_or(Refusal::Fenced(token))
}

/// True when the claim on a story has lapsed.
pub fn lapsed(story: &Story, now: Millis) -> bool {
    story.claim.as_ref().is_some_and(|claim| claim.until <= now)
}

/// The story when its claim ended so, and where it goes. One that failed `max_failures` times is blocked.
pub fn settle(story: &Story, outcome: &Outcome, max_failures: u32) -> (Story, Goes) {
    let mut next = Story { claim: None, ..story.clone() };
    match outcome {
        Outcome::Finished => (next, Goes { to: ColumnRole::Review, top: false }),
        Outcome::Returned => (next, Goes { to: ColumnRole::Todo, top: true }),
        Outcome::Failed { reason } => {
            next.failures += 1;
            if next.failures >= max_failures {
                next.blocked = Some(format!("failed {} times, at last: {}", next.failures, reason.trim()));
            }
            (next, Goes { to: ColumnRole::Todo, top: false })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::story::tests::story, *};
    use crate::domain::{
        board::Priority,
        bot::BotChange,
        ids::{BoardId, ColumnId, ProjectId, StoryId, UserId},
    };

    fn board() -> Board {
        let ids = ["backlog", "todo", "doing", "review", "done"].map(ColumnId::new);
        Board::fresh(BoardId::new("x"), ProjectId::new("p"), ids)
    }

    fn bot(state: BotState) -> Bot {
        let change = BotChange {
            name: Some("b".into()),
            max_concurrent_stories: Some(2),
            state: Some(state),
            ..Default::default()
        };
        Bot::fresh(BotId::new("b"), ProjectId::new("p"), &change, 0).unwrap()
    }

    fn next(stories: &[Story]) -> Option<&str> {
        next_for(&bot(BotState::Running), &board(), stories).map(|story| story.id.as_str())
    }

    #[test]
    fn only_what_is_ready_and_free_is_taken() {
        let ready = || story("s", "todo");
        let held = Claim { bot: BotId::new("other"), until: 0 };
        for (story, may) in [
            (ready(), true),
            (Story { column: ColumnId::new("backlog"), ..ready() }, false),
            (Story { column: ColumnId::new("doing"), ..ready() }, false),
            (Story { column: ColumnId::new("review"), ..ready() }, false),
            (Story { column: ColumnId::new("gone"), ..ready() }, false),
            (Story { project: ProjectId::new("q"), ..ready() }, false),
            (Story { blocked: Some("x".into()), ..ready() }, false),
            (Story { claim: Some(held), ..ready() }, false),
            (Story { assignee: Some(Assignee::Bot(BotId::new("b"))), ..ready() }, true),
            (Story { assignee: Some(Assignee::Bot(BotId::new("c"))), ..ready() }, false),
            (Story { assignee: Some(Assignee::User(UserId::new("b"))), ..ready() }, false),
            (Story { depends_on: vec![StoryId::new("done-long-ago")], ..ready() }, true),
        ] {
            assert_eq!(next(std::slice::from_ref(&story)).is_some(), may, "{story:?}");
        }
    }

    #[test]
    fn critical_goes_first_then_the_order_of_the_board() {
        let at = |id: &str, position, priority| Story { position, priority, ..story(id, "todo") };
        let mut stories =
            vec![at("a", 1, Priority::Medium), at("b", 0, Priority::Medium), at("c", 9, Priority::High)];
        assert_eq!(next(&stories), Some("c"));
        stories.push(Story { depends_on: vec![StoryId::new("a")], ..at("d", 5, Priority::Critical) });
        assert_eq!(next(&stories), Some("c"), "what waits is not taken");
        stories.remove(2);
        assert_eq!(next(&stories), Some("b"));
        stories.retain(|story| story.id.as_str() != "a");
        assert_eq!(next(&stories), Some("d"), "what it waited for is done");
        assert_eq!(next(&[]), None);
    }

    #[test]
    fn a_bot_takes_only_while_it_runs_and_has_room() {
        assert_eq!(may_take(&bot(BotState::Running), 1), Ok(true));
        assert_eq!(may_take(&bot(BotState::Running), 2), Ok(false));
        for state in [BotState::Paused, BotState::Stopped] {
            assert_eq!(may_take(&bot(state), 0), Err(Refusal::NotRunning(state.as_str())));
        }
    }

    #[test]
    fn a_token_is_worth_nothing_once_the_story_was_claimed_again_or_let_go() {
        let one = take(&story("s", "doing"), &BotId::new("b"), 100, 50);
        assert_eq!((one.token, fence(&one, 1).unwrap().until), (1, 150));
        assert!(!lapsed(&one, 149) && lapsed(&one, 150));
        assert!(fence(&one, 1).is_ok(), "lapsed or not: nobody else took it");
        let (free, _) = settle(&one, &Outcome::Returned, 3);
        assert_eq!(fence(&free, 1), Err(Refusal::Fenced(1)));
        let two = take(&free, &BotId::new("c"), 200, 50);
        assert_eq!(fence(&two, 1), Err(Refusal::Fenced(1)));
        assert!(fence(&two, 2).is_ok());
    }

    #[test]
    fn work_ends_in_review_or_back_in_todo_and_at_last_blocked() {
        let held = take(&story("s", "doing"), &BotId::new("b"), 0, 1);
        let (done, goes) = settle(&held, &Outcome::Finished, 3);
        assert_eq!((goes.to, done.claim, done.failures), (ColumnRole::Review, None, 0));
        assert_eq!(settle(&held, &Outcome::Returned, 1).1, Goes { to: ColumnRole::Todo, top: true });
        let failed = Outcome::Failed { reason: " tests fail ".into() };
        let (mut story, mut goes) = settle(&held, &failed, 2);
        assert_eq!((story.failures, story.blocked.as_deref(), goes.top), (1, None, false));
        (story, goes) = settle(&story, &failed, 2);
        assert_eq!(story.blocked.as_deref(), Some("failed 2 times, at last: tests fail"));
        assert_eq!(goes.to, ColumnRole::Todo);
        assert!(Outcome::Failed { reason: " ".into() }.check().is_err());
    }
}
