//! What the next turn sees: all that was said and done, cut and summarised without harm, also after a restart.

use serde_json::{Value, json};

use crate::support::*;

fn place(model: &MockModel, more: &str) -> (Site, Server, User) {
    let site = Site::new(&with_anthropic(model, &format!("{BENCH}{more}"))).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

fn messages(request: &Request) -> Vec<Value> {
    request.body["messages"].as_array().unwrap().clone()
}

/// A model that makes a call in each turn before it answers.
fn looks() -> MockModel {
    MockModel::start(|request| match request.results().is_empty() {
        true => Reply::call("clock", json!({})),
        false => Reply::say(format!("answer {}", request.number)),
    })
}

/// The messages without the marks that providers' caches are told where to cut by.
fn bare(request: &Request) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("cache_control");
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut list = Value::Array(messages(request));
    strip(&mut list);
    list.to_string()
}

#[tokio::test]
async fn the_next_turn_sees_words_calls_and_results_word_for_word_also_after_a_restart() {
    let model = looks();
    let (site, server, user) = place(&model, "");
    user.ask("one").await;
    user.ask("two").await;
    server.kill();
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    user.ask("three").await;
    assert!(server.stop().success());
    let server = site.start();
    User::new(&server.base, &user.key).ask("four").await;
    let requests = model.requests();
    assert_eq!(requests.len(), 8);
    for pair in requests.windows(2) {
        let (before, after) = (bare(&pair[0]), bare(&pair[1]));
        let begin = before.strip_suffix(']').unwrap();
        assert!(after.starts_with(begin), "each request begins with the one before it:\n{before}\n{after}");
    }
    let last = requests[7].text();
    for word in ["one", "two", "three", "four", "answer 2", "answer 4", "answer 6"] {
        assert!(last.contains(word), "{word}: {last}");
    }
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_conversation_that_was_cleared_is_forgotten_for_good_and_no_other_is() {
    let model = MockModel::start(|_| Reply::say("fine"));
    let (site, server, user) = place(&model, "");
    user.ask("the word is xylophone").await;
    let other = |message: &str| json!({"message": message, "conversationId": "other"});
    user.ask_as(other("the colour is magenta")).await;
    assert!(user.ask("/clear").await.starts_with("We begin anew"));
    user.ask("the word is marimba").await;
    server.kill();
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    user.ask("which word?").await;
    let seen = model.requests().pop().unwrap().text();
    assert!(seen.contains("marimba") && !seen.contains("xylophone"), "{seen}");
    user.ask_as(other("which colour?")).await;
    assert!(model.requests().pop().unwrap().text().contains("magenta"));
    let (status, body) = user.post("/api/session/clear", json!({"conversationId": "other"})).await;
    assert_eq!((status.as_u16(), &body["success"]), (201, &json!(true)));
    user.ask_as(other("which colour now?")).await;
    assert!(!model.requests().pop().unwrap().text().contains("magenta"));
    assert_eq!(site.value::<i64>("SELECT count(*) FROM history"), 6, "what was said is kept");
    user.post("/api/session/clear", json!({})).await;
    user.ask("which word now?").await;
    assert!(!model.requests().pop().unwrap().text().contains("marimba"), "without a name it is the default");
}

#[tokio::test]
async fn a_turn_that_runs_while_its_conversation_is_cleared_is_forgotten_too() {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |_| hold.say("fine"));
    let (_site, _server, user) = place(&model, "");
    let first = user.open(json!({"message": "the word is xylophone"})).await;
    until("the model is asked", async || model.count() == 1).await;
    user.ask("/clear").await;
    gate.open();
    assert_eq!(answer_of(&first.rest().await).as_deref(), Some("fine"));
    user.ask("which word?").await;
    let seen = model.requests().pop().unwrap();
    assert!(!seen.text().contains("xylophone"), "{}", seen.text());
    assert_eq!(messages(&seen).len(), 1);
}

