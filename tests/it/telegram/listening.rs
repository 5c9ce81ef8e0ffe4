//! What comes in: once, in order, and acknowledged only when it was taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atoll::domain::chat::{Event, Failure, Receipt};
use atoll::ports::platform::{NotNow, Platform};
use serde_json::json;

use super::kit::{Rig, place, post, text_of, words};
use crate::support::{telegram::Trouble, until};

#[tokio::test]
async fn it_asks_who_it_is_leaves_what_waits_and_says_what_it_wants() {
    let rig = Rig::new();
    rig.fake.set_webhook(Some(("https://old.example", "s")));
    rig.fake.say(42, 42, "sent while it was away");
    rig.listen();
    assert_eq!(text_of(&rig.taker.after(1).await[0]), "sent while it was away");
    let calls = rig.fake.calls();
    let methods: Vec<&str> = calls.iter().take(3).map(|call| &*call.method).collect();
    assert_eq!(methods, ["getMe", "deleteWebhook", "getUpdates"]);
    assert_eq!(calls[1].fields, json!({}), "nothing that waits is dropped");
    let wanted = json!(["message", "edited_message", "callback_query", "my_chat_member"]);
    assert_eq!(calls[2].fields["allowed_updates"], wanted);
    assert_eq!(calls[2].fields.get("offset"), None);
}

#[tokio::test]
async fn an_update_is_acknowledged_only_when_it_was_taken_or_noted() {
    let rig = Rig::listening().await;
    rig.taker.notes(false);
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "one");
    rig.fake.say(43, 43, "two");
    rig.fake.say(43, 43, "three");
    // Another chat goes on, and newer updates are seen as well.
    until("the other chat goes on", async || rig.taker.taken_in(43) == ["43:2", "43:3"]).await;
    rig.fake.say(44, 44, "four");
    until("new ones come", async || rig.taker.taken_in(44).len() == 1).await;
    assert_eq!(
        rig.fake.waiting(),
        [100_000, 100_001, 100_002, 100_003],
        "nothing above it is acknowledged either"
    );
    rig.taker.sticks(42, false);
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    assert_eq!(rig.taker.offered().len(), 4, "each was offered once");
    let told =
        |number: i64| rig.fake.calls_of("getUpdates").iter().any(|call| call.fields["offset"] == number);
    until("the last question is answered", async || told(100_004)).await;
    assert!(told(100_000) && !told(100_001) && !told(100_002) && !told(100_003));
}

#[tokio::test]
async fn what_takes_long_is_noted_and_holds_up_nobody_else_also_after_a_fall() {
    let rig = Rig::listening().await;
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "slow");
    until("it is noted", async || rig.taker.noted() == 1).await;
    for n in 0..150 {
        rig.fake.say(43 + n % 3, 43, "quick");
    }
    until("more came than the server gives at once", async || rig.taker.taken().len() == 151).await;
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    rig.stop().await;
    rig.taker.sticks(42, false);
    let offered = rig.taker.offered().len();
    rig.listen();
    until("what was noted is offered again", async || rig.taker.offered().len() == offered + 1).await;
    assert_eq!(rig.taker.offered().last(), Some(&"42:1".to_owned()));
    until("the notes are empty", async || rig.taker.noted() == 0).await;
    rig.stop().await;
    rig.listen();
    rig.fake.say(42, 42, "and on");
    until("it goes on", async || rig.taker.taken_in(42).len() == 2).await;
    assert_eq!(rig.taker.offered().len(), offered + 2, "what is settled is not offered any more");
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_offered_again_and_holds_only_its_chat() {
    let rig = Rig::listening().await;
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    rig.taker.does(move |incoming| {
        let busy = incoming.place.chat == "42" && count.fetch_add(1, Ordering::SeqCst) < 2;
        if busy { Err(NotNow("the store is busy".into())) } else { Ok(Receipt::Taken) }
    });
    rig.fake.say(42, 42, "one");
    rig.fake.say(42, 42, "two");
    rig.fake.say(43, 43, "three");
    until("the other chat goes on", async || rig.taker.taken_in(43).len() == 1).await;
    until("it is taken in the end", async || rig.taker.taken_in(42) == ["42:1", "42:2"]).await;
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    let here: Vec<String> = rig.taker.offered().into_iter().filter(|id| id.starts_with("42:")).collect();
    assert_eq!(here, ["42:1", "42:1", "42:1", "42:2"]);
}

