//! Tables over the turn: one scripted world, one check a rule.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    answer::{CONTINUE, STOPPED, UNKNOWN_OUTCOME},
    *,
};
use crate::domain::{
    approval::Verdict,
    budget::{Amount, Caps, Dimension, Exceeded, Scope},
    ids::{InboundId, TurnId},
    message::{Message, ToolCall, ToolResult, is_paired},
    model::{Answer, ModelError, Reply, Stop, Usage},
    skill::{EffectClass, ToolBook, ToolSpec},
};

pub(super) fn env() -> Env {
    let tool = |name: &str, effect, approval, skill: Option<&str>| ToolSpec {
        name: name.into(),
        description: String::new(),
        input_schema: json!({"type": "object"}),
        effect,
        approval,
        skill: skill.map(str::to_owned),
    };
    let tools = ToolBook::new([
        tool("look", EffectClass::Pure, false, None),
        tool("put", EffectClass::Idempotent, false, None),
        tool("fire", EffectClass::Once, false, None),
        tool("launch", EffectClass::Once, true, None),
        tool("peek", EffectClass::Pure, true, None),
        tool("dig", EffectClass::Pure, false, Some("garden")),
    ]);
    let limits = Limits {
        iterations: 5,
        continuations: 3,
        repeated_failures: 3,
        history_messages: 100,
        context_tokens: 100_000,
        turn_ms: 60_000,
        approval_ms: 3_600_000,
        resumes: 5,
        turn_caps: Caps::default(),
    };
    Env { limits, tools: Arc::new(tools) }
}

pub(super) fn opening() -> Opening {
    Opening {
        turn: TurnId::new("t"),
        inbound: InboundId::new("i"),
        text: "hello".into(),
        attachments: vec![],
        activated: Default::default(),
    }
}

pub(super) fn reply(text: &str, calls: &[(&str, Value)], stop: Stop) -> Answer {
    let calls = calls
        .iter()
        .enumerate()
        .map(|(at, (name, args))| ToolCall { id: format!("c{at}"), name: (*name).into(), args: args.clone() })
        .collect();
    let reply = Reply {
        text: text.into(),
        calls,
        stop,
        usage: Usage::default(),
        provider: "p".into(),
        model: "m".into(),
    };
    Answer { reply, cost: Amount::only(Dimension::Tokens, 10) }
}

/// A turn, the journal it wrote, and what it last wanted done.
struct World {
    turn: Turn,
    env: Env,
    journal: Vec<Entry>,
    effects: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        Self::with(env())
    }

    fn with(env: Env) -> Self {
        let (turn, effects) = Turn::begin(1, opening(), "[now]".into());
        let mut world = Self { turn, env, journal: Vec::new(), effects: Vec::new() };
        world.take(effects);
        world
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in &effects {
            if let Effect::Record(entries) = effect {
                self.journal.extend(entries.clone());
            }
        }
        self.effects = effects;
        let rebuilt = Turn::rebuild(opening(), &self.journal).expect("a journal that follows");
        assert_eq!(rebuilt.transcript, self.turn.transcript, "a rebuilt turn asks with the same words");
        assert_eq!(rebuilt.calls, self.turn.calls);
    }

    fn feed(&mut self, event: Event) -> &mut Self {
        let effects = self.turn.step(2, &self.env, event);
        self.take(effects);
        self
    }

    fn says(&mut self, text: &str) -> &mut Self {
        self.answers(reply(text, &[], Stop::End))
    }

    fn calls(&mut self, calls: &[(&str, Value)]) -> &mut Self {
        self.answers(reply("", calls, Stop::Tools))
    }

    fn answers(&mut self, answer: Answer) -> &mut Self {
        self.feed(Event::ModelAnswered { ask: self.turn.ask, answer })
    }

    fn returns(&mut self, index: usize, output: &str, failed: bool) -> &mut Self {
        let call = self.turn.calls[index].call.clone();
        let result =
            ToolResult { id: call.id, name: call.name, output: output.into(), failed, files: vec![] };
        let key = CallKey { answer: self.turn.answers, index };
        self.feed(Event::ToolReturned { key, result, activated: None, took_ms: 1 })
    }

    /// Forgets everything but the journal and goes on.
    fn crash(&mut self) -> &mut Self {
        self.turn = Turn::rebuild(opening(), &self.journal).unwrap();
        let effects = self.turn.resume(3, &self.env, 1);
        self.take(effects);
        self
    }

    fn running(&self) -> Vec<usize> {
        self.effects
            .iter()
            .flat_map(|effect| match effect {
                Effect::RunTools(runs) => runs.iter().map(|run| run.key.index).collect(),
                _ => Vec::new(),
            })
            .collect()
    }

    fn asks(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::AskModel { .. }))
    }

    fn closed(&self) -> &Closed {
        match &self.turn.phase {
            Phase::Over(closed) => closed,
            phase => panic!("not over: {phase:?}"),
        }
    }

    fn history(&self) -> Vec<Message> {
        let messages = self.turn.closing_messages(self.closed());
        assert!(is_paired(&messages), "{messages:#?}");
        messages
    }
}

