//! Whatever bytes an engine writes, nothing breaks and nothing grows without bound.

use atoll::{
    domain::engine::{Control, EngineEvent, RAW, TEXT},
    engines::{
        claude_code::ClaudeDialog,
        codex::{CodexDialog, Opening},
        dialog::{Dialog, events_of},
    },
    ports::engine::{Approvals, Session},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn dialogs(approvals: Approvals) -> [Box<dyn Dialog>; 2] {
    let opening = Opening {
        prompt: "p".into(),
        system: "s".into(),
        session: Session::New("x".into()),
        model: None,
        approvals,
        workspace: "/workspace".into(),
    };
    let claude = ClaudeDialog::new("p".into(), "s".into(), approvals);
    [Box::new(claude), Box::new(CodexDialog::new(opening))]
}

/// JSON that looks like the real lines: their keys, with values of any kind.
fn lookalike() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "assistant",
        "user",
        "system",
        "result",
        "init",
        "api_retry",
        "tool_use",
        "tool_result",
        "text",
        "success",
        "control_request",
        "can_use_tool",
        "item/started",
        "item/completed",
        "turn/completed",
        "commandExecution",
        "fileChange",
        "agentMessage",
        "item/fileChange/requestApproval",
        "error",
        "",
        "x",
    ]);
    let keys = prop::sample::select(vec![
        "type",
        "subtype",
        "message",
        "content",
        "id",
        "method",
        "params",
        "item",
        "turn",
        "error",
        "result",
        "request",
        "request_id",
        "tool_name",
        "input",
        "session_id",
        "changes",
        "kind",
        "path",
        "status",
        "tokenUsage",
        "total",
        "permission_denials",
        "usage",
        "errors",
        "requestId",
        "thread",
    ]);
    let leaf = prop_oneof![
        words.prop_map(|word| json!(word)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<bool>().prop_map(|flag| json!(flag)),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn bounded(events: &[EngineEvent]) {
    for event in events {
        let most = if matches!(event, EngineEvent::Raw { .. }) { 8 * RAW } else { 8 * TEXT };
        assert!(serde_json::to_string(event).unwrap().len() <= most);
    }
}

proptest! {
    #[test]
    fn lines_that_only_look_right_break_nothing(lines in prop::collection::vec(lookalike(), 1..30)) {
        for mut dialog in [Approvals::Ask, Approvals::Auto].into_iter().flat_map(dialogs) {
            dialog.open();
            for line in lines.iter().filter(|line| line.is_object()) {
                let heard = dialog.line(line.clone());
                bounded(&heard.events);
                // Nothing is answered that was not asked, but for our own side of the opening.
                prop_assert!(heard.say.len() <= 2);
            }
            dialog.control(Control::Interrupt);
            dialog.control(Control::Steer { text: "x".into() });
        }
    }

    #[test]
    fn bytes_of_any_kind_break_nothing(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for mut dialog in dialogs(Approvals::Ask) {
            bounded(&events_of(dialog.as_mut(), &bytes));
        }
    }
}

#[test]
fn huge_values_are_cut() {
    let huge = "x".repeat(3 * 1024 * 1024);
    let lines = [
        json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": huge}]}}),
        json!({"type": "assistant", "message": {"id": "m", "content": [{"type": "tool_use", "id": "t", "name": "Write", "input": {"content": huge}}]}}),
        json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": huge}]}]}}),
        json!({"type": "unheard of", "x": huge}),
        json!({"method": "item/completed", "params": {"item": {"type": "agentMessage", "id": "i", "text": huge}}}),
        json!({"method": "unheard/of", "params": huge}),
    ];
    for mut dialog in dialogs(Approvals::Ask) {
        for line in &lines {
            bounded(&dialog.line(line.clone()).events);
        }
    }
}
