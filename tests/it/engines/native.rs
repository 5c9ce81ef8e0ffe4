//! Our own engine: a model over real sockets, tools over real programs.

use std::{path::Path, sync::Arc};

use atoll::{
    app::SystemClock,
    config,
    domain::engine::{Answer, Control, End, EngineEvent, Limits, QuestionKind, Verdict},
    engines::native::{Native, Places},
    home::HomeFiles,
    llm,
    net::{Clients, install_tls},
    ports::{
        clock::Clock,
        engine::{Approvals, EngineRun, Session},
        files::Files,
        model::Model,
    },
};
use serde_json::json;

use super::{Live, host::Host, is_done, is_question, run, texts};
use crate::support::*;

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn host() -> Arc<Host> {
    Host::new(Path::new("/nowhere"), &[])
}

/// The provider of this configuration.
fn provider(config: &str) -> Arc<dyn Model> {
    install_tls();
    let config = config::parse(config, "config.yaml", &|_: &str| None).unwrap();
    let prices = llm::with_overrides(&config.prices).unwrap();
    let files: Arc<dyn Files> = Arc::new(HomeFiles::new("/nowhere".into(), clock()));
    llm::build(&config.llm, &prices, &Clients::default(), &files).unwrap().remove(0)
}

fn native(model: Arc<dyn Model>, host: &Host) -> Native {
    let places =
        Places { workspace: host.workspace().display().to_string(), home: host.home().display().to_string() };
    Native::new(model, clock(), places)
}

fn alone(prompt: &str) -> EngineRun {
    EngineRun { approvals: Approvals::Auto, ..run(prompt) }
}

