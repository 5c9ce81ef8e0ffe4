//! Recordings of the real Claude Code 2.1.329 and Codex 0.169.0: what is understood of them, and that we say what
//! was said to them then.

use std::path::Path;

use atoll::{
    domain::engine::{Answer, Control, EngineEvent},
    engines::{
        claude_code::ClaudeDialog,
        codex::{CodexDialog, Opening},
        dialog::Dialog,
    },
    ports::engine::{Approvals, Session},
};
use serde_json::Value;

/// What was said in one direction.
struct Recording {
    lines: Vec<(bool, Value)>,
}

impl Recording {
    fn read(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engines").join(name);
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["dir"] == "in", line["msg"].clone())
        });
        Self { lines: lines.collect() }
    }

    /// What was said to the program.
    fn said(&self) -> Vec<Value> {
        let said = self.lines.iter().filter(|(to_it, _)| *to_it).map(|(_, line)| line.clone());
        said.filter(Value::is_object).collect()
    }

    /// Plays what the program said to a dialog, with an answer to each question: all events, and all that we say.
    fn play(
        &self,
        dialog: &mut dyn Dialog,
        answer: &Answer,
        interrupt_at: &str,
    ) -> (Vec<EngineEvent>, Vec<Value>) {
        let mut say = dialog.open();
        let mut events = Vec::new();
        for (_, line) in self.lines.iter().filter(|(to_it, line)| !to_it && line.is_object()) {
            let heard = dialog.line(line.clone());
            say.extend(heard.say);
            for event in heard.events {
                if let EngineEvent::Question(question) = &event {
                    let (question, answer) = (question.id.clone(), answer.clone());
                    say.extend(dialog.control(Control::Answer { question, answer }).say);
                }
                events.push(event);
            }
            if !interrupt_at.is_empty() && line.to_string().contains(interrupt_at) {
                say.extend(dialog.control(Control::Interrupt).say);
            }
        }
        (events, say)
    }
}

fn claude() -> ClaudeDialog {
    ClaudeDialog::new("do it".into(), String::new(), Approvals::Ask)
}

fn codex() -> CodexDialog {
    CodexDialog::new(Opening {
        prompt: "do it".into(),
        system: String::new(),
        session: Session::New("x".into()),
        model: None,
        approvals: Approvals::Ask,
        workspace: "/workspace".into(),
    })
}

fn lines(events: &[EngineEvent]) -> String {
    let lines: Vec<String> = events.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
    lines.join("\n")
}

fn no_raw(name: &str, events: &[EngineEvent]) {
    let raw: Vec<_> = events.iter().filter(|event| matches!(event, EngineEvent::Raw { .. })).collect();
    assert!(raw.is_empty(), "{name}: not understood: {raw:?}");
}

#[test]
fn claude_code_is_understood() {
    let names = [
        "allow",
        "ask",
        "budget-cut",
        "dead-key",
        "denied-by-mode",
        "deny",
        "interrupt",
        "max-budget",
        "max-turns",
        "overload",
        "partial",
        "resumed",
    ];
    for name in names {
        let (events, _) =
            Recording::read(&format!("claude/{name}.jsonl")).play(&mut claude(), &Answer::Allow, "");
        no_raw(name, &events);
        insta::assert_snapshot!(format!("claude-{name}"), lines(&events));
    }
}

#[test]
fn codex_is_understood() {
    for name in ["allow", "deny", "interrupt"] {
        let (events, _) =
            Recording::read(&format!("codex/{name}.jsonl")).play(&mut codex(), &Answer::Allow, "");
        insta::assert_snapshot!(format!("codex-{name}"), lines(&events));
    }
}

/// The lines without the names that each side gives its own requests.
fn nameless(mut lines: Vec<Value>) -> Vec<Value> {
    for line in &mut lines {
        if line["type"] == "control_request" {
            line["request_id"] = Value::Null;
        }
        if line.get("method").is_some() {
            line["id"] = Value::Null;
            line["params"]["clientInfo"] = Value::Null;
            line["params"]["sandbox"] = Value::Null;
            line["params"]["cwd"] = Value::Null;
        }
    }
    lines
}

#[test]
fn we_say_to_claude_code_what_it_is_known_to_take() {
    let deny = Answer::Deny { message: "operator said no".into() };
    let choose = Answer::Choose { answers: [("Which colour?".to_owned(), "blue".to_owned())].into() };
    for (name, answer) in [("allow", Answer::Allow), ("deny", deny), ("ask", choose)] {
        let recording = Recording::read(&format!("claude/{name}.jsonl"));
        let (_, say) = recording.play(&mut claude(), &answer, "");
        assert_eq!(nameless(say), nameless(recording.said()), "{name}");
    }
    let recording = Recording::read("claude/interrupt.jsonl");
    let (_, say) = recording.play(&mut claude(), &Answer::Allow, "\"task_started\"");
    // The recording goes on with a second prompt, which is another run for us.
    let said = nameless(recording.said());
    assert_eq!(nameless(say), said[..said.len() - 1]);
}

#[test]
fn we_say_to_codex_what_it_is_known_to_take() {
    let deny = Answer::Deny { message: "no".into() };
    for (name, answer) in [("allow", Answer::Allow), ("deny", deny)] {
        let recording = Recording::read(&format!("codex/{name}.jsonl"));
        let (_, say) = recording.play(&mut codex(), &answer, "");
        assert_eq!(nameless(say), nameless(recording.said()), "{name}");
    }
    let recording = Recording::read("codex/interrupt.jsonl");
    let (_, say) = recording.play(&mut codex(), &Answer::Allow, "sleep 77");
    let interrupt =
        nameless(recording.said()).into_iter().find(|line| line["method"] == "turn/interrupt").unwrap();
    assert!(nameless(say).contains(&interrupt));
}
