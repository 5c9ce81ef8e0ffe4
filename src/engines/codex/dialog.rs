//! Our side of the app-server's JSON-RPC: opening a thread and its turn, approvals, steering, the interrupt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::dialog::{Dialog, Heard, input_of, preview, raw, text_at, words},
    stream::Stream,
};
use crate::{
    domain::engine::{Answer, Control, End, Ending, EngineEvent, Question, QuestionKind},
    ports::engine::{Approvals, Session},
};

const NOBODY: &str = "Nobody can answer now. Decide yourself, and say in your last words what you assumed.";
/// JSON-RPC's code for a method that is not there.
const NO_METHOD: i64 = -32601;

/// With what a talk begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What is to be done.
    pub prompt: String,
    /// What is told beside that.
    pub system: String,
    /// The thread; a new one is named by Codex.
    pub session: Session,
    /// The model.
    pub model: Option<String>,
    /// When it must ask.
    pub approvals: Approvals,
    /// The work tree inside the sandbox.
    pub workspace: String,
}

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    Initialize,
    Thread,
    Turn,
    Steer,
    Interrupt,
}

/// A question of theirs that waits for an answer.
#[derive(Debug)]
struct Open {
    /// Their id, as they wrote it: their ids are apart from ours and may look the same.
    id: Value,
    method: String,
    params: Value,
}

/// Our side of the talk with one process.
#[derive(Debug)]
pub struct CodexDialog {
    opening: Opening,
    stream: Stream,
    requests: BTreeMap<u64, Ours>,
    last: u64,
    open: BTreeMap<String, Open>,
    thread: String,
    /// An interrupt came before there was a turn to interrupt.
    interrupt: bool,
    closed: bool,
}

impl CodexDialog {
    /// A talk that begins like this.
    pub fn new(opening: Opening) -> Self {
        Self {
            opening,
            stream: Stream::default(),
            requests: BTreeMap::new(),
            last: 0,
            open: BTreeMap::new(),
            thread: String::new(),
            interrupt: false,
            closed: false,
        }
    }

    fn request(&mut self, ours: Ours, method: &str, params: &Value) -> Value {
        self.last += 1;
        self.requests.insert(self.last, ours);
        json!({"id": self.last, "method": method, "params": params})
    }

    fn thread(&mut self) -> Value {
        let policy = if self.opening.approvals == Approvals::Auto { "never" } else { "untrusted" };
        let mut params = json!({
            "cwd": self.opening.workspace, "approvalPolicy": policy, "sandbox": "danger-full-access",
        });
        if !self.opening.system.is_empty() {
            params["developerInstructions"] = json!(self.opening.system);
        }
        if let Some(model) = &self.opening.model {
            params["model"] = json!(model);
        }
        match self.opening.session.clone() {
            Session::New(_) => self.request(Ours::Thread, "thread/start", &params),
            Session::Resume(id) => {
                params["threadId"] = json!(id);
                self.request(Ours::Thread, "thread/resume", &params)
            }
        }
    }

    /// The answer to a request of ours.
    fn answered(&mut self, ours: Ours, value: &Value) -> Heard {
        if let Some(error) = value.get("error") {
            return self.refused(ours, &words(text_at(error, "/message")));
        }
        match ours {
            Ours::Initialize => {
                let thread = self.thread();
                Heard { say: vec![json!({"method": "initialized"}), thread], ..Heard::default() }
            }
            Ours::Thread => {
                text_at(value, "/result/thread/id").clone_into(&mut self.thread);
                let prompt = std::mem::take(&mut self.opening.prompt);
                let params = json!({"threadId": self.thread, "input": [{"type": "text", "text": prompt}]});
                let turn = self.request(Ours::Turn, "turn/start", &params);
                let model = Some(text_at(value, "/result/model")).filter(|model| !model.is_empty());
                let event = EngineEvent::Session { id: self.thread.clone(), model: model.map(str::to_owned) };
                Heard { events: vec![event], say: vec![turn], close: false }
            }
            Ours::Turn => {
                self.stream.turn_is(text_at(value, "/result/turn/id"));
                self.due_interrupt()
            }
            Ours::Steer | Ours::Interrupt => Heard::default(),
        }
    }

    fn refused(&mut self, ours: Ours, message: &str) -> Heard {
        let (what, end) = match ours {
            Ours::Steer => ("a message into the work was refused", None),
            Ours::Interrupt => ("the interrupt was refused", None),
            Ours::Initialize => ("the engine could not be opened", Some(End::Failed)),
            Ours::Thread if matches!(self.opening.session, Session::Resume(_)) => {
                ("the session could not be resumed", Some(End::NoSession))
            }
            Ours::Thread => ("the session could not be begun", Some(End::Failed)),
            Ours::Turn => ("the work could not be begun", Some(End::Failed)),
        };
        let message = format!("{what}: {message}");
        let Some(end) = end else { return Heard::event(EngineEvent::Error { message }) };
        self.closed = true;
        let ending = Ending { ok: false, text: message, end, exit: None, sandbox_gone: false };
        Heard { events: vec![EngineEvent::Result(ending)], say: Vec::new(), close: true }
    }

