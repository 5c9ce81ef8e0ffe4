//! `/api/v1/scheduled-tasks`: coding jobs that come by the clock.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{
        ChangeSchedule, CreateSchedule, GetSchedule, ListSchedules, ProjectOf, RemoveSchedule,
    },
    domain::{
        access::Role,
        ids::{BotId, ProjectId, ScheduleId, encode_short},
        task_schedule::{Schedule, ScheduleChange},
    },
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, enter, limit, listed_for, nullable},
    shapes::time,
};

/// A scheduled task, or a change to one; what is left out stays, or has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScheduleBody {
    /// In which project; needed for a fresh one, and stays.
    project_id: Option<String>,
    /// What is to be done; needed for a fresh one.
    instruction: Option<String>,
    /// When, as in crontab: minute, hour, day of the month, month, day of the week; needed for a fresh one.
    cron_expression: Option<String>,
    /// Whose clock, such as `Europe/Berlin`; `UTC` by default.
    timezone: Option<String>,
    /// It comes; true by default.
    enabled: Option<bool>,
    /// The bot that does it; `null` for nobody in particular.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    bot_id: Option<Option<String>>,
}

impl ScheduleBody {
    fn change(self) -> ScheduleChange {
        ScheduleChange {
            bot: self.bot_id.map(|bot| bot.map(BotId::new)),
            instruction: self.instruction,
            cron: self.cron_expression,
            timezone: self.timezone,
            enabled: self.enabled,
        }
    }
}

/// A scheduled task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleShape {
    id: String,
    project_id: String,
    bot_id: Option<String>,
    /// Who set it up.
    user_id: String,
    instruction: String,
    cron_expression: String,
    timezone: String,
    enabled: bool,
    last_run_at: Option<String>,
    next_run_at: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<Schedule> for ScheduleShape {
    fn from(schedule: Schedule) -> Self {
        Self {
            id: schedule.id.to_string(),
            project_id: schedule.project.to_string(),
            bot_id: schedule.bot.map(|bot| bot.to_string()),
            user_id: schedule.user.to_string(),
            instruction: schedule.instruction,
            cron_expression: schedule.cron,
            timezone: schedule.timezone,
            enabled: schedule.enabled,
            last_run_at: schedule.last_run_at.map(time),
            next_run_at: schedule.next_run_at.map(time),
            created_at: time(schedule.created_at),
            updated_at: time(schedule.updated_at),
        }
    }
}

/// Which scheduled tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ScheduleQuery {
    /// Of this project.
    project_id: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// Scheduled tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Schedules {
    tasks: Vec<ScheduleShape>,
    /// How many fit.
    total: u64,
}

/// The scheduled task that a path names, for somebody who may do this with it.
async fn find(kit: &WebKit, caller: &Caller, path: &str, needed: Role) -> ApiResult<Schedule> {
    const WHAT: &str = "scheduled task";
    caller.0.needs(needed.min(Role::Developer))?;
    let found = kit.doors.db.read.get_schedule.ask(GetSchedule { id: ScheduleId::new(path) }).await?;
    let found = found.ok_or_else(|| ApiError::not_found(WHAT))?;
    enter(kit, caller, ProjectOf::Id(found.project.clone()), WHAT, needed).await?;
    Ok(found)
}

/// Have a task come by the clock.
#[utoipa::path(
    request_body = ScheduleBody,
    responses((status = 201, body = ScheduleShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[post("/api/v1/scheduled-tasks")]
pub(super) async fn create_schedule(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<ScheduleBody>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Developer)?;
    let mut body = body.into_inner();
    let Some(project) = body.project_id.take().map(ProjectId::new) else {
        return Err(ApiError::bad_request("projectId is missing"));
    };
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Developer).await?;
    let id = ScheduleId::new(encode_short(kit.clock.fresh()));
    let user = caller.0.user.clone();
    let schedule = Schedule::fresh(id, project, user, &body.change(), kit.clock.now())?;
    let details = format!("{} {} in {}", schedule.cron, schedule.timezone, schedule.project);
    let act = act(&kit, &caller, "schedule.created", schedule.id.as_str(), details);
    let made = kit.doors.db.write.create_schedule.ask(CreateSchedule { schedule, act }).await?;
    Ok(HttpResponse::Created().json(ScheduleShape::from(made)))
}

/// List scheduled tasks, the oldest first.
#[utoipa::path(
    params(ScheduleQuery),
    responses((status = 200, body = Schedules), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/scheduled-tasks")]
pub(super) async fn list_schedules(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<ScheduleQuery>,
) -> ApiResult<web::Json<Schedules>> {
    let (member, query) = (listed_for(&caller)?, query.into_inner());
    let (limit, offset) = (limit(query.limit, 100)?, query.offset.unwrap_or(0));
    let ask =
        ListSchedules { member, user: None, project: query.project_id.map(ProjectId::new), limit, offset };
    let (found, total) = kit.doors.db.read.list_schedules.ask(ask).await?;
    Ok(web::Json(Schedules { tasks: found.into_iter().map(ScheduleShape::from).collect(), total }))
}

/// One scheduled task.
#[utoipa::path(
    params(("id" = String, Path, description = "the scheduled task")),
    responses((status = 200, body = ScheduleShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/scheduled-tasks/{id}")]
pub(super) async fn get_schedule(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<ScheduleShape>> {
    Ok(web::Json(find(&kit, &caller, &path, Role::Viewer).await?.into()))
}

/// Change a scheduled task. One that is enabled again, or has another clock, comes at the next time from now on.
#[utoipa::path(
    request_body = ScheduleBody,
    params(("id" = String, Path, description = "the scheduled task")),
    responses((status = 200, body = ScheduleShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[patch("/api/v1/scheduled-tasks/{id}")]
pub(super) async fn change_schedule(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<ScheduleBody>,
) -> ApiResult<web::Json<ScheduleShape>> {
    let schedule = find(&kit, &caller, &path, Role::Developer).await?;
    let body = body.into_inner();
    if body.project_id.as_deref().is_some_and(|id| id != schedule.project.as_str()) {
        return Err(ApiError::bad_request("projectId stays as it is: make another scheduled task"));
    }
    let details = format!("in {}", schedule.project);
    let act = act(&kit, &caller, "schedule.changed", schedule.id.as_str(), details);
    let ask = ChangeSchedule { id: schedule.id, change: body.change(), act };
    Ok(web::Json(kit.doors.db.write.change_schedule.ask(ask).await?.into()))
}

/// Remove a scheduled task; tasks that came of it stay.
#[utoipa::path(
    params(("id" = String, Path, description = "the scheduled task")),
    responses((status = 204, description = "removed"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[delete("/api/v1/scheduled-tasks/{id}")]
pub(super) async fn remove_schedule(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<HttpResponse> {
    let schedule = find(&kit, &caller, &path, Role::Developer).await?;
    let details = format!("in {}", schedule.project);
    let act = act(&kit, &caller, "schedule.removed", schedule.id.as_str(), details);
    kit.doors.db.write.remove_schedule.ask(RemoveSchedule { id: schedule.id, act }).await?;
    Ok(HttpResponse::NoContent().finish())
}
