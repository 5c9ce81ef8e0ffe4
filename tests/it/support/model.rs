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

use super::{strict::check, wire::answer};

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
    /// Say these pieces, each when its gate is open; call these tools and end when the last gate is.
    Stepwise(Vec<(Gate, String)>, Vec<(String, Value)>, Gate),
    /// Say this, and when the gate is open the rest.
    Until(String, Gate, String),
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
pub(crate) struct Gate(pub(super) tokio::sync::watch::Sender<bool>);

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
