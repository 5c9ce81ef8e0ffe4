//! How a job moves the card of its story: by what it has shown, never by what it claims.

use super::{
    ColumnRole, Outcome, Story,
    claim::{Goes, settle},
    fit_text,
};

/// Longest reason on a card, in characters.
const REASON: usize = 2_000;

/// What a step of a job shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The work came out and all checks passed.
    Passed,
    /// A person looked at it and wants more.
    SentBack,
    /// A person gave a job that was over a new instruction.
    Continued,
    /// It is where it was to go.
    Done,
    /// Its pull request was merged.
    Merged,
    /// It did not work.
    Failed {
        /// Why.
        reason: String,
    },
    /// A person stopped it, or nobody wanted it.
    Stopped {
        /// Why.
        why: String,
    },
}

/// A card after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The story; where it stands is told by `goes`.
    pub story: Story,
    /// Where it goes; `None` when it stays.
    pub goes: Option<Goes>,
    /// What was done, in a word for its history.
    pub action: &'static str,
}

/// What a step of the job that works, or worked, under `token` does to the card. `role` is that of its column. `None`
/// when it is not the job's any more: it was claimed again, or a person put it into the backlog or said that it is
/// done; and when a job is stopped whose story was given back before: it is free, and stays so.
pub fn play(
    story: &Story,
    role: Option<ColumnRole>,
    token: u64,
    evidence: &Evidence,
    max_failures: u32,
) -> Option<Played> {
    if story.token != token || matches!(role, Some(ColumnRole::Backlog | ColumnRole::Done)) {
        return None;
    }
    let given_back = story.claim.is_none() && role == Some(ColumnRole::Todo);
    if given_back && matches!(evidence, Evidence::Stopped { .. }) {
        return None;
    }
    let unless_there = |to| (role != Some(to)).then_some(Goes { to, top: false });
    let played = match evidence {
        Evidence::Passed | Evidence::Done => {
            let (story, goes) = settle(story, &Outcome::Finished, max_failures);
            Played { story, goes: unless_there(goes.to), action: "finished" }
        }
        Evidence::Merged => {
            let story = Story { claim: None, blocked: None, ..story.clone() };
            Played { story, goes: unless_there(ColumnRole::Done), action: "merged" }
        }
        Evidence::SentBack => {
            Played { story: story.clone(), goes: unless_there(ColumnRole::InProgress), action: "sent_back" }
        }
        Evidence::Continued => {
            // Who continues the work wants it worked on, whatever it was stopped by.
            let story = Story { blocked: None, ..story.clone() };
            Played { story, goes: unless_there(ColumnRole::InProgress), action: "continued" }
        }
        Evidence::Failed { reason } => {
            let outcome = Outcome::Failed { reason: fit_text(reason, REASON, true) };
            let (story, goes) = settle(story, &outcome, max_failures);
            Played { story, goes: Some(goes), action: "failed" }
        }
        Evidence::Stopped { why } => {
            // Free and ready it would be taken again at once: what a person stopped does not start itself.
            let why = format!("{}; unblock it to try again", fit_text(why, REASON - 100, true));
            let story = Story { claim: None, blocked: Some(why), ..story.clone() };
            Played { story, goes: Some(Goes { to: ColumnRole::Todo, top: true }), action: "stopped" }
        }
    };
    Some(played)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{claim::take, story::tests::story},
        *,
    };
    use crate::domain::ids::BotId;

    fn held() -> Story {
        take(&story("s", "doing"), &BotId::new("b"), 0, 10)
    }

    fn failed() -> Evidence {
        Evidence::Failed { reason: "the tests fail".into() }
    }

    fn stopped() -> Evidence {
        Evidence::Stopped { why: "cancelled by ann".into() }
    }

    #[test]
    fn each_evidence_moves_the_card_to_one_place() {
        use ColumnRole::*;
        let to = |to, top| Some(Goes { to, top });
        for (from, evidence, goes, action) in [
            (InProgress, Evidence::Passed, to(Review, false), "finished"),
            (Review, Evidence::Passed, None, "finished"),
            (InProgress, Evidence::Done, to(Review, false), "finished"),
            (Todo, Evidence::Done, to(Review, false), "finished"),
            (Review, Evidence::Done, None, "finished"),
            (Review, Evidence::Merged, to(Done, false), "merged"),
            (Todo, Evidence::Merged, to(Done, false), "merged"),
            (Review, Evidence::SentBack, to(InProgress, false), "sent_back"),
            (InProgress, Evidence::SentBack, None, "sent_back"),
            (Todo, Evidence::Continued, to(InProgress, false), "continued"),
            (InProgress, failed(), to(Todo, false), "failed"),
            (Review, failed(), to(Todo, false), "failed"),
            (InProgress, stopped(), to(Todo, true), "stopped"),
        ] {
            let played = play(&held(), Some(from), 1, &evidence, 3).unwrap();
            assert_eq!((played.goes, played.action), (goes, action), "{from:?} {evidence:?}");
        }
    }

    #[test]
    fn a_story_that_was_given_back_stays_free_when_its_job_is_stopped() {
        let free = Story { claim: None, ..held() };
        assert_eq!(play(&free, Some(ColumnRole::Todo), 1, &stopped(), 3), None);
        assert!(
            play(&free, Some(ColumnRole::Review), 1, &stopped(), 3).is_some(),
            "a person wanted none of it"
        );
        assert!(play(&held(), Some(ColumnRole::Todo), 1, &stopped(), 3).is_some(), "it is still held");
    }

    #[test]
    fn a_claim_ends_with_the_work_and_is_kept_while_it_goes_on() {
        for (evidence, kept) in [
            (Evidence::Passed, false),
            (Evidence::Done, false),
            (Evidence::Merged, false),
            (Evidence::SentBack, true),
            (Evidence::Continued, true),
            (failed(), false),
            (stopped(), false),
        ] {
            let story = play(&held(), Some(ColumnRole::InProgress), 1, &evidence, 3).unwrap().story;
            assert_eq!(story.claim.is_some(), kept, "{evidence:?}");
        }
    }

    #[test]
    fn failures_count_up_to_the_block_and_a_stop_counts_nothing() {
        let role = Some(ColumnRole::InProgress);
        let one = play(&held(), role, 1, &failed(), 2).unwrap().story;
        assert_eq!((one.failures, one.blocked.clone()), (1, None));
        let two = play(&one, role, 1, &failed(), 2).unwrap().story;
        assert_eq!(two.blocked.as_deref(), Some("failed 2 times, at last: the tests fail"));
        let free = play(&two, Some(ColumnRole::Todo), 1, &Evidence::Continued, 2).unwrap().story;
        assert_eq!((free.failures, free.blocked), (2, None));
        let ended = play(&held(), role, 1, &stopped(), 1).unwrap().story;
        assert_eq!(ended.failures, 0);
        assert_eq!(ended.blocked.as_deref(), Some("cancelled by ann; unblock it to try again"));
        let long = Evidence::Stopped { why: "x".repeat(9_000) };
        let blocked = play(&held(), role, 1, &long, 1).unwrap().story.blocked.unwrap();
        assert!(blocked.chars().count() <= REASON && blocked.ends_with("try again"), "{blocked}");
    }

    #[test]
    fn a_card_that_is_not_the_jobs_any_more_is_left_alone() {
        let all =
            [Evidence::Passed, Evidence::SentBack, Evidence::Continued, Evidence::Done, failed(), stopped()];
        for evidence in all {
            assert_eq!(play(&held(), Some(ColumnRole::InProgress), 0, &evidence, 3), None, "claimed again");
            for role in [ColumnRole::Backlog, ColumnRole::Done] {
                assert_eq!(play(&held(), Some(role), 1, &evidence, 3), None, "{role:?}");
            }
        }
    }
}
