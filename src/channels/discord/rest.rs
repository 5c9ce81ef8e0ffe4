//! Calls of Discord's REST interface: the token, the limits, bounded answers, errors as what they mean.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Method, Response};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    fault::failure,
    limits::{Class, Limits, Told, Wait},
    session::Moment,
    upload::Upload,
};
use crate::{
    domain::{chat::Failure, secret::Secret},
    net::Clients,
};

/// Discord's own interface.
pub(super) const API: &str = "https://discord.com/api/v10";
/// Who calls, as Discord wants it told (<https://docs.discord.com/developers/reference#user-agent>).
const AGENT: &str =
    concat!("DiscordBot (", env!("CARGO_PKG_REPOSITORY"), ", ", env!("CARGO_PKG_VERSION"), ")");
/// Longest wait for an answer, and for one to a file.
const PATIENCE: Duration = Duration::from_secs(15);
const PATIENCE_FOR_FILES: Duration = Duration::from_secs(120);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// Waits shorter than this are waited for here, so often at most, in milliseconds.
const TINY: u64 = 1_000;
const TINY_WAITS: u32 = 3;

/// A call.
#[derive(Clone)]
pub(super) struct Call {
    method: Method,
    path: String,
    class: Class,
    form: Form,
    /// It is no harm when it is done twice.
    repeatable: bool,
    /// No limits are kept for it, and the path has a secret of its own.
    bare: bool,
}

#[derive(Clone)]
enum Form {
    Empty,
    Json(String),
    File(String, Upload),
}

impl Call {
    /// A call of this kind (method and path without ids) at this path. `major`: the id that limits are counted for.
    pub(super) fn new(kind: &'static str, path: String, major: impl ToString) -> Self {
        let method = match kind.split(' ').next().unwrap_or_default() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => Method::GET,
        };
        let repeatable = method != Method::POST;
        let class = Class { kind, major: major.to_string() };
        Self { method, path, class, form: Form::Empty, repeatable, bare: false }
    }

    /// What is sent with it.
    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        // Nothing that is sent can fail to be written.
        self.form = Form::Json(serde_json::to_string(body).unwrap_or_default());
        self
    }

    /// A file goes with what is sent.
    pub(super) fn file(mut self, upload: Option<Upload>) -> Self {
        if let Some(upload) = upload {
            self.form = match self.form {
                Form::Empty => Form::File("{}".into(), upload),
                Form::Json(body) | Form::File(body, _) => Form::File(body, upload),
            };
        }
        self
    }

    /// It answers an interaction: what the path says is the proof, and no limit counts.
    pub(super) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }
}

/// A call that was not done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) failure: Failure,
    /// Discord's number of it; zero when there is none.
    pub(super) code: u64,
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self { failure, code: 0 }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        fault.failure
    }
}

/// The interface, with the bot's token.
pub(super) struct Rest {
    base: String,
    token: Secret,
    clients: Clients,
    limits: Mutex<Limits>,
    begun: Instant,
}

