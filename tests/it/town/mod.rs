//! Hours of the whole runtime in milliseconds: what happens when time passes, models fail and actors fall.

mod chats;
mod groups;
mod harness;
mod platform;
mod rules;

use atoll::{
    actors::kernel::Standing,
    domain::model::{ModelError, ModelRequest},
};

use futures_util::future::join_all;

use harness::{Act, Scripted, Town};

#[test]
fn an_idle_session_leaves_memory_and_comes_back_with_what_it_knew() {
    let model =
        Scripted::new("m", |number, _| if number == 1 { Act::Say("first") } else { Act::Say("second") });
    Town::live(
        "agent: {session_idle_minutes: 15, memory: {auto_extraction: false}}",
        vec![model.clone()],
        async |town| {
            assert_eq!(town.ask("ann", "my cat is called Mog").await, "first");
            assert_eq!(town.living("session"), 1);
            town.pass(40).await;
            assert_eq!(town.living("session"), 0, "an idle session stays in memory");
            assert_eq!(town.ask("ann", "what is she called?").await, "second");
        },
    );
    assert!(model.asked()[1].contains("Mog"), "the rebuilt session does not know what was said");
}

#[test]
fn a_question_that_nobody_answers_expires_and_the_turn_goes_on_without() {
    let model = Scripted::new(
        "m",
        |number, _| if number == 1 { Act::Call("guarded") } else { Act::Say("as you like") },
    );
    Town::live("agent: {approval_hours: 2}", vec![model.clone()], async |town| {
        let live = town.offer("ann", "do the guarded thing").await.unwrap();
        town.pass(119).await;
        assert_eq!(model.calls(), 1);
        assert_eq!(town.count("SELECT count(*) FROM approvals WHERE status = 'pending'"), 1);
        assert_eq!(Town::answer(live).await, "as you like");
        assert!(town.age() >= 120 * 60_000, "it did not wait its two hours");
        assert_eq!(town.runs("guarded"), 0, "a tool ran that nobody allowed");
        assert_eq!(town.count("SELECT count(*) FROM approvals WHERE status = 'expired'"), 1);
    });
    assert!(model.asked()[1].contains("nobody allowed this call in time"), "the model was not told why");
}

#[test]
fn a_parked_turn_leaves_the_conversation_free_and_survives_the_end() {
    let model =
        Scripted::new("m", |number, _| if number == 1 { Act::Call("guarded") } else { Act::Say("hello") });
    Town::live("", vec![model], async |town| {
        let _asked = town.offer("ann", "do the guarded thing").await.unwrap();
        town.pass(1).await;
        assert_eq!(town.ask("ann", "are you there?").await, "hello");
        town.may_end_parked();
    });
}

#[test]
fn a_model_that_never_answers_ends_the_turn_in_its_time() {
    let model = Scripted::new("m", |_, _| Act::Hang);
    Town::live(
        "agent: {turn_timeout_seconds: 60}\nmodels: {total_seconds: 600}",
        vec![model],
        async |town| {
            let answer = town.ask("ann", "hello?").await;
            assert!((59_000..65_000).contains(&town.age()), "it took {} ms", town.age());
            assert!(
                answer.contains("60 s") || answer.contains("1 min") || answer.contains("time"),
                "{answer}"
            );
        },
    );
}

#[test]
fn a_tool_that_never_ends_is_ended_in_its_time() {
    let model =
        Scripted::new("m", |number, _| if number == 1 { Act::Call("endless") } else { Act::Say("it hung") });
    Town::live("agent: {tool_timeout_seconds: 30}", vec![model.clone()], async |town| {
        assert_eq!(town.ask("ann", "run it").await, "it hung");
        assert!((29_000..35_000).contains(&town.age()), "it took {} ms", town.age());
        assert_eq!(town.runs("endless"), 1);
    });
    assert!(model.asked()[1].contains("took longer than 30 s"), "the model was not told why");
}

