//! A client of the REST interface, with its streams.

use std::time::Duration;

use atoll::net::sse::{SseEvent, SseParser};
use futures_util::StreamExt;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::server::PATIENCE;

/// Somebody with a key.
#[derive(Clone)]
pub(crate) struct User {
    http: Client,
    pub base: String,
    pub key: String,
}

/// What a stream said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub name: String,
    pub data: Value,
    pub id: Option<String>,
}

impl User {
    pub(crate) fn new(base: &str, key: &str) -> Self {
        atoll::net::install_tls();
        let http = Client::builder().pool_max_idle_per_host(256).build().unwrap();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.key)
    }

    /// A request without the key.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Gets what must be there.
    pub(crate) async fn look(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert!(status.is_success(), "GET {path}: {status} {body}");
        body
    }

    /// Says something and reads all that comes.
    pub(crate) async fn chat(&self, body: Value) -> Vec<Event> {
        self.open(body).await.rest().await
    }

    /// Says something and gives the answer's words; whatever goes wrong is a panic.
    pub(crate) async fn ask(&self, message: &str) -> String {
        self.ask_as(json!({"message": message})).await
    }

    pub(crate) async fn ask_as(&self, body: Value) -> String {
        let events = self.chat(body).await;
        let response = events.iter().find(|event| event.name == "response");
        let response = response.unwrap_or_else(|| panic!("no answer: {events:#?}"));
        response.data["text"].as_str().unwrap().to_owned()
    }

    /// Says something and gives the stream.
    pub(crate) async fn open(&self, body: Value) -> Stream {
        Stream::of(self.request(Method::POST, "/api/chat").json(&body)).await
    }

    /// Says something under a key.
    pub(crate) async fn open_keyed(&self, key: &str, body: Value) -> Stream {
        Stream::of(self.request(Method::POST, "/api/chat").header("idempotency-key", key).json(&body)).await
    }

    /// As `open_keyed`, for servers that may die at any moment.
    pub(crate) async fn try_chat(&self, key: &str, body: Value) -> Result<Vec<Event>, String> {
        let request = self.request(Method::POST, "/api/chat").header("idempotency-key", key).json(&body);
        let response = request.send().await.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(response.status().to_string());
        }
        let mut stream = Stream::from_response(response);
        let mut events = Vec::new();
        while let Some(event) = stream.try_next().await? {
            let last = matches!(event.name.as_str(), "done" | "error");
            events.push(event);
            if last {
                return Ok(events);
            }
        }
        Err("the stream ended early".into())
    }
}

async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.timeout(PATIENCE).send().await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap_or(Value::Null))
}

type Bytes = std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

/// A stream of events.
pub(crate) struct Stream {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    parser: SseParser,
    bytes: Bytes,
    read: std::collections::VecDeque<SseEvent>,
}

impl Stream {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::from_response(request.send().await.unwrap())
    }

    pub(crate) fn from_response(response: Response) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            parser: SseParser::default(),
            bytes: Box::pin(response.bytes_stream()),
            read: Default::default(),
        }
    }

    /// The next event; why there is none when the stream breaks.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Event>, String> {
        loop {
            if let Some(event) = self.read.pop_front() {
                let data = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
                return Ok(Some(Event { name: event.event, data, id: event.id }));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.bytes.next()).await;
            match chunk.map_err(|_| "nothing came in time".to_owned())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(bytes)) => self.read.extend(self.parser.push(&bytes).unwrap()),
            }
        }
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.try_next().await.unwrap()
    }

    /// Reads until an event of this name (and, with data, this) comes.
    pub(crate) async fn until(&mut self, name: &str, so: impl Fn(&Value) -> bool) -> Event {
        self.until_any(&[name], so).await
    }

    /// The same for several names.
    pub(crate) async fn until_any(&mut self, names: &[&str], so: impl Fn(&Value) -> bool) -> Event {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            if names.contains(&event.name.as_str()) && so(&event.data) {
                return event;
            }
            seen.push(event);
        }
        panic!("no such {names:?}: {seen:#?}");
    }

    /// All that comes until the end.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            let last = matches!(event.name.as_str(), "done" | "error");
            events.push(event);
            if last {
                break;
            }
        }
        events
    }
}

/// The words of the answer in these events.
pub(crate) fn answer_of(events: &[Event]) -> Option<String> {
    let response = events.iter().find(|event| event.name == "response")?;
    response.data["text"].as_str().map(str::to_owned)
}

/// The code of an error, whose shape is the only one that there is.
pub(crate) fn code_of(body: &Value) -> &str {
    let error = &body["error"];
    assert_eq!(body.as_object().map(|body| body.len()), Some(1), "no error: {body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(error["details"].is_object(), "{body}");
    error["code"].as_str().unwrap_or_else(|| panic!("no code: {body}"))
}

/// A short pause of the real world, where there is nothing to look at.
pub(crate) async fn breathe() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
