//! A model server of our own over real sockets. It speaks both wire protocols, streaming, and is as strict as
//! the real ones: what they would refuse, it refuses, and remembers that it did.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
};

/// What the model does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Say this.
    Say(String),
    /// Say this and call these tools.
    Call(String, Vec<(String, Value)>),
    /// Say this, and be cut off at the length limit.
    Cut(String),
    /// Say this in pieces with a pause before each, in milliseconds.
    Slowly(Vec<String>, u64),
    /// Answer with this status, these headers, this body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Begin to say this, then hang up.
    BreakOff(String),
    /// Say nothing at all, until the client hangs up.
    Hang,
    /// Send this as a stream of events, to the letter, then end so.
    Raw(String, Then),
    /// Do this when the gate is open.
    Held(Gate, Box<Reply>),
}

/// What comes after a stream that was sent to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The end, as HTTP wants it.
    End,
    /// The connection breaks.
    HangUp,
    /// Nothing, until the client hangs up.
    Silence,
}

/// Holds replies back until it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Gate(tokio::sync::watch::Sender<bool>);

impl Gate {
    /// A gate that is shut.
    pub(crate) fn new() -> Self {
        Self(tokio::sync::watch::Sender::new(false))
    }

    /// Lets all through, now and later.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Says this when it is open.
    pub(crate) fn say(&self, text: impl Into<String>) -> Reply {
        self.then(Reply::say(text))
    }

    /// This reply, when the gate is open.
    pub(crate) fn then(&self, reply: Reply) -> Reply {
        Reply::Held(self.clone(), Box::new(reply))
    }
}

impl Reply {
    pub(crate) fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    pub(crate) fn call(tool: &str, args: Value) -> Self {
        Self::Call(String::new(), vec![(tool.to_owned(), args)])
    }
}

/// A request, in the terms of both protocols.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Which one, from 1, in the order of arrival; 0 for a reading.
    pub number: u64,
    /// Path and query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body as it came.
    pub body: Value,
}

impl Request {
    pub(crate) fn is_anthropic(&self) -> bool {
        self.path.starts_with("/v1/messages")
    }

    /// The words of the last message, of whatever role.
    pub(crate) fn last(&self) -> String {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        messages.last().map(|message| words(&message["content"])).unwrap_or_default()
    }

    /// The words of the last message of the user's own.
    pub(crate) fn last_user(&self) -> String {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let is_user = |message: &&Value| message["role"] == "user" && !words(&message["content"]).is_empty();
        messages.iter().rev().find(is_user).map(|message| words(&message["content"])).unwrap_or_default()
    }

    /// Results of tools that came since the last answer, joined.
    pub(crate) fn results(&self) -> Vec<String> {
        let messages = self.body["messages"].as_array().cloned().unwrap_or_default();
        let mut results = Vec::new();
        for message in messages.iter().rev() {
            if message["role"] == "tool" {
                results.insert(0, words(&message["content"]));
            } else if self.is_anthropic() && message["role"] == "user" {
                let blocks = message["content"].as_array().cloned().unwrap_or_default();
                let found = blocks.iter().filter(|block| block["type"] == "tool_result");
                results = found.map(|block| words(&block["content"])).collect();
                break;
            } else {
                break;
            }
        }
        results
    }

    pub(crate) fn text(&self) -> String {
        self.body.to_string()
    }
}

fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

type Script = Box<dyn Fn(&Request) -> Reply + Send + Sync>;

struct Shared {
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Request>>,
    readings: Mutex<Vec<Request>>,
    finds: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
    count: AtomicU64,
    keep: bool,
}

/// The server; it lives on a thread of its own until it is dropped.
pub(crate) struct MockModel {
    shared: Arc<Shared>,
    address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl MockModel {
    /// A model that does what the script says.
    pub(crate) fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::run(Box::new(script), true)
    }

    /// A model that answers at once and remembers nothing: for figures.
    pub(crate) fn instant(text: &'static str) -> Self {
        Self::run(Box::new(move |_| Reply::Say(text.to_owned())), false)
    }

