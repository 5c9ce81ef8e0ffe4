//! Errors as clients see them: one shape, true status codes, a message that says what to do.

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    error::{JsonPayloadError, PathError, QueryPayloadError},
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    actors::{db::messages::DbError, jobs::messages::JobRefused, kernel::Unreachable},
    domain::{
        access::Denied, approval::Refusal, board, identity, ids::BadName, inbound::Refused, memory::BadMemory,
    },
};

/// An error, in the one shape that there is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorInfo,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorInfo {
    /// A word for programs.
    code: &'static str,
    /// A sentence for people.
    message: String,
    /// More, where there is more.
    #[schema(value_type = Object)]
    details: serde_json::Value,
}

/// An error on its way to a client.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) retry_after_ms: Option<u64>,
}

pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_ms: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(super) fn wait(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..self }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(ms) = self.retry_after_ms {
            response.insert_header((header::RETRY_AFTER, ms.div_ceil(1000).to_string()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        let error =
            ErrorInfo { code: self.code, message: self.message.clone(), details: serde_json::json!({}) };
        response.json(ErrorBody { error })
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", denied.to_string())
    }
}

impl From<BadName> for ApiError {
    fn from(bad: BadName) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<BadMemory> for ApiError {
    fn from(bad: BadMemory) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl From<Unreachable> for ApiError {
    fn from(error: Unreachable) -> Self {
        Self::unavailable(format!("{error}; try again in a moment"))
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let (status, code) = match &error {
            DbError::NotFound(_) | DbError::Approval(Refusal::Unknown) => {
                (StatusCode::NOT_FOUND, "not_found")
            }
            DbError::Approval(Refusal::OwnersOnly) => (StatusCode::FORBIDDEN, "forbidden"),
            DbError::Approval(Refusal::Choice(_)) => (StatusCode::BAD_REQUEST, "bad_request"),
            DbError::Approval(Refusal::Settled { .. } | Refusal::Expired) => {
                (StatusCode::CONFLICT, "settled")
            }
            DbError::Identity(identity::Refusal::NobodyWaits) => (StatusCode::NOT_FOUND, "not_found"),
            DbError::Identity(identity::Refusal::Settled { .. }) => (StatusCode::CONFLICT, "settled"),
            DbError::Stale(_) => (StatusCode::CONFLICT, "stale"),
            DbError::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            DbError::Board(refusal) => return Self::from(refusal.clone()),
            DbError::Audit(_) => (StatusCode::CONFLICT, "audit_broken"),
            DbError::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            DbError::Failed(why) => {
                // What the store says may quote data: it belongs into the log, not to the client.
                tracing::error!(why, "the store failed");
                let message = "the store failed; the log says why";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", message);
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<JobRefused> for ApiError {
    fn from(refused: JobRefused) -> Self {
        match refused {
            JobRefused::Unknown => Self::not_found("task"),
            JobRefused::NotNow(why) => Self::new(StatusCode::CONFLICT, "not_now", why),
            JobRefused::Store(error) => error.into(),
            JobRefused::Unreachable(error) => error.into(),
        }
    }
}

impl From<board::Refusal> for ApiError {
    fn from(refusal: board::Refusal) -> Self {
        let status = if refusal.is_bad_request() { StatusCode::BAD_REQUEST } else { StatusCode::CONFLICT };
        Self::new(status, refusal.code(), refusal.to_string())
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Busy { .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message).wait(1_000),
            Refused::TooFast { retry_after_ms } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_fast", message).wait(retry_after_ms)
            }
            Refused::TooLong { .. } => Self::new(StatusCode::BAD_REQUEST, "input_too_long", message),
            Refused::Empty => Self::new(StatusCode::BAD_REQUEST, "input_empty", message),
            Refused::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message)
            }
            Refused::Draining => Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", message).wait(2_000),
            Refused::Unavailable(_) => Self::unavailable(message).wait(1_000),
        }
    }
}

/// Bodies that cannot be read.
pub(super) fn json_error(error: &JsonPayloadError) -> ApiError {
    let too_large = |limit: usize| {
        let message = format!("the body is larger than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    };
    match error {
        JsonPayloadError::Overflow { limit } => too_large(*limit),
        JsonPayloadError::OverflowKnownLength { limit, .. } => too_large(*limit),
        JsonPayloadError::ContentType => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "send JSON, with the header content-type: application/json",
        ),
        JsonPayloadError::Deserialize(error) => {
            ApiError::bad_request(format!("the body does not fit: {error}"))
        }
        _ => ApiError::bad_request("the body cannot be read"),
    }
}

/// Queries that cannot be read.
pub(super) fn query_error(error: &QueryPayloadError) -> ApiError {
    ApiError::bad_request(format!("the query does not fit: {error}"))
}

/// Paths that cannot be read.
pub(super) fn path_error(_: &PathError) -> ApiError {
    ApiError::not_found("path")
}
