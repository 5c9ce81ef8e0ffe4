//! Whatever bots and people do to a story: one holder at a time, and a token that was lost never counts again.

use proptest::prelude::*;

use super::{
    ColumnRole, Outcome, Story, StoryChange,
    claim::{fence, lapsed, settle, take},
    story::{revise, tests::story},
};
use crate::domain::ids::BotId;

#[derive(Debug, Clone)]
enum Act {
    /// Time goes by; a claim whose time is over is taken back, as the store does before it gives the story out.
    Wait(i64),
    Claim(u8),
    /// Somebody shows a token: the how-manieth claim.
    Settle(u64, bool),
    TakenAway,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (1_i64..80).prop_map(Act::Wait),
        (0_u8..3).prop_map(Act::Claim),
        (0_u64..12, any::<bool>()).prop_map(|(token, fails)| Act::Settle(token, fails)),
        Just(Act::TakenAway),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #[test]
    fn no_two_hold_a_story_and_a_lost_token_stays_lost(acts in acts()) {
        let mut now = 0;
        let mut story: Story = story("s", "doing");
        // The token that counts, and all that ever counted.
        let (mut valid, mut lost): (Option<u64>, Vec<u64>) = (None, Vec::new());
        for act in acts {
            let before = valid;
            match act {
                Act::Wait(ms) => {
                    now += ms;
                    if lapsed(&story, now) {
                        story = settle(&story, &Outcome::Failed { reason: "lapsed".into() }, 1_000).0;
                        valid = None;
                    }
                }
                Act::Claim(bot) if story.claim.is_none() => {
                    story = take(&story, &BotId::new(bot.to_string()), now, 50);
                    prop_assert!(lost.iter().all(|old| *old < story.token));
                    valid = Some(story.token);
                }
                Act::Claim(_) => prop_assert!(valid.is_some()),
                Act::Settle(token, fails) => {
                    prop_assert_eq!(fence(&story, token).is_ok(), valid == Some(token));
                    if fence(&story, token).is_ok() {
                        let outcome = match fails {
                            true => Outcome::Failed { reason: "x".into() },
                            false => Outcome::Finished,
                        };
                        story = settle(&story, &outcome, 1_000).0;
                        valid = None;
                    }
                }
                Act::TakenAway => {
                    story = revise(&story, &StoryChange::default(), Some(ColumnRole::Todo));
                    valid = None;
                }
            }
            if let Some(old) = before.filter(|_| valid != before) {
                lost.push(old);
            }
            prop_assert_eq!(story.claim.is_some(), valid.is_some());
            prop_assert!(lost.iter().all(|old| fence(&story, *old).is_err()));
        }
    }
}
