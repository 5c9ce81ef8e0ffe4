//! The control protocol: the prompt, answers to questions for a permission, steering and the interrupt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::dialog::{Dialog, Heard, input_of, preview, raw, text_at},
    stream::Stream,
};
use crate::{
    domain::engine::{Answer, Control, EngineEvent, Question, QuestionKind},
    ports::engine::Approvals,
};

/// The tool by which the model asks a person.
const ASK: &str = "AskUserQuestion";
/// What the model is told when nobody is there to be asked.
const NOBODY: &str = "Nobody can answer now. Decide yourself, and say in your last words what you assumed.";

/// Our side of the talk with one process.
#[derive(Debug)]
pub struct ClaudeDialog {
    prompt: String,
    system: String,
    approvals: Approvals,
    stream: Stream,
    /// Open questions, by our name for them, which is the name of the request: arguments of the call.
    open: BTreeMap<String, (String, Value)>,
    /// Requests of ours, counted for their names.
    asked: u32,
    /// The input was closed: nothing more can be said.
    closed: bool,
}

impl ClaudeDialog {
    /// A talk that begins with this prompt.
    pub fn new(prompt: String, system: String, approvals: Approvals) -> Self {
        Self {
            prompt,
            system,
            approvals,
            stream: Stream::default(),
            open: BTreeMap::new(),
            asked: 0,
            closed: false,
        }
    }

    fn request(&mut self, request: &Value) -> Value {
        self.asked += 1;
        json!({"type": "control_request", "request_id": format!("atoll-{}", self.asked), "request": request})
    }

    /// The process asks us something.
    fn asked(&mut self, value: &Value) -> Heard {
        let id = text_at(value, "/request_id").to_owned();
        let subtype = text_at(value, "/request/subtype");
        if subtype != "can_use_tool" {
            let error = format!("`{subtype}` is not supported");
            let response = json!({"subtype": "error", "request_id": id, "error": error});
            return Heard {
                events: vec![raw(&value.to_string())],
                say: vec![json!({"type": "control_response", "response": response})],
                close: false,
            };
        }
        let tool = text_at(value, "/request/tool_name").to_owned();
        let input = value.pointer("/request/input").cloned().unwrap_or_default();
        if self.approvals == Approvals::Auto {
            let decision = if tool == ASK { deny(NOBODY) } else { allow(input) };
            return Heard::say(respond(&id, &decision));
        }
        let kind = match tool.as_str() {
            ASK => QuestionKind::Ask,
            "Bash" => QuestionKind::Command,
            "Edit" | "Write" | "MultiEdit" | "NotebookEdit" => QuestionKind::Edit,
            _ => QuestionKind::Tool,
        };
        let question = Question {
            id: id.clone(),
            kind,
            preview: preview(&tool, &input),
            tool: tool.clone(),
            input: input_of(&input),
        };
        self.open.insert(id, (tool, input));
        Heard::event(EngineEvent::Question(question))
    }

    fn answer(&mut self, question: &str, answer: Answer) -> Heard {
        let Some((tool, mut input)) = self.open.remove(question) else { return Heard::default() };
        let decision = match answer {
            Answer::Allow if tool == ASK => deny(NOBODY),
            Answer::Allow => allow(input),
            Answer::Deny { message } => deny(&message),
            Answer::Choose { answers } => {
                if let Value::Object(input) = &mut input {
                    input.insert("answers".into(), json!(answers));
                }
                allow(input)
            }
        };
        Heard::say(respond(question, &decision))
    }
}

impl Dialog for ClaudeDialog {
    fn open(&mut self) -> Vec<Value> {
        let mut initialize = json!({"subtype": "initialize", "hooks": null});
        if !self.system.is_empty() {
            initialize["appendSystemPrompt"] = json!(self.system);
        }
        let prompt = std::mem::take(&mut self.prompt);
        vec![self.request(&initialize), user(&prompt)]
    }

    fn line(&mut self, value: Value) -> Heard {
        match text_at(&value, "/type") {
            "control_request" => self.asked(&value),
            "control_cancel_request" => {
                let question = text_at(&value, "/request_id").to_owned();
                match self.open.remove(&question) {
                    Some(_) => Heard::event(EngineEvent::Withdrawn { question }),
                    None => Heard::default(),
                }
            }
            "control_response" => match text_at(&value, "/response/error") {
                "" => Heard::default(),
                error => {
                    let message = format!("a request was refused: {error}");
                    Heard::event(EngineEvent::Error { message })
                }
            },
            _ => {
                let (events, over) = self.stream.line(&value);
                self.closed |= over;
                Heard { events, say: Vec::new(), close: over }
            }
        }
    }

    fn control(&mut self, control: Control) -> Heard {
        match control {
            Control::Answer { question, answer } => self.answer(&question, answer),
            Control::Steer { .. } if self.closed => {
                let message = "the message came too late: the engine has ended its work".into();
                Heard::event(EngineEvent::Error { message })
            }
            Control::Steer { text } => {
                let say = vec![user(&text)];
                Heard { events: vec![EngineEvent::Steered { text }], say, close: false }
            }
            Control::Interrupt if self.closed => Heard::default(),
            Control::Interrupt => {
                self.stream.interrupted();
                self.open.clear();
                Heard::say(self.request(&json!({"subtype": "interrupt"})))
            }
        }
    }
}

fn user(text: &str) -> Value {
    let message = json!({"role": "user", "content": [{"type": "text", "text": text}]});
    json!({"type": "user", "message": message, "parent_tool_use_id": null, "session_id": ""})
}

fn allow(input: Value) -> Value {
    json!({"behavior": "allow", "updatedInput": input})
}

fn deny(message: &str) -> Value {
    json!({"behavior": "deny", "message": message, "interrupt": false})
}

fn respond(id: &str, decision: &Value) -> Value {
    let response = json!({"subtype": "success", "request_id": id, "response": decision});
    json!({"type": "control_response", "response": response})
}
