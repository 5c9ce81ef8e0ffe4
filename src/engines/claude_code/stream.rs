//! The lines that Claude Code writes, as events. What is not known is kept raw and never ends a run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::dialog::{input_of, number_at, raw, text_at, words};
use crate::domain::{
    engine::{Change, End, Ending, EngineEvent, Hint, Retry},
    model::Usage,
};

/// Calls whose names are remembered for their results, at most.
const CALLS: usize = 1_000;
/// Notices about itself that say nothing about the work.
const NOTICES: [&str; 9] = [
    "status",
    "ui_invalidate",
    "task_started",
    "task_progress",
    "task_notification",
    "task_updated",
    "hook_started",
    "hook_response",
    "thinking_tokens",
];

/// Reads one process's lines.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Open calls of tools that change files: the file, and how.
    edits: BTreeMap<String, (String, Change)>,
    /// Denied calls that were told already.
    denied: BTreeSet<String>,
    session: String,
    message: String,
    turns: u32,
    /// What it said that it cost, at the last result.
    cost: f64,
    interrupted: bool,
}

impl Stream {
    /// We asked for the end: the next result is the last one whatever else is queued.
    pub(super) fn interrupted(&mut self) {
        self.interrupted = true;
    }

    /// What a line tells, and whether it was the last result.
    pub(super) fn line(&mut self, value: &Value) -> (Vec<EngineEvent>, bool) {
        let mut events = self.session(value);
        let mut over = false;
        match text_at(value, "/type") {
            "system" => events.extend(self.system(value)),
            "assistant" => self.assistant(value, &mut events),
            "user" => self.user(value, &mut events),
            "stream_event" => events.extend(delta(value)),
            "result" => {
                // A message that came in the last moment begins another turn: its result is still to come.
                over = self.interrupted || number_at(value, "/queued_turn_count") == 0;
                self.result(value, &mut events);
            }
            _ => events.push(raw(&value.to_string())),
        }
        (events, over)
    }

    fn session(&mut self, value: &Value) -> Vec<EngineEvent> {
        let id = text_at(value, "/session_id");
        if id.is_empty() || id == self.session {
            return Vec::new();
        }
        id.clone_into(&mut self.session);
        let model = Some(text_at(value, "/model").to_owned()).filter(|model| !model.is_empty());
        vec![EngineEvent::Session { id: id.to_owned(), model }]
    }

    fn system(&mut self, value: &Value) -> Option<EngineEvent> {
        match text_at(value, "/subtype") {
            "init" => None,
            "api_retry" => Some(EngineEvent::Retry(Retry {
                attempt: small(number_at(value, "/attempt")),
                of: small(number_at(value, "/max_retries")),
                after_ms: number_at(value, "/retry_delay_ms"),
                status: status(value, "/error_status"),
                why: words(text_at(value, "/error")),
            })),
            "permission_denied" => {
                self.denied.insert(text_at(value, "/tool_use_id").to_owned());
                let why = words(text_at(value, "/message"));
                Some(EngineEvent::Denied { tool: text_at(value, "/tool_name").to_owned(), why })
            }
            notice if NOTICES.contains(&notice) => None,
            _ => Some(raw(&value.to_string())),
        }
    }

    fn assistant(&mut self, value: &Value, events: &mut Vec<EngineEvent>) {
        let id = text_at(value, "/message/id");
        // Lines of helpers that the model started, and words that the program puts into its mouth, are no turns.
        let own = text_at(value, "/parent_tool_use_id").is_empty();
        let asked = text_at(value, "/message/model") != "<synthetic>";
        if own && asked && !id.is_empty() && id != self.message {
            id.clone_into(&mut self.message);
            self.turns += 1;
            events.push(EngineEvent::Turn { number: self.turns });
        }
        for block in blocks(value) {
            match text_at(block, "/type") {
                "text" => events.push(EngineEvent::Text { text: words(text_at(block, "/text")) }),
                "thinking" => events.push(EngineEvent::Thinking { text: words(text_at(block, "/thinking")) }),
                "redacted_thinking" => {}
                "tool_use" => events.push(self.call(block)),
                _ => events.push(raw(&block.to_string())),
            }
        }
    }

    fn call(&mut self, block: &Value) -> EngineEvent {
        let (id, name) = (text_at(block, "/id"), text_at(block, "/name"));
        let path = ["/input/file_path", "/input/notebook_path"].map(|at| text_at(block, at)).concat();
        let change = match name {
            "Write" => Some(Change::Added),
            "Edit" | "MultiEdit" | "NotebookEdit" => Some(Change::Changed),
            _ => None,
        };
        if let (Some(change), false, true) = (change, path.is_empty(), self.edits.len() < CALLS) {
            self.edits.insert(id.to_owned(), (path, change));
        }
        let input = block.get("input").map(input_of).unwrap_or_default();
        EngineEvent::ToolCall { id: id.to_owned(), name: name.to_owned(), input }
    }