#[tokio::test]
async fn a_fall_between_taking_and_acknowledging_brings_the_same_ids_again() {
    let rig = Rig::listening().await;
    rig.taker.notes(false);
    rig.taker.sticks(43, true);
    rig.fake.say(43, 43, "stuck");
    let one = rig.fake.say(42, 42, "one");
    rig.fake.edit(42, one, "one, corrected");
    until("two are taken", async || rig.taker.taken_in(42).len() == 2).await;
    rig.stop().await;
    assert_eq!(rig.fake.waiting().len(), 3, "nobody acknowledged anything");
    rig.taker.sticks(43, false);
    rig.listen();
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    assert_eq!(rig.taker.taken().len(), 3, "what came before was known");
    assert_eq!(rig.taker.offered().len(), 6);
}

#[tokio::test]
async fn redelivered_updates_are_offered_with_the_same_ids() {
    let rig = Rig::listening().await;
    rig.fake.say(42, 42, "one");
    rig.taker.after(1).await;
    until("it is acknowledged", async || rig.fake.waiting().is_empty()).await;
    rig.fake.redeliver(1);
    until("it is offered again", async || rig.taker.offered().len() == 2).await;
    assert_eq!(rig.taker.offered(), ["42:1", "42:1"]);
    until("and acknowledged again", async || rig.fake.waiting().is_empty()).await;
}

#[tokio::test]
async fn numbers_that_begin_anew_are_not_passed_over() {
    let rig = Rig::listening().await;
    rig.fake.say(42, 42, "one");
    until("it is acknowledged", async || {
        rig.fake.waiting().is_empty()
            && rig.fake.calls_of("getUpdates").last().unwrap().fields.get("offset").is_none()
    })
    .await;
    // After a week of silence the server chooses a new beginning.
    rig.fake.number_from(500);
    rig.fake.say(42, 42, "two");
    assert_eq!(text_of(&rig.taker.after(2).await[1]), "two");
}

#[tokio::test]
async fn one_update_that_cannot_be_read_does_not_stop_the_others() {
    let rig = Rig::listening().await;
    rig.fake.raw(json!({"message": {"message_id": "odd", "chat": 7}}));
    rig.fake.raw(json!({"message": {"text": "\u{0}", "chat": {"id": 1}, "from": []}}));
    rig.fake.raw(json!({"my_chat_member": {"chat": {"id": 1}, "new_chat_member": {"status": "kicked"}}}));
    rig.fake.raw(json!({"callback_query": {"id": "x", "from": {"id": 1}}}));
    rig.fake.say(42, 42, "still here");
    assert_eq!(text_of(&rig.taker.after(1).await[0]), "still here");
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
}

#[tokio::test]
async fn groups_topics_replies_edits_and_taps_come_as_what_they_are() {
    let rig = Rig::listening().await;
    rig.fake.name(42, "Ann");
    rig.fake.say(-100, 42, "hello all");
    rig.fake.say(-100, 42, "@atollbot hello");
    rig.fake.say(-100, 42, "/status@OtherBot");
    let topic = rig.fake.say_in_topic(-100, 77, 42, "in here");
    let taken = rig.taker.after(3).await;
    let addressed = |at: usize| matches!(&taken[at].event, Event::Message { addressed: true, .. });
    assert_eq!((addressed(0), addressed(1), addressed(2)), (false, true, false));
    assert_eq!((text_of(&taken[1]), &*taken[1].sender.name), ("hello", "Ann"));
    assert_eq!((taken[2].place.name(), taken[2].id.clone()), ("-100:77".into(), format!("-100:{topic}")));

    let own: i64 = rig.say(-100, "What?").await.parse().unwrap();
    rig.fake.reply(-100, 42, own, "this");
    rig.fake.edit(-100, topic, "corrected");
    rig.fake.forge_tap(-100, 42, own, "d:y:1");
    let mut taken = rig.taker.after(6).await;
    // A tap waits for nothing that came before it.
    taken.sort_by_key(|incoming| matches!(incoming.event, Event::Tap { .. }));
    let Event::Message { addressed, quote, .. } = &taken[3].event else { panic!() };
    assert_eq!((addressed, quote), (&true, &None), "the bot's last words need no repeating");
    assert_eq!(taken[4].place.name(), "-100:77");
    assert!(matches!(&taken[4].event, Event::Edited { text, .. } if text == "corrected"));
    assert!(matches!(&taken[5].event, Event::Tap { message, .. } if *message == own.to_string()));
}

