//! `/api/v1/keys`: API keys; shown once, kept as hashes.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::db::messages::{CreateKey, ListKeys, RevokeKey},
    domain::{
        access::{Role, fresh_key, hash_key, key_text},
        audit::Act,
        ids::{KeyId, UserId, encode},
    },
};

use super::{
    access::{Caller, forget_keys},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::KeyShape,
};

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewKey {
    /// What it is called.
    name: String,
    /// `owner`, `developer` or `viewer`.
    role: String,
    /// The user it acts as; for an owner's key `api-default`, for others the key's name.
    user_id: Option<String>,
    /// It may name other users; by default only an owner's may.
    acts_for_others: Option<bool>,
}

/// A key that was made. This is the only time that it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreshKey {
    /// The key itself.
    key: String,
    #[serde(flatten)]
    info: KeyShape,
}

/// Keys.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    keys: Vec<KeyShape>,
}

/// All keys.
#[utoipa::path(
    responses((status = 200, body = Keys), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/keys")]
pub(super) async fn list_keys(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Keys>> {
    caller.0.needs(Role::Owner)?;
    let keys = kit.doors.db.read.list_keys.ask(ListKeys {}).await?;
    Ok(web::Json(Keys { keys: keys.into_iter().map(KeyShape::from).collect() }))
}

/// Make a key.
#[utoipa::path(
    request_body = NewKey,
    responses((status = 201, body = FreshKey), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[post("/api/v1/keys")]
pub(super) async fn create_key(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<NewKey>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Owner)?;
    let body = body.into_inner();
    let role = Role::parse(&body.role)
        .ok_or_else(|| ApiError::bad_request("role must be owner, developer or viewer"))?;
    let user = body.user_id.as_deref().map(UserId::parse).transpose()?;
    let id = KeyId::new(encode(kit.clock.fresh()));
    let (info, act) = fresh_key(id, &body.name, role, user, body.acts_for_others, kit.clock.now())
        .map_err(|bad| ApiError::bad_request(bad.to_string()))?;
    let act = Act { actor: format!("key:{}", caller.0.name), ..act };
    let secret = kit.clock.secret().map_err(|error| ApiError::unavailable(error.to_string()))?;
    let key = key_text(&secret);
    let create = CreateKey { key: info.clone(), hash: hash_key(&key).to_vec(), act };
    kit.doors.db.write.create_key.ask(create).await?;
    Ok(HttpResponse::Created().json(FreshKey { key, info: info.into() }))
}

/// Make a key worthless, at once.
#[utoipa::path(
    params(("id" = String, Path, description = "the key's id")),
    responses((status = 200, body = KeyShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[delete("/api/v1/keys/{id}")]
pub(super) async fn revoke_key(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<KeyShape>> {
    caller.0.needs(Role::Owner)?;
    let id = KeyId::new(path.into_inner());
    let act = Act {
        at: kit.clock.now(),
        actor: format!("key:{}", caller.0.name),
        action: "key.revoked".into(),
        subject: id.to_string(),
        details: String::new(),
    };
    let key = kit.doors.db.write.revoke_key.ask(RevokeKey { id, act }).await?;
    forget_keys(&kit);
    Ok(web::Json(key.into()))
}
