//! `/api/v1/projects/{id}/board`: the columns of a project, with the stories in them.

use actix_web::{get, patch, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{ChangeBoard, GetBoard, ListStories, ProjectOf},
    domain::{
        access::Role,
        board::{BoardChange, ColumnDraft, ColumnRole, StoryFilter},
        ids::{ColumnId, ProjectId, encode_short},
    },
};

use super::{
    access::Caller,
    board_shapes::{BoardShape, StoryShape},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, enter, limit},
};

/// Stories of a column that are shown with the board, by default.
const SHOWN: usize = 100;
/// What a column's role may be.
pub(super) const ROLES: &str = "backlog, todo, in_progress, review or done";

/// How much of the board.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BoardQuery {
    /// How many stories of each column at most, from its top.
    limit: Option<usize>,
}

/// A column as it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ColumnBody {
    /// Its id; a new column has none.
    id: Option<String>,
    /// What people call it.
    name: String,
    /// What it means: `backlog`, `todo`, `in_progress`, `review` or `done`. Of a column with stories it stays.
    role: String,
    /// How many stories it takes; any number by default.
    wip_limit: Option<u32>,
}

/// A change to a board; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BoardBody {
    /// The version that was read; when somebody was faster the change is refused.
    version: Option<u64>,
    /// What it is called.
    name: Option<String>,
    /// All its columns, in order. One that is left out goes, if it has no stories.
    columns: Option<Vec<ColumnBody>>,
}

/// A board with its stories.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BoardWithStories {
    board: BoardShape,
    /// In the order of the board.
    stories: Vec<StoryShape>,
}

/// The board of a project, with the stories at the top of each column.
#[utoipa::path(
    params(("id" = String, Path, description = "the project"), BoardQuery),
    responses((status = 200, body = BoardWithStories), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[get("/api/v1/projects/{id}/board")]
pub(super) async fn get_board(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<BoardQuery>,
) -> ApiResult<web::Json<BoardWithStories>> {
    let project = ProjectId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Viewer).await?;
    let per_column = Some(limit(query.limit, SHOWN)? as u64);
    let read = &kit.doors.db.read;
    let (board, counts) = read.get_board.ask(GetBoard { project: project.clone() }).await?;
    let filter = StoryFilter { per_column, ..Default::default() };
    let list = ListStories { project, filter, limit: usize::MAX, offset: 0 };
    let (stories, _) = read.list_stories.ask(list).await?;
    let id = board.id.to_string();
    Ok(web::Json(BoardWithStories {
        board: BoardShape::of(board, |column| counts.get(&column.id).copied().unwrap_or(0)),
        stories: stories.into_iter().map(|story| StoryShape::of(story, &id)).collect(),
    }))
}

/// Rename a board, or rename, order, add, limit and remove its columns. For owners of the project.
#[utoipa::path(
    request_body = BoardBody,
    params(("id" = String, Path, description = "the project")),
    responses((status = 200, body = BoardShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[patch("/api/v1/projects/{id}/board")]
pub(super) async fn change_board(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<BoardBody>,
) -> ApiResult<web::Json<BoardShape>> {
    let project = ProjectId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Id(project.clone()), "project", Role::Owner).await?;
    let BoardBody { version, name, columns } = body.into_inner();
    let draft = |column: ColumnBody| {
        let role = ColumnRole::parse(&column.role)
            .ok_or_else(|| ApiError::bad_request(format!("a column's role must be {ROLES}")))?;
        let is_new = column.id.is_none();
        let id = column.id.unwrap_or_else(|| encode_short(kit.clock.fresh()));
        Ok(ColumnDraft {
            id: ColumnId::new(id),
            is_new,
            name: column.name,
            role,
            wip_limit: column.wip_limit,
        })
    };
    let columns =
        columns.map(|columns| columns.into_iter().map(draft).collect::<ApiResult<_>>()).transpose()?;
    let change = BoardChange { version, name, columns };
    let act = act(&kit, &caller, "board.changed", project.as_str(), String::new());
    let ask = ChangeBoard { project: project.clone(), change, act };
    let board = kit.doors.db.write.change_board.ask(ask).await?;
    let (_, counts) = kit.doors.db.read.get_board.ask(GetBoard { project }).await?;
    Ok(web::Json(BoardShape::of(board, |column| counts.get(&column.id).copied().unwrap_or(0))))
}
