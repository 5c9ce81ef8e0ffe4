//! The model APIs: the job's token is exchanged for the provider's key, what may be asked is looked at, what it costs is
//! reserved before and settled after.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use tokio::time::timeout;

use super::{
    GatewayProvider, Inside, KeyHeader,
    answer::{Body, error},
    metered::{Charge, Metering, stream},
};
use crate::{
    domain::gateway::{
        EgressKind,
        body::{Endpoint, Screened, screen},
        redact::Redactor,
        usage::Api,
    },
    ports::gateway::{ModelCall, NoBudget},
};

/// Longest wait for the body of a request.
const BODY: Duration = Duration::from_secs(120);
/// Most bytes of a provider's error that are passed on.
const LARGEST_ERROR: usize = 64 * 1024;
/// Headers that pass to the provider.
const TO_PROVIDER: &[&str] = &[
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "user-agent",
];
/// Headers that pass to the sandbox, and beginnings of more.
const TO_SANDBOX: &[&str] =
    &["content-type", "request-id", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry"];
const TO_SANDBOX_BEGIN: &[&str] = &["anthropic-ratelimit-", "x-ratelimit-"];

/// Why a request is answered here.
struct Refusal(StatusCode, String);

/// Serves a request under `/llm/<provider>`.
pub(super) async fn serve(
    inside: Arc<Inside>,
    provider: GatewayProvider,
    path: &str,
    query: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut entry = inside.trail.begin(EgressKind::Model, &provider.name);
    let api = provider.api;
    let (call, screened, charge) = match admit(&inside, &provider, path, query, request).await {
        Ok(admitted) => admitted,
        Err(Refusal(status, why)) => {
            entry.refuse(&why, false);
            return error(api, status, &why);
        }
    };
    entry.sent.store(screened.as_ref().map_or(0, |screened| screened.body.len() as u64), Ordering::Relaxed);
    let wait = Duration::from_millis(inside.limits.answer_ms);
    let metering = Metering {
        charge,
        entry,
        secret: provider.key.reveal().to_owned(),
        wait,
        most: inside.limits.answer_bytes,
    };
    match timeout(wait, call.send()).await {
        Ok(Ok(answer)) => pass_on(api, answer, metering).await,
        Ok(Err(failure)) => {
            // Nothing was asked when there was no connection; otherwise, nobody knows.
            let free = failure.is_connect();
            metering.fail(free, "the model provider cannot be reached");
            error(api, StatusCode::BAD_GATEWAY, "the model provider cannot be reached from the gateway")
        }
        Err(_) => {
            metering.fail(false, "the model provider did not answer in time");
            error(api, StatusCode::GATEWAY_TIMEOUT, "the model provider did not answer in time")
        }
    }
}

type Admitted = (reqwest::RequestBuilder, Option<Screened>, Charge);

/// Checks token, path, body and budget; gives the request to the provider.
async fn admit(
    inside: &Arc<Inside>,
    provider: &GatewayProvider,
    path: &str,
    query: &str,
    request: Request<Incoming>,
) -> Result<Admitted, Refusal> {
    let headers = request.headers();
    if !has_token(inside, headers) {
        return Err(Refusal(StatusCode::UNAUTHORIZED, "this is not the token of this job".into()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_=&.-".contains(&byte);
    let endpoint = Endpoint::find(provider.api, request.method().as_str(), path);
    let Some(endpoint) = endpoint.filter(|_| query.bytes().all(plain)) else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("{} {path} is not let through to a model provider", request.method()),
        ));
    };
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the body without a content-encoding".into(),
        ));
    }
    let client = inside.host.clients.to(&provider.base_url);
    let client = client.map_err(|error| Refusal(StatusCode::BAD_GATEWAY, error.to_string()))?;
    let headers = outgoing(provider, headers)?;
    // Bodies are held in memory, so whoever waits has not been read yet.
    let permit = inside.calls.clone().acquire_owned().await;
    let permit =
        permit.map_err(|_| Refusal(StatusCode::SERVICE_UNAVAILABLE, "the gateway is closing".into()))?;
    let url = address(provider, path, query);
    if endpoint == Endpoint::Models {
        let call = client.get(url).headers(headers);
        return Ok((call, None, Charge::free(provider.api, permit)));
    }
    let body = read_body(request, inside.limits.body_bytes).await?;
    let hosted = inside.policy.borrow().hosted_tools;
    let screened =
        screen(endpoint, &body, hosted).map_err(|bad| Refusal(StatusCode::BAD_REQUEST, bad.to_string()))?;
    if !screened.dropped.is_empty() {
        tracing::debug!(provider = provider.name, dropped = ?screened.dropped, "taken out of a model request");
    }
    let call = client.request(Method::POST, url).headers(headers).body(screened.body.clone());
    if !endpoint.is_paid() {
        return Ok((call, Some(screened), Charge::free(provider.api, permit)));
    }
    let asked = ModelCall {
        provider: provider.name.clone(),
        model: screened.model.clone(),
        input: screened.input,
        output: screened.output,
    };
    let ticket = inside.meter.reserve(asked).await.map_err(|no| {
        // Engines try 401, 402 and 429 again for minutes; 400 ends them at once, with the text.
        let status = match no {
            NoBudget::Spent(_) => StatusCode::BAD_REQUEST,
            NoBudget::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refusal(status, no.to_string())
    })?;
    let charge = Charge::new(provider.api, permit, inside.meter.clone(), ticket, screened.input);
    Ok((call, Some(screened), charge))
}

