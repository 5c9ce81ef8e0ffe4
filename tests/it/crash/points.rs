//! Where the process dies: at every fault point and every kind of commit, in the middle of what passes it.

use std::time::Duration;

use super::{
    forks::RESTLESS,
    rows::Rows,
    scenes::{self, Scene},
    stage::Stage,
    world,
};
use crate::support::*;

/// Makes a test of each line, and a table of all of them. `commit:` stands for before and after the commit;
/// `then` for the next life.
macro_rules! points {
    ($($name:ident: $scene:ident, [$($kill:literal),* $(,)?];)*) => {
        /// Every place where some test kills.
        pub(super) const KILLS: &[&str] = &[$($($kill),*),*];

        $(#[tokio::test]
        async fn $name() {
            for kill in [$($kill),*].into_iter().flat_map(both) {
                run::<scenes::$scene>(stringify!($name), &kill).await;
            }
        })*
    };
}

points! {
    a_plain_turn_survives: Plain, [
        "commit:audit", "commit:touch_key", "commit:began", "answered:model", "commit:ended",
        "before_send:api", "after_send:api", "after_commit:began then commit:take_over",
        "after_commit:began then commit:settled", "answered:model then answered:model then commit:ended",
    ];
    an_answer_in_parts_survives: Cut, ["commit:answered", "answered:model#2", "commit:ended"];
    tools_of_all_classes_survive: Tools, [
        "commit:intent#1", "commit:returned#1", "commit:intent#2", "commit:returned#2", "commit:intent#3",
        "commit:intent#4", "commit:intent#5",
    ];
    tools_that_return_survive: Tools, [
        "returned:tool#1", "returned:tool#2", "returned:tool#3", "returned:tool#4", "returned:tool#5",
        "returned:tool#6", "returned:tool#7", "answered:model#2", "answered:model#3", "answered:model#4",
        "commit:ended#1", "commit:began#2", "commit:ended#2",
        "before_commit:intent#2 then returned:tool#2 then before_commit:intent#2",
    ];
    an_approval_survives: Asked, [
        "commit:held", "commit:decide", "commit:intent#2", "returned:tool#2", "returned:tool#3",
        "commit:returned#2", "commit:ended", "after_commit:decide then commit:intent",
    ];
    a_refusal_survives: Refused, ["commit:decide", "commit:returned#2", "commit:ended"];
    approvals_out_of_order_survive: AskedTwice, [
        "commit:decided", "commit:decide#2", "commit:intent#2", "commit:intent#3",
    ];
    a_question_whose_time_is_over_survives: Expired, ["commit:expire", "commit:wakeups_done", "commit:returned"];
    a_turn_over_its_budget_survives: TurnBudget, [
        "commit:over_budget", "commit:decide", "commit:budget_decided", "commit:ended",
    ];
    what_a_crash_may_have_cost_counts: LostBudget, ["answered:model", "before_commit:ended"];
    a_user_over_their_budget_survives: UserBudget, [
        "commit:over_budget", "commit:intent#2", "commit:decide", "commit:intent#3", "commit:intent#4",
        "commit:intent#5", "commit:over_budget#2", "commit:ended",
    ];
    messages_that_wait_survive: Queued, [
        "commit:accept", "commit:accept#2", "commit:accept#3", "commit:began#2", "commit:ended#1",
        "commit:ended#2",
    ];
    a_message_that_joins_survives: Steered, ["commit:accept", "commit:steered", "commit:ended"];
    a_message_that_interrupts_survives: Interrupted, ["commit:accept", "commit:ended#1", "commit:began#2"];
    a_cancel_survives: Cancelled, ["commit:ended", "commit:cancel_queued", "after_commit:accept"];
    a_summary_survives: Compacted, ["commit:began", "commit:compacted", "commit:ended"];
    a_message_that_is_too_long_survives: Squeezed, ["commit:squeezed", "commit:ended"];
    a_clear_survives: Cleared, ["commit:clear", "commit:answer_direct", "commit:began#2"];
    memories_survive: Remembered, [
        "commit:store_memory", "commit:used_memories", "commit:update_memory", "commit:delete_memory",
    ];
    a_file_survives: Attached, ["commit:put_file", "commit:began"];
    people_and_keys_survive: Kept, ["commit:put_user", "commit:create_key", "commit:revoke_key"];
    a_message_that_cannot_be_sent_survives: Stranded, [
        "commit:claim_outbox", "before_settle:outbox", "commit:settle_outbox",
    ];
    housekeeping_survives: Plain, ["commit:prune"];
    a_turn_that_kills_is_ended: Poisoned, ["answered:model then answered:model then answered:model"];
}

/// A place before or after a commit is two places.
pub(crate) fn both(kill: &str) -> Vec<String> {
    match kill.contains("commit:") && !kill.contains("_commit:") || kill.contains(" commit:") {
        false => vec![kill.to_owned()],
        true => ["before_commit:", "after_commit:"]
            .into_iter()
            .map(|place| match kill.rsplit_once(" commit:") {
                Some((first, label)) => format!("{first} {place}{label}"),
                None => kill.replacen("commit:", place, 1),
            })
            .collect(),
    }
}

/// Plays a scene, lets the process die there, and judges what became of it.
async fn run<S: Scene>(test: &str, kill: &str) {
    let stage = Stage::new(&format!("{test}-{kill}"), S::CONFIG);
    if S::BEFORE {
        stage.rise().await;
        S::before(&stage).await;
        stage.stop();
    }
    S::edit(&stage.site.store());
    stage.forks.set(S::FORKS);
    *stage.faults.borrow_mut() = kill.split(" then ").map(str::to_owned).collect();
    let wanted = stage.faults.borrow().len();
    let played = async {
        stage.rise().await;
        tokio::select! {
            () = S::play(&stage) => {}
            () = stage.keep() => unreachable!("it never ends"),
        }
        until(kill, async || {
            stage.watch().await;
            stage.is_through() && stage.count(RESTLESS) == 0
        })
        .await;
    };
    // A place that is never passed fails here.
    let patience = Duration::from_secs(45);
    assert!(tokio::time::timeout(patience, played).await.is_ok(), "{kill}: not over; {}", stage.site.log());
    assert_eq!(stage.lives.borrow().len(), wanted, "{kill}");
    settle(&stage).await;
    world::judge(&stage, S::LEAVE);
    S::after(&stage, &Rows::read(&stage.site.store()));
}

/// Everything that was answered is answered the same when it is asked again, and neither that nor another two lives
/// change a row.
pub(super) async fn settle(stage: &Stage) {
    let before = Rows::peek(&stage.site.home());
    let told = stage.told.borrow().clone();
    for told in told {
        assert_eq!(stage.hear(&told.key, &told.body).await, told.heard, "{}", told.key);
    }
    until("the redelivered rest", async || stage.count(RESTLESS) == 0).await;
    stage.stop();
    let mut last = Rows::peek(&stage.site.home());
    assert_eq!(before.difference(&last), None, "a redelivery changed something");
    for _ in 0..2 {
        stage.rise().await;
        until("it rests", async || stage.count(RESTLESS) == 0).await;
        stage.kill();
        let next = Rows::peek(&stage.site.home());
        assert_eq!(last.difference(&next), None, "a life in which nothing was asked changed something");
        last = next;
    }
}
