//! `/api/v1/memories`: the facts of a user, for that user.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{
        DeleteMemory, GetMemory, ListMemories, SearchMemories, StoreMemory, UpdateMemory,
    },
    domain::{
        access::Role,
        ids::{MemoryId, UserId, encode_short},
        memory::{MemoryChange, NewMemory, check},
    },
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::MemoryShape,
};

const LISTED: usize = 50;
const FOUND: usize = 10;
const MOST: usize = 500;

/// A fact to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewMemoryBody {
    /// Whose; the key's own user by default.
    user_id: Option<String>,
    /// The fact.
    content: String,
    /// Its kind; `general` by default.
    category: Option<String>,
    /// Words to find it by.
    tags: Option<Vec<String>>,
    /// From 0 to 1; 0.5 by default.
    importance: Option<f64>,
}

/// A change to a fact; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MemoryChangeBody {
    content: Option<String>,
    category: Option<String>,
    tags: Option<Vec<String>>,
    importance: Option<f64>,
}

/// Which facts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MemoryQuery {
    /// Whose; the key's own user by default.
    user_id: Option<String>,
    /// Of this kind.
    category: Option<String>,
    /// How many at most.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchQuery {
    /// Words.
    q: String,
    /// Whose; the key's own user by default.
    user_id: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// Whose fact.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OwnerQuery {
    /// Whose; the key's own user by default.
    user_id: Option<String>,
}

/// Facts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Memories {
    memories: Vec<MemoryShape>,
}

fn user(caller: &Caller, needed: Role, named: Option<&str>) -> ApiResult<UserId> {
    caller.0.needs(needed)?;
    Ok(caller.0.acting_as(named.map(UserId::parse).transpose()?)?)
}

/// Store a fact. One that says the same as another is merged with it, under the other's id.
#[utoipa::path(
    request_body = NewMemoryBody,
    responses((status = 201, body = MemoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[post("/api/v1/memories")]
pub(super) async fn create_memory(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<NewMemoryBody>,
) -> ApiResult<HttpResponse> {
    let body = body.into_inner();
    let user = user(&caller, Role::Developer, body.user_id.as_deref())?;
    let change = MemoryChange {
        content: Some(body.content),
        category: body.category,
        tags: body.tags,
        importance: body.importance,
    };
    check(&change)?;
    let memory = NewMemory {
        id: MemoryId::new(encode_short(kit.clock.fresh())),
        user,
        content: change.content.unwrap_or_default(),
        category: change.category.unwrap_or_else(|| "general".into()),
        tags: change.tags.unwrap_or_default(),
        importance: change.importance.unwrap_or(0.5),
        source: "manual".into(),
        origin: None,
        now: kit.clock.now(),
    };
    let (memory, _) = kit.doors.db.write.store_memory.ask(StoreMemory { memory }).await?;
    Ok(HttpResponse::Created().json(MemoryShape::from(memory)))
}

/// List facts, the newest first.
#[utoipa::path(
    params(MemoryQuery),
    responses((status = 200, body = Memories), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[get("/api/v1/memories")]
pub(super) async fn list_memories(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<MemoryQuery>,
) -> ApiResult<web::Json<Memories>> {
    let query = query.into_inner();
    let list = ListMemories {
        user: user(&caller, Role::Viewer, query.user_id.as_deref())?,
        category: query.category,
        limit: query.limit.unwrap_or(LISTED).min(MOST),
        offset: query.offset.unwrap_or(0),
    };
    let found = kit.doors.db.read.list_memories.ask(list).await?;
    Ok(web::Json(Memories { memories: found.into_iter().map(MemoryShape::from).collect() }))
}

/// Find facts by words, the best first.
#[utoipa::path(
    params(SearchQuery),
    responses((status = 200, body = Memories), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[get("/api/v1/memories/search")]
pub(super) async fn search_memories(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<SearchQuery>,
) -> ApiResult<web::Json<Memories>> {
    let query = query.into_inner();
    let search = SearchMemories {
        user: user(&caller, Role::Viewer, query.user_id.as_deref())?,
        query: query.q,
        now: kit.clock.now(),
        limit: query.limit.unwrap_or(FOUND).min(MOST),
    };
    let found = kit.doors.db.read.search_memories.ask(search).await?;
    Ok(web::Json(Memories { memories: found.into_iter().map(MemoryShape::from).collect() }))
}

/// One fact.
#[utoipa::path(
    params(("id" = String, Path, description = "the fact"), OwnerQuery),
    responses((status = 200, body = MemoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[get("/api/v1/memories/{id}")]
pub(super) async fn get_memory(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<OwnerQuery>,
) -> ApiResult<web::Json<MemoryShape>> {
    let user = user(&caller, Role::Viewer, query.user_id.as_deref())?;
    let id = MemoryId::new(path.into_inner());
    let found = kit.doors.db.read.get_memory.ask(GetMemory { user, id }).await?;
    found.map(|memory| web::Json(memory.into())).ok_or_else(|| ApiError::not_found("memory"))
}

/// Correct a fact.
#[utoipa::path(
    request_body = MemoryChangeBody,
    params(("id" = String, Path, description = "the fact"), OwnerQuery),
    responses((status = 200, body = MemoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[patch("/api/v1/memories/{id}")]
pub(super) async fn update_memory(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<OwnerQuery>,
    body: web::Json<MemoryChangeBody>,
) -> ApiResult<web::Json<MemoryShape>> {
    let user = user(&caller, Role::Developer, query.user_id.as_deref())?;
    let body = body.into_inner();
    let change = MemoryChange {
        content: body.content,
        category: body.category,
        tags: body.tags,
        importance: body.importance,
    };
    check(&change)?;
    let id = MemoryId::new(path.into_inner());
    let now = kit.clock.now();
    let memory = kit.doors.db.write.update_memory.ask(UpdateMemory { user, id, change, now }).await?;
    Ok(web::Json(memory.into()))
}

/// Forget a fact for good.
#[utoipa::path(
    params(("id" = String, Path, description = "the fact"), OwnerQuery),
    responses((status = 204, description = "forgotten"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "memories",
)]
#[delete("/api/v1/memories/{id}")]
pub(super) async fn delete_memory(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<OwnerQuery>,
) -> ApiResult<HttpResponse> {
    let user = user(&caller, Role::Developer, query.user_id.as_deref())?;
    let id = MemoryId::new(path.into_inner());
    kit.doors.db.write.delete_memory.ask(DeleteMemory { user, id }).await?;
    Ok(HttpResponse::NoContent().finish())
}
