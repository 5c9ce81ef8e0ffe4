//! The gateway's own answers, in the shape that whoever asked expects.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, header};
use serde_json::json;

use crate::domain::gateway::usage::Api;

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that is there already.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer in plain words, with a line end for whoever reads it in a terminal.
pub(super) fn text(status: StatusCode, words: &str) -> Response<Body> {
    let mut answer = Response::new(full(format!("{words}\n")));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// An error as the provider would word it, so that the engine shows its text.
pub(super) fn error(api: Api, status: StatusCode, words: &str) -> Response<Body> {
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "authentication_error",
        StatusCode::NOT_FOUND => "not_found_error",
        status if status.is_server_error() => "api_error",
        _ => "invalid_request_error",
    };
    let body = match api {
        Api::Anthropic => json!({"type": "error", "error": {"type": kind, "message": words}}),
        Api::OpenAi => json!({"error": {"message": words, "type": kind, "param": null, "code": null}}),
    };
    let mut answer = Response::new(full(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}