    fn run(script: Script, keep: bool) -> Self {
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            readings: Mutex::default(),
            finds: Mutex::default(),
            refused: Mutex::default(),
            count: AtomicU64::new(0),
            keep,
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = accept(listener, inner) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { shared, address: told.recv().unwrap(), _stop: stop }
    }

    /// The address for `base_url` of providers that speak chat completions.
    pub(crate) fn openai(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address for `base_url` of Anthropic.
    pub(crate) fn anthropic(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something else from now on.
    pub(crate) fn becomes(&self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(Box::new(script));
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Requests to read a conversation for facts. They come when it is quiet, beside what a test is about: they
    /// are answered with what it [finds](Self::finds), and neither counted nor listed elsewhere.
    pub(crate) fn readings(&self) -> Vec<Request> {
        self.shared.readings.lock().unwrap().clone()
    }

    /// Finds these facts in every conversation that it reads.
    pub(crate) fn finds(&self, facts: &[&str]) {
        *self.shared.finds.lock().unwrap() = facts.iter().map(|fact| (*fact).to_owned()).collect();
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// What a real provider would have refused, in words.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    while let Some(request) = read_request(&mut read, &shared).await {
        if request.number == 0 {
            let fact =
                |content: &String| json!({"content": content, "category": "personal", "importance": 0.7});
            let facts: Vec<Value> = shared.finds.lock().unwrap().iter().map(fact).collect();
            let facts = ("store_facts".to_owned(), json!({"facts": facts}));
            shared.readings.lock().unwrap().push(request.clone());
            if answer(&mut write, &request, Reply::Call(String::new(), vec![facts])).await.is_none() {
                return;
            }
            continue;
        }
        let fault = check(&request);
        let reply = match fault {
            Some(fault) => {
                shared.refused.lock().unwrap().push(fault.clone());
                Reply::Status(400, vec![], json!({"error": {"message": fault}}).to_string())
            }
            None => {
                let script = Arc::clone(&shared.script.lock().unwrap());
                script(&request)
            }
        };
        if shared.keep {
            shared.requests.lock().unwrap().push(request.clone());
        }
        if answer(&mut write, &request, reply).await.is_none() {
            return;
        }
    }
}

async fn read_request(
    read: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
    shared: &Shared,
) -> Option<Request> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        read.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    read.read_exact(&mut body).await.ok()?;
    let reads = body.windows(11).any(|bytes| bytes == b"store_facts");
    let number = if reads { 0 } else { shared.count.fetch_add(1, Ordering::SeqCst) + 1 };
    let body = if shared.keep { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
    Some(Request { number, path, headers, body })
}

const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What the real APIs refuse.
fn check(request: &Request) -> Option<String> {
    let body = &request.body;
    if body.is_null() {
        return None;
    }
    let messages = body["messages"].as_array()?;
    if request.is_anthropic() { check_anthropic(body, messages) } else { check_openai(body, messages) }
}

fn check_openai(body: &Value, messages: &[Value]) -> Option<String> {
    let known = [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "tools",
    ];
    for key in body.as_object()?.keys() {
        if !known.contains(&key.as_str()) {
            return Some(format!("unknown parameter {key}"));
        }
    }
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
            let Some(at) = open.iter().position(|known| *known == id) else {
                return Some(format!("a tool message answers no call: {id}"));
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Some(format!("tool calls without results: {open:?}"));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            open.push(call["id"].as_str().unwrap_or_default().to_owned());
            let args = call["function"]["arguments"].as_str().unwrap_or("{");
            if serde_json::from_str::<Value>(args).is_err() && !args.starts_with("broken") {
                return Some(format!("arguments are no JSON: {args}"));
            }
        }
    }
    if !open.is_empty() {
        return Some(format!("tool calls without results at the end: {open:?}"));
    }
    let parts = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    for part in parts {
        let data = |place: &Value| {
            place.as_str().unwrap_or_default().split(';').next().unwrap_or_default().to_owned()
        };
        let fine = match part["type"].as_str().unwrap_or_default() {
            "image_url" => {
                PICTURES.map(|kind| format!("data:{kind}")).contains(&data(&part["image_url"]["url"]))
            }
            "input_audio" => part["input_audio"]["format"] == "wav" || part["input_audio"]["format"] == "mp3",
            "video_url" => data(&part["video_url"]["url"]).starts_with("data:video/"),
            "file" => data(&part["file"]["file_data"]) == "data:application/pdf",
            "text" => true,
            _ => false,
        };
        if !fine {
            return Some(format!("a part of type {} is not taken as it is", part["type"]));
        }
    }
    check_tools(body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]))
}

