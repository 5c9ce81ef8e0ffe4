//! `/api/v1/users`: people, and how they wish to be treated.

use actix_web::{get, patch, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::db::messages::{ListUsers, PutUser},
    domain::{access::Role, audit::Act, ids::UserId, journal::WhileBusy},
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::UserShape,
};

/// People.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    users: Vec<UserShape>,
}

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserChange {
    /// What they are called.
    name: Option<String>,
    /// What their message does while a turn runs: `queue`, `steer`, `interrupt`, or `default` for what is
    /// configured.
    while_busy: Option<String>,
}

/// All people.
#[utoipa::path(
    responses((status = 200, body = Users), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/users")]
pub(super) async fn list_users(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Users>> {
    caller.0.needs(Role::Owner)?;
    let users = kit.doors.db.read.list_users.ask(ListUsers {}).await?;
    Ok(web::Json(Users { users: users.into_iter().map(UserShape::from).collect() }))
}

/// Change what is known of a person; one who is not known is added.
#[utoipa::path(
    request_body = UserChange,
    params(("id" = String, Path, description = "the user")),
    responses((status = 200, body = UserShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[patch("/api/v1/users/{id}")]
pub(super) async fn change_user(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<UserChange>,
) -> ApiResult<web::Json<UserShape>> {
    let Caller(principal) = caller;
    principal.needs(Role::Developer)?;
    let id = principal.acting_as(Some(UserId::parse(&path)?))?;
    let body = body.into_inner();
    if body.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > 100) {
        return Err(ApiError::bad_request("name must have 1 to 100 characters"));
    }
    let while_busy =
        match body.while_busy.as_deref() {
            None => None,
            Some("default") => Some(None),
            Some(mode) => Some(Some(WhileBusy::parse(mode).ok_or_else(|| {
                ApiError::bad_request("whileBusy must be queue, steer, interrupt or default")
            })?)),
        };
    let act = Act {
        at: kit.clock.now(),
        actor: format!("key:{}", principal.name),
        action: "user.changed".into(),
        subject: id.to_string(),
        details: String::new(),
    };
    let user = kit.doors.db.write.put_user.ask(PutUser { id, name: body.name, while_busy, act }).await?;
    Ok(web::Json(user.into()))
}
