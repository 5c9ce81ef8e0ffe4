//! What every platform has in common, checked on each.

use serde_json::json;

use super::{
    on_all, sees, site,
    stand::{Seen, Stand},
    start,
};
use crate::support::*;

on_all!(
    a_message_is_answered,
    a_long_answer_comes_whole_and_in_order,
    a_question_is_answered_once_with_a_button,
    commands_are_answered_without_a_model,
    strangers_reach_no_model,
    in_a_group_only_what_is_addressed_to_the_bot_is_answered,
    in_a_group_it_is_seen_which_message_is_answered,
    a_platform_that_fails_gets_everything_later,
    a_lost_answer_of_the_platform_makes_at_most_one_marked_repeat,
);

async fn a_message_is_answered<S: Stand>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("Hello **Ann**!")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "hi");
    until("an answer", async || stand.seen("ann").len() == 1).await;
    assert_eq!(stand.texts("ann")[0].replace('*', ""), "Hello Ann!");
    assert!(model.requests()[0].last_user().contains("hi"));
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
    assert!(!site.log().contains(S::TOKEN), "the token is in the log");
}

async fn a_long_answer_comes_whole_and_in_order<S: Stand>() {
    let words: Vec<String> = (0..1_500).map(|at| format!("word{at}")).collect();
    let text = words.join(" ");
    let model = MockModel::start(move |_| Reply::say(text.clone()));
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "tell me all");
    until("the last part", async || stand.texts("ann").last().is_some_and(|text| text.ends_with("word1499")))
        .await;
    let parts = stand.texts("ann");
    assert!(parts.len() > 2, "{}", parts.len());
    assert_eq!(parts.join(" ").split_whitespace().collect::<Vec<_>>(), words);
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn a_question_is_answered_once_with_a_button<S: Stand>() {
    let (model, stand) = (does(&[("bench_pay", json!({"n": 5}))]), S::start());
    let site = site(&model, &stand, BENCH).with_bench();
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "pay them");
    until("a question", async || stand.seen("ann").iter().any(|seen| !seen.buttons.is_empty())).await;
    let question = stand.seen("ann").into_iter().find(|seen| !seen.buttons.is_empty()).unwrap();
    stand.tap("ann", &question, "Approve");
    until("the decision", async || {
        let now = stand.seen("ann").into_iter().find(|seen| seen.id == question.id).unwrap();
        now.buttons.is_empty() && now.text.contains("Approved by")
    })
    .await;
    until("the end", async || stand.seen("ann").len() == 2).await;
    let statuses = || site.text("SELECT group_concat(status) FROM approvals");
    assert_eq!(statuses(), "consumed");
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn commands_are_answered_without_a_model<S: Stand>() {
    let (model, stand) = (MockModel::instant("no"), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "/help");
    until("the help", async || stand.texts("ann").iter().any(|text| text.contains("/cancel"))).await;
    stand.say("ann", "/cost");
    until("the cost", async || stand.seen("ann").len() >= 2).await;
    assert_eq!(model.count(), 0);
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn strangers_reach_no_model<S: Stand>() {
    let (model, stand) = (MockModel::instant("no"), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("eve", "let me in");
    until("a code", async || stand.seen("eve").len() == 1).await;
    stand.say("eve", "let me in, please");
    stand.say("ann", "hi");
    sees(&stand, "ann", &["no"]).await;
    assert_eq!(stand.seen("eve").len(), 1, "a stranger is told once");
    assert_eq!(model.count(), 1);
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn in_a_group_only_what_is_addressed_to_the_bot_is_answered<S: Stand>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("Noted.")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say_in_group("ann", "lunch?", false);
    stand.say_in_group("bob", "note that I like tea", true);
    until("an answer", async || stand.seen_in_group().len() == 1).await;
    let asked = model.requests()[0].last_user();
    assert!(asked.contains("bob: ") && asked.contains("tea") && !asked.contains("lunch"), "{asked}");
    assert_eq!(model.count(), 1);
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn in_a_group_it_is_seen_which_message_is_answered<S: Stand>() {
    let long = "word ".repeat(1_500);
    let model = MockModel::start(move |request| {
        if request.last_user().contains("slowly") {
            let pieces = ["Here is the beginning of what I have to say about it", ", and here the end."];
            return Reply::Slowly(pieces.map(str::to_owned).into(), 1_500);
        }
        Reply::say(long.clone())
    });
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    let to = |seen: &[Seen]| seen.iter().map(|seen| seen.reply_to).collect::<Vec<_>>();
    let is_whole =
        |seen: &[Seen]| seen.iter().map(|seen| seen.text.matches("word").count()).sum::<usize>() == 1_500;
    let first = stand.say_in_group("ann", "all of it", true);
    until("all parts", async || is_whole(&stand.seen_in_group())).await;
    let parts = stand.seen_in_group();
    let mut replies = vec![None; parts.len()];
    replies[0] = Some(first);
    assert_eq!(to(&parts), replies, "its first part is a reply");
    let second = stand.say_in_group("bob", "slowly", true);
    stand.say_in_group("cid", "lunch?", false);
    until("the draft", async || stand.seen_in_group().len() > parts.len()).await;
    let draft = stand.seen_in_group().remove(parts.len());
    assert_eq!(draft.reply_to, Some(second), "also while it grows");
    until("the end", async || stand.seen_in_group().last().unwrap().text.ends_with("the end.")).await;
    let third = stand.say_in_group("bob", "/help", true);
    until("the help", async || stand.seen_in_group().last().unwrap().text.contains("/cancel")).await;
    assert_eq!(to(&stand.seen_in_group())[parts.len()..], [Some(second), Some(third)]);
    stand.say("ann", "all of it");
    until("all parts", async || is_whole(&stand.seen("ann"))).await;
    assert!(to(&stand.seen("ann")).iter().all(Option::is_none), "where nobody else writes nothing is one");
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn a_platform_that_fails_gets_everything_later<S: Stand>() {
    let (model, stand) = (MockModel::instant("Here."), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.fail(2);
    stand.say("ann", "hi");
    sees(&stand, "ann", &["Here."]).await;
    server.stop();
}

async fn a_lost_answer_of_the_platform_makes_at_most_one_marked_repeat<S: Stand>() {
    let (model, stand) = (MockModel::instant("Here."), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.lose_answers(1);
    stand.say("ann", "hi");
    until("the message is settled", async || {
        site.number("SELECT count(*) FROM outbox WHERE state IN ('sent', 'unknown')") == 1
    })
    .await;
    let texts = stand.texts("ann");
    let repeats = texts.iter().filter(|text| text.contains("once more")).count();
    assert_eq!(texts.iter().filter(|text| *text == "Here.").count(), 1, "{texts:?}");
    assert_eq!(repeats, usize::from(S::NAME == "telegram"), "{texts:?}");
    server.stop();
}
