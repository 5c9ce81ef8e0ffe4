//! `/api/v1/approvals`: questions that only people can answer.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::{
        db::messages::{Decide, ListApprovals},
        router::messages::{Command, To},
        session::messages::Order,
    },
    domain::{
        access::Role,
        approval::{Answer, Choice, Status},
        ids::{ApprovalId, UserId},
    },
};

use super::{
    access::Caller,
    body::Maybe,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::ApprovalShape,
};

const LISTED: usize = 100;
const MOST: usize = 1_000;

/// Which questions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ApprovalQuery {
    /// Whose; all of them for an owner, the key's own user's for others.
    user_id: Option<String>,
    /// `pending`, `approved`, `rejected`, `expired`, `consumed` or `void`; all by default.
    status: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// In plain words; the model is told.
    reason: Option<String>,
}

/// Questions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Approvals {
    approvals: Vec<ApprovalShape>,
}

/// List questions, the newest first.
#[utoipa::path(
    params(ApprovalQuery),
    responses((status = 200, body = Approvals), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "approvals",
)]
#[get("/api/v1/approvals")]
pub(super) async fn list_approvals(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<ApprovalQuery>,
) -> ApiResult<web::Json<Approvals>> {
    let Caller(principal) = caller;
    principal.needs(Role::Viewer)?;
    let named = query.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = principal.looking_at(named)?;
    let status = match query.status.as_deref() {
        None => None,
        Some(text) => Some(Status::parse(text).ok_or_else(|| {
            ApiError::bad_request("status must be pending, approved, rejected, expired, consumed or void")
        })?),
    };
    let limit = query.limit.unwrap_or(LISTED).min(MOST);
    let found = kit.doors.db.read.list_approvals.ask(ListApprovals { user, status, limit }).await?;
    Ok(web::Json(Approvals { approvals: found.into_iter().map(ApprovalShape::from).collect() }))
}

async fn decide(
    kit: &WebKit,
    caller: Caller,
    id: String,
    allow: bool,
    reason: Option<String>,
) -> ApiResult<HttpResponse> {
    let Caller(principal) = caller;
    principal.needs(Role::Developer)?;
    let answer = Answer {
        id: ApprovalId::new(id),
        approve: allow,
        reason,
        by: principal.name.clone(),
        actor: format!("key:{}", principal.name),
        user: principal.user.clone(),
        owner: principal.role == Role::Owner,
        member: false,
        choice: Choice::default(),
        now: kit.clock.now(),
    };
    let decided = kit.doors.db.write.decide.ask(Decide { answer }).await?;
    let to = To::One(decided.approval.conversation.clone());
    let order = Order::Decided { approval: decided.approval.id.clone(), verdict: decided.verdict };
    // If the session is down it finds the answer in the store when it is started again.
    let _ = kit.doors.command.send(Command { to, order }).await;
    Ok(HttpResponse::Ok().json(ApprovalShape::from(decided.approval)))
}

/// Allow what was asked for. Works once; a second answer is refused with who decided.
#[utoipa::path(
    request_body = Reason,
    params(("id" = String, Path, description = "the question")),
    responses((status = 200, body = ApprovalShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "approvals",
)]
#[post("/api/v1/approvals/{id}/approve")]
pub(super) async fn approve(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Reason>,
) -> ApiResult<HttpResponse> {
    decide(&kit, caller, path.into_inner(), true, body.0.reason).await
}

/// Refuse what was asked for, with a reason that the model is told.
#[utoipa::path(
    request_body = Reason,
    params(("id" = String, Path, description = "the question")),
    responses((status = 200, body = ApprovalShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "approvals",
)]
#[post("/api/v1/approvals/{id}/reject")]
pub(super) async fn reject(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Reason>,
) -> ApiResult<HttpResponse> {
    decide(&kit, caller, path.into_inner(), false, body.0.reason).await
}
