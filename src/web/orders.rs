//! `POST /api/chat/cancel`, `/api/chat/stop`, `/api/session/clear`: answered at once, also while a model or a
//! tool is busy.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::intake::messages::{Order, What},
    domain::{
        access::Role,
        ids::{ConversationId, UserId},
    },
};

use super::{
    access::Caller,
    body::Maybe,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
};

/// Whose work it is about.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OrderRequest {
    /// The user; the key's own by default.
    user_id: Option<String>,
    /// The conversation; all of the user's by default (for clear: `default`).
    conversation_id: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OrderAnswer {
    /// The order was carried out; there may have been nothing to do.
    success: bool,
    /// In how many conversations there was something to do.
    affected: usize,
}

async fn order(
    kit: &WebKit,
    caller: Caller,
    body: Maybe<OrderRequest>,
    what: What,
) -> ApiResult<HttpResponse> {
    let Caller(principal) = caller;
    principal.needs(Role::Developer)?;
    let Maybe(body) = body;
    let named = body.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = principal.acting_as(named)?;
    let name = body.conversation_id.as_deref();
    let conversation = name.map(|name| ConversationId::of(principal.channel, &user, name)).transpose()?;
    let door =
        kit.doors.order.get(principal.channel).ok_or_else(|| ApiError::unavailable("no such channel"))?;
    let affected = door.send(Order { user, conversation, what }).await?;
    Ok(HttpResponse::Created().json(OrderAnswer { success: true, affected }))
}

/// End the turn of a user, those that are parked, and all messages that wait.
#[utoipa::path(
    request_body = OrderRequest,
    responses((status = 201, body = OrderAnswer), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "chat",
)]
#[post("/api/chat/cancel")]
pub(super) async fn cancel(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: Maybe<OrderRequest>,
) -> ApiResult<HttpResponse> {
    order(&kit, caller, body, What::Cancel).await
}

/// End the running tool of a user; the turn goes on.
#[utoipa::path(
    request_body = OrderRequest,
    responses((status = 201, body = OrderAnswer), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "chat",
)]
#[post("/api/chat/stop")]
pub(super) async fn stop(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: Maybe<OrderRequest>,
) -> ApiResult<HttpResponse> {
    order(&kit, caller, body, What::Stop).await
}

/// Begin a conversation anew. What was said before is kept in the store and never sent to a model again.
#[utoipa::path(
    request_body = OrderRequest,
    responses((status = 201, body = OrderAnswer), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "chat",
)]
#[post("/api/session/clear")]
pub(super) async fn clear(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: Maybe<OrderRequest>,
) -> ApiResult<HttpResponse> {
    order(&kit, caller, body, What::Clear).await
}
