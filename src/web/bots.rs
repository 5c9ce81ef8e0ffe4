//! `/api/v1/bots`: coding bots, and whether they take stories.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{ChangeBot, CreateBot, GetBot, ListBots, ProjectOf, RemoveBot},
    domain::{
        access::Role,
        bot::{Bot, BotChange, BotState, Engine, Idle},
        ids::{BotId, ProjectId, UserId, encode_short},
    },
};

use super::{
    access::Caller,
    board_shapes::{BotShape, PageQuery},
    bot_work::{BotDetail, BotWork, changed},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, enter, limit, listed_for, nullable, word},
};

/// Most of a budget, in US dollars.
const MOST_USD: f64 = 1e6;

/// A bot, or a change to one; what is left out stays, or has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BotBody {
    /// What it works on; needed for a fresh one, and stays.
    project_id: Option<String>,
    /// What it is called; needed for a fresh one, and unique within its project.
    name: Option<String>,
    /// `native` (the default), `claude-code` or `codex`.
    engine_type: Option<String>,
    /// Which model; `null` for the engine's own choice.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    model: Option<Option<String>>,
    /// What it is told before every story.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    system_prompt: Option<Option<String>>,
    /// How often it looks for a story; 30 by default.
    poll_interval_seconds: Option<u32>,
    /// How many stories it works on at once; 1 by default.
    max_concurrent_stories: Option<u32>,
    /// What a day may cost; `null` for no cap of its own.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<f64>)]
    daily_budget_usd: Option<Option<f64>>,
    /// What one story may cost.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<f64>)]
    story_budget_usd: Option<Option<f64>>,
    /// `idle` (the default) or `discovery`.
    idle_behavior: Option<String>,
}

impl BotBody {
    fn change(self) -> ApiResult<BotChange> {
        Ok(BotChange {
            name: self.name,
            engine: word(
                "engineType",
                self.engine_type.as_deref(),
                Engine::parse,
                "native, claude-code or codex",
            )?,
            model: self.model,
            system_prompt: self.system_prompt,
            poll_interval_seconds: self.poll_interval_seconds,
            max_concurrent_stories: self.max_concurrent_stories,
            day_micros: micros("dailyBudgetUsd", self.daily_budget_usd)?,
            story_micros: micros("storyBudgetUsd", self.story_budget_usd)?,
            idle: word("idleBehavior", self.idle_behavior.as_deref(), Idle::parse, "idle or discovery")?,
            state: None,
        })
    }
}

fn micros(what: &str, usd: Option<Option<f64>>) -> ApiResult<Option<Option<u64>>> {
    match usd {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(usd)) if (0.0..=MOST_USD).contains(&usd) => Ok(Some(Some((usd * 1e6).round() as u64))),
        Some(Some(_)) => Err(ApiError::bad_request(format!("{what} must be from 0 to {MOST_USD}"))),
    }
}

/// What a bot is to do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoopBody {
    /// `start`, `pause` (no new stories) or `stop` (at once).
    action: String,
}

/// What a bot does now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoopShape {
    bot_id: String,
    /// `stopped`, `running` or `paused`.
    status: &'static str,
    #[serde(flatten)]
    work: BotWork,
}

/// Which bots.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BotQuery {
    /// Of this project.
    project_id: Option<String>,
    /// `stopped`, `running` or `paused`.
    status: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// Bots.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Bots {
    bots: Vec<BotShape>,
    /// How many fit.
    total: u64,
}

async fn list(
    kit: &WebKit,
    member: Option<UserId>,
    project: Option<ProjectId>,
    state: Option<BotState>,
    page: (Option<usize>, Option<usize>),
) -> ApiResult<web::Json<Bots>> {
    let (limit, offset) = (limit(page.0, 100)?, page.1.unwrap_or(0));
    let ask = ListBots { member, project, state, limit, offset };
    let (found, total) = kit.doors.db.read.list_bots.ask(ask).await?;
    Ok(web::Json(Bots { bots: found.into_iter().map(BotShape::from).collect(), total }))
}

/// Make a bot; it is stopped. For owners of the project.
#[utoipa::path(
    request_body = BotBody,
    responses((status = 201, body = BotShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[post("/api/v1/bots")]
pub(super) async fn create_bot(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<BotBody>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Developer)?;
    let mut body = body.into_inner();
    let Some(project) = body.project_id.take().map(ProjectId::new) else {
        return Err(ApiError::bad_request("projectId is missing"));
    };
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Owner).await?;
    let id = BotId::new(encode_short(kit.clock.fresh()));
    let bot = Bot::fresh(id, project, &body.change()?, kit.clock.now())?;
    let act = act(&kit, &caller, "bot.created", bot.id.as_str(), format!("{} in {}", bot.name, bot.project));
    let made = kit.doors.db.write.create_bot.ask(CreateBot { bot, act }).await?;
    Ok(HttpResponse::Created().json(BotShape::from(made)))
}

