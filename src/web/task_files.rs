//! What a task leaves behind: its diff, its artefacts, its journal, and what its sandbox asked for outside.

use actix_web::{
    HttpResponse, get,
    http::{StatusCode, header},
    web,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    actors::db::messages::{ListEgress, LoadJob},
    domain::{access::Role, ids::JobId},
    ports::job_files::Artefact,
};

use super::{
    access::Caller,
    board_shapes::PageQuery,
    error::{ApiError, ApiResult, ErrorBody},
    files::attachment,
    kit::WebKit,
    membership::limit,
    task_shapes::EgressShape,
    tasks::find,
};

/// The artefact that is the diff.
const DIFF: &str = "diff.patch";

/// A file that a task made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtefactShape {
    name: String,
    bytes: u64,
}

impl From<Artefact> for ArtefactShape {
    fn from(Artefact { name, bytes }: Artefact) -> Self {
        Self { name, bytes }
    }
}

/// Files that a task made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Artefacts {
    artefacts: Vec<ArtefactShape>,
}

/// What a task's sandbox asked for outside.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Egress {
    requests: Vec<EgressShape>,
    /// How many there are.
    total: u64,
}

/// A task's journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Journal {
    /// Entries as they are stored, in order; `entry` says of which kind each is.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
}

fn unreadable(error: &std::io::Error) -> ApiError {
    tracing::error!(%error, "files of a task cannot be read");
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "files_failed",
        "the files cannot be read; the log says why",
    )
}

async fn artefact(kit: &WebKit, job: &JobId, name: &str) -> ApiResult<Option<bytes::Bytes>> {
    kit.job_files.artefact(job, name).await.map_err(|error| unreadable(&error))
}

/// The whole diff of a task's work.
#[utoipa::path(
    params(("id" = String, Path, description = "the task")),
    responses(
        (status = 200, description = "a patch, as git writes it", content_type = "text/x-diff"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/diff")]
pub(super) async fn task_diff(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<HttpResponse> {
    let task = find(&kit, &caller, &path, Role::Viewer).await?;
    let Some(diff) = artefact(&kit, &task.asked.id, DIFF).await? else {
        let message = "this task has no diff yet: it has one when its work was taken out of the sandbox";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_diff", message));
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/x-diff; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .body(diff))
}

/// List the files that a task made: the diff, the bundle, what the checks said.
#[utoipa::path(
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = Artefacts), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/artefacts")]
pub(super) async fn list_artefacts(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<Artefacts>> {
    let task = find(&kit, &caller, &path, Role::Viewer).await?;
    let found = kit.job_files.artefacts(&task.asked.id).await.map_err(|error| unreadable(&error))?;
    Ok(web::Json(Artefacts { artefacts: found.into_iter().map(ArtefactShape::from).collect() }))
}

/// Download a file that a task made.
#[utoipa::path(
    params(("id" = String, Path, description = "the task"), ("name" = String, Path, description = "the file")),
    responses(
        (status = 200, description = "its bytes", content_type = "application/octet-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/artefacts/{name}")]
pub(super) async fn get_artefact(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> ApiResult<HttpResponse> {
    let (id, name) = path.into_inner();
    // A bundle holds the work whole, and what looks like a secret with it.
    let needed = if name.ends_with(".bundle") { Role::Developer } else { Role::Viewer };
    let task = find(&kit, &caller, &id, needed).await?;
    let found = artefact(&kit, &task.asked.id, &name).await?;
    let bytes = found.ok_or_else(|| ApiError::not_found("artefact"))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header(attachment(&name))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .body(bytes))
}

/// What a task's sandbox asked for outside, the newest first.
#[utoipa::path(
    params(("id" = String, Path, description = "the task"), PageQuery),
    responses((status = 200, body = Egress), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/egress")]
pub(super) async fn task_egress(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<PageQuery>,
) -> ApiResult<web::Json<Egress>> {
    let job = find(&kit, &caller, &path, Role::Viewer).await?.asked.id;
    let (limit, offset) = (limit(query.limit, 100)?, query.offset.unwrap_or(0));
    let (found, total) = kit.doors.db.read.list_egress.ask(ListEgress { job, limit, offset }).await?;
    Ok(web::Json(Egress { requests: found.into_iter().map(EgressShape::from).collect(), total }))
}

/// Everything that happened to a task, in order.
#[utoipa::path(
    params(("id" = String, Path, description = "the task")),
    responses((status = 200, body = Journal), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/journal")]
pub(super) async fn task_journal(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<Journal>> {
    let job = find(&kit, &caller, &path, Role::Viewer).await?.asked.id;
    let row = kit.doors.db.read.load_job.ask(LoadJob { job }).await?;
    let entries = row.entries.iter().map(|entry| serde_json::to_value(entry).unwrap_or_default());
    Ok(web::Json(Journal { entries: entries.collect() }))
}