#[test]
fn a_plain_answer_is_one_call_and_one_closing_record() {
    let mut world = World::new();
    assert_eq!(world.effects.len(), 2, "record, then ask");
    world.says("hi");
    assert!(matches!(&world.effects[..], [Effect::Record(entries), Effect::Finish] if entries.len() == 2));
    assert_eq!(world.closed().text, "hi");
    assert_eq!(world.history(), [Message::user("[now]\n\nhello"), Message::assistant("hi")]);
}

#[test]
fn tools_that_read_run_side_by_side_and_their_results_stand_in_call_order() {
    let mut world = World::new();
    world.calls(&[("look", json!({"a": 1})), ("put", json!({})), ("look", json!({}))]);
    assert_eq!(world.running(), [0, 1, 2]);
    world.returns(2, "third", false).returns(0, "first", false);
    assert!(!world.asks());
    world.returns(1, "second", false);
    assert!(world.asks());
    let Some(Message::Tool { results }) = world.turn.transcript.last() else { panic!() };
    assert_eq!(results.iter().map(|r| r.output.as_str()).collect::<Vec<_>>(), ["first", "second", "third"]);
}

#[test]
fn what_acts_on_the_world_runs_alone_and_in_order() {
    let mut world = World::new();
    world.calls(&[("look", json!({})), ("fire", json!({})), ("fire", json!({"n": 2})), ("look", json!({}))]);
    assert_eq!(world.running(), [0]);
    assert_eq!(world.returns(0, "", false).running(), [1]);
    assert_eq!(world.returns(1, "", false).running(), [2]);
    assert_eq!(world.returns(2, "", false).running(), [3]);
    assert!(world.returns(3, "", false).asks());
}

#[test]
fn unknown_tools_sleeping_skills_and_bad_arguments_are_answered_without_running() {
    let mut world = World::new();
    world.calls(&[("nope", json!({})), ("dig", json!({})), ("look", json!("x"))]);
    assert!(world.asks(), "nothing to run: the model is told at once");
    let Some(Message::Tool { results }) = world.turn.transcript.last() else { panic!() };
    assert!(results.iter().all(|result| result.failed));
    assert!(results[0].output.contains("look") && !results[0].output.contains("dig"));
    assert!(results[1].output.contains("`garden`"));
}

#[test]
fn the_same_failing_call_three_times_in_a_row_ends_the_turn_honestly() {
    let mut world = World::new();
    for round in 0..3 {
        world.calls(&[("look", json!({"x": 1}))]).returns(0, "Error: boom", true);
        assert_eq!(world.asks(), round < 2);
    }
    assert_eq!(world.closed().outcome, Outcome::StuckCall);
    assert!(world.closed().text.contains("3 times") && world.closed().text.contains("boom"));

    let mut world = World::new();
    for (args, failed) in [(1, true), (1, true), (2, true), (1, true), (1, false)] {
        world.calls(&[("look", json!({"x": args}))]).returns(0, "out", failed);
        if world.turn.answers() < 5 {
            assert!(world.asks(), "a different or a good call in between starts the count anew");
        }
    }
}

#[test]
fn the_turn_ends_when_its_model_calls_are_used_up() {
    let mut world = World::new();
    for _ in 0..4 {
        world.calls(&[("look", json!({}))]).returns(0, "", false);
    }
    world.calls(&[("fire", json!({}))]);
    assert!(world.running().is_empty(), "the calls of the last answer are not run");
    assert_eq!(world.closed().outcome, Outcome::OutOfSteps);
    assert!(world.closed().text.contains("5 steps"));
    world.history();
}

#[test]
fn a_cut_off_answer_is_continued_three_times_and_joined() {
    let mut world = World::new();
    for part in ["one ", "two ", "three "] {
        world.answers(reply(part, &[], Stop::Length));
        assert!(world.asks());
        assert_eq!(world.turn.transcript.last(), Some(&Message::user(CONTINUE)));
    }
    world.says("four");
    assert_eq!(world.closed().text, "one two three four");
    assert_eq!(world.history().last(), Some(&Message::assistant("one two three four")));

    let mut world = World::new();
    for part in ["1", "2", "3", "4"] {
        world.answers(reply(part, &[], Stop::Length));
    }
    let text = &world.closed().text;
    assert!(
        text.starts_with("1234\n\n[The answer is cut off here"),
        "what there is goes out, and says so: {text}"
    );
    assert_eq!(world.history().last(), Some(&Message::assistant(text.clone())));
}