#[tokio::test]
async fn a_hundred_messages_are_sent_along_or_as_many_as_are_configured() {
    for (more, limit) in [("", 100), ("agent: {history_limit: 6}\n", 6)] {
        let model = MockModel::start(|request| Reply::say(format!("answer {}", request.number)));
        let (site, server, user) = place(&model, more);
        for at in 0..limit / 2 + 5 {
            user.ask(&format!("message {at}.")).await;
        }
        let longest = model.requests().iter().map(|request| messages(request).len()).max().unwrap();
        assert_eq!(longest, limit + 1, "the history and the message itself");
        server.kill();
        let server = site.start();
        let before = bare(&model.requests().pop().unwrap());
        User::new(&server.base, &user.key).ask("and after a restart?").await;
        let after = model.requests().pop().unwrap();
        assert!(messages(&after).len() <= limit + 1);
        let newest = format!("message {}.", limit / 2 + 4);
        assert!(before.contains(&newest) && after.text().contains(&newest));
        assert!(!after.text().contains("message 0."));
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn no_limit_parts_a_call_from_its_result() {
    for limit in 1..=8 {
        let model = looks();
        let (site, server, user) = place(&model, &format!("agent: {{history_limit: {limit}}}\n"));
        for at in 0..7 {
            user.ask(&format!("message {at}.")).await;
        }
        server.kill();
        let server = site.start();
        assert!(User::new(&server.base, &user.key).ask("last").await.starts_with("answer"));
        let parted = model.refused();
        assert!(parted.is_empty(), "at {limit}: {parted:?}");
    }
}

/// A model that summarises as it is told to, and notes nothing else.
fn summarises(summary: Reply) -> MockModel {
    MockModel::start(move |request| {
        if request.text().contains("You condense conversations") {
            summary.clone()
        } else {
            Reply::say("fine")
        }
    })
}

fn long(word: &str) -> String {
    format!("{word} {}", "and so on ".repeat(380))
}

fn summaries(model: &MockModel) -> Vec<Request> {
    let all = model.requests().into_iter();
    all.filter(|request| request.text().contains("You condense conversations")).collect()
}

#[tokio::test]
async fn a_long_conversation_is_summarised_once_and_goes_on_from_the_summary() {
    let model = summarises(Reply::say("They spoke of a XYLOPHONE."));
    let (site, server, user) = place(&model, "agent: {context_tokens: 4500}\n");
    user.ask(&long("the word is xylophone")).await;
    user.ask(&long("it is made of wood")).await;
    assert_eq!(summaries(&model).len(), 0);
    user.ask(&long("and it is loud")).await;
    let asked = summaries(&model);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].text().contains("user: ") && asked[0].text().contains("the word is xylophone"));
    assert!(asked[0].body["tools"].as_array().is_none_or(Vec::is_empty), "a summary calls no tools");
    let next = model.requests().pop().unwrap().text();
    assert!(next.contains("XYLOPHONE") && next.contains("and it is loud"), "{next}");
    assert!(!next.contains("the word is xylophone"), "{next}");
    server.kill();
    let server = site.start();
    User::new(&server.base, &user.key).ask("which word?").await;
    let after = model.requests().pop().unwrap().text();
    assert!(after.contains("XYLOPHONE") && !after.contains("the word is xylophone"), "{after}");
    assert_eq!(summaries(&model).len(), 1, "what was summarised is not summarised again");
    assert_eq!(site.value::<String>("SELECT summary FROM conversations"), "They spoke of a XYLOPHONE.");
    let billed = site.value::<i64>("SELECT sum(calls) FROM costs");
    assert_eq!(billed as u64, model.count(), "the summary is paid for too");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn without_a_summary_the_oldest_is_left_out_plainly() {
    let refusal = json!({"error": {"message": "no"}}).to_string();
    for summary in [Reply::Status(400, vec![], refusal), Reply::say("")] {
        let model = summarises(summary);
        let (_site, _server, user) = place(&model, "agent: {context_tokens: 5000}\n");
        for word in ["xylophone", "marimba", "triangle", "kettledrum"] {
            assert_eq!(user.ask(&long(word)).await, "fine");
        }
        assert!(!summaries(&model).is_empty());
        let last = model.requests().pop().unwrap().text();
        assert!(last.contains("kettledrum") && !last.contains("xylophone"), "{last}");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn nothing_is_summarised_while_there_is_room() {
    let model = summarises(Reply::say("short"));
    let (_site, _server, user) = place(&model, "");
    for word in ["xylophone", "marimba", "triangle", "kettledrum"] {
        user.ask(&long(word)).await;
    }
    assert!(summaries(&model).is_empty());
    assert!(model.requests().pop().unwrap().text().contains("xylophone"));
}

#[tokio::test]
async fn an_output_that_does_not_fit_is_shortened_with_its_call() {
    let model = does(&[("bench_loud", json!({})), ("bench_note", json!({"n": 1}))]);
    let (_site, _server, user) = place(&model, "agent: {context_tokens: 6000}\n");
    assert_eq!(user.ask("shout").await, "done");
    let last = model.requests().pop().unwrap();
    assert!(last.text().len() < 24_000, "{} bytes", last.text().len());
    let results = last.results();
    assert!(results[0].contains("characters left out"), "{results:?}");
    assert_eq!(results[1], r#"noted {"n":1}"#);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}
