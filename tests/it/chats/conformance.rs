//! What every way to the bot has in common, checked on each.

use serde_json::json;

use super::{
    api::ApiStand,
    everywhere, not_in_the_terminal, on_platforms, sees, site,
    stand::{DiscordStand, Platform, Seen, Stand},
    start,
    terminal::TerminalStand,
};
use crate::support::{telegram::FakeTelegram, *};

everywhere!(
    a_message_is_answered,
    a_long_answer_comes_whole_and_in_order,
    a_question_is_answered_once_with_a_button,
    a_question_that_is_decided_elsewhere_is_shown_as_decided,
    commands_are_answered_without_a_model,
    who_may_not_write_reaches_no_model,
    order_is_kept_for_each_person_while_others_write,
    cancel_is_read_at_once_while_a_long_turn_runs,
    a_restart_keeps_the_conversation,
);

not_in_the_terminal!(
    what_comes_twice_is_done_once: "each run of `atoll chat` is a message of its own; nothing sends it again",
    a_lost_answer_of_the_platform_makes_at_most_one_marked_repeat:
        "it prints what it reads; whoever is cut off asks again themselves",
);

on_platforms!(
    strangers_are_told_once_and_let_in_with_their_code:
        "who has a key was let in when it was made; who has none hears of it each time",
    in_a_group_only_what_is_addressed_to_the_bot_is_answered:
        "a conversation belongs to one user there: nobody reads along",
    a_platform_that_fails_gets_everything_later:
        "an answer is fetched there, under the message's key; nothing is brought to anybody",
    in_a_group_it_is_seen_which_message_is_answered: "there are no groups",
);

async fn a_message_is_answered<S: Stand>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("Hello **Ann**!")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    let secret = stand.secret();
    stand.say("ann", "hi");
    until("an answer", async || stand.seen("ann").len() == 1).await;
    assert_eq!(stand.texts("ann")[0].replace('*', ""), "Hello Ann!");
    assert!(model.requests()[0].last_user().contains("hi"));
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
    assert!(!site.log().contains(&secret), "a secret is in the log");
}

async fn a_long_answer_comes_whole_and_in_order<S: Stand>() {
    let words: Vec<String> = (0..1_500).map(|at| format!("word{at}")).collect();
    let text = words.join(" ");
    let said = text.clone();
    let model = MockModel::start(move |_| Reply::say(said.clone()));
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "tell me all");
    until("the last part", async || stand.texts("ann").last().is_some_and(|text| text.ends_with("word1499")))
        .await;
    let parts = stand.texts("ann");
    let whole = text.len() <= S::LONGEST;
    assert!(if whole { parts.len() == 1 } else { parts.len() > 2 }, "{}", parts.len());
    assert!(parts.iter().all(|part| part.chars().count() <= S::LONGEST));
    assert_eq!(parts.join(" ").split_whitespace().collect::<Vec<_>>(), words);
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

/// A question that ann is asked, and the server that asks it.
async fn asked<S: Stand>(model: &MockModel, stand: &S) -> (Site, Server, Seen) {
    let site = site(model, stand, BENCH).with_bench();
    let server = start(&site, stand, &[]).await;
    stand.say("ann", "pay them");
    until("a question", async || stand.seen("ann").iter().any(|seen| !seen.buttons.is_empty())).await;
    let question = stand.seen("ann").into_iter().find(|seen| !seen.buttons.is_empty()).unwrap();
    (site, server, question)
}

/// The question shows that it was decided, and the work goes on to its end.
async fn is_decided<S: Stand>(site: &Site, stand: &S, question: &Seen, by: &str) {
    until("the decision", async || {
        let now = stand.seen("ann").into_iter().find(|seen| seen.id == question.id).unwrap();
        now.buttons.is_empty() && now.text.contains(&format!("Approved by {by}"))
    })
    .await;
    until("the end", async || stand.texts("ann").iter().any(|text| text == "done")).await;
    assert_eq!(site.text("SELECT group_concat(status) FROM approvals"), "consumed");
    assert_eq!(site.ledger(), ["bench_pay {\"n\":5}"]);
    assert_eq!(stand.faults(), Vec::<String>::new());
}

async fn a_question_is_answered_once_with_a_button<S: Stand>() {
    let (model, stand) = (does(&[("bench_pay", json!({"n": 5}))]), S::start());
    let (site, server, question) = asked(&model, &stand).await;
    stand.tap("ann", &question, "Approve");
    is_decided(&site, &stand, &question, "").await;
    server.stop();
}

