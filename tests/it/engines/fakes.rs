//! Stand-ins for the real programs, as real processes with real pipes: approvals, steering, ends of every kind.

use std::{fs, sync::Arc};

use atoll::{
    domain::engine::{Answer, Control, End, EngineEvent, Limits, QuestionKind, Verdict},
    engines::{claude_code::ClaudeCode, codex::Codex},
    ports::engine::{Approvals, Engine, Session},
};

use super::{
    Live,
    host::{Host, stand_ins},
    is_done, is_question, run, texts, token,
};

fn host(fake: &str) -> Arc<Host> {
    Host::new(&stand_ins(), &[("FAKE", fake)])
}

fn claude(host: &Host) -> ClaudeCode {
    ClaudeCode::new(host.home().display().to_string())
}

fn codex(host: &Host) -> Codex {
    Codex::new(host.home().display().to_string(), host.workspace().display().to_string())
}

fn both(host: &Host) -> [Box<dyn Engine>; 2] {
    [Box::new(claude(host)), Box::new(codex(host))]
}

/// Starts, and answers the one question.
async fn asked(engine: &dyn Engine, host: &Arc<Host>, answer: Answer) -> Live {
    let mut live = Live::start(engine, run("hello"), Arc::clone(host) as _);
    let EngineEvent::Question(question) = live.until(is_question).await else { unreachable!() };
    assert_eq!(question.kind, QuestionKind::Command);
    assert!(question.preview.contains("echo 'hello' > made.txt"), "{question:?}");
    // Nothing happens before the answer, and an answer to another question is none.
    live.tell(Control::Answer { question: "another".into(), answer: Answer::Allow }).await;
    assert!(!host.workspace().join("made.txt").exists());
    live.tell(Control::Answer { question: question.id, answer }).await;
    live
}

#[tokio::test]
async fn a_command_runs_once_it_is_approved_and_not_before() {
    for at in 0..2 {
        let host = host("approve");
        let live = asked(both(&host)[at].as_ref(), &host, Answer::Allow).await;
        let (ending, ledger, _) = live.end().await;
        assert!(is_done(&ending), "{ending:?}");
        assert_eq!((ending.text.as_str(), ending.exit), ("made it", Some(0)));
        assert_eq!(host.read("made.txt"), "hello\n");
        assert_eq!(ledger.judge(true).verdict, Verdict::Worked);
    }
}

#[tokio::test]
async fn a_denied_command_does_not_run_and_a_claim_of_success_with_exit_0_is_no_success() {
    for at in 0..2 {
        let host = host("approve");
        let deny = Answer::Deny { message: "not here".into() };
        let live = asked(both(&host)[at].as_ref(), &host, deny).await;
        let (ending, ledger, _) = live.end().await;
        assert!(ending.ok && ending.exit == Some(0), "{ending:?}");
        assert!(!host.workspace().join("made.txt").exists());
        assert_eq!((ledger.denied, ledger.judge(false).verdict), (1, Verdict::Failed));
    }
}

#[tokio::test]
async fn without_a_person_questions_are_answered_by_the_policy() {
    for at in 0..2 {
        let host = host("approve");
        let mut run = run("alone");
        run.approvals = Approvals::Auto;
        let (ending, _, events) =
            Live::start(both(&host)[at].as_ref(), run, Arc::clone(&host) as _).end().await;
        assert!(is_done(&ending) && !events.iter().any(is_question), "{events:?}");
        assert_eq!(host.read("made.txt"), "alone\n");
    }
}

#[tokio::test]
async fn a_message_into_the_work_reaches_it() {
    for at in 0..2 {
        let host = host("steer");
        let mut live = Live::start(both(&host)[at].as_ref(), run("go"), Arc::clone(&host) as _);
        // The turn is under way once something was heard of it.
        live.until(|event| matches!(event, EngineEvent::Text { .. } | EngineEvent::Raw { .. })).await;
        live.tell(Control::Steer { text: "to the left".into() }).await;
        let (ending, _, events) = live.end().await;
        assert!(is_done(&ending), "{ending:?}");
        assert!(texts(&events).contains(&"heard: to the left"), "{events:?}");
        assert!(events.contains(&EngineEvent::Steered { text: "to the left".into() }));
    }
}

