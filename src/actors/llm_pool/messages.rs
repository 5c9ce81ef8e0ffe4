//! What the pool takes.

use std::sync::Arc;

use actix::prelude::*;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    domain::model::{Answer, ModelError, ModelRequest},
    ports::model::ProgressSink,
};

/// One answer, please.
#[derive(Message, Clone)]
#[rtype(result = "Result<Answer, ModelError>")]
pub struct Complete {
    /// The request.
    pub request: Arc<ModelRequest>,
    /// The one model that may answer, or the one provider, by its name in the configuration; `None` for all.
    pub only: Option<Arc<str>>,
    /// Takes the pieces as they come.
    pub progress: ProgressSink,
    /// Set when nobody waits any more.
    pub cancel: CancellationToken,
    /// What log lines about the call carry.
    pub span: Span,
}

/// How the providers are doing.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Vec<ProviderStatus>")]
pub struct Providers;

/// How one provider is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The model it asks.
    pub model: String,
    /// `up`, `paused`, `limited`, `out`.
    pub state: &'static str,
    /// Why, when it is not up.
    pub why: Option<String>,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls so far.
    pub calls: u64,
    /// Whether the price list knows the model.
    pub priced: bool,
}
