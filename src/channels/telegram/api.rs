//! Calls of the Bot API over HTTP (<https://core.telegram.org/bots/api#making-requests>). Methods and their fields are
//! teloxide's; the calls are made with the house's own client, because what tells a lost answer from an unsent call and
//! one status from another is what sending once depends on, and because no error may carry an address: the token is in it.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{RequestBuilder, Response, Url, multipart};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use teloxide::requests::Payload;

use crate::{domain::secret::Secret, net::Clients, ports::platform::Download};

use super::errors::{CallError, clean};

/// Where the Bot API is.
const API: &str = "https://api.telegram.org";
/// Largest answer that is read, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;
/// Longest wait for the next piece of a file.
const PIECE: Duration = Duration::from_secs(30);

/// What all answers look like.
#[derive(Deserialize)]
struct Answer<T> {
    ok: bool,
    result: Option<T>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<Parameters>,
}

#[derive(Deserialize, Default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// The Bot API for one token.
pub(super) struct Api {
    base: String,
    token: Secret,
    clients: Clients,
}

impl Api {
    /// The API at this address. `None` when there can be none there, or the token can be no part of an address.
    pub(super) fn new(api_url: Option<&str>, token: Secret) -> Option<Self> {
        let base = api_url.unwrap_or(API).trim_end_matches('/').to_owned();
        let fine =
            Url::parse(&base).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        let token_fine = !token.is_empty() && token.reveal().chars().all(plain);
        (fine && token_fine).then(|| Self { base, token, clients: Clients::default() })
    }

    /// Calls a method.
    pub(super) async fn call<P>(&self, payload: &P, patience: Duration) -> Result<Value, CallError>
    where
        P: Payload + Serialize + Sync,
    {
        let request = self.method(P::NAME)?.json(payload).timeout(patience);
        self.answer(request).await
    }

    /// As [`call`](Self::call), with the items of the result apart, so that one that cannot be read is one.
    pub(super) async fn list<P>(
        &self,
        payload: &P,
        patience: Duration,
    ) -> Result<Vec<Box<RawValue>>, CallError>
    where
        P: Payload + Serialize + Sync,
    {
        let request = self.method(P::NAME)?.json(payload).timeout(patience);
        self.answer(request).await
    }

    /// Calls a method with a file: `payload` names it as `attach://file`. Each of its fields is a part of the form.
    pub(super) async fn upload<P>(
        &self,
        payload: &P,
        file: multipart::Part,
        patience: Duration,
    ) -> Result<Value, CallError>
    where
        P: Payload + Serialize + Sync,
    {
        let unsent = |words: &str| CallError::Unsent(words.to_owned());
        let Ok(Value::Object(fields)) = serde_json::to_value(payload) else {
            return Err(unsent("the call cannot be written"));
        };
        let mut form = multipart::Form::new();
        for (name, value) in fields {
            form = match value {
                Value::String(text) => form.text(name, text),
                other => form.text(name, other.to_string()),
            };
        }
        let request = self.method(P::NAME)?.multipart(form.part("file", file)).timeout(patience);
        self.answer(request).await
    }

    /// A file's bytes, by the path that `getFile` gave.
    pub(super) async fn download(&self, path: &str, patience: Duration) -> Result<Download, CallError> {
        let odd = path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..");
        if odd || path.contains(['?', '#', '\\']) {
            let words =
                "its path cannot be fetched: is the server one that keeps files to itself?".to_owned();
            return Err(CallError::Said { code: 400, words, wait: None });
        }
        let url = format!("{}/file/bot{}/{path}", self.base, self.token.reveal());
        let client = self.clients.to(&self.base).map_err(|error| CallError::Unsent(error.to_string()))?;
        let lost = || CallError::Lost("the file does not come".into());
        let response = tokio::time::timeout(patience, client.get(url).send()).await.map_err(|_| lost())?;
        let response = response.map_err(|error| self.broken(error))?;
        if !response.status().is_success() {
            let words = "the file cannot be fetched".to_owned();
            return Err(CallError::Said { code: response.status().as_u16(), words, wait: None });
        }
        let token = self.token.clone();
        let pieces = stream::unfold(Some(response), move |response| next_piece(response, token.clone()));
        Ok(pieces.boxed())
    }

    fn method(&self, name: &str) -> Result<RequestBuilder, CallError> {
        // The server takes names in any case; its documents begin them small.
        let mut name = name.to_owned();
        if let Some(first) = name.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        let client = self.clients.to(&self.base).map_err(|error| CallError::Unsent(error.to_string()))?;
        Ok(client.post(format!("{}/bot{}/{name}", self.base, self.token.reveal())))
    }

    async fn answer<T>(&self, request: RequestBuilder) -> Result<T, CallError>
    where
        T: for<'de> Deserialize<'de>,
    {
        let response = request.send().await.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let bytes = self.read(response).await?;
        read_answer(status, &bytes).map_err(|error| error.without(&self.token))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= LARGEST => bytes.extend_from_slice(&chunk),
                Ok(Some(_)) => return Err(CallError::Lost("the answer is too large".into())),
                Ok(None) => return Ok(bytes),
                // An answer has begun: the call has arrived.
                Err(error) => {
                    let words = error.without_url().to_string();
                    return Err(CallError::Lost(words).without(&self.token));
                }
            }
        }
    }

    /// An error of the connection: whether the call can have arrived is what matters.
    fn broken(&self, error: reqwest::Error) -> CallError {
        let sent = !error.is_connect() && !error.is_builder();
        let timed_out = error.is_timeout();
        let words = chain(&error.without_url());
        let error = match (sent, timed_out) {
            (true, true) => CallError::Lost("no answer from Telegram in time".into()),
            (true, false) => CallError::Lost(format!("the connection to Telegram broke: {words}")),
            (false, _) => CallError::Unsent(format!("Telegram cannot be reached: {words}")),
        };
        error.without(&self.token)
    }
}

/// The last cause says most.
fn chain(error: &dyn std::error::Error) -> String {
    let (mut words, mut cause) = (error.to_string(), error.source());
    while let Some(next) = cause {
        words = next.to_string();
        cause = next.source();
    }
    words
}

async fn next_piece(
    response: Option<Response>,
    token: Secret,
) -> Option<(std::io::Result<Bytes>, Option<Response>)> {
    let mut response = response?;
    match tokio::time::timeout(PIECE, response.chunk()).await {
        Ok(Ok(Some(bytes))) => Some((Ok(bytes), Some(response))),
        Ok(Ok(None)) => None,
        Ok(Err(error)) => {
            let words = clean(&token, &error.without_url().to_string());
            Some((Err(std::io::Error::other(words)), None))
        }
        Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
    }
}

fn read_answer<T>(status: u16, bytes: &[u8]) -> Result<T, CallError>
where
    T: for<'de> Deserialize<'de>,
{
    match serde_json::from_slice::<Answer<T>>(bytes) {
        Ok(Answer { ok: true, result: Some(result), .. }) if status < 300 => Ok(result),
        Ok(answer) if !answer.ok => {
            let words = answer.description.unwrap_or_default();
            let told = answer.parameters.unwrap_or_default();
            Err(match told.migrate_to_chat_id {
                Some(to) => CallError::Moved { to, words },
                None => CallError::Said {
                    code: answer.error_code.unwrap_or(status),
                    words,
                    wait: told.retry_after,
                },
            })
        }
        _ if status >= 300 => Err(CallError::Said {
            code: status,
            words: "an answer that is not the Bot API's".into(),
            wait: None,
        }),
        _ => Err(CallError::Lost("an answer that cannot be read".into())),
    }
}
