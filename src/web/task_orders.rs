//! What a task can be told: to end, to try again, to go on, a word into its work, and the answer to its question.

use actix_web::{http::StatusCode, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    actors::jobs::messages::{JobOrder, TellJob},
    domain::{access::Role, approval::Choice, board::check_text, ids::JobId, job::check_instruction},
};

use super::{
    access::Caller,
    approvals::decide,
    body::{Maybe, Nothing},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    task_shapes::TaskShape,
    tasks::{find, get},
};

/// Longest word into running work, in characters.
const STEER: usize = 20_000;

/// A new instruction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FollowUp {
    /// What is to be done now, on the same branch and in the same session; at most 100000 characters.
    instruction: String,
}

/// A word into the running work.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Steer {
    /// The words; at most 20000 characters.
    text: String,
}

/// Yes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Approve {
    /// The commit is pushed, and no pull request is opened.
    #[serde(default)]
    without_pull_request: bool,
    /// Why, for the record.
    reason: Option<String>,
}

/// No.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reject {
    /// What is to be done instead: the task goes on with it. Without one it ends.
    reason: Option<String>,
}

async fn tell(kit: &WebKit, caller: &Caller, path: &str, order: JobOrder) -> ApiResult<web::Json<TaskShape>> {
    let job = find(kit, caller, path, Role::Developer).await?.asked.id;
    kit.doors.tell_job.send(TellJob { job: job.clone(), order }).await??;
    now(kit, job).await
}

/// The task as it is after what it was told.
async fn now(kit: &WebKit, job: JobId) -> ApiResult<web::Json<TaskShape>> {
    Ok(web::Json(get(kit, job).await?.into()))
}

/// Answers the question that a task waits for.
async fn answer(
    kit: &WebKit,
    caller: &Caller,
    path: &str,
    allow: bool,
    reason: Option<String>,
    choice: Choice,
) -> ApiResult<web::Json<TaskShape>> {
    let task = find(kit, caller, path, Role::Developer).await?;
    let Some(approval) = task.head.approval else {
        let message = format!("the task is {} and waits for no answer", task.head.state);
        return Err(ApiError::new(StatusCode::CONFLICT, "not_now", message));
    };
    decide(kit, caller, approval, allow, reason, choice).await?;
    now(kit, task.asked.id).await
}

/// End a task, wherever it stands; a push that is under way is carried through.
#[utoipa::path(
    request_body = Nothing,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/cancel")]
pub(super) async fn cancel_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    _body: Maybe<Nothing>,
) -> ApiResult<web::Json<TaskShape>> {
    tell(&kit, &caller, &path, JobOrder::Cancel).await
}

/// Try again: a task that waits for isolation at once, one that is over from its instruction on.
#[utoipa::path(
    request_body = Nothing,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/retry")]
pub(super) async fn retry_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    _body: Maybe<Nothing>,
) -> ApiResult<web::Json<TaskShape>> {
    tell(&kit, &caller, &path, JobOrder::Retry).await
}

/// Go on with a new instruction, on the task's branch and in its session. For one that is over; work that waits for an
/// answer is rejected with what is to be done instead.
#[utoipa::path(
    request_body = FollowUp,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/follow-up")]
pub(super) async fn follow_up(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<FollowUp>,
) -> ApiResult<web::Json<TaskShape>> {
    let instruction = body.into_inner().instruction;
    check_instruction(&instruction)?;
    tell(&kit, &caller, &path, JobOrder::Continue { instruction }).await
}

/// Say a word into the running work.
#[utoipa::path(
    request_body = Steer,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/steer")]
pub(super) async fn steer_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<Steer>,
) -> ApiResult<web::Json<TaskShape>> {
    let text = body.into_inner().text;
    check_text("text", &text, 1, STEER, true)?;
    tell(&kit, &caller, &path, JobOrder::Steer { text }).await
}

/// Say yes to what the task waits for: exactly the commit that was shown is pushed.
#[utoipa::path(
    request_body = Approve,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/approve")]
pub(super) async fn approve_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Approve>,
) -> ApiResult<web::Json<TaskShape>> {
    let Maybe(Approve { without_pull_request, reason }) = body;
    let choice = if without_pull_request { Choice::NoRequest } else { Choice::Plain };
    answer(&kit, &caller, &path, true, reason, choice).await
}

/// Say no to what the task waits for.
#[utoipa::path(
    request_body = Reject,
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks/{id}/reject")]
pub(super) async fn reject_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<Reject>,
) -> ApiResult<web::Json<TaskShape>> {
    answer(&kit, &caller, &path, false, body.0.reason, Choice::Plain).await
}