impl Rest {
    pub(super) fn new(base: &str, token: Secret) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let limits = Mutex::new(Limits::default());
        Self { base, token, clients: Clients::default(), limits, begun: Instant::now() }
    }

    /// The address that all paths begin with.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The client for an address.
    pub(super) fn client(&self, url: &str) -> Result<reqwest::Client, Failure> {
        self.clients.to(url).map_err(|error| Failure::Later(error.to_string()))
    }

    /// Calls, and reads the answer. Waits for a limit only when that is short.
    pub(super) async fn call<T: serde::de::DeserializeOwned>(&self, call: Call) -> Result<T, Fault> {
        let text = self.text(&call).await?;
        let text = if text.trim().is_empty() { "null" } else { &text };
        serde_json::from_str(text).map_err(|_| {
            let why = "Discord's answer cannot be read: is api_url right?".to_owned();
            (if call.repeatable { Failure::Later(why) } else { Failure::Unknown(why) }).into()
        })
    }

    /// Calls, and gives the answer as it is.
    pub(super) async fn text(&self, call: &Call) -> Result<String, Fault> {
        let mut waits = 0;
        loop {
            let wait = match self.once(call).await? {
                Ok(text) => return Ok(text),
                Err(wait) => wait,
            };
            if wait.ms >= TINY || waits == TINY_WAITS {
                return Err(Failure::Slow { after_ms: wait.ms, chat_only: wait.of_class }.into());
            }
            waits += 1;
            tokio::time::sleep(Duration::from_millis(wait.ms)).await;
        }
    }

    async fn once(&self, call: &Call) -> Result<Result<String, Wait>, Fault> {
        if !call.bare
            && let Err(wait) = self.limits().take(&call.class, self.now())
        {
            return Ok(Err(wait));
        }
        let response = self.send(call).await?;
        let (status, told) = (response.status().as_u16(), told(&response));
        let bytes = self.body(call, response).await?;
        let body: Value =
            if status < 300 { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_default() };
        let told = if status == 429 { too_much(told, &body) } else { told };
        let wait = self.limits().answered(&call.class, &told, self.now());
        if let Some(wait) = wait {
            return Ok(Err(wait));
        }
        if status < 300 {
            return Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()));
        }
        Err(Fault { failure: self.clean(failure(status, &body)), code: body["code"].as_u64().unwrap_or(0) })
    }

    async fn send(&self, call: &Call) -> Result<Response, Fault> {
        let url = format!("{}{}", self.base, call.path);
        let request = self.client(&url)?.request(call.method.clone(), url).timeout(PATIENCE);
        let request = request.header("user-agent", AGENT);
        let request = if call.bare {
            request
        } else {
            request.header("authorization", format!("Bot {}", self.token.reveal()))
        };
        let request = match &call.form {
            Form::Empty => request,
            Form::Json(body) => request.header("content-type", "application/json").body(body.clone()),
            Form::File(body, upload) => upload.attach(request.timeout(PATIENCE_FOR_FILES), body).await?,
        };
        request.send().await.map_err(|error| broken(&error, call.repeatable).into())
    }

    async fn body(&self, call: &Call, mut response: Response) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error, call.repeatable))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(
                    Failure::Refused("Discord's answer is too large: is api_url right?".into()).into()
                );
            }
        }
        Ok(bytes)
    }

    /// An error in which the token does not stand, whoever put it there.
    fn clean(&self, failure: Failure) -> Failure {
        let cut = |words: String| self.token.cut_from(&words);
        match failure {
            Failure::NoMessage(words) => Failure::NoMessage(cut(words)),
            Failure::NoChat(words) => Failure::NoChat(cut(words)),
            Failure::TooLarge(words) => Failure::TooLarge(cut(words)),
            Failure::Markup(words) => Failure::Markup(cut(words)),
            Failure::Refused(words) => Failure::Refused(cut(words)),
            Failure::Later(words) => Failure::Later(cut(words)),
            other => other,
        }
    }

    fn limits(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Moment {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What the headers say of limits.
fn told(response: &Response) -> Told {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let seconds = header("retry-after").and_then(|text| text.parse().ok());
    let is_global = header("x-ratelimit-global").is_some() || header("x-ratelimit-scope") == Some("global");
    Told {
        bucket: header("x-ratelimit-bucket").map(str::to_owned),
        remaining: header("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
        reset_after: header("x-ratelimit-reset-after").and_then(|text| text.parse().ok()),
        refused: (response.status() == 429).then_some((seconds, is_global)),
    }
}

/// The body says the wait more exactly than the headers. Without one it was not Discord itself that refused, but what
/// stands before it: that is for all calls.
fn too_much(mut told: Told, body: &Value) -> Told {
    if let Some((seconds, all)) = told.refused {
        let wait = body["retry_after"].as_f64().or(seconds);
        told.refused = Some((wait, all || body["global"] == true || body.is_null()));
    }
    told
}

/// A call that broke off. Addresses are not shown: those of interactions have secrets in them.
fn broken(error: &reqwest::Error, repeatable: bool) -> Failure {
    let never_sent = error.is_connect() || error.is_builder();
    let why = match (error.is_connect(), error.is_timeout()) {
        (true, _) => "Discord cannot be reached: there is no connection",
        (false, true) => "Discord took too long to answer",
        (false, false) => "the connection to Discord broke",
    };
    if repeatable || never_sent { Failure::Later(why.into()) } else { Failure::Unknown(why.into()) }
}