#[tokio::test]
async fn taps_are_answered_and_messages_marked_as_they_were_taken() {
    let rig = Rig::listening().await;
    rig.taker.does(|incoming| {
        Ok(match &incoming.event {
            Event::Tap { data, .. } if data == "no" => Receipt::Said("Only Ann may answer this.".into()),
            Event::Message { text, .. } if text == "hush" => Receipt::Ignored,
            Event::Message { text, .. } if text == "fast" => Receipt::Said("Slower, please.".into()),
            _ => Receipt::Taken,
        })
    });
    rig.fake.open(42);
    let yes = rig.fake.forge_tap(42, 42, 1, "yes");
    let no = rig.fake.forge_tap(42, 42, 1, "no");
    for text in ["hello", "hush", "fast"] {
        rig.fake.say(42, 42, text);
    }
    until("the taps are answered", async || rig.fake.answers().len() == 2).await;
    let mut answers = rig.fake.answers();
    answers.sort();
    assert_eq!(answers, [(yes, None), (no, Some("Only Ann may answer this.".to_owned()))]);
    until("the receipts are shown", async || {
        rig.fake.said(42).len() == 1 && rig.fake.messages(42).iter().any(|shown| !shown.reactions.is_empty())
    })
    .await;
    let shown = rig.fake.messages(42);
    let reactions: Vec<&[String]> = shown.iter().map(|shown| shown.reactions.as_slice()).collect();
    assert_eq!(reactions, [&["👀".to_owned()][..], &[], &[], &[]]);
    assert_eq!((&*shown[3].text, shown[3].reply_to, shown[3].own), ("Slower, please.", Some(3), true));
    assert_eq!(rig.fake.refused(), [] as [String; 0]);
}

#[tokio::test]
async fn a_receipt_that_fails_disturbs_nothing() {
    let rig = Rig::listening().await;
    rig.fake.next("setMessageReaction", 1, Trouble::Refuse(400, "Bad Request: REACTION_INVALID".into()));
    rig.fake.next("answerCallbackQuery", 1, Trouble::HangUp);
    rig.fake.say(42, 42, "one");
    rig.fake.forge_tap(42, 42, 1, "x");
    rig.fake.say(42, 42, "two");
    rig.taker.after(3).await;
    until("all is acknowledged", async || rig.fake.waiting().is_empty()).await;
    until("later ones are shown", async || !rig.fake.messages(42)[1].reactions.is_empty()).await;
}

#[tokio::test]
async fn what_ends_work_and_what_answers_a_question_do_not_wait_for_a_chat_that_is_slow() {
    let rig = Rig::listening().await;
    rig.taker.sticks(42, true);
    rig.fake.say(42, 42, "look at this file");
    rig.fake.say(42, 42, "and then?");
    rig.fake.say(42, 42, "/cancel");
    rig.fake.say(42, 42, "/approve q1");
    until("both are taken", async || {
        let taken = rig.taker.taken_in(42);
        taken.contains(&"42:3".to_owned()) && taken.contains(&"42:4".to_owned())
    })
    .await;
    assert_eq!(rig.taker.taken_in(42), ["42:1", "42:4", "42:3"]);
    rig.taker.sticks(42, false);
    rig.taker.after(4).await;
    assert_eq!(rig.taker.taken_in(42), ["42:1", "42:4", "42:3", "42:2"]);
}

#[tokio::test]
async fn a_group_that_becomes_a_supergroup_stays_the_place_that_it_was() {
    let mut rig = Rig::listening().await;
    for (group, to, told) in [(-5, -1_005, true), (-6, -1_006, false)] {
        rig.fake.say(group, 42, "@atollbot one");
        until("the first", async || rig.taker.taken_in(group).len() == 1).await;
        let old = rig.say(group, "before").await;
        rig.fake.upgrade(group, to, told);
        let posted = loop {
            match rig.telegram.post(post(group, words("after"))).await {
                Ok(posted) => break posted,
                // It was on its way before it was known, and is sent again.
                Err(Failure::Later(_)) => {}
                Err(other) => panic!("{other:?}"),
            }
        };
        assert_eq!(rig.fake.said(to).last().unwrap().text, "after");
        rig.fake.say(to, 42, "@atollbot two");
        until("the second", async || rig.taker.taken_in(group).len() == 2).await;
        let second = rig.taker.taken_in(group)[1].clone();
        assert!(second.starts_with(&format!("{to}:")), "numbers may come again: {second}");

        let gone = rig.telegram.edit(&place(group), &old, words("changed")).await;
        assert!(matches!(gone, Err(Failure::NoMessage(_))), "{gone:?}");
        rig.telegram.edit(&place(group), &posted, words("changed")).await.unwrap();
        assert_eq!(rig.fake.said(to).last().unwrap().text, "changed");
        until("it is written down", async || rig.taker.moved(to) == Some(group)).await;
    }
    rig.stop().await;
    rig.forget();
    rig.listen();
    rig.fake.say(-1_005, 42, "@atollbot three");
    until("the third", async || rig.taker.taken_in(-5).len() == 3).await;
}