fn check_anthropic(body: &Value, messages: &[Value]) -> Option<String> {
    if body["max_tokens"].as_u64().is_none() {
        return Some("max_tokens is missing".into());
    }
    let mut role = "assistant";
    let mut uses: Vec<String> = Vec::new();
    for message in messages {
        let now = message["role"].as_str().unwrap_or_default();
        if now == role {
            return Some(format!("two messages in a row of {now}"));
        }
        role = if now == "user" { "user" } else { "assistant" };
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        if blocks.is_empty() {
            return Some("a message without content".into());
        }
        let results: Vec<String> = blocks
            .iter()
            .filter(|block| block["type"] == "tool_result")
            .map(|block| block["tool_use_id"].as_str().unwrap_or_default().to_owned())
            .collect();
        if results != uses {
            return Some(format!("tool_use {uses:?} is followed by tool_result {results:?}"));
        }
        if blocks.iter().any(|block| {
            block["type"] == "text" && block["text"].as_str().is_none_or(|t| t.trim().is_empty())
        }) {
            return Some("text content blocks must be non-empty".into());
        }
        uses = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| block["id"].as_str().unwrap_or_default().to_owned())
            .collect();
    }
    let blocks = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    for block in blocks {
        let (source, kind) = (&block["source"], block["source"]["media_type"].as_str().unwrap_or_default());
        let fine = match block["type"].as_str().unwrap_or_default() {
            "image" => source["type"] == "base64" && PICTURES.contains(&kind),
            "document" => source["type"] == "base64" && kind == "application/pdf",
            "text" | "tool_use" | "tool_result" => true,
            _ => false,
        };
        if !fine {
            return Some(format!("a block of type {} with {kind} is not taken", block["type"]));
        }
    }
    if role != "user" {
        return Some("the last message must be the user's".into());
    }
    let marks = body.to_string().matches("cache_control").count();
    if marks > 4 {
        return Some(format!("{marks} cache marks, at most 4"));
    }
    check_tools(body["tools"].as_array().into_iter().flatten())
}

fn check_tools<'a>(tools: impl Iterator<Item = &'a Value>) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for tool in tools {
        let name = tool["name"].as_str().unwrap_or_default();
        let fine = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !fine || names.contains(&name) {
            return Some(format!("tool name `{name}` is bad or there twice"));
        }
        names.push(name);
    }
    None
}

async fn answer(write: &mut OwnedWriteHalf, request: &Request, reply: Reply) -> Option<()> {
    match reply {
        Reply::Status(code, headers, body) => {
            let mut head = format!("HTTP/1.1 {code} x\r\ncontent-type: application/json\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
            write.write_all(head.as_bytes()).await.ok()
        }
        Reply::Held(gate, reply) => {
            let _ = gate.0.subscribe().wait_for(|open| *open).await;
            Box::pin(answer(write, request, *reply)).await
        }
        Reply::Raw(body, then) => {
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &body).await?;
            match then {
                Then::End => write.write_all(b"0\r\n\r\n").await.ok(),
                Then::HangUp => None,
                Then::Silence => {
                    tokio::time::sleep(Duration::from_secs(3_600)).await;
                    None
                }
            }
        }
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            None
        }
        Reply::BreakOff(text) => {
            let events = Events::of(request).words(&text);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &events).await?;
            None
        }
        Reply::Slowly(pieces, pause) => {
            let events = Events::of(request);
            write.write_all(chunked_head().as_bytes()).await.ok()?;
            chunk(write, &events.begin()).await?;
            for piece in &pieces {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                chunk(write, &events.words(piece)).await?;
            }
            chunk(write, &events.end("end", pieces.concat().len())).await?;
            write.write_all(b"0\r\n\r\n").await.ok()
        }
        Reply::Say(text) => whole(write, request, &text, &[], "end").await,
        Reply::Cut(text) => whole(write, request, &text, &[], "length").await,
        Reply::Call(text, calls) => whole(write, request, &text, &calls, "tools").await,
    }
}

