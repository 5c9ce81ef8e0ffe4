//! One provider over HTTP: sends a request in its codec, reads the answer as it comes.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::{
    config::Provider,
    domain::{
        model::{ModelError, ModelRequest, Reply, Usage},
        outbound::Progress,
        price::Price,
        tokens,
    },
    net::{BuildError, Clients, sse::SseParser},
    ports::{
        files::Files,
        model::{Model, ProgressSink, Takes},
    },
};

use super::{
    anthropic::{self, AnthropicDecoder},
    attachments::Media,
    openai::{self, OpenAiDecoder},
    providers::{Auth, Codec, ProviderKind},
    stream::Decoder,
};

/// Largest body of an error, or of an answer that comes whole.
const LARGEST_BODY: usize = 32 * 1024 * 1024;
/// Longest words of a provider about an error that are kept, in characters.
const LONGEST_ERROR: usize = 500;
/// Version of the Anthropic API that the codec is written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A provider.
pub(super) struct HttpModel {
    inner: Arc<Inner>,
}

struct Inner {
    kind: &'static ProviderKind,
    config: Provider,
    model: String,
    base_url: String,
    price: Option<Price>,
    client: reqwest::Client,
    files: Arc<dyn Files>,
}

impl HttpModel {
    pub(super) fn new(
        kind: &'static ProviderKind,
        config: Provider,
        price: Option<Price>,
        clients: &Clients,
        files: Arc<dyn Files>,
    ) -> Result<Self, BuildError> {
        let model = config.model.clone().unwrap_or_else(|| kind.model.to_owned());
        let base_url = config.base_url.clone().unwrap_or_else(|| kind.base_url.to_owned());
        let client = clients.to(&base_url)?;
        Ok(Self { inner: Arc::new(Inner { kind, config, model, base_url, price, client, files }) })
    }
}

impl Model for HttpModel {
    fn name(&self) -> &str {
        &self.inner.config.name
    }

    fn model(&self) -> &str {
        &self.inner.model
    }

    fn takes(&self) -> Takes {
        self.inner.takes()
    }

    fn price(&self) -> Option<Price> {
        self.inner.price
    }

    fn concurrency(&self) -> u32 {
        self.inner.config.max_concurrent
    }

    fn max_output(&self) -> u32 {
        self.inner.config.max_tokens
    }

    fn ask(
        &self,
        request: Arc<ModelRequest>,
        progress: ProgressSink,
    ) -> BoxFuture<'static, Result<Reply, ModelError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let outcome = inner.ask(&request, &progress).await;
            outcome.map_err(|error| error.in_words(|words| inner.fit_to_show(&words)))
        })
    }
}

impl Inner {
    fn takes(&self) -> Takes {
        Takes {
            photo: self.config.photo_enabled,
            audio: self.config.audio_enabled,
            video: self.config.video_enabled,
            document: self.config.document_enabled,
            tools: self.config.tool_enabled,
        }
    }