    /// They ask us something.
    fn asked(&mut self, value: &Value) -> Heard {
        let id = value.get("id").cloned().unwrap_or_default();
        let method = text_at(value, "/method").to_owned();
        let params = value.get("params").cloned().unwrap_or_default();
        let kind = match method.as_str() {
            "item/commandExecution/requestApproval" => QuestionKind::Command,
            "item/fileChange/requestApproval" => QuestionKind::Edit,
            "item/permissions/requestApproval" => QuestionKind::Tool,
            "item/tool/requestUserInput" => QuestionKind::Ask,
            "mcpServer/elicitation/request" => {
                return Heard::say(json!({"id": id, "result": {"action": "decline"}}));
            }
            _ => {
                let error = json!({"code": NO_METHOD, "message": format!("`{method}` is not supported")});
                let say = vec![json!({"id": id, "error": error})];
                return Heard { events: vec![raw(&value.to_string())], say, close: false };
            }
        };
        let open = Open { id: id.clone(), method, params };
        let approvals = self.opening.approvals;
        let by_itself =
            approvals == Approvals::Auto || (approvals == Approvals::Edits && kind == QuestionKind::Edit);
        if by_itself {
            let answer = if kind == QuestionKind::Ask {
                Answer::Deny { message: NOBODY.into() }
            } else {
                Answer::Allow
            };
            return Heard::say(decided(&open, answer));
        }
        let (tool, input) = self.stream.asked_for(kind, &open.params);
        let question = Question {
            id: id.to_string(),
            kind,
            preview: preview(&tool, &input),
            tool,
            input: input_of(&input),
        };
        self.open.insert(id.to_string(), open);
        Heard::event(EngineEvent::Question(question))
    }

    fn due_interrupt(&mut self) -> Heard {
        if !self.interrupt || self.closed || self.stream.turn().is_empty() {
            return Heard::default();
        }
        self.interrupt = false;
        self.open.clear();
        let params = json!({"threadId": self.thread, "turnId": self.stream.turn()});
        Heard::say(self.request(Ours::Interrupt, "turn/interrupt", &params))
    }

    fn steer(&mut self, text: String) -> Heard {
        if self.closed || self.stream.turn().is_empty() {
            let message = "the message found no work under way: give it again as a new instruction".into();
            return Heard::event(EngineEvent::Error { message });
        }
        let params = json!({
            "threadId": self.thread, "expectedTurnId": self.stream.turn(),
            "input": [{"type": "text", "text": text}],
        });
        let say = vec![self.request(Ours::Steer, "turn/steer", &params)];
        Heard { events: vec![EngineEvent::Steered { text }], say, close: false }
    }
}

impl Dialog for CodexDialog {
    fn open(&mut self) -> Vec<Value> {
        let client = json!({"name": "atoll", "title": "Atoll", "version": env!("CARGO_PKG_VERSION")});
        vec![self.request(Ours::Initialize, "initialize", &json!({"clientInfo": client}))]
    }

    fn line(&mut self, value: Value) -> Heard {
        match (value.get("method").is_some(), value.get("id")) {
            // Their requests are told by the method, before any id is looked at.
            (true, Some(_)) => self.asked(&value),
            (true, None) if text_at(&value, "/method") == "serverRequest/resolved" => {
                let question = value.pointer("/params/requestId").map(Value::to_string).unwrap_or_default();
                match self.open.remove(&question) {
                    Some(_) => Heard::event(EngineEvent::Withdrawn { question }),
                    None => Heard::default(),
                }
            }
            (true, None) => {
                let (events, over) = self.stream.notification(&value);
                self.closed |= over;
                let mut heard = self.due_interrupt();
                heard.events.extend(events);
                heard.close = over;
                heard
            }
            (false, Some(id)) => match id.as_u64().and_then(|id| self.requests.remove(&id)) {
                Some(ours) => self.answered(ours, &value),
                None => Heard::event(raw(&value.to_string())),
            },
            (false, None) => Heard::event(raw(&value.to_string())),
        }
    }

    fn control(&mut self, control: Control) -> Heard {
        match control {
            Control::Answer { question, answer } => match self.open.remove(&question) {
                Some(open) => Heard::say(decided(&open, answer)),
                None => Heard::default(),
            },
            Control::Steer { text } => self.steer(text),
            Control::Interrupt => {
                self.interrupt = true;
                self.due_interrupt()
            }
        }
    }
}

/// The answer to a question of theirs, in the shape of its method.
fn decided(open: &Open, answer: Answer) -> Value {
    let result = match (open.method.as_str(), answer) {
        ("item/permissions/requestApproval", Answer::Allow) => {
            let asked = open.params.get("permissions").cloned().unwrap_or_else(|| json!({}));
            json!({"permissions": asked, "scope": "turn"})
        }
        ("item/permissions/requestApproval", _) => json!({"permissions": {}}),
        ("item/tool/requestUserInput", answer) => {
            let questions = open.params.get("questions").and_then(Value::as_array);
            let given = |question: &Value| match &answer {
                Answer::Choose { answers } => answers
                    .get(text_at(question, "/id"))
                    .or_else(|| answers.get(text_at(question, "/question")))
                    .cloned(),
                Answer::Deny { message } => Some(message.clone()),
                Answer::Allow => Some(NOBODY.to_owned()),
            };
            let answers: serde_json::Map<String, Value> = questions
                .into_iter()
                .flatten()
                .filter_map(|question| {
                    let id = text_at(question, "/id").to_owned();
                    given(question).map(|said| (id, json!({"answers": [said]})))
                })
                .collect();
            json!({"answers": answers})
        }
        (_, Answer::Allow) => json!({"decision": "accept"}),
        (_, _) => json!({"decision": "decline"}),
    };
    json!({"id": open.id, "result": result})
}