#[test]
fn a_provider_that_asks_to_wait_is_asked_again_when_it_said() {
    let model = Scripted::new("m", |number, _| match number {
        1 => Act::Fail(ModelError::RateLimited { retry_after_ms: Some(45_000) }),
        _ => Act::Say("thank you for waiting"),
    });
    Town::live("", vec![model.clone()], async |town| {
        assert_eq!(town.ask("ann", "hi").await, "thank you for waiting");
        assert!((45_000..50_000).contains(&town.age()), "it waited {} ms", town.age());
    });
    assert_eq!(model.calls(), 2);
}

#[test]
fn a_failing_provider_is_left_alone_and_then_tried_once() {
    let bad = Scripted::new("bad", |number, _| {
        if number < 4 { Act::Fail(ModelError::Unavailable("down".into())) } else { Act::Say("back again") }
    });
    let good = Scripted::new("good", |_, _| Act::Say("from the other"));
    Town::live("agent: {memory: {auto_extraction: false}}", vec![bad.clone(), good.clone()], async |town| {
        for number in 0..20 {
            assert_eq!(town.ask("ann", "hi").await, "from the other", "message {number}");
        }
        assert!(bad.calls() <= 3, "a provider that is down was asked {} times for 20 messages", bad.calls());
        town.pass(60).await;
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(town.ask("ann", "hi").await);
            town.pass(60).await;
        }
        assert!(answers.iter().any(|answer| answer == "back again"), "it was never tried again: {answers:?}");
    });
}

#[test]
fn a_panic_in_a_provider_or_a_tool_ends_that_call_alone() {
    let model = Scripted::new("m", |number, _| match number {
        1 => Act::Panic,
        2 => Act::Call("falling"),
        _ => Act::Say("all is well"),
    });
    Town::live("", vec![model.clone()], async |town| {
        assert_eq!(town.ask("ann", "hi").await, "all is well");
        for (actor, words) in [("llm_pool", "the script says so"), ("skill_host", "the tool says so")] {
            let signs = town.signs(actor).unwrap();
            assert_eq!((signs.state, signs.panics), (Standing::Running, 0), "{actor} fell with its call");
            assert!(signs.last_error.unwrap().contains(words), "{actor} does not show the panic");
        }
    });
    assert!(model.asked()[2].contains("it fell over"), "the model was not told that its tool failed");
}

#[test]
fn a_session_that_panics_is_rebuilt_from_its_rows_and_answers() {
    let model = Scripted::new(
        "m",
        |number, _| if number == 1 { Act::Call("plain") } else { Act::Say("all is well") },
    );
    Town::live("", vec![model.clone()], async |town| {
        town.trip(1, 2);
        assert_eq!(town.ask("ann", "hi").await, "all is well");
        let signs = town.signs("api/ann/main").unwrap();
        assert_eq!((signs.panics, signs.state), (2, Standing::Running), "{signs:?}");
        assert_eq!(town.runs("plain"), 1, "a tool that had ended was run again");
        assert!(signs.last_error.unwrap().contains("tripped, as the test says"));
    });
    assert_eq!(model.calls(), 2, "an answer that was stored was asked for again");
}

#[test]
fn a_session_that_falls_too_often_is_parked_until_a_person_restarts_it() {
    let model =
        Scripted::new("m", |number, _| if number == 1 { Act::Call("plain") } else { Act::Say("at last") });
    Town::live("agent: {max_resumes: 100}", vec![model], async |town| {
        town.trip(1, 6);
        let live = town.offer("ann", "hi").await.unwrap();
        town.pass(2).await;
        let signs = town.signs("api/ann/main").unwrap();
        assert_eq!((signs.panics, signs.state), (6, Standing::Parked), "{signs:?}");
        town.restart("api/ann/main").await;
        assert_eq!(Town::answer(live).await, "at last");
        assert_eq!(town.ask("ann", "still there?").await, "at last");
    });
}

/// Answers like a model that was told to read a conversation, and one that was not.
fn reader(_: u64, request: &ModelRequest) -> Act {
    if request.tools.iter().any(|tool| tool.name == "store_facts") {
        Act::Facts(&["Ann lives in Lisbon.", "Ann has a cat called Mog."])
    } else {
        Act::Say("how nice")
    }
}