#[tokio::test]
async fn a_model_works_with_the_tools_until_it_answers() {
    let script = |request: &Request| match request.number {
        1 => Reply::Call(
            "I look.".into(),
            vec![
                ("read".into(), json!({"path": "a.txt"})),
                ("bash".into(), json!({"command": "wc -l < a.txt"})),
            ],
        ),
        2 => Reply::call("edit", json!({"path": "a.txt", "old": "two", "new": "2"})),
        _ => Reply::say(format!("done: {}", request.results().join("|"))),
    };
    for (model, config) in both(script, "") {
        let host = host();
        host.write("a.txt", "one\ntwo\n");
        let live = Live::start(&native(provider(&config), &host), alone("change it"), Arc::clone(&host) as _);
        let (ending, ledger, events) = live.end().await;
        assert!(is_done(&ending) && ending.text.starts_with("done: a.txt: 1 replaced"), "{ending:?}");
        assert_eq!(host.read("a.txt"), "one\n2\n");
        assert_eq!((ledger.turns, ledger.worked, ledger.failed), (3, 3, 0));
        assert!(ledger.hint.usage.input > 0 && ledger.claimed.contains("a.txt"));
        assert_eq!(texts(&events)[0], "I look.");
        let requests = model.requests();
        let first = requests[0].text();
        assert!(
            first.contains("You are a coding agent")
                && first.contains("Be brief.")
                && first.contains("change it")
        );
        assert_eq!(requests[1].results(), ["1\tone\n2\ttwo\n", "2"]);
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn what_needs_an_approval_waits_for_it() {
    let script = |request: &Request| match request.number {
        1 => Reply::call("bash", json!({"command": "touch made"})),
        2 => Reply::call("write", json!({"path": "b", "content": "x"})),
        _ => Reply::say("done"),
    };
    let model = MockModel::start(script);
    let host = host();
    let mut live =
        Live::start(&native(provider(&with_model(&model, "")), &host), run("go"), Arc::clone(&host) as _);
    let EngineEvent::Question(first) = live.until(is_question).await else { unreachable!() };
    assert_eq!((first.kind, first.preview.as_str()), (QuestionKind::Command, "bash: touch made"));
    assert!(!host.workspace().join("made").exists());
    live.tell(Control::Answer { question: first.id, answer: Answer::Deny { message: "no files".into() } })
        .await;
    let EngineEvent::Question(second) = live.until(is_question).await else { unreachable!() };
    assert_eq!(second.kind, QuestionKind::Edit);
    live.tell(Control::Answer { question: second.id, answer: Answer::Allow }).await;
    let (ending, ledger, _) = live.end().await;
    assert!(is_done(&ending));
    assert!(!host.workspace().join("made").exists() && host.workspace().join("b").exists());
    assert_eq!((ledger.denied, ledger.judge(true).verdict), (1, Verdict::Worked));
    assert!(model.requests()[1].results()[0].contains("not allowed: no files"));
}

#[tokio::test]
async fn steering_is_seen_before_the_model_is_asked_again_also_after_its_last_words() {
    for (model, config) in both(|request| Reply::say(format!("heard {}", request.last_user())), "") {
        let gate = Gate::new();
        let held = gate.clone();
        model.becomes(move |request| match request.number {
            1 => held.then(Reply::call("bash", json!({"command": "echo hi"}))),
            2 => Reply::say(format!("heard {}", request.text().contains("to the left"))),
            _ => Reply::say("too many"),
        });
        let host = host();
        let mut live = Live::start(&native(provider(&config), &host), alone("go"), Arc::clone(&host) as _);
        live.until(|event| matches!(event, EngineEvent::Turn { .. })).await;
        live.tell(Control::Steer { text: "to the left".into() }).await;
        gate.open();
        let (ending, _, events) = live.end().await;
        assert_eq!(ending.text, "heard true");
        assert!(events.contains(&EngineEvent::Steered { text: "to the left".into() }));
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
    let gate = Gate::new();
    let held = gate.clone();
    let model = MockModel::start(move |request| match request.number {
        1 => held.say("first"),
        _ => Reply::say("second"),
    });
    let host = host();
    let mut live = Live::start(
        &native(provider(&with_anthropic(&model, "")), &host),
        alone("go"),
        Arc::clone(&host) as _,
    );
    live.until(|event| matches!(event, EngineEvent::Turn { .. })).await;
    live.tell(Control::Steer { text: "one more".into() }).await;
    gate.open();
    let (ending, _, _) = live.end().await;
    assert_eq!(ending.text, "second");
    assert!(model.requests()[1].last_user().contains("one more") && model.refused().is_empty());
}

#[tokio::test]
async fn an_interrupt_ends_a_command_and_a_question_to_the_model() {
    let model =
        MockModel::start(|_| Reply::call("bash", json!({"command": "echo $$ > pid; echo up; sleep 1000"})));
    let host = host();
    let mut live =
        Live::start(&native(provider(&with_model(&model, "")), &host), alone("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Output { text, .. } if text.contains("up"))).await;
    live.tell(Control::Interrupt).await;
    let (ending, _, _) = live.end().await;
    assert_eq!((ending.end, ending.sandbox_gone), (End::Interrupted, false), "{ending:?}");
    let pid = host.read("pid").trim().to_owned();
    until("the command is gone", async || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    })
    .await;
    model.becomes(|_| Reply::Hang);
    let mut live =
        Live::start(&native(provider(&with_model(&model, "")), &host), alone("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Turn { .. })).await;
    live.tell(Control::Interrupt).await;
    assert_eq!(live.end().await.0.end, End::Interrupted);
}

#[tokio::test]
async fn limits_of_turns_time_and_failures_end_it() {
    let again = |_: &Request| Reply::call("bash", json!({"command": "echo tick"}));
    let fails = |_: &Request| Reply::call("read", json!({"path": "missing"}));
    let cut = |_: &Request| Reply::Cut("and so on ".into());
    let hang = |_: &Request| Reply::Hang;
    type Script = fn(&Request) -> Reply;
    let cases: [(Script, End, u64); 4] =
        [(again, End::Turns, 7), (fails, End::Stuck, 3), (cut, End::Failed, 4), (hang, End::Hung, 1)];
    for (script, end, asked) in cases {
        let model = MockModel::start(script);
        let host = host();
        let mut run = alone("go");
        run.limits = Limits { turns: 7, ..Limits::default() };
        if end == End::Hung {
            run.limits.quiet_ms = 200;
        }
        let live =
            Live::start(&native(provider(&with_model(&model, "")), &host), run, Arc::clone(&host) as _);
        let (ending, ledger, _) = live.end().await;
        assert_eq!((ending.ok, ending.end, ending.sandbox_gone), (false, end, false), "{ending:?}");
        assert_eq!(model.count(), asked, "{end:?}");
        assert_eq!(ledger.judge(true).verdict, Verdict::Failed);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_gone_on_with() {
    let script = |request: &Request| match request.number {
        1 => Reply::Cut("It began".into()),
        _ => Reply::say(" and it ended."),
    };
    for (model, config) in both(script, "") {
        let host = host();
        let live = Live::start(&native(provider(&config), &host), alone("go"), Arc::clone(&host) as _);
        let (ending, _, _) = live.end().await;
        assert_eq!((ending.text.as_str(), ending.ok), ("It began and it ended.", true));
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn a_refused_key_ends_it_at_once_with_its_status() {
    let model =
        MockModel::start(|_| Reply::Status(401, vec![], json!({"error": {"message": "no"}}).to_string()));
    let host = host();
    let live =
        Live::start(&native(provider(&with_model(&model, "")), &host), alone("go"), Arc::clone(&host) as _);
    let (ending, _, _) = live.end().await;
    assert_eq!((ending.end, model.count()), (End::Api { status: Some(401) }, 1), "{ending:?}");
}

#[tokio::test]
async fn a_session_is_resumed_with_all_that_was_said_and_a_lost_call_is_told() {
    let script = |request: &Request| match request.number {
        1 => Reply::call("bash", json!({"command": "echo up; sleep 1000"})),
        _ => Reply::say("done"),
    };
    for (model, config) in both(script, "") {
        let host = host();
        let engine = native(provider(&config), &host);
        let mut live = Live::start(&engine, alone("the first task"), Arc::clone(&host) as _);
        live.until(|event| matches!(event, EngineEvent::Output { .. })).await;
        // The reader goes away in the middle, as it does when Atoll dies.
        drop(live);
        let session = Session::Resume("0199f3a0-7c11-7000-8000-000000000001".into());
        let mut again = alone("the second task");
        again.session = session;
        let (ending, _, _) = Live::start(&engine, again.clone(), Arc::clone(&host) as _).end().await;
        assert!(is_done(&ending), "{ending:?}");
        let text = model.requests()[1].text();
        assert!(text.contains("the first task") && text.contains("the second task"), "{text}");
        assert!(text.contains("may have run in part"), "{text}");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
        again.session = Session::Resume("0199f3a0-7c11-7000-8000-00000000dead".into());
        let (ending, _, _) = Live::start(&engine, again.clone(), Arc::clone(&host) as _).end().await;
        assert_eq!(ending.end, End::NoSession);
        again.session = Session::Resume("../../etc/passwd".into());
        let (ending, _, _) = Live::start(&engine, again, Arc::clone(&host) as _).end().await;
        assert_eq!(ending.end, End::NoSession);
        assert_eq!(model.count(), 2);
    }
}

#[tokio::test]
async fn the_death_of_the_sandbox_ends_the_run() {
    let model = MockModel::start(|_| Reply::call("bash", json!({"command": "echo up; sleep 1000"})));
    let host = host();
    let mut live =
        Live::start(&native(provider(&with_model(&model, "")), &host), alone("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Output { .. })).await;
    host.dies();
    let (ending, _, _) = live.end().await;
    assert_eq!((ending.end, ending.sandbox_gone), (End::SandboxDied, true), "{ending:?}");
}

/// What the demonstration rests on: without any model a failing test of a small project is mended.
#[tokio::test]
async fn rehearsal_mends_a_failing_test_as_it_is_told() {
    let host = host();
    host.write("calc.py", "def add(a, b):\n    return a - b\n");
    host.write(
        "test_calc.py",
        concat!(
            "import unittest, calc\n\n\nclass Sum(unittest.TestCase):\n    def test_sum(self):\n",
            "        self.assertEqual(calc.add(2, 3), 5)\n",
        ),
    );
    let story = "The sum is wrong. In `calc.py` replace `return a - b` with `return a + b`. \
        To see that it is right, run `python3 -B -m unittest -q`.";
    let engine = native(llm::rehearsal(), &host);
    let (ending, ledger, events) = Live::start(&engine, alone(story), Arc::clone(&host) as _).end().await;
    assert!(
        is_done(&ending) && ending.text.contains("no model") && ending.text.contains("passes"),
        "{ending:?}"
    );
    assert_eq!(host.read("calc.py"), "def add(a, b):\n    return a + b\n");
    assert_eq!((ledger.failed, ledger.judge(true).verdict), (1, Verdict::Worked));
    let tools: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            EngineEvent::ToolCall { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(tools, ["todo", "bash", "read", "edit", "bash"]);
}