/// List bots, by project and name.
#[utoipa::path(
    params(BotQuery),
    responses((status = 200, body = Bots), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[get("/api/v1/bots")]
pub(super) async fn list_bots(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<BotQuery>,
) -> ApiResult<web::Json<Bots>> {
    let member = listed_for(&caller)?;
    let query = query.into_inner();
    let state = word("status", query.status.as_deref(), BotState::parse, "stopped, running or paused")?;
    let project = query.project_id.map(ProjectId::new);
    list(&kit, member, project, state, (query.limit, query.offset)).await
}

/// List the bots of a project, by name.
#[utoipa::path(
    params(("id" = String, Path, description = "the project"), PageQuery),
    responses((status = 200, body = Bots), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[get("/api/v1/projects/{id}/bots")]
pub(super) async fn project_bots(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
) -> ApiResult<web::Json<Bots>> {
    let project = ProjectId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Viewer).await?;
    list(&kit, None, Some(project), None, (query.limit, query.offset)).await
}

/// One bot, and what it does now.
#[utoipa::path(
    params(("id" = String, Path, description = "the bot")),
    responses((status = 200, body = BotDetail), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[get("/api/v1/bots/{id}")]
pub(super) async fn get_bot(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<BotDetail>> {
    let id = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(id.clone()), "bot", Role::Viewer).await?;
    let found = kit.doors.db.read.get_bot.ask(GetBot { id }).await?;
    let bot = found.ok_or_else(|| ApiError::not_found("bot"))?;
    Ok(web::Json(BotDetail::of(&kit, bot).await?))
}

/// Change how a bot works. For owners of the project.
#[utoipa::path(
    request_body = BotBody,
    params(("id" = String, Path, description = "the bot")),
    responses((status = 200, body = BotShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[patch("/api/v1/bots/{id}")]
pub(super) async fn change_bot(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<BotBody>,
) -> ApiResult<web::Json<BotShape>> {
    let id = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(id.clone()), "bot", Role::Owner).await?;
    let body = body.into_inner();
    if body.project_id.is_some() {
        return Err(ApiError::bad_request("a bot stays with its project: make another one there"));
    }
    let act = act(&kit, &caller, "bot.changed", id.as_str(), String::new());
    let ask = ChangeBot { id, change: body.change()?, act };
    let bot = kit.doors.db.write.change_bot.ask(ask).await?;
    changed(&kit, &bot.id);
    Ok(web::Json(bot.into()))
}

/// Remove a bot with its journal. What it holds goes back to Todo, its claims are worth nothing, and its tasks that are at
/// work end.
#[utoipa::path(
    params(("id" = String, Path, description = "the bot")),
    responses((status = 204, description = "removed"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[delete("/api/v1/bots/{id}")]
pub(super) async fn remove_bot(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<HttpResponse> {
    let id = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(id.clone()), "bot", Role::Owner).await?;
    let act = act(&kit, &caller, "bot.removed", id.as_str(), String::new());
    kit.doors.db.write.remove_bot.ask(RemoveBot { id: id.clone(), act }).await?;
    changed(&kit, &id);
    Ok(HttpResponse::NoContent().finish())
}

/// Start, pause or stop a bot. It stays so over restarts. A bot that is paused takes no new stories, and what runs goes on;
/// one that is stopped ends its tasks that are at work, and gives their stories back to Todo.
#[utoipa::path(
    request_body = LoopBody,
    params(("id" = String, Path, description = "the bot")),
    responses((status = 200, body = LoopShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[post("/api/v1/bots/{id}/loop")]
pub(super) async fn bot_loop(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<LoopBody>,
) -> ApiResult<web::Json<LoopShape>> {
    let id = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(id.clone()), "bot", Role::Developer).await?;
    let state = match body.action.as_str() {
        "start" => BotState::Running,
        "pause" => BotState::Paused,
        "stop" => BotState::Stopped,
        _ => return Err(ApiError::bad_request("action must be start, pause or stop")),
    };
    let act = act(&kit, &caller, "bot.loop", id.as_str(), state.as_str().into());
    let change = BotChange { state: Some(state), ..Default::default() };
    let bot = kit.doors.db.write.change_bot.ask(ChangeBot { id, change, act }).await?;
    changed(&kit, &bot.id);
    let work = BotWork::of(&kit, &bot).await?;
    Ok(web::Json(LoopShape { bot_id: bot.id.to_string(), status: bot.state.as_str(), work }))
}
