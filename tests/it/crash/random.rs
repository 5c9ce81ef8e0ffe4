//! Kills at random moments: 200 of them, while several people talk in several conversations at once. The dice are
//! our own and fixed by a seed; what the machine does meanwhile is not.

use std::{cell::Cell, process::Stdio, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{join, time::Instant};

use super::{
    forks::RESTLESS,
    points,
    stage::{Heard, Stage},
    world::{self, Leave},
};
use crate::support::*;

/// Kills of one test.
const KILLS: usize = 50;
/// Longest wait for a moment that may not come.
const LONGEST: Duration = Duration::from_millis(150);

const PLANS: [&str; 9] = [
    "say",
    "slowly",
    "cut | say",
    "activate | look put | say",
    "activate | act | say",
    "activate | look act put look | act | say",
    "activate | ask | say",
    "activate | ask look | slowly",
    "remember | recall | say",
];
const CONVERSATIONS: [&str; 5] = ["ann/home", "ann/work", "bob/home", "cid/home", "cid/work"];

/// A small generator of our own (SplitMix64), so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// Talks in one conversation until enough was killed.
async fn talk(stage: &Stage, to: &str, mut dice: Dice, enough: &Cell<bool>) {
    for rank in 1.. {
        // What one conversation remembers, another of the same person is told: in whichever order they come.
        let plans = if to == "bob/home" { PLANS.len() } else { PLANS.len() - 1 };
        let mut plan = || PLANS[dice.below(plans as u64) as usize];
        let (one, two) =
            (format!("plan[m{rank}a of {to}]: {}", plan()), format!("plan[m{rank}b of {to}]: {}", plan()));
        let first = stage.say(to, &one);
        let heard = match dice.below(6) {
            // A second message while the first is worked on.
            0 => <[Heard; 2]>::from(join!(first, stage.say(to, &two))).to_vec(),
            1 => {
                let steer = json!({"whileBusy": "steer"});
                <[Heard; 2]>::from(join!(first, stage.say_with(to, &two, steer))).to_vec()
            }
            _ => vec![first.await],
        };
        let fine = |heard: &Heard| matches!(heard, Heard::Answer(text) if text.contains("is done"));
        assert!(heard.iter().all(fine), "{heard:?}");
        if enough.get() {
            return;
        }
    }
}

/// Lets a server live for a random while, and kills it.
async fn life(stage: &Stage, dice: &mut Dice) {
    if dice.below(5) == 0 {
        return stillbirth(stage, dice.below(80_000)).await;
    }
    stage.rise().await;
    let began = Instant::now();
    let how = match dice.below(3) {
        0 => {
            let micros = dice.below(120_000);
            tokio::time::sleep(Duration::from_micros(micros)).await;
            format!("{micros} us after it was ready")
        }
        1 => {
            let (bytes, before) = (dice.below(150_000), log_size(stage));
            while log_size(stage) < before + bytes && began.elapsed() < LONGEST {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            format!("when its log had grown by {} bytes", log_size(stage).saturating_sub(before))
        }
        _ => {
            let (requests, before) = (1 + dice.below(15), stage.model.count());
            while stage.model.count() < before + requests && began.elapsed() < LONGEST {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            let micros = dice.below(3_000);
            tokio::time::sleep(Duration::from_micros(micros)).await;
            format!("{micros} us after {} requests to the model", stage.model.count() - before)
        }
    };
    stage.kill();
    stage.bury(how).await;
}

/// A server that is killed while it starts.
async fn stillbirth(stage: &Stage, micros: u64) {
    let mut command = stage.site.command(&["start"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(Duration::from_micros(micros)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    stage.bury(format!("{micros} us after its start")).await;
}

/// How long the store's log is; it may be emptied meanwhile.
fn log_size(stage: &Stage) -> u64 {
    std::fs::metadata(stage.site.home().join("atoll.db-wal")).map_or(0, |found| found.len())
}

/// Fifty lives, and then one in which all comes to its end.
async fn fifty(name: &str, seed: u64) {
    let stage = Stage::new(name, "");
    let enough = Cell::new(false);
    let deaths = async {
        let mut dice = Dice(seed);
        for number in 1..=KILLS {
            // Now and then two copies of what is left must recover to the same.
            stage.forks.set(number % 10 == 0);
            life(&stage, &mut dice).await;
        }
        enough.set(true);
        stage.rise().await;
        stage.keep().await;
    };
    let talks = CONVERSATIONS
        .iter()
        .zip(1..)
        .map(|(to, number)| talk(&stage, to, Dice(seed ^ (number << 32)), &enough));
    tokio::select! {
        _ = stage.with_answers("approve", join_all(talks)) => {}
        () = deaths => unreachable!("it never ends"),
    }
    until("it rests", async || stage.count(RESTLESS) == 0).await;
    points::settle(&stage).await;
    world::judge(&stage, Leave::default());
    assert_eq!(stage.lives.borrow().len(), KILLS);
    let told = stage.told.borrow().len();
    assert!(told > 2 * CONVERSATIONS.len(), "only {told} messages were answered");
}

#[tokio::test]
async fn fifty_kills_at_random_moments_lose_and_repeat_nothing_one() {
    fifty("random-1", 1).await;
}

#[tokio::test]
async fn fifty_kills_at_random_moments_lose_and_repeat_nothing_two() {
    fifty("random-2", 2).await;
}

#[tokio::test]
async fn fifty_kills_at_random_moments_lose_and_repeat_nothing_three() {
    fifty("random-3", 3).await;
}

#[tokio::test]
async fn fifty_kills_at_random_moments_lose_and_repeat_nothing_four() {
    fifty("random-4", 4).await;
}
