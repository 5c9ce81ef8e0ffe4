//! `/api/v1/stories`, and the stories of a project.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{
        ChangeStory, CreateStory, GetBoard, GetFile, GetStory, ListStories, ProjectOf, RemoveStory,
        StoryHistory,
    },
    domain::{
        access::Role,
        board::{Assignee, ColumnRole, NewStory, Priority, Story, StoryChange, StoryFilter},
        ids::{BotId, ColumnId, FileId, ProjectId, StoryId, UserId, encode_short},
    },
};

use super::{
    access::Caller,
    board_shapes::{ChangedShape, PageQuery, StoryShape},
    boards::ROLES,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, by, enter, limit, nullable, word},
};

const PRIORITIES: &str = "critical, high, medium or low";

/// A story, or a change to one; what is left out stays, or has its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StoryBody {
    /// The version that was read; when somebody was faster the change is refused.
    version: Option<u64>,
    /// What it is about; needed for a fresh one.
    title: Option<String>,
    /// More of it.
    description: Option<String>,
    /// What must be so when it is done.
    acceptance_criteria: Option<String>,
    /// `critical`, `high`, `medium` (the default) or `low`.
    priority: Option<String>,
    /// How much work it is thought to be; `null` for unknown.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<u32>)]
    story_points: Option<Option<u32>>,
    /// Words to find it by.
    labels: Option<Vec<String>>,
    /// Ids of files that the key's user may read.
    attachments: Option<Vec<String>>,
    /// A member's or a bot's id; `null` for nobody.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
    /// `user` (the default) or `bot`.
    assignee_type: Option<String>,
    /// Ids of stories of the same project that must be done before it.
    depends_on: Option<Vec<String>>,
    /// Why nobody can work on it; `null` lets work go on, and forgets its failures.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    blocked: Option<Option<String>>,
    /// In which column; a fresh one is in the backlog by default.
    column_id: Option<String>,
    /// At which place in the column, from 0; at its end by default.
    position: Option<u64>,
}

impl StoryBody {
    fn change(self) -> ApiResult<StoryChange> {
        let assignee = match (self.assignee, self.assignee_type.as_deref()) {
            (None, None) => None,
            (Some(None), None) => Some(None),
            (Some(Some(id)), None | Some("user")) => Some(Some(Assignee::User(UserId::parse(&id)?))),
            (Some(Some(id)), Some("bot")) => Some(Some(Assignee::Bot(BotId::new(id)))),
            (Some(Some(_)), Some(_)) => {
                return Err(ApiError::bad_request("assigneeType must be user or bot"));
            }
            (_, Some(_)) => return Err(ApiError::bad_request("assigneeType needs an assignee")),
        };
        Ok(StoryChange {
            version: self.version,
            title: self.title,
            description: self.description,
            acceptance_criteria: self.acceptance_criteria,
            priority: word("priority", self.priority.as_deref(), Priority::parse, PRIORITIES)?,
            points: self.story_points,
            labels: self.labels,
            attachments: self.attachments.map(|files| files.into_iter().map(FileId::new).collect()),
            assignee,
            depends_on: self.depends_on.map(|ids| ids.into_iter().map(StoryId::new).collect()),
            blocked: self.blocked,
            column: self.column_id.map(ColumnId::new),
            position: self.position,
        })
    }
}

/// Which stories.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StoryQuery {
    /// In this column.
    column_id: Option<String>,
    /// In columns with this role: `backlog`, `todo`, `in_progress`, `review` or `done`.
    role: Option<String>,
    /// This user's or bot's.
    assignee: Option<String>,
    /// `critical`, `high`, `medium` or `low`.
    priority: Option<String>,
    /// With this label.
    label: Option<String>,
    /// Blocked, or not.
    blocked: Option<bool>,
    /// With these words in title or description.
    q: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// The version that was read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// When somebody was faster nothing is removed.
    version: Option<u64>,
}

/// Stories.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stories {
    stories: Vec<StoryShape>,
    /// How many fit.
    total: u64,
}

/// What was done to a story.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    history: Vec<ChangedShape>,
    /// How much there is.
    total: u64,
}

/// The story that a path names, for somebody who may do this with it.
pub(super) async fn find(kit: &WebKit, caller: &Caller, path: String, needed: Role) -> ApiResult<Story> {
    let id = StoryId::new(path);
    enter(kit, caller, ProjectOf::Story(id.clone()), "story", needed).await?;
    let found = kit.doors.db.read.get_story.ask(GetStory { id }).await?;
    found.ok_or_else(|| ApiError::not_found("story"))
}

/// A story as it is told, with its board's id.
pub(super) async fn shape(kit: &WebKit, story: Story) -> ApiResult<StoryShape> {
    let (board, _) = kit.doors.db.read.get_board.ask(GetBoard { project: story.project.clone() }).await?;
    Ok(StoryShape::of(story, board.id.as_str()))
}