async fn whole(
    write: &mut OwnedWriteHalf,
    request: &Request,
    text: &str,
    calls: &[(String, Value)],
    stop: &str,
) -> Option<()> {
    let events = Events::of(request);
    let mut body = events.begin();
    if !text.is_empty() {
        body.push_str(&events.words(text));
    }
    for (at, (tool, args)) in calls.iter().enumerate() {
        body.push_str(&events.call(at, tool, args));
    }
    body.push_str(&events.end(stop, text.len()));
    let answer = format!("{}{:x}\r\n{body}\r\n0\r\n\r\n", chunked_head(), body.len());
    write.write_all(answer.as_bytes()).await.ok()
}

fn chunked_head() -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".into()
}

async fn chunk(write: &mut OwnedWriteHalf, text: &str) -> Option<()> {
    let piece = format!("{:x}\r\n{text}\r\n", text.len());
    write.write_all(piece.as_bytes()).await.ok()
}

/// Writes the events of one protocol.
struct Events {
    anthropic: bool,
    number: u64,
    input: usize,
}

impl Events {
    fn of(request: &Request) -> Self {
        let input = if request.body.is_null() { 300 } else { request.body.to_string().len() };
        Self { anthropic: request.is_anthropic(), number: request.number, input: input / 4 }
    }

    fn data(value: &Value) -> String {
        match value["type"].as_str() {
            Some(kind) => format!("event: {kind}\ndata: {value}\n\n"),
            None => format!("data: {value}\n\n"),
        }
    }

    fn begin(&self) -> String {
        if !self.anthropic {
            return Self::data(
                &json!({"model": "mock", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
            );
        }
        Self::data(&json!({"type": "message_start", "message": {
            "model": "mock", "usage": {"input_tokens": self.input, "output_tokens": 1},
        }}))
    }

    fn words(&self, text: &str) -> String {
        if !self.anthropic {
            return Self::data(&json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        }
        Self::data(
            &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ) + &Self::data(&json!({
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
        })) + &Self::data(&json!({"type": "content_block_stop", "index": 0}))
    }

    fn call(&self, at: usize, tool: &str, args: &Value) -> String {
        let id = format!("call_{}_{at}", self.number);
        let args = match args {
            Value::String(raw) => raw.clone(),
            other => other.to_string(),
        };
        let (one, two) =
            args.split_at(args.char_indices().nth(args.chars().count() / 2).map_or(0, |(i, _)| i));
        if !self.anthropic {
            let head = json!({"index": at, "id": id, "type": "function", "function": {"name": tool, "arguments": one}});
            let tail = json!({"index": at, "function": {"arguments": two}});
            return Self::data(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [head]}}]}))
                + &Self::data(&json!({"choices": [{"index": 0, "delta": {"tool_calls": [tail]}}]}));
        }
        let index = at + 1;
        let delta = |piece: &str| {
            Self::data(&json!({
                "type": "content_block_delta", "index": index,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }))
        };
        Self::data(&json!({
            "type": "content_block_start", "index": index,
            "content_block": {"type": "tool_use", "id": id, "name": tool, "input": {}},
        })) + &delta(one)
            + &delta(two)
            + &Self::data(&json!({"type": "content_block_stop", "index": index}))
    }

    fn end(&self, stop: &str, written: usize) -> String {
        let output = written / 4 + 1;
        if !self.anthropic {
            let reason = match stop {
                "length" => "length",
                "tools" => "tool_calls",
                _ => "stop",
            };
            return Self::data(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
                + &Self::data(&json!({
                    "choices": [], "usage": {"prompt_tokens": self.input, "completion_tokens": output},
                }))
                + "data: [DONE]\n\n";
        }
        let reason = match stop {
            "length" => "max_tokens",
            "tools" => "tool_use",
            _ => "end_turn",
        };
        Self::data(&json!({
            "type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": output},
        })) + &Self::data(&json!({"type": "message_stop"}))
    }
}
