//! The notifications of Codex's app-server, as events. What is not known is kept raw and never ends a run.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::dialog::{input_of, number_at, raw, text_at, words};
use crate::domain::{
    engine::{Change, End, Ending, EngineEvent, Hint, QuestionKind, Retry},
    model::Usage,
};

/// Items whose changes are remembered for a question about them, at most.
const ITEMS: usize = 100;
/// Notifications that say nothing about the work, or say again what an item says.
const NOTICES: [&str; 20] = [
    "thread/started",
    "thread/status/changed",
    "thread/settings/updated",
    "thread/name/updated",
    "thread/environment/connected",
    "turn/diff/updated",
    "turn/plan/updated",
    "account/updated",
    "account/rateLimits/updated",
    "remoteControl/status/changed",
    "skills/changed",
    "app/list/updated",
    "fs/changed",
    "item/plan/delta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/textDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "mcpServer/startupStatus/updated",
];

/// Reads one thread's notifications.
#[derive(Debug, Default)]
pub(super) struct Stream {
    turn: String,
    /// The last words of the model.
    said: String,
    calls: u32,
    /// The changes that an item is about, for a question that names only the item.
    changes: BTreeMap<String, Value>,
}

impl Stream {
    /// The turn that is under way, or nothing.
    pub(super) fn turn(&self) -> &str {
        &self.turn
    }

    /// The turn that is under way.
    pub(super) fn turn_is(&mut self, turn: &str) {
        turn.clone_into(&mut self.turn);
    }

    /// What a question is about: the name of the tool and what exactly it is to do.
    pub(super) fn asked_for(&self, kind: QuestionKind, params: &Value) -> (String, Value) {
        let reason = params.get("reason").cloned().unwrap_or_default();
        match kind {
            QuestionKind::Command => {
                let command = json!({"command": text_at(params, "/command"), "cwd": text_at(params, "/cwd")});
                ("command".into(), command)
            }
            QuestionKind::Edit => {
                let changes = self.changes.get(text_at(params, "/itemId")).cloned().unwrap_or_default();
                let paths: Vec<&str> =
                    changes.as_array().into_iter().flatten().map(|change| text_at(change, "/path")).collect();
                ("patch".into(), json!({"path": paths.join(", "), "changes": changes, "reason": reason}))
            }
            QuestionKind::Tool => {
                let asked = params.get("permissions").cloned().unwrap_or_default();
                ("permissions".into(), json!({"permissions": asked, "reason": reason}))
            }
            QuestionKind::Ask => {
                let questions = params.get("questions").cloned().unwrap_or_default();
                ("ask".into(), json!({"questions": questions}))
            }
        }
    }

    /// What a notification tells, and whether it was the end.
    pub(super) fn notification(&mut self, value: &Value) -> (Vec<EngineEvent>, bool) {
        let params = value.get("params").unwrap_or(&Value::Null);
        let mut events = Vec::new();
        match text_at(value, "/method") {
            "turn/started" => self.turn_is(text_at(params, "/turn/id")),
            "item/started" => self.started(params, &mut events),
            "item/completed" => self.completed(params, &mut events),
            "item/agentMessage/delta" => {
                events.push(EngineEvent::Delta { text: words(text_at(params, "/delta")) });
            }
            "item/commandExecution/outputDelta" => events.push(EngineEvent::Output {
                id: text_at(params, "/itemId").to_owned(),
                text: words(text_at(params, "/delta")),
            }),
            "thread/tokenUsage/updated" => {
                self.calls += 1;
                events.push(EngineEvent::Turn { number: self.calls });
                events.push(EngineEvent::Usage(hint(params)));
            }
            "error" => events.push(error(params)),
            "turn/completed" => {
                self.turn.clear();
                events.push(EngineEvent::Result(self.ending(params)));
                return (events, true);
            }
            notice if NOTICES.contains(&notice) => {}
            _ => events.push(raw(&value.to_string())),
        }
        (events, false)
    }

    fn started(&mut self, params: &Value, events: &mut Vec<EngineEvent>) {
        let Some(item) = params.get("item") else { return };
        let id = text_at(item, "/id").to_owned();
        let (name, input) = match text_at(item, "/type") {
            "commandExecution" => {
                ("command", json!({"command": text_at(item, "/command"), "cwd": text_at(item, "/cwd")}))
            }
            "fileChange" => {
                let changes = item.get("changes").cloned().unwrap_or_default();
                if self.changes.len() < ITEMS {
                    self.changes.insert(id.clone(), input_of(&changes));
                }
                ("patch", json!({"changes": changes}))
            }
            "mcpToolCall" | "dynamicToolCall" => {
                (text_at(item, "/tool"), item.get("arguments").cloned().unwrap_or_default())
            }
            "webSearch" => ("web_search", json!({"query": text_at(item, "/query")})),
            _ => return,
        };
        events.push(EngineEvent::ToolCall { id, name: name.to_owned(), input: input_of(&input) });
    }