async fn a_question_that_is_decided_elsewhere_is_shown_as_decided<S: Stand>() {
    let (model, stand) = (does(&[("bench_pay", json!({"n": 5}))]), S::start());
    let (site, server, question) = asked(&model, &stand).await;
    let boss = User::new(&server.base, &site.key("boss", "owner"));
    let id = site.text("SELECT id FROM approvals");
    let (status, body) = boss.post(&format!("/api/v1/approvals/{id}/approve"), json!({})).await;
    assert!(status.is_success(), "{body}");
    is_decided(&site, &stand, &question, "boss").await;
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

async fn who_may_not_write_reaches_no_model<S: Stand>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("no")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("eve", "let me in");
    until("eve is told", async || stand.seen("eve").len() == 1).await;
    stand.say("ann", "hi");
    sees(&stand, "ann", &["no"]).await;
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (1, 1));
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn strangers_are_told_once_and_let_in_with_their_code<S: Platform>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("Here.")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("eve", "let me in");
    until("a code", async || stand.seen("eve").len() == 1).await;
    stand.say("eve", "let me in, please");
    stand.say("ann", "hi");
    sees(&stand, "ann", &["Here."]).await;
    assert_eq!(stand.seen("eve").len(), 1, "a stranger is told once");
    let code = code_in(&stand.texts("eve")[0]);
    assert!(site.say(&["pair", "approve", &code]).contains("may write now"));
    until("a welcome", async || stand.seen("eve").len() == 2).await;
    stand.say("eve", "hi");
    until("an answer", async || stand.texts("eve").last().is_some_and(|text| text == "Here.")).await;
    assert_eq!((model.count(), stand.seen("eve").len()), (2, 3));
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn in_a_group_only_what_is_addressed_to_the_bot_is_answered<S: Platform>() {
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

async fn in_a_group_it_is_seen_which_message_is_answered<S: Platform>() {
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

async fn a_platform_that_fails_gets_everything_later<S: Platform>() {
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
            && stand.texts("ann").iter().any(|text| text == "Here.")
    })
    .await;
    let texts = stand.texts("ann");
    let repeats = texts.iter().filter(|text| text.contains("once more")).count();
    assert_eq!(texts.iter().filter(|text| *text == "Here.").count(), 1, "{texts:?}");
    assert_eq!(repeats, usize::from(S::NAME == "telegram"), "{texts:?}");
    server.stop();
}

/// What a person said, out of all that the model is told.
fn last_line(request: &Request) -> String {
    request.last_user().lines().last().unwrap_or_default().to_owned()
}

async fn order_is_kept_for_each_person_while_others_write<S: Stand>() {
    // What is said later takes less time.
    let model = MockModel::start(|request| {
        let said = last_line(request);
        let late = if said.ends_with('1') { 300 } else { 1 };
        Reply::Slowly(vec![format!("You said: {said}")], late)
    });
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    let people = ["ann", "bob", "cid"];
    for round in 1..=4 {
        people.iter().for_each(|person| stand.say(person, &format!("{person} {round}")));
    }
    for person in people {
        let answers: Vec<String> = (1..=4).map(|round| format!("You said: {person} {round}")).collect();
        sees(&stand, person, &answers.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn cancel_is_read_at_once_while_a_long_turn_runs<S: Stand>() {
    let model = MockModel::start(|request| match last_line(request).contains("dig") {
        true => Reply::Hang,
        false => Reply::say("Here."),
    });
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "dig");
    until("the model is asked", async || model.count() == 1).await;
    stand.say("bob", "hi");
    sees(&stand, "bob", &["Here."]).await;
    stand.say("ann", "/cancel");
    let cancelled = "SELECT count(*) FROM turns WHERE outcome = 'cancelled'";
    until("it is cancelled", async || site.number(cancelled) == 1).await;
    until("ann is told", async || stand.texts("ann").iter().any(|text| text.contains("Cancelled"))).await;
    stand.say("ann", "and now?");
    until("an answer", async || stand.texts("ann").last().is_some_and(|text| text == "Here.")).await;
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn what_comes_twice_is_done_once<S: Stand>() {
    let (model, stand) = (MockModel::start(|_| Reply::say("Here.")), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "hi");
    sees(&stand, "ann", &["Here."]).await;
    stand.redeliver("ann");
    stand.say("ann", "and again");
    sees(&stand, "ann", &["Here.", "Here."]).await;
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (2, 2));
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

async fn a_restart_keeps_the_conversation<S: Stand>() {
    let model = MockModel::start(|request| {
        let knows = request.text().contains("the word is tea");
        Reply::say(if knows { "I know it." } else { "I know nothing." })
    });
    let stand = S::start();
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "the word is tea");
    sees(&stand, "ann", &["I know it."]).await;
    assert!(server.stop().success());
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "what was it?");
    sees(&stand, "ann", &["I know it.", "I know it."]).await;
    assert_eq!(stand.faults(), Vec::<String>::new());
    server.stop();
}

/// A code that stands in these words.
pub(super) fn code_in(text: &str) -> String {
    let is_code = |word: &&str| {
        let (first, second) = word.split_once('-').unwrap_or_default();
        let is_half = |half: &str| {
            half.len() == 4 && half.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        };
        is_half(first) && is_half(second)
    };
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.find(is_code).unwrap_or_else(|| panic!("no code: {text}")).to_owned()
}

/// The words alone: without the marks that a platform shows them with.
fn plain(texts: &[String]) -> String {
    let words = texts.join(" ").replace(['\\', '`', '*'], "");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn help_says_the_same_everywhere() {
    let (telegram, discord) = (FakeTelegram::start(), <DiscordStand as Stand>::start());
    let (api, terminal) = (ApiStand::start(), TerminalStand::start());
    let model = MockModel::instant("no");
    let keys = format!("{}, {}", telegram.keys(&["ann"]), discord.keys(&["ann"]));
    api.keys(&["ann"]);
    terminal.keys(&["ann"]);
    let site = Site::new(&with_model(&model, &format!("channels: {{{keys}}}")));
    let server = start(&site, &discord, &[]).await;
    api.meets(&site, &server);
    terminal.meets(&site, &server);
    async fn help<S: Stand>(stand: &S) -> String {
        stand.say("ann", "/help");
        until("help", async || stand.texts("ann").concat().contains("/verbosity")).await;
        assert_eq!(stand.faults(), Vec::<String>::new());
        plain(&stand.texts("ann"))
    }
    let says = help(&api).await;
    for command in atoll::domain::menu::MENU {
        assert!(says.contains(&format!("/{}", command.name)), "{}: {says}", command.name);
    }
    assert_eq!(help(&terminal).await, says);
    assert_eq!(help(&telegram).await, says);
    assert_eq!(help(&discord).await, says);
    assert_eq!(model.count(), 0);
    server.stop();
}