#[tokio::test]
async fn a_message_that_comes_just_before_the_end_is_worked_on_and_the_last_result_counts() {
    let host = host("late-steer");
    let mut live = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Text { .. })).await;
    live.tell(Control::Steer { text: "and this".into() }).await;
    let (ending, _, events) = live.end().await;
    assert_eq!(ending.text, "second");
    assert!(texts(&events).contains(&"heard: and this"));
}

#[tokio::test]
async fn an_interrupt_ends_the_run_in_the_engines_own_way() {
    for at in 0..2 {
        let host = host("interrupt");
        let mut live = Live::start(both(&host)[at].as_ref(), run("go"), Arc::clone(&host) as _);
        live.until(|event| matches!(event, EngineEvent::ToolCall { .. })).await;
        live.tell(Control::Interrupt).await;
        let (ending, ledger, _) = live.end().await;
        assert_eq!((ending.end, ending.exit, ending.sandbox_gone), (End::Interrupted, Some(0), false));
        assert_eq!(ledger.judge(true).verdict, Verdict::Failed);
        assert!(!host.is_dead());
    }
}

#[tokio::test]
async fn silence_is_ended_first_by_asking_then_with_the_sandbox() {
    let host = host("hang");
    let mut run = run("go");
    run.limits = Limits { quiet_ms: 300, grace_ms: 300, ..Limits::default() };
    let (ending, _, events) = Live::start(&claude(&host), run, Arc::clone(&host) as _).end().await;
    assert_eq!((ending.end, ending.ok, ending.sandbox_gone), (End::Hung, false, true), "{ending:?}");
    assert!(ending.end.may_resume() && host.is_dead());
    assert_eq!(texts(&events), ["thinking"]);
}

#[tokio::test]
async fn an_engine_that_stays_after_its_result_has_worked_all_the_same() {
    let host = host("stays");
    let mut run = run("go");
    run.limits.grace_ms = 300;
    let (ending, _, _) = Live::start(&claude(&host), run, Arc::clone(&host) as _).end().await;
    assert!(is_done(&ending) && ending.sandbox_gone && host.is_dead(), "{ending:?}");
    assert_eq!(ending.text, "all good");
}

#[tokio::test]
async fn a_crash_is_told_with_its_code_and_its_last_complaint() {
    let host = host("crash");
    let (ending, ledger, _) = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _).end().await;
    assert_eq!((ending.end, ending.exit), (End::Crashed, Some(3)));
    assert!(ending.text.contains("segmentation fault"), "{}", ending.text);
    assert_eq!(ledger.judge(true).verdict, Verdict::Failed);
}

#[tokio::test]
async fn a_dead_key_with_exit_0_is_a_failure() {
    let host = host("dead-key");
    let (ending, ledger, _) = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _).end().await;
    assert_eq!((ending.ok, ending.end, ending.exit), (false, End::Api { status: Some(401) }, Some(0)));
    assert_eq!(ledger.judge(false).verdict, Verdict::Failed);
}

#[tokio::test]
async fn noise_and_a_huge_line_are_kept_in_short_and_do_no_harm() {
    let host = host("noise");
    let (ending, _, events) = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _).end().await;
    assert!(is_done(&ending), "{ending:?}");
    let raw: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            EngineEvent::Raw { line } => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(raw.len(), 5, "{raw:?}");
    assert!(raw[3].contains("from_the_future") && raw[4].contains("a line of 2097"), "{raw:?}");
    assert!(raw.iter().all(|line| line.len() < 8 * 1024));
    assert_eq!(texts(&events), ["still here"]);
}

#[tokio::test]
async fn what_an_engine_asks_that_we_do_not_know_is_refused_rather_than_left_open() {
    for at in 0..2 {
        let host = host("odd-request");
        let (ending, _, _) =
            Live::start(both(&host)[at].as_ref(), run("go"), Arc::clone(&host) as _).end().await;
        assert!(is_done(&ending), "{ending:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_slow_loses_nothing() {
    let host = host("flood");
    let mut live = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Session { .. })).await;
    let (ending, _, events) = live.end().await;
    assert!(is_done(&ending));
    assert_eq!(texts(&events).len(), 3_000);
}