#[test]
fn a_quiet_conversation_is_read_for_facts_once() {
    let model = Scripted::new("m", reader);
    Town::live("", vec![model.clone()], async |town| {
        town.ask("ann", "I live in Lisbon, by the river").await;
        town.ask("ann", "my cat is called Mog, by the way").await;
        assert_eq!(model.calls(), 2, "it was read before it was quiet");
        town.pass(3).await;
        assert_eq!(model.calls(), 3, "two turns are read in one call");
        assert!(model.asked()[2].contains("Lisbon") && model.asked()[2].contains("Mog"));
        assert_eq!(town.count("SELECT count(*) FROM memories WHERE source = 'conversation'"), 2);
        assert_eq!(town.count("SELECT sum(calls) FROM costs"), 3, "reading is not in the costs");
        assert_eq!(town.count("SELECT spent_tokens FROM spend"), 45, "what was prepaid is not given back");
        town.ask("ann", "thanks!").await;
        town.pass(60).await;
        assert_eq!(model.calls(), 4, "a message that tells nothing was read");
        town.ask("ann", "I moved to Porto last week").await;
        town.pass(3).await;
        assert_eq!(model.calls(), 6);
        assert!(!model.asked()[5].contains("by the river"), "what was read is read again");
    });
}

#[test]
fn what_is_cleared_is_read_first() {
    let model = Scripted::new("m", reader);
    Town::live("", vec![model.clone()], async |town| {
        town.ask("ann", "I live in Lisbon, by the river").await;
        town.ask("ann", "/clear").await;
        town.pass(1).await;
        assert_eq!(town.count("SELECT count(*) FROM memories"), 2);
    });
}

#[test]
fn reading_is_switched_off() {
    let model = Scripted::new("m", reader);
    Town::live("agent: {memory: {auto_extraction: false}}", vec![model.clone()], async |town| {
        town.ask("ann", "I live in Lisbon, by the river").await;
        town.pass(30).await;
        assert_eq!(model.calls(), 1);
    });
}

#[test]
fn messages_side_by_side_wait_for_room_in_a_budget_instead_of_asking_a_person() {
    let model = Scripted::new("m", |_, _| Act::Say("yes"));
    let config = "budgets: {user_day: {tokens: 4000}}\nagent: {memory: {auto_extraction: false}}";
    Town::live(config, vec![model.clone()], async |town| {
        let names: Vec<String> = (0..6).map(|number| format!("room-{number}")).collect();
        let offers = names.iter().map(|name| town.offer_in("ann", name, "hello"));
        for live in join_all(offers).await {
            assert_eq!(Town::answer(live.unwrap()).await, "yes");
        }
        assert_eq!(
            town.count("SELECT count(*) FROM approvals"),
            0,
            "a person was asked for room that came back"
        );
        assert_eq!(town.count("SELECT spent_tokens FROM spend"), 90);
        assert!(town.age() >= 250, "all had room at once: the budget is too wide to show anything");
    });
}

#[test]
fn many_conversations_run_side_by_side_and_each_in_order() {
    let model = Scripted::new("m", |_, _| Act::Say("yes"));
    Town::live("", vec![model.clone()], async |town| {
        let mut waiting = Vec::new();
        for number in 0..200 {
            let user = format!("user-{}", number % 20);
            waiting.push(town.offer(&user, &format!("message {number}")).await.unwrap());
        }
        for live in waiting {
            assert_eq!(Town::answer(live).await, "yes");
        }
        assert_eq!(town.count("SELECT count(*) FROM inbound WHERE state = 'answered'"), 200);
        let unordered = "SELECT count(*) FROM inbound a JOIN inbound b USING (conversation_id)
                         WHERE a.id < b.id AND a.answer_id > b.answer_id";
        assert_eq!(town.count(unordered), 0, "answers overtook each other within a conversation");
    });
    assert_eq!(model.calls(), 200);
}
