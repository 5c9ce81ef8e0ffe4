//! The model APIs as engines know them: Anthropic messages and OpenAI responses, streamed, doing one scripted step
//! after another. A step is chosen by the results of tools since the last prompt. An engine may ask directly, or
//! through the gateway.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the model does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Says this, and is done.
    Say(String),
    /// Runs this in a shell.
    Shell(String),
    /// Writes a file: path and content.
    Write(String, String),
    /// Reads a file.
    Read(String),
    /// Puts a line of a file in the place of another: path, old, new.
    Edit(String, String, String),
    /// Refuses with this status and these words.
    #[cfg_attr(not(feature = "real-clis"), expect(dead_code, reason = "a gateway refuses by itself"))]
    Refuse(u16, String),
}

/// A request to a model.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The key that was shown.
    pub(crate) key: String,
    /// All headers, as they came.
    pub(crate) head: String,
    pub(crate) body: Value,
}

/// Tokens that each answer is said to have read, and to have written.
pub(crate) const USED: (u64, u64) = (100, 20);

#[derive(Default)]
struct Shared {
    steps: Mutex<Vec<Step>>,
    requests: Mutex<Vec<Asked>>,
    /// Tokens that an answer is said to have read beside the usual ones.
    more: AtomicU64,
}

impl Shared {
    fn read(&self) -> u64 {
        USED.0 + self.more.load(Ordering::SeqCst)
    }
}

/// The servers, for as long as the test's runtime lives.
pub(crate) struct Models {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Models {
    pub(crate) fn start(steps: Vec<Step>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { steps: Mutex::new(steps), ..Shared::default() });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { address, shared }
    }

    /// Where engines find them.
    #[cfg(feature = "real-clis")]
    pub(crate) fn gateway(&self) -> String {
        format!("http://{}/llm", self.address)
    }

    /// Where the APIs are: what comes after it begins with `/v1`.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on each answer is said to have read so many tokens more.
    pub(crate) fn reads_more(&self, tokens: u64) {
        self.shared.more.store(tokens, Ordering::SeqCst);
    }

    pub(crate) fn becomes(&self, steps: Vec<Step>) {
        *self.shared.steps.lock().unwrap() = steps;
    }

    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.shared.requests.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        read.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
        let path = line.split(' ').nth(1)?.split('?').next()?.to_owned();
        let (mut length, mut key, mut head) = (0, String::new(), String::new());
        loop {
            let mut line = String::new();
            read.read_line(&mut line).await.ok()?;
            head.push_str(&line);
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "x-api-key" => value.trim().clone_into(&mut key),
                "authorization" => value.trim().trim_start_matches("Bearer ").clone_into(&mut key),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        read.read_exact(&mut body).await.ok()?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = match path.as_str() {
            "/llm/anthropic/v1/messages" | "/v1/messages" => Some(anthropic(&body, &shared)),
            "/llm/openai/v1/responses" | "/v1/responses" => Some(openai(&body, &shared)),
            _ => None,
        };
        if answer.is_some() {
            shared.requests.lock().unwrap().push(Asked { key, head, body });
        }
        let (status, kind, text) = match answer {
            Some(Ok(events)) => (200, "text/event-stream", events),
            Some(Err((status, error))) => (status, "application/json", error.to_string()),
            None => (404, "application/json", "{}".into()),
        };
        let head =
            format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", text.len());
        let body = if line.starts_with("HEAD") { "" } else { text.as_str() };
        write.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
    }
}

type Answered = Result<String, (u16, Value)>;

fn step(shared: &Shared, at: usize) -> Step {
    let steps = shared.steps.lock().unwrap();
    steps[at.min(steps.len() - 1)].clone()
}

fn events(events: &[Value]) -> String {
    let lines =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    lines.collect()
}