#[test]
fn a_cut_off_tool_call_is_not_run() {
    let mut world = World::new();
    world.answers(reply("let me ", &[("fire", json!({}))], Stop::Length));
    assert!(world.running().is_empty() && world.asks());
    world.answers(reply("see", &[("fire", json!({}))], Stop::Tools));
    assert_eq!(world.running(), [0]);
    world.returns(0, "ok", false).says("done");
    assert_eq!(world.closed().text, "done");
    assert!(
        matches!(&world.history()[1], Message::Assistant { text, calls } if text == "let me see" && calls.len() == 1)
    );
}

#[test]
fn approvals_hold_the_call_and_are_used_once() {
    let mut world = World::new();
    world.calls(&[("look", json!({})), ("launch", json!({"at": "noon"}))]);
    assert_eq!(world.running(), [0], "what needs nobody goes on");
    world.returns(0, "", false);
    assert_eq!(world.effects.last(), Some(&Effect::Park));
    let approval = world.turn.open_approvals()[0].clone();
    let yes = Verdict::Approved { by: "ann".into() };
    world.feed(Event::Decided { approval: approval.clone(), verdict: yes.clone() });
    assert_eq!(world.running(), [1]);
    assert_eq!(world.journal.iter().filter_map(Entry::consumes).count(), 1);
    world.feed(Event::Decided { approval, verdict: yes });
    assert!(world.effects.is_empty(), "a second word does nothing");
    world.returns(1, "up", false).says("launched");
    assert_eq!(world.closed().text, "launched");
}

#[test]
fn a_refusal_is_told_to_the_model_with_its_reason() {
    let mut world = World::new();
    world.calls(&[("launch", json!({}))]);
    assert_eq!(world.effects.last(), Some(&Effect::Park));
    let approval = world.turn.open_approvals()[0].clone();
    let verdict = Verdict::Rejected { by: "ann".into(), reason: Some("too windy".into()) };
    world.feed(Event::Decided { approval, verdict });
    assert!(world.asks());
    let Some(Message::Tool { results }) = world.turn.transcript.last() else { panic!() };
    assert!(results[0].failed && results[0].output.contains("ann refused: too windy"));
}

#[test]
fn a_spent_budget_parks_and_an_approval_goes_on_where_it_stopped() {
    let exceeded =
        Exceeded { scope: Scope::Turn, dimension: Dimension::ToolCalls, cap: 1, used: 1, asked: 1, raise: 1 };
    let mut world = World::new();
    world.calls(&[("fire", json!({}))]);
    world.feed(Event::OverBudget(exceeded));
    assert_eq!(world.effects.last(), Some(&Effect::Park));
    world.crash();
    assert_eq!(world.effects, [Effect::Park], "the refused call is not taken for one that ran");
    let approval = world.turn.open_approvals()[0].clone();
    world.feed(Event::Decided { approval, verdict: Verdict::Approved { by: "ann".into() } });
    assert_eq!(world.running(), [0]);
    assert_eq!(world.turn.spent().1, Amount::only(Dimension::ToolCalls, 1));

    let mut world = World::new();
    world.feed(Event::OverBudget(exceeded));
    let approval = world.turn.open_approvals()[0].clone();
    world.feed(Event::Decided { approval, verdict: Verdict::Expired });
    assert_eq!(world.closed().outcome, Outcome::OutOfBudget);
    assert!(world.closed().text.contains("1 tool calls"), "{}", world.closed().text);
}

#[test]
fn a_newer_message_is_read_at_the_next_step_and_both_answers_go_out() {
    let mut world = World::new();
    let steer = || Event::Steer { inbound: InboundId::new("i2"), text: "and in blue".into() };
    world.feed(steer()).says("red it is");
    assert!(world.asks());
    world.says("blue then");
    assert_eq!(world.closed().text, "red it is\n\nblue then");
    assert_eq!(world.turn.serves().len(), 2);

    let mut world = World::new();
    world.calls(&[("look", json!({}))]).feed(steer()).returns(0, "x", false);
    assert_eq!(world.turn.transcript.last(), Some(&Message::user("and in blue")));
    world.says("blue");
    assert_eq!(world.closed().text, "blue");
    world.history();
}

#[test]
fn cancel_ends_at_once_and_the_history_stays_whole() {
    let mut world = World::new();
    world.feed(Event::End(Outcome::Cancelled));
    assert_eq!(world.effects[0], Effect::AbandonModel);
    assert_eq!(world.closed().text, "");
    assert_eq!(world.history().last(), Some(&Message::assistant("[cancelled by the user]")));

    let mut world = World::new();
    world.calls(&[("look", json!({})), ("look", json!({"x": 1}))]).returns(0, "seen", false);
    world.feed(Event::End(Outcome::Cancelled));
    assert_eq!(world.effects[0], Effect::StopTools(vec![CallKey { answer: 1, index: 1 }]));
    let history = world.history();
    let Message::Tool { results } = &history[2] else { panic!("{history:#?}") };
    assert_eq!(results[0].output, "seen");
    assert!(results[1].failed);
}