fn has_token(inside: &Inside, headers: &HeaderMap) -> bool {
    let named =
        headers.get_all("x-api-key").iter().chain(headers.get_all("api-key")).map(HeaderValue::as_bytes);
    let bearer = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    named.chain(bearer).fold(false, |found, text| inside.token.is(text) | found)
}

/// What goes to the provider: what is on the list, and the key.
fn outgoing(provider: &GatewayProvider, incoming: &HeaderMap) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    for name in TO_PROVIDER {
        for value in incoming.get_all(*name) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    let bad = || {
        Refusal(
            StatusCode::BAD_GATEWAY,
            "the key of the model provider cannot be sent: check the configuration".into(),
        )
    };
    let (name, value) = match &provider.key_header {
        KeyHeader::Bearer => (header::AUTHORIZATION, format!("Bearer {}", provider.key.reveal())),
        KeyHeader::Named(name) => {
            (HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, provider.key.reveal().to_owned())
        }
    };
    if !provider.key.reveal().is_empty() {
        let mut value = HeaderValue::from_str(&value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Where the provider has it: OpenAI's base holds the version, Anthropic's does not.
fn address(provider: &GatewayProvider, path: &str, query: &str) -> String {
    let base = provider.base_url.trim_end_matches('/');
    let path = match provider.api {
        Api::Anthropic => path,
        Api::OpenAi => path.strip_prefix("/v1").unwrap_or(path),
    };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{base}{path}{mark}{query}")
}

async fn read_body(request: Request<Incoming>, most: usize) -> Result<Bytes, Refusal> {
    match timeout(BODY, Limited::new(request.into_body(), most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let why = format!("a request may have {most} bytes and has more");
            Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, why))
        }
        Ok(Err(_)) => Err(Refusal(StatusCode::BAD_REQUEST, "the body broke off".into())),
        Err(_) => Err(Refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".into())),
    }
}

/// Hands the provider's answer to the sandbox.
async fn pass_on(api: Api, answer: reqwest::Response, metering: Metering) -> Response<Body> {
    let status = answer.status();
    if !status.is_success() {
        return pass_error(api, answer, metering).await;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in answer.headers() {
        let known = TO_SANDBOX.contains(&name.as_str())
            || TO_SANDBOX_BEGIN.iter().any(|begin| name.as_str().starts_with(begin));
        if known && !holds(value.as_bytes(), &metering.secret) {
            headers.append(name.clone(), value.clone());
        }
    }
    let is_stream = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut response = Response::new(stream(answer, metering, is_stream));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Errors of the provider pass with their status and words, but for those about the key: those may show parts of it, and
/// are no business of the sandbox.
async fn pass_error(api: Api, mut answer: reqwest::Response, metering: Metering) -> Response<Body> {
    let status = answer.status();
    let own = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Some((status, "the model provider refused the key that the host has for it"))
        }
        status if status.is_redirection() => {
            Some((StatusCode::BAD_GATEWAY, "the model provider redirects, which is not followed"))
        }
        _ => None,
    };
    if let Some((status, words)) = own {
        metering.fail(true, words);
        return error(api, status, words);
    }
    let mut body = Vec::new();
    while let Ok(Ok(Some(bytes))) = timeout(metering.wait, answer.chunk()).await {
        body.extend_from_slice(&bytes[..bytes.len().min(LARGEST_ERROR - body.len())]);
    }
    let body = Redactor::whole(&metering.secret, &String::from_utf8_lossy(&body));
    let is_json = serde_json::from_str::<serde_json::Value>(&body).is_ok_and(|value| value.is_object());
    let mut response = if is_json {
        let mut response = error(api, status, "");
        *response.body_mut() = super::answer::full(body);
        response
    } else {
        error(api, status, &format!("the model provider answered {status}"))
    };
    for name in TO_SANDBOX.iter().filter(|name| **name != "content-type") {
        if let Some(value) =
            answer.headers().get(*name).filter(|value| !holds(value.as_bytes(), &metering.secret))
        {
            response.headers_mut().insert(HeaderName::from_static(name), value.clone());
        }
    }
    metering.fail(true, &format!("the model provider answered {}", status.as_u16()));
    response
}

fn holds(text: &[u8], secret: &str) -> bool {
    !secret.is_empty() && text.windows(secret.len()).any(|window| window == secret.as_bytes())
}