    async fn ask(&self, request: &ModelRequest, progress: &ProgressSink) -> Result<Reply, ModelError> {
        let media = Media::load(&request.messages, self.takes(), &self.files).await;
        let (call, mut decoder) = self.call(request, &media);
        let silence = Duration::from_millis(self.config.timeout_ms);
        let response = tokio::time::timeout(silence, call.send())
            .await
            .map_err(|_| ModelError::TimedOut)?
            .map_err(|error| self.network(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response, silence).await);
        }
        let whole = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/json"));
        if whole {
            let body = self.body(response, silence).await?;
            let value: Value = serde_json::from_slice(&body)
                .map_err(|_| ModelError::Unavailable("the provider sent something unreadable".into()))?;
            decoder.whole(&value)?;
        } else {
            self.read(response, silence, decoder.as_mut(), progress).await?;
        }
        let parts = decoder.finish()?;
        let estimate =
            Usage { input: estimate(request), output: tokens::of_text(&parts.text), ..Usage::default() };
        Ok(parts.into_reply(&self.config.name, &self.model, estimate))
    }

    fn call(&self, request: &ModelRequest, media: &Media) -> (RequestBuilder, Box<dyn Decoder + Send>) {
        let key = self.config.api_key.reveal();
        let (base, model) = (&self.base_url, &self.model);
        let (url, body, decoder): (String, Vec<u8>, Box<dyn Decoder + Send>) = match self.kind.codec {
            Codec::Anthropic => {
                let options = anthropic::Options {
                    model,
                    max_tokens: self.config.max_tokens,
                    temperature: self.config.temperature,
                    tools: self.config.tool_enabled,
                };
                let body = anthropic::request(request, &options, media);
                (format!("{base}/v1/messages"), body, Box::<AnthropicDecoder>::default())
            }
            Codec::OpenAi | Codec::Rehearsal => {
                let options = openai::Options {
                    model,
                    max_tokens_field: self.kind.max_tokens_field,
                    max_tokens: self.config.max_tokens,
                    temperature: self.config.temperature,
                    tools: self.config.tool_enabled,
                    cache_marks: self.kind.name == "openrouter" && model.starts_with("anthropic/"),
                };
                let body = openai::request(request, &options, media);
                let url = if self.kind.name == "azure" {
                    let version = &self.config.api_version;
                    format!("{base}/openai/deployments/{model}/chat/completions?api-version={version}")
                } else {
                    format!("{base}/chat/completions")
                };
                (url, body, Box::<OpenAiDecoder>::default())
            }
        };
        let json = (reqwest::header::CONTENT_TYPE, "application/json");
        let mut call = self.client.post(url).header(json.0, json.1).body(body);
        if self.kind.codec == Codec::Anthropic {
            call = call.header("anthropic-version", ANTHROPIC_VERSION);
        }
        if !key.is_empty() {
            call = match self.kind.auth {
                Auth::Bearer => call.bearer_auth(key),
                Auth::Header(name) => call.header(name, key),
            };
        }
        (call, decoder)
    }

    async fn read(
        &self,
        response: Response,
        silence: Duration,
        decoder: &mut (dyn Decoder + Send),
        progress: &ProgressSink,
    ) -> Result<(), ModelError> {
        let mut parser = SseParser::default();
        let mut stream = response.bytes_stream();
        loop {
            let chunk =
                tokio::time::timeout(silence, stream.next()).await.map_err(|_| ModelError::TimedOut)?;
            let Some(chunk) = chunk else { return Ok(()) };
            let chunk = chunk.map_err(|error| self.network(&error))?;
            let events = parser.push(&chunk).map_err(|error| ModelError::Unavailable(error.to_string()))?;
            let mut words = String::new();
            for event in &events {
                words.push_str(&decoder.event(event)?);
            }
            if !words.is_empty() {
                progress(Progress::Delta { text: words });
            }
        }
    }

    async fn body(&self, response: Response, silence: Duration) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        loop {
            let chunk =
                tokio::time::timeout(silence, stream.next()).await.map_err(|_| ModelError::TimedOut)?;
            let Some(chunk) = chunk else { return Ok(body) };
            body.extend_from_slice(&chunk.map_err(|error| self.network(&error))?);
            if body.len() > LARGEST_BODY {
                return Err(ModelError::Unavailable("the provider's answer is too large".into()));
            }
        }
    }

    async fn refusal(&self, response: Response, silence: Duration) -> ModelError {
        let status = response.status();
        let retry_after_ms = retry_after(&response);
        let body = self.body(response, silence).await.unwrap_or_default();
        let message = format!("{} {}", status.as_u16(), error_message(&body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ModelError::Auth(message),
            StatusCode::TOO_MANY_REQUESTS => ModelError::RateLimited { retry_after_ms },
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
                ModelError::Unavailable(message)
            }
            StatusCode::PAYLOAD_TOO_LARGE => ModelError::TooLong(message),
            _ if status.is_client_error() && sounds_too_long(&message) => ModelError::TooLong(message),
            _ if status.is_client_error() => ModelError::BadRequest(message),
            _ => ModelError::Unavailable(message),
        }
    }

    fn network(&self, error: &reqwest::Error) -> ModelError {
        if error.is_timeout() {
            return ModelError::TimedOut;
        }
        if error.is_builder() {
            let what = "its `base_url` or its `api_key` has characters that cannot be sent";
            return ModelError::Auth(what.into());
        }
        let what = if error.is_connect() { "cannot be reached" } else { "hung up" };
        ModelError::Unavailable(format!("{} {what}", self.config.name))
    }

    /// A provider's words about an error: without the key, which some of them quote, and only then cut.
    fn fit_to_show(&self, words: &str) -> String {
        let key = self.config.api_key.reveal();
        let words = if key.is_empty() { words.to_owned() } else { words.replace(key, "(the key)") };
        words.chars().take(LONGEST_ERROR).collect()
    }
}

fn estimate(request: &ModelRequest) -> u64 {
    tokens::of_text(&request.system) + tokens::of_messages(&request.messages)
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3); a date is not worth reading: no provider sends one.
pub(super) fn retry_after(response: &Response) -> Option<u64> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: f64 = value.trim().parse().ok()?;
    (seconds >= 0.0 && seconds.is_finite()).then_some((seconds * 1000.0) as u64)
}

pub(super) fn error_message(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let value = value.get(0).cloned().unwrap_or(value);
    let error = &value["error"];
    let message = error["message"].as_str().or(error.as_str()).or(value["message"].as_str());
    let message = message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    message.trim().to_owned()
}

/// How providers say that a conversation does not fit.
fn sounds_too_long(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "context length",
        "context_length",
        "context window",
        "maximum context",
        "prompt is too long",
        "too many tokens",
        "reduce the length",
        "input is too long",
    ]
    .iter()
    .any(|sign| message.contains(sign))
}
