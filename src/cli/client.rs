//! The running server of a home, over REST with the local key.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::{
    home::{Home, Lock},
    net::{
        install_tls, local_client,
        sse::{SseEvent, SseParser},
    },
};

use super::CliError;

/// How long a server may take to answer anything but a chat.
const ANSWER: Duration = Duration::from_secs(30);

/// The running server.
pub(super) struct Client {
    http: reqwest::Client,
    address: String,
    key: String,
}

impl Client {
    /// Finds the server of a home.
    pub(super) fn find(home: &Home) -> Result<Self, CliError> {
        install_tls();
        let read =
            |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let (address, key) = (read(home.address_file()), read(home.local_key_file()));
        if address.is_empty() || key.is_empty() || !Lock::is_held(&home.lock_file()) {
            return Err(CliError::said(format!(
                "no atoll runs on {}: start it with `atoll start -d`",
                home.root().display()
            )));
        }
        // A server that listens everywhere is reached here by loopback.
        let address = address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
        let http = local_client().map_err(|error| CliError::said(error.to_string()))?;
        Ok(Self { http, address, key })
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address)).bearer_auth(&self.key)
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.json(self.request(Method::GET, path)).await
    }

    pub(super) async fn get_with(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, CliError> {
        self.json(self.request(Method::GET, path).query(query)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.json(self.request(Method::PATCH, path).json(body)).await
    }

    /// A request that is answered without words.
    pub(super) async fn done(&self, method: Method, path: &str) -> Result<(), CliError> {
        let response = self.request(method, path).timeout(ANSWER).send().await.map_err(unreachable)?;
        checked(response).await.map(|_| ())
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let response = request.timeout(ANSWER).send().await.map_err(unreachable)?;
        let response = checked(response).await?;
        response.json().await.map_err(unreachable)
    }

    /// What is answered, as text.
    pub(super) async fn text(&self, path: &str) -> Result<String, CliError> {
        let request = self.request(Method::GET, path).timeout(ANSWER);
        let response = checked(request.send().await.map_err(unreachable)?).await?;
        response.text().await.map_err(unreachable)
    }

    /// Sends a request and hands its events on as they come, until `each` says that it is enough.
    pub(super) async fn stream(
        &self,
        request: RequestBuilder,
        mut each: impl FnMut(&SseEvent) -> bool,
    ) -> Result<(), CliError> {
        let response = checked(request.send().await.map_err(unreachable)?).await?;
        let mut parser = SseParser::default();
        let mut bytes = response.bytes_stream();
        while let Some(chunk) = bytes.next().await {
            let events = parser.push(&chunk.map_err(unreachable)?);
            for event in events.map_err(|error| CliError::said(error.to_string()))? {
                if !each(&event) {
                    return Ok(());
                }
            }
        }
        Err(CliError::said("the server ended the stream; it may be restarting"))
    }
}

fn unreachable(error: reqwest::Error) -> CliError {
    let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
    CliError::said(format!("the server {what}; `atoll status` and `atoll logs` say more"))
}

async fn checked(response: Response) -> Result<Response, CliError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body: Value = response.json().await.unwrap_or_default();
    let message = body["error"]["message"].as_str().unwrap_or("no reason given");
    Err(CliError::said(format!("{message} ({})", status.as_u16())))
}

/// Something that was typed, as one segment of a path: it cannot reach another one.
pub(super) fn segment(typed: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in typed.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            text.push(byte as char);
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Runs an asynchronous command to its end.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work))
}