#[test]
fn stop_ends_the_tools_and_the_turn_goes_on() {
    let mut world = World::new();
    world.calls(&[("fire", json!({})), ("look", json!({}))]).feed(Event::StopTools);
    assert_eq!(world.effects[0], Effect::StopTools(vec![CallKey { answer: 1, index: 0 }]));
    assert_eq!(world.running(), [1]);
    world.returns(1, "seen", false);
    let Some(Message::Tool { results }) = world.turn.transcript.last() else { panic!() };
    assert_eq!(results[0].output, STOPPED);
    assert!(world.asks());
    world.feed(Event::StopTools);
    assert!(world.effects.is_empty(), "nothing runs: nothing to stop");
}

#[test]
fn stale_events_change_nothing() {
    let mut world = World::new();
    world.feed(Event::ModelAnswered { ask: 0, answer: reply("old", &[], Stop::End) });
    assert!(world.effects.is_empty());
    world.calls(&[("look", json!({}))]).returns(0, "a", false);
    let result =
        ToolResult { id: "c0".into(), name: "look".into(), output: "b".into(), failed: false, files: vec![] };
    let key = CallKey { answer: 1, index: 0 };
    world.feed(Event::ToolReturned { key, result, activated: None, took_ms: 0 });
    assert!(world.effects.is_empty());
    world.says("x").says("y");
    assert_eq!(world.closed().text, "x");
}

#[test]
fn after_a_crash_each_class_of_call_is_treated_as_it_declares() {
    let mut world = World::new();
    world.calls(&[("look", json!({})), ("put", json!({}))]).returns(0, "seen", false).crash();
    assert_eq!(world.running(), [1], "only the unfinished call runs again");
    let mut world = World::new();
    world.calls(&[("fire", json!({}))]).crash();
    assert!(world.running().is_empty() && world.asks(), "what acts is never run twice");
    let Some(Message::Tool { results }) = world.turn.transcript.last() else { panic!() };
    assert_eq!(results[0].output, UNKNOWN_OUTCOME);
    let mut world = World::new();
    assert!(world.crash().asks(), "a question without a stored answer is asked again");
}

#[test]
fn a_turn_that_brings_the_process_down_again_and_again_is_ended() {
    let world = World::new();
    let mut turn = Turn::rebuild(opening(), &world.journal).unwrap();
    let effects = turn.resume(3, &world.env, 6);
    assert_eq!(effects.last(), Some(&Effect::Finish));
    assert!(matches!(turn.phase(), Phase::Over(closed) if closed.outcome == Outcome::Poisoned));
}

#[test]
fn a_full_context_is_summarised_once_then_cut_then_given_up() {
    let mut world = World::new();
    world.feed(Event::ContextFull { through: Some(7) });
    assert!(matches!(world.effects[0], Effect::AskModel { purpose: Purpose::Compact { through: 7 }, .. }));
    world.says("they talked about tea");
    assert_eq!(world.turn.summary(), Some(("they talked about tea", 7)));
    assert!(world.asks());
    let mut world = World::new();
    world.feed(Event::ContextFull { through: Some(7) });
    world.feed(Event::ModelFailed { ask: world.turn.ask, error: ModelError::TimedOut });
    assert_eq!((world.turn.summary(), world.turn.squeezed), (None, 1), "the plain cut takes over");
    for _ in 0..3 {
        world.feed(Event::ContextFull { through: None });
    }
    world.feed(Event::ModelFailed { ask: world.turn.ask, error: ModelError::TooLong("x".into()) });
    assert_eq!(world.closed().outcome, Outcome::ModelFailed);
}

#[test]
fn an_empty_or_failed_answer_says_so() {
    let mut world = World::new();
    world.says("  ");
    assert!(world.closed().text.contains("empty answer"));
    let mut world = World::new();
    world.feed(Event::ModelFailed { ask: 1, error: ModelError::Exhausted("both are down".into()) });
    assert!(world.closed().text.contains("both are down"));
    world.history();
}

#[test]
fn a_broken_journal_is_refused() {
    let world = World::new();
    let twice = [world.journal[0].clone(), world.journal[0].clone()];
    assert_eq!(Turn::rebuild(opening(), &twice).unwrap_err().at, 1);
    assert!(Turn::rebuild(opening(), &[Entry::Squeezed]).is_err());
}