    fn user(&mut self, value: &Value, events: &mut Vec<EngineEvent>) {
        for block in blocks(value).filter(|block| text_at(block, "/type") == "tool_result") {
            let id = text_at(block, "/tool_use_id").to_owned();
            let failed = block.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            let edit = self.edits.remove(&id);
            events.push(EngineEvent::ToolResult { id, output: said(block.get("content")), failed });
            if let (Some((path, change)), false) = (edit, failed) {
                // Writing over a file that was there changes it.
                let update = text_at(value, "/tool_use_result/type") == "update";
                let change = if update { Change::Changed } else { change };
                events.push(EngineEvent::FileChange { path, change });
            }
        }
    }

    fn result(&mut self, value: &Value, events: &mut Vec<EngineEvent>) {
        let denials = value.get("permission_denials").and_then(Value::as_array);
        for denial in denials.into_iter().flatten() {
            if self.denied.insert(text_at(denial, "/tool_use_id").to_owned()) {
                let tool = text_at(denial, "/tool_name").to_owned();
                events.push(EngineEvent::Denied { tool, why: String::new() });
            }
        }
        // Tokens are of the turns since the last result. The cost is a sum: of the session in newer versions, of
        // the run in older ones, so after a resume it may have all that was before.
        let number = |at| number_at(value, at);
        let (cached, cache_written) =
            (number("/usage/cache_read_input_tokens"), number("/usage/cache_creation_input_tokens"));
        let usage = Usage {
            input: number("/usage/input_tokens").saturating_add(cached).saturating_add(cache_written),
            cached,
            cache_written,
            output: number("/usage/output_tokens"),
        };
        let cost_usd = value.get("total_cost_usd").and_then(Value::as_f64).map(|sum| {
            let since = (sum - self.cost).max(0.0);
            self.cost = sum;
            since
        });
        events.push(EngineEvent::Usage(Hint { usage, cost_usd, total: false }));
        events.push(EngineEvent::Result(ending(value)));
    }
}

fn ending(value: &Value) -> Ending {
    let errors = value.get("errors").and_then(Value::as_array).into_iter().flatten();
    let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
    let mut text = text_at(value, "/result").to_owned();
    // A dead key is told as a success that is an error.
    let is_error = value.get("is_error").and_then(Value::as_bool).unwrap_or(true);
    let subtype = text_at(value, "/subtype");
    let reason = text_at(value, "/terminal_reason");
    let end = match (subtype, reason) {
        ("success", _) if !is_error => End::Completed,
        ("error_max_turns", _) | (_, "max_turns") => End::Turns,
        ("error_max_budget_usd", _) | (_, "budget_exhausted") => End::Budget,
        _ if reason.starts_with("aborted") => End::Interrupted,
        ("success", _) | (_, "api_error") => End::Api { status: status(value, "/api_error_status") },
        _ if errors.iter().any(|error| error.starts_with("No conversation found")) => End::NoSession,
        _ => End::Failed,
    };
    if text.is_empty() {
        // What it says of an interrupt is a diagnosis of its own state.
        text = if end == End::Interrupted { "interrupted".into() } else { errors.join("\n") };
    }
    Ending { ok: end == End::Completed, text: words(&text), end, exit: None, sandbox_gone: false }
}

fn delta(value: &Value) -> Option<EngineEvent> {
    let is_text = text_at(value, "/event/delta/type") == "text_delta";
    let own = text_at(value, "/parent_tool_use_id").is_empty();
    (is_text && own).then(|| EngineEvent::Delta { text: words(text_at(value, "/event/delta/text")) })
}

fn blocks(value: &Value) -> impl Iterator<Item = &Value> {
    value.pointer("/message/content").and_then(Value::as_array).into_iter().flatten()
}

/// What a tool said: a text, or blocks of which some are texts.
fn said(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => words(text),
        Some(Value::Array(blocks)) => {
            let texts: Vec<String> = blocks
                .iter()
                .map(|block| match text_at(block, "/type") {
                    "text" => words(text_at(block, "/text")),
                    other => format!("[{other}]"),
                })
                .collect();
            words(&texts.join("\n"))
        }
        _ => String::new(),
    }
}

fn status(value: &Value, at: &str) -> Option<u16> {
    value.pointer(at).and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok())
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
