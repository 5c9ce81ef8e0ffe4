//! `/api/v1/approvals`: questions that only people can answer.

use actix_web::{get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::ListApprovals,
    domain::{
        access::Role,
        approval::{Answer, Approval, Choice, Status},
        board::check_text,
        ids::{ApprovalId, UserId},
    },
};

use super::{
    access::Caller,
    body::Maybe,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::word,
    shapes::ApprovalShape,
};

const LISTED: usize = 100;
const MOST: usize = 1_000;
/// Longest reason, in characters.
const LONGEST_REASON: usize = 10_000;
const CHOICES: &str = "plain, no_request, job or project";

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

/// Why, and in which way.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    /// In plain words; the model is told.
    reason: Option<String>,
    /// `plain` (the default): as it was asked, a host until the engine ends. `no_request`: a commit without a pull
    /// request. `job`, `project`: a host for all of the job, or for all jobs of the project.
    choice: Option<String>,
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

/// Answers a question as the one who calls, and tells whoever asked.
pub(super) async fn decide(
    kit: &WebKit,
    caller: &Caller,
    id: ApprovalId,
    allow: bool,
    reason: Option<String>,
    choice: Choice,
) -> ApiResult<Approval> {
    let Caller(principal) = caller;
    principal.needs(Role::Developer)?;
    if let Some(reason) = &reason {
        check_text("reason", reason, 0, LONGEST_REASON, true)?;
    }
    let answer = Answer {
        id,
        approve: allow,
        reason,
        by: principal.name.clone(),
        actor: format!("key:{}", principal.name),
        user: principal.user.clone(),
        owner: principal.role == Role::Owner,
        member: false,
        choice,
        now: kit.clock.now(),
    };
    Ok(kit.doors.answers.give(answer, principal.role).await?.approval)
}

async fn answer(
    kit: &WebKit,
    caller: &Caller,
    id: String,
    allow: bool,
    body: Reply,
) -> ApiResult<web::Json<ApprovalShape>> {
    let choice = word("choice", body.choice.as_deref(), Choice::parse, CHOICES)?.unwrap_or_default();
    let approval = decide(kit, caller, ApprovalId::new(id), allow, body.reason, choice).await?;
    Ok(web::Json(ApprovalShape::from(approval)))
}

/// Allow what was asked for. Works once; a second answer is refused with who decided.
#[utoipa::path(
    request_body = Reply,
    params(("id" = String, Path, description = "the question")),
    responses((status = 200, body = ApprovalShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "approvals",
)]
#[post("/api/v1/approvals/{id}/approve")]
pub(super) async fn approve(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Reply>,
) -> ApiResult<web::Json<ApprovalShape>> {
    answer(&kit, &caller, path.into_inner(), true, body.0).await
}

/// Refuse what was asked for, with a reason that the model is told.
#[utoipa::path(
    request_body = Reply,
    params(("id" = String, Path, description = "the question")),
    responses((status = 200, body = ApprovalShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "approvals",
)]
#[post("/api/v1/approvals/{id}/reject")]
pub(super) async fn reject(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Reply>,
) -> ApiResult<web::Json<ApprovalShape>> {
    answer(&kit, &caller, path.into_inner(), false, body.0).await
}
