//! `/api/v1/outbox`: messages that did not arrive, and sending them again.

use actix_web::{get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{ListOutbox, ResendOutbox},
    domain::{
        access::Role,
        audit::Act,
        ids::UserId,
        records::{OutboxState, Outgoing},
    },
};

use super::{
    access::Caller,
    body::{Maybe, Nothing},
    error::{ApiResult, ErrorBody},
    kit::WebKit,
    membership::word,
    shapes::time,
};

const LISTED: usize = 100;
const MOST: usize = 1_000;

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OutboxQuery {
    /// Whose; all of them for an owner, the key's own user's for others.
    user_id: Option<String>,
    /// `waiting`, `parked`, `unknown` or `dead`; by default all but `waiting`.
    state: Option<String>,
    /// Below this number: the last one of the page before.
    before: Option<i64>,
    /// How many at most.
    limit: Option<usize>,
}

/// A message that has not arrived, without its words.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutgoingShape {
    /// Its number.
    id: i64,
    /// The channel that delivers it.
    channel: String,
    user_id: String,
    conversation_id: String,
    /// `answer`, `notice`, `approval` or `callback`.
    kind: String,
    /// `waiting`: it is sent now or tried again. `parked`: its chat cannot be reached; it goes out when the person writes
    /// from there. `unknown`: it may or may not have arrived. `dead`: it was refused, or tried too often.
    state: &'static str,
    /// How often it was tried since it was stored or last sent again.
    attempts: u32,
    /// Why it did not arrive, the last time that it was tried.
    error: Option<String>,
    created_at: String,
    /// When it is tried, while it waits; else when it was last tried.
    due_at: String,
}

impl From<Outgoing> for OutgoingShape {
    fn from(row: Outgoing) -> Self {
        Self {
            id: row.id,
            channel: row.channel,
            user_id: row.user.to_string(),
            conversation_id: row.conversation.name().to_owned(),
            kind: row.kind,
            state: row.state.as_str(),
            attempts: row.attempts,
            error: row.error,
            created_at: time(row.created_at),
            due_at: time(row.due_at),
        }
    }
}

/// Messages.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutgoingList {
    messages: Vec<OutgoingShape>,
}

/// List messages that did not arrive, the newest first.
#[utoipa::path(
    params(OutboxQuery),
    responses((status = 200, body = OutgoingList), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/outbox")]
pub(super) async fn list_outbox(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<OutboxQuery>,
) -> ApiResult<web::Json<OutgoingList>> {
    let Caller(principal) = caller;
    principal.needs(Role::Viewer)?;
    let named = query.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = principal.looking_at(named)?;
    let state =
        word("state", query.state.as_deref(), OutboxState::parse, "waiting, parked, unknown or dead")?;
    let limit = query.limit.unwrap_or(LISTED).min(MOST);
    let ask = ListOutbox { user, state, before: query.before, limit };
    let found = kit.doors.db.read.list_outbox.ask(ask).await?;
    Ok(web::Json(OutgoingList { messages: found.into_iter().map(OutgoingShape::from).collect() }))
}

/// Send a message again that is dead, unknown or parked. One that did arrive unseen then comes twice.
#[utoipa::path(
    request_body = Nothing,
    params(("id" = i64, Path, description = "the message")),
    responses((status = 200, body = OutgoingShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[post("/api/v1/outbox/{id}/resend")]
pub(super) async fn resend(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<i64>,
    _body: Maybe<Nothing>,
) -> ApiResult<web::Json<OutgoingShape>> {
    caller.0.needs(Role::Owner)?;
    let id = path.into_inner();
    let act = Act {
        at: kit.clock.now(),
        actor: format!("key:{}", caller.0.name),
        action: "outbox.resent".into(),
        subject: id.to_string(),
        details: String::new(),
    };
    let row = kit.doors.db.write.resend_outbox.ask(ResendOutbox { id, act }).await?;
    Ok(web::Json(row.into()))
}