/// Checks that files that are not yet attached are there, and the caller's to give.
async fn check_files(kit: &WebKit, caller: &Caller, change: &StoryChange, known: &[FileId]) -> ApiResult<()> {
    for id in change.attachments.iter().flatten().filter(|id| !known.contains(id)).take(100) {
        let found = kit.doors.db.read.get_file.ask(GetFile { id: id.clone() }).await?;
        if found.is_none_or(|(_, user)| caller.0.acting_as(Some(user)).is_err()) {
            return Err(ApiError::bad_request(format!("attachments names {id}, which is no file of yours")));
        }
    }
    Ok(())
}

/// Write a story.
#[utoipa::path(
    request_body = StoryBody,
    params(("id" = String, Path, description = "the project")),
    responses((status = 201, body = StoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[post("/api/v1/projects/{id}/stories")]
pub(super) async fn create_story(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<StoryBody>,
) -> ApiResult<HttpResponse> {
    let project = ProjectId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Developer).await?;
    let change = body.into_inner().change()?;
    check_files(&kit, &caller, &change, &[]).await?;
    let id = StoryId::new(encode_short(kit.clock.fresh()));
    let story = NewStory { id, project, column: change.column.clone(), change };
    let ask = CreateStory { story, by: by(&kit, &caller) };
    let made = kit.doors.db.write.create_story.ask(ask).await?;
    Ok(HttpResponse::Created().json(shape(&kit, made).await?))
}

/// List the stories of a project, in the order of its board.
#[utoipa::path(
    params(("id" = String, Path, description = "the project"), StoryQuery),
    responses((status = 200, body = Stories), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[get("/api/v1/projects/{id}/stories")]
pub(super) async fn list_stories(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<StoryQuery>,
) -> ApiResult<web::Json<Stories>> {
    let project = ProjectId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Viewer).await?;
    let query = query.into_inner();
    let filter = StoryFilter {
        column: query.column_id.map(ColumnId::new),
        role: word("role", query.role.as_deref(), ColumnRole::parse, ROLES)?,
        assignee: query.assignee,
        priority: word("priority", query.priority.as_deref(), Priority::parse, PRIORITIES)?,
        label: query.label,
        blocked: query.blocked,
        words: query.q,
        per_column: None,
    };
    let (limit, offset) = (limit(query.limit, 100)?, query.offset.unwrap_or(0));
    let read = &kit.doors.db.read;
    let (board, _) = read.get_board.ask(GetBoard { project: project.clone() }).await?;
    let (found, total) = read.list_stories.ask(ListStories { project, filter, limit, offset }).await?;
    let stories = found.into_iter().map(|story| StoryShape::of(story, board.id.as_str())).collect();
    Ok(web::Json(Stories { stories, total }))
}

/// One story.
#[utoipa::path(
    params(("id" = String, Path, description = "the story")),
    responses((status = 200, body = StoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[get("/api/v1/stories/{id}")]
pub(super) async fn get_story(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<StoryShape>> {
    let story = find(&kit, &caller, path.into_inner(), Role::Viewer).await?;
    Ok(web::Json(shape(&kit, story).await?))
}

/// Change a story, or move it. Whoever takes it out of the columns of work takes it away from the bot that holds it.
#[utoipa::path(
    request_body = StoryBody,
    params(("id" = String, Path, description = "the story")),
    responses((status = 200, body = StoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[patch("/api/v1/stories/{id}")]
pub(super) async fn change_story(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<StoryBody>,
) -> ApiResult<web::Json<StoryShape>> {
    let story = find(&kit, &caller, path.into_inner(), Role::Developer).await?;
    let change = body.into_inner().change()?;
    check_files(&kit, &caller, &change, &story.attachments).await?;
    let ask = ChangeStory { id: story.id, change, by: by(&kit, &caller) };
    let changed = kit.doors.db.write.change_story.ask(ask).await?;
    Ok(web::Json(shape(&kit, changed).await?))
}

/// Remove a story with its history. Those that waited for it wait no longer.
#[utoipa::path(
    params(("id" = String, Path, description = "the story"), VersionQuery),
    responses((status = 204, description = "removed"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[delete("/api/v1/stories/{id}")]
pub(super) async fn remove_story(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<VersionQuery>,
) -> ApiResult<HttpResponse> {
    let story = find(&kit, &caller, path.into_inner(), Role::Developer).await?;
    let details = format!("{}: {}", story.project, story.title);
    let act = act(&kit, &caller, "story.removed", story.id.as_str(), details);
    let ask = RemoveStory { id: story.id, version: query.version, act };
    kit.doors.db.write.remove_story.ask(ask).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What was done to a story, the newest first.
#[utoipa::path(
    params(("id" = String, Path, description = "the story"), PageQuery),
    responses((status = 200, body = History), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[get("/api/v1/stories/{id}/history")]
pub(super) async fn story_history(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
) -> ApiResult<web::Json<History>> {
    let story = find(&kit, &caller, path.into_inner(), Role::Viewer).await?;
    let (limit, offset) = (limit(query.limit, 100)?, query.offset.unwrap_or(0));
    let ask = StoryHistory { id: story.id, limit, offset };
    let (found, total) = kit.doors.db.read.story_history.ask(ask).await?;
    Ok(web::Json(History { history: found.into_iter().map(ChangedShape::from).collect(), total }))
}