fn anthropic(body: &Value, shared: &Shared) -> Answered {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let is_result = |message: &Value| {
        message["content"]
            .as_array()
            .is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"))
    };
    let theirs = messages.iter().rev().filter(|message| message["role"] == "user");
    let done = theirs.take_while(|message| is_result(message)).count();
    // Small questions beside the work, such as for a title, offer no shell.
    let has_shell = body["tools"].to_string().contains("\"Bash\"");
    let step = if has_shell { step(shared, done) } else { Step::Say("aside".into()) };
    let start = json!({"type": "message_start", "message": {
        "id": format!("msg_{}_{done}", messages.len()), "type": "message", "role": "assistant", "content": [],
        "model": body["model"], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": shared.read(), "output_tokens": 1},
    }});
    let (block, delta, stop) = match step {
        Step::Say(text) => {
            (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": text}), "end_turn")
        }
        Step::Shell(_) | Step::Write(..) | Step::Read(_) | Step::Edit(..) => {
            let (name, input) = match step {
                Step::Write(path, content) => ("Write", json!({"file_path": path, "content": content})),
                Step::Read(path) => ("Read", json!({"file_path": path})),
                Step::Edit(path, old, new) => {
                    ("Edit", json!({"file_path": path, "old_string": old, "new_string": new}))
                }
                Step::Shell(command) => ("Bash", json!({"command": command, "description": "work"})),
                Step::Say(_) | Step::Refuse(..) => unreachable!(),
            };
            let input = input.to_string();
            let id = format!("toolu_{}_{done}", messages.len());
            (
                json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                json!({"type": "input_json_delta", "partial_json": input}),
                "tool_use",
            )
        }
        Step::Refuse(status, message) => {
            let error = json!({"type": "invalid_request_error", "message": message});
            return Err((status, json!({"type": "error", "error": error})));
        }
    };
    Ok(events(&[
        start,
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
               "usage": {"output_tokens": USED.1}}),
        json!({"type": "message_stop"}),
    ]))
}

fn openai(body: &Value, shared: &Shared) -> Answered {
    let items = body["input"].as_array().cloned().unwrap_or_default();
    let kind = |item: &Value| item["type"].as_str().unwrap_or("message").to_owned();
    let since = items.iter().rev().take_while(|item| !(kind(item) == "message" && item["role"] == "user"));
    let done = since.filter(|item| kind(item).ends_with("_output")).count();
    let patch = |patch: String| {
        Step::Shell(format!("apply_patch <<'EOF'\n*** Begin Patch\n{patch}\n*** End Patch\nEOF"))
    };
    let step = match step(shared, done) {
        Step::Write(path, content) => patch(format!("*** Add File: {path}\n+{content}")),
        Step::Edit(path, old, new) => patch(format!("*** Update File: {path}\n@@\n-{old}\n+{new}")),
        Step::Read(path) => Step::Shell(format!("cat {path}")),
        step => step,
    };
    let item = match step {
        Step::Say(text) => json!({
            "type": "message", "id": format!("msg_{}", items.len()), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
        Step::Shell(command) => json!({
            "type": "function_call", "id": format!("fc_{}", items.len()), "call_id": format!("call_{}", items.len()),
            "name": "exec_command", "arguments": json!({"cmd": command}).to_string(), "status": "completed",
        }),
        Step::Write(..) | Step::Read(_) | Step::Edit(..) => unreachable!(),
        Step::Refuse(status, message) => {
            return Err((status, json!({"error": {"message": message, "type": "invalid_request_error"}})));
        }
    };
    let response = |status: &str, output: Value| {
        json!({
            "id": format!("resp_{}", items.len()), "object": "response", "created_at": 1, "model": body["model"],
            "status": status, "output": output,
            "usage": {"input_tokens": shared.read(), "input_tokens_details": {"cached_tokens": 0},
                      "output_tokens": USED.1, "output_tokens_details": {"reasoning_tokens": 0},
                      "total_tokens": shared.read() + USED.1},
        })
    };
    Ok(events(&[
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": response("completed", json!([item]))}),
    ]))
}
