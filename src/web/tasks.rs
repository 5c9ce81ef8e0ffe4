//! `/api/v1/tasks`: coding jobs, asked for, listed and shown.

use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, post, web};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::{
        db::messages::{GetTask, ListTasks, LoadJob, ProjectOf},
        jobs::messages::Submit,
    },
    domain::{
        access::Role,
        ids::{BotId, JobId, ProjectId, StoryId, UserId, encode_short},
        job::{NewTask, Task, TaskFilter},
    },
};

use super::{
    access::Caller,
    chat::idempotency_key,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, enter, limit, listed_for, word},
    task_body::{Asked, TaskBody},
    task_shapes::TaskShape,
};

/// Where a task can stand.
const STATES: [&str; 14] = [
    "queued",
    "preparing",
    "running",
    "verifying",
    "committing",
    "awaiting_approval",
    "pushing",
    "requesting",
    "parked",
    "done",
    "unchanged",
    "rejected",
    "failed",
    "cancelled",
];

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TaskQuery {
    /// Of this project.
    project_id: Option<String>,
    /// Of this bot.
    bot_id: Option<String>,
    /// Of this story.
    story_id: Option<String>,
    /// In this status.
    status: Option<String>,
    /// Only those that are over, or that are not.
    over: Option<bool>,
    /// How many at most; 50 by default.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// Tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tasks {
    tasks: Vec<TaskShape>,
    /// How many fit.
    total: u64,
}

/// A task that was taken in.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taken {
    job_id: String,
    task: TaskShape,
}

/// The task that a path names, for somebody who may do this with it.
pub(super) async fn find(kit: &WebKit, caller: &Caller, path: &str, needed: Role) -> ApiResult<Task> {
    let job = JobId::new(path);
    enter(kit, caller, ProjectOf::Job(job.clone()), "task", needed).await?;
    get(kit, job).await
}

/// A task as it is now.
pub(super) async fn get(kit: &WebKit, job: JobId) -> ApiResult<Task> {
    let found = kit.doors.db.read.get_task.ask(GetTask { job }).await?;
    found.ok_or_else(|| ApiError::not_found("task"))
}

/// Give a task. It is stored when this is answered, and worked on when there is room. With `Idempotency-Key`, the same
/// task is not taken twice.
#[utoipa::path(
    request_body(content((TaskBody = "application/json"), (TaskBody = "multipart/form-data"))),
    params(("Idempotency-Key" = Option<String>, Header, description = "the same key is answered, not done again")),
    responses((status = 201, body = Taken), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/tasks")]
pub(super) async fn create_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: HttpRequest,
    asked: Asked,
) -> ApiResult<HttpResponse> {
    let project = ProjectId::new(asked.body.project_id.clone());
    enter(&kit, &caller, ProjectOf::Id(project), "project", Role::Developer).await?;
    let key = idempotency_key(&request)?;
    let id = match &key {
        Some(key) => id_of(&caller.0.user, key),
        None => JobId::new(encode_short(kit.clock.fresh())),
    };
    let (project, instruction) = (asked.body.project_id.clone(), asked.body.instruction.clone());
    let before = || async {
        let found = kit.doors.db.read.get_task.ask(GetTask { job: id.clone() }).await?;
        found.map(|task| same(task, &caller.0.user, &project, &instruction)).transpose()
    };
    if key.is_some()
        && let Some(task) = before().await?
    {
        return Ok(taken(task));
    }
    let task = asked.task(&kit, &caller, id.clone()).await?;
    match submit(&kit, &caller, task).await {
        Ok(task) => Ok(taken(task)),
        // It may have come twice at the same time.
        Err(error) if key.is_some() => Ok(taken(before().await?.ok_or(error)?)),
        Err(error) => Err(error),
    }
}

async fn submit(kit: &WebKit, caller: &Caller, task: NewTask) -> ApiResult<Task> {
    let details = format!("{} in {}", task.title, task.project);
    let act = act(kit, caller, "task.created", task.id.as_str(), details);
    Ok(kit.doors.submit.send(Submit { task, act }).await??)
}

fn taken(task: Task) -> HttpResponse {
    let body = Taken { job_id: task.asked.id.to_string(), task: task.into() };
    HttpResponse::build(StatusCode::CREATED).json(body)
}

/// The id of the task that a user sends with this key: always the same.
fn id_of(user: &UserId, key: &str) -> JobId {
    let hash = Sha256::digest(format!("task/{user}/{key}"));
    let bits = hash.iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    JobId::new(encode_short(bits))
}

/// The task that came with a key before, when it is the one that comes now.
fn same(task: Task, user: &UserId, project: &str, instruction: &str) -> ApiResult<Task> {
    let asked = &task.asked;
    if asked.user == *user && asked.project.as_str() == project && asked.instruction == instruction {
        return Ok(task);
    }
    let message = "this Idempotency-Key was used for a different task";
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", message))
}

/// List tasks, the newest first.
#[utoipa::path(
    params(TaskQuery),
    responses((status = 200, body = Tasks), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks")]
pub(super) async fn list_tasks(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<TaskQuery>,
) -> ApiResult<web::Json<Tasks>> {
    let query = query.into_inner();
    let known = |text: &str| STATES.contains(&text).then(|| text.to_owned());
    let filter = TaskFilter {
        member: listed_for(&caller)?,
        user: None,
        project: query.project_id.map(ProjectId::new),
        bot: query.bot_id.map(BotId::new),
        story: query.story_id.map(StoryId::new),
        state: word("status", query.status.as_deref(), known, &STATES.join(", "))?,
        over: query.over,
    };
    let (limit, offset) = (limit(query.limit, 50)?, query.offset.unwrap_or(0));
    let (found, total) = kit.doors.db.read.list_tasks.ask(ListTasks { filter, limit, offset }).await?;
    Ok(web::Json(Tasks { tasks: found.into_iter().map(TaskShape::from).collect(), total }))
}

/// One task, with what the project's checks came to last.
#[utoipa::path(
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = TaskShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}")]
pub(super) async fn get_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<TaskShape>> {
    let job = JobId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Job(job.clone()), "task", Role::Viewer).await?;
    let row = kit.doors.db.read.load_job.ask(LoadJob { job }).await?;
    Ok(web::Json(TaskShape::with_evidence(row.task, &row.entries)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{Closed, Outcome, Phase, Wait};

    #[test]
    fn every_state_can_be_asked_for() {
        let over = |outcome| Phase::Over(Closed { outcome, text: String::new() });
        let phases = [
            Phase::Queued,
            Phase::Preparing,
            Phase::Running,
            Phase::Verifying,
            Phase::Committing,
            Phase::Awaiting { approval: None },
            Phase::Pushing,
            Phase::Requesting,
            Phase::Parked(Wait::Isolation { why: String::new() }),
            over(Outcome::Done),
            over(Outcome::Unchanged),
            over(Outcome::Rejected),
            over(Outcome::Failed),
            over(Outcome::Cancelled),
        ];
        assert_eq!(phases.each_ref().map(Phase::as_str), STATES);
    }

    #[test]
    fn a_key_leads_to_one_id_of_one_user() {
        let [ann, bob] = ["ann", "bob"].map(UserId::new);
        assert_eq!(id_of(&ann, "k"), id_of(&ann, "k"));
        assert_ne!(id_of(&ann, "k"), id_of(&bob, "k"));
        assert_ne!(id_of(&ann, "k"), id_of(&ann, "l"));
        assert_eq!(id_of(&ann, "k").as_str().len(), 12);
    }
}