    fn completed(&mut self, params: &Value, events: &mut Vec<EngineEvent>) {
        let Some(item) = params.get("item") else { return };
        let id = text_at(item, "/id").to_owned();
        let status = text_at(item, "/status");
        match text_at(item, "/type") {
            "userMessage" => {}
            "agentMessage" => {
                self.said = words(text_at(item, "/text"));
                events.push(EngineEvent::Text { text: self.said.clone() });
            }
            "reasoning" => {
                let parts = ["summary", "content"].into_iter().filter_map(|key| item.get(key)?.as_array());
                let parts: Vec<&str> = parts.flatten().filter_map(Value::as_str).collect();
                if !parts.is_empty() {
                    events.push(EngineEvent::Thinking { text: words(&parts.join("\n")) });
                }
            }
            "commandExecution" => {
                let code = item.get("exitCode").and_then(Value::as_i64);
                let mut output = words(text_at(item, "/aggregatedOutput"));
                if let Some(code) = code.filter(|code| *code != 0) {
                    output = format!("{output}\n[exit code {code}]");
                }
                let failed = status != "completed" || code.is_some_and(|code| code != 0);
                denied("command", status, events);
                events.push(EngineEvent::ToolResult { id, output, failed });
            }
            "fileChange" => {
                self.changes.remove(&id);
                denied("patch", status, events);
                let output = status.to_owned();
                let failed = status != "completed";
                events.push(EngineEvent::ToolResult { id, output, failed });
                if !failed {
                    events.extend(changed(item));
                }
            }
            "mcpToolCall" | "dynamicToolCall" | "webSearch" => {
                let said = item.get("result").or_else(|| item.get("error")).cloned().unwrap_or_default();
                let failed = status == "failed" || item.get("error").is_some_and(|error| !error.is_null());
                events.push(EngineEvent::ToolResult { id, output: words(&said.to_string()), failed });
            }
            _ => events.push(raw(&item.to_string())),
        }
    }

    fn ending(&self, params: &Value) -> Ending {
        let end = match text_at(params, "/turn/status") {
            "completed" => End::Completed,
            "interrupted" => End::Interrupted,
            _ => failure(params.pointer("/turn/error").unwrap_or(&Value::Null)),
        };
        let error = &plain(text_at(params, "/turn/error/message"));
        let text = if end == End::Completed || error.is_empty() { self.said.clone() } else { words(error) };
        Ending { ok: end == End::Completed, text, end, exit: None, sandbox_gone: false }
    }
}

fn denied(tool: &str, status: &str, events: &mut Vec<EngineEvent>) {
    if status == "declined" {
        events.push(EngineEvent::Denied { tool: tool.to_owned(), why: "declined".into() });
    }
}

fn changed(item: &Value) -> Vec<EngineEvent> {
    let changes = item.get("changes").and_then(Value::as_array).into_iter().flatten();
    changes
        .map(|change| EngineEvent::FileChange {
            path: text_at(change, "/path").to_owned(),
            change: match text_at(change, "/kind/type") {
                "add" => Change::Added,
                "delete" => Change::Deleted,
                _ => Change::Changed,
            },
        })
        .collect()
}

/// Its sums are of the whole thread, earlier runs included.
fn hint(params: &Value) -> Hint {
    let number = |name: &str| number_at(params, &format!("/tokenUsage/total/{name}"));
    let usage = Usage {
        input: number("inputTokens"),
        cached: number("cachedInputTokens"),
        cache_written: number("cacheWriteInputTokens"),
        output: number("outputTokens"),
    };
    Hint { usage, cost_usd: None, total: true }
}

fn error(params: &Value) -> EngineEvent {
    let mut message = plain(text_at(params, "/error/message"));
    let details = text_at(params, "/error/additionalDetails");
    if !details.is_empty() {
        message = format!("{message}: {details}");
    }
    let message = words(&message);
    if !params.get("willRetry").and_then(Value::as_bool).unwrap_or(false) {
        return EngineEvent::Error { message };
    }
    let status = http_status(params.pointer("/error/codexErrorInfo"));
    EngineEvent::Retry(Retry { attempt: 0, of: 0, after_ms: 0, status, why: message })
}

/// The words of an error. A request that was refused with status 400 is told by its body, as it came.
fn plain(message: &str) -> String {
    body(message).map_or_else(|| message.to_owned(), |body| text_at(&body, "/error/message").to_owned())
}

fn body(message: &str) -> Option<Value> {
    let body: Value = serde_json::from_str(message).ok()?;
    body.pointer("/error/message")?.is_string().then_some(body)
}

fn http_status(info: Option<&Value>) -> Option<u16> {
    let named = |name: &str| match name {
        "unauthorized" => Some(401),
        "badRequest" => Some(400),
        "modelNotFound" => Some(404),
        "usageLimitExceeded" | "rateLimitExceeded" => Some(429),
        "serverOverloaded" => Some(503),
        "internalServerError" => Some(500),
        _ => None,
    };
    match info? {
        Value::String(name) => named(name),
        Value::Object(fields) => {
            let status = fields.values().find_map(|info| info.get("httpStatusCode")?.as_u64())?;
            u16::try_from(status).ok()
        }
        _ => None,
    }
}

/// Why a turn failed: mostly because the model could not be asked.
fn failure(error: &Value) -> End {
    let info = error.get("codexErrorInfo");
    let names = ["contextWindowExceeded", "sandboxError", "threadRollbackFailed", "tooManyDenials"];
    match info.and_then(Value::as_str) {
        Some("sessionBudgetExceeded") => End::Budget,
        Some(name) if names.contains(&name) => End::Failed,
        // 0.169.0 has no better name for status 400, which it tells by the body of the answer.
        Some("other") if body(text_at(error, "/message")).is_some() => End::Api { status: Some(400) },
        Some("other") => End::Failed,
        _ => End::Api { status: http_status(info) },
    }
}
