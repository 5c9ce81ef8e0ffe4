//! `/api/v1/actors`: the live tree, a look into one, a restart by hand.

use actix_web::{HttpResponse, get, http::StatusCode, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::{
        db::messages::Audit,
        root::messages::{Inspect, NotRestarted, Restart},
    },
    domain::{access::Role, audit::Act},
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
};

/// Which actors.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActorQuery {
    /// Of this kind only, such as `session`.
    kind: Option<String>,
    /// How many at most; the busiest kinds have thousands.
    limit: Option<usize>,
}

/// An actor's name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActorName {
    /// As it is listed.
    name: String,
}

/// The live tree: name, parent, kind, state, mailbox depth and capacity, age of the oldest message, messages
/// handled, restarts by cause, last error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActorTree {
    /// How many there are.
    total: usize,
    #[schema(value_type = Vec<Object>)]
    actors: Vec<Value>,
}

/// The live tree of actors.
#[utoipa::path(
    params(ActorQuery),
    responses((status = 200, body = ActorTree), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/actors")]
pub(super) async fn tree(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<ActorQuery>,
) -> ApiResult<web::Json<ActorTree>> {
    const LISTED: usize = 1_000;
    caller.0.needs(Role::Viewer)?;
    let mut signs = kit.registry.tree();
    if let Some(kind) = &query.kind {
        signs.retain(|signs| signs.kind == kind);
    }
    let total = signs.len();
    // Names of sessions name users: only an owner sees them.
    if caller.0.role != Role::Owner {
        signs.retain(|signs| signs.kind != "session");
    }
    let limit = query.limit.unwrap_or(LISTED);
    let actors = signs.into_iter().take(limit).filter_map(|signs| serde_json::to_value(signs).ok()).collect();
    Ok(web::Json(ActorTree { total, actors }))
}

/// What an actor says of itself.
#[utoipa::path(
    params(("name" = String, Query, description = "as it is listed")),
    responses((status = 200, description = "what it says", body = Object), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/actors/inspect")]
pub(super) async fn inspect(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<std::collections::HashMap<String, String>>,
) -> ApiResult<web::Json<Value>> {
    caller.0.needs(Role::Owner)?;
    let name = query.get("name").cloned().unwrap_or_default();
    let found = kit.doors.inspect.send(Inspect(name)).await.ok().flatten();
    found.map(web::Json).ok_or_else(|| ApiError::not_found("actor that answers"))
}

/// Start a parked actor again.
#[utoipa::path(
    request_body = ActorName,
    responses((status = 200, description = "it was started"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[post("/api/v1/actors/restart")]
pub(super) async fn restart(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<ActorName>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Owner)?;
    let name = body.into_inner().name;
    let restarted = kit.doors.restart.send(Restart(name.clone())).await;
    match restarted.map_err(|_| ApiError::unavailable("the root does not answer"))? {
        Ok(()) => {}
        Err(error @ NotRestarted::Unknown(_)) => {
            return Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", error.to_string()));
        }
        Err(error @ NotRestarted::NotParked(_)) => {
            return Err(ApiError::new(StatusCode::CONFLICT, "not_parked", error.to_string()));
        }
    }
    let act = Act {
        at: kit.clock.now(),
        actor: format!("key:{}", caller.0.name),
        action: "actor.restarted".into(),
        subject: name.clone(),
        details: String::new(),
    };
    kit.doors.db.write.audit.ask(Audit { act }).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({"name": name, "restarted": true})))
}