#[tokio::test]
async fn the_death_of_the_sandbox_ends_the_run() {
    let host = host("hang");
    let mut live = Live::start(&claude(&host), run("go"), Arc::clone(&host) as _);
    live.until(|event| matches!(event, EngineEvent::Text { .. })).await;
    host.dies();
    let (ending, _, _) = live.end().await;
    assert_eq!((ending.end, ending.sandbox_gone), (End::SandboxDied, true), "{ending:?}");
    let (ending, _, _) = Live::start(&claude(&host), run("again"), Arc::clone(&host) as _).end().await;
    assert_eq!((ending.end, ending.sandbox_gone), (End::SandboxDied, true), "{ending:?}");
}

#[tokio::test]
async fn codex_asks_before_a_patch_and_says_what_it_changes() {
    let host = host("patch");
    let mut live = Live::start(&codex(&host), run("go"), Arc::clone(&host) as _);
    let EngineEvent::Question(question) = live.until(is_question).await else { unreachable!() };
    assert_eq!((question.kind, question.preview.as_str()), (QuestionKind::Edit, "patch: a.txt"));
    live.tell(Control::Answer { question: question.id, answer: Answer::Allow }).await;
    let (ending, ledger, _) = live.end().await;
    assert!(is_done(&ending) && ledger.claimed.contains("a.txt"), "{ledger:?}");
    // With edits allowed by the policy nobody is asked.
    let host = self::host("patch");
    let mut run = run("go");
    run.approvals = Approvals::Edits;
    let (ending, _, events) = Live::start(&codex(&host), run, Arc::clone(&host) as _).end().await;
    assert!(is_done(&ending) && !events.iter().any(is_question));
}

#[tokio::test]
async fn codex_resumes_a_thread_and_says_when_there_is_none() {
    for (fake, found) in [("resume", true), ("unknown", false)] {
        let host = host(fake);
        let mut run = run("go");
        run.session = Session::Resume("th-old".into());
        run.approvals = Approvals::Auto;
        let (ending, ledger, _) = Live::start(&codex(&host), run, Arc::clone(&host) as _).end().await;
        if found {
            assert!(is_done(&ending), "{ending:?}");
            assert_eq!(ledger.session.as_deref(), Some("th-old"));
        } else {
            assert_eq!((ending.ok, ending.end), (false, End::NoSession), "{ending:?}");
        }
    }
}

#[tokio::test]
async fn codex_tells_retries_and_why_a_turn_failed() {
    let host = host("failed");
    let (ending, _, events) = Live::start(&codex(&host), run("go"), Arc::clone(&host) as _).end().await;
    assert_eq!((ending.ok, ending.end), (false, End::Api { status: Some(400) }));
    assert!(ending.text.contains("budget of this job"), "{}", ending.text);
    let retry = events.iter().find_map(|event| match event {
        EngineEvent::Retry(retry) => Some(retry.status),
        _ => None,
    });
    assert_eq!(retry, Some(Some(503)));
}

#[tokio::test]
async fn an_engine_without_a_limit_of_turns_of_its_own_is_held_to_ours() {
    let host = host("turns");
    let mut run = run("go");
    run.limits.turns = 5;
    let (ending, _, _) = Live::start(&codex(&host), run, Arc::clone(&host) as _).end().await;
    assert_eq!((ending.ok, ending.end), (false, End::Turns), "{ending:?}");
}

#[tokio::test]
async fn neither_prompt_nor_token_is_on_a_command_line() {
    for at in 0..2 {
        let host = host("approve");
        let mut run = run("the secret plan");
        run.approvals = Approvals::Auto;
        Live::start(both(&host)[at].as_ref(), run, Arc::clone(&host) as _).end().await;
        let started = host.started.lock().unwrap().clone();
        let line = started[0].argv.join(" ");
        assert!(!line.contains("secret plan") && !line.contains(token().reveal()), "{line}");
        assert!(started[0].env.values().any(|value| value == token().reveal()));
        assert!(fs::read_to_string(host.workspace().join("made.txt")).unwrap().contains("secret plan"));
    }
}
