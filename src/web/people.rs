//! `/api/v1/pairings` and `/api/v1/identities`: strangers who wait to be let in, and accounts on chat platforms.

use actix_web::{HttpResponse, delete, get, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::{
        db::messages::{AnswerPairing, ChangeIdentity, ListIdentities, ListPairings, RemoveIdentity},
        outbox::messages::Fresh,
    },
    domain::{
        access::Role,
        identity::{self, Identity, IdentityChange, Pairing, PairingAnswer, WhichPairing},
        ids::UserId,
    },
};

use super::{
    access::Caller,
    channels::role,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, limit},
    shapes::time,
};

/// Somebody who wrote and is not known.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PairingShape {
    id: String,
    channel: String,
    /// The platform's id of them.
    external_id: String,
    /// What they call themselves; anybody may call themselves anything.
    name: String,
    /// `open`, `paired`, `refused`, `void` or `expired`.
    state: &'static str,
    created_at: String,
    expires_at: String,
}

impl From<Pairing> for PairingShape {
    fn from(pairing: Pairing) -> Self {
        Self {
            id: pairing.id,
            channel: pairing.channel,
            external_id: pairing.external,
            name: pairing.name,
            state: pairing.state.as_str(),
            created_at: time(pairing.created_at),
            expires_at: time(pairing.expires_at),
        }
    }
}

/// An account on a chat platform.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdentityShape {
    channel: String,
    /// The platform's id of it.
    external_id: String,
    /// The user that it is.
    user_id: String,
    /// What they call themselves.
    name: String,
    /// What they may do.
    role: &'static str,
    /// Somebody let them in by name; others are there because they wrote.
    admitted: bool,
    /// Nothing of theirs is taken.
    blocked: bool,
    created_at: String,
    seen_at: String,
}

impl From<Identity> for IdentityShape {
    fn from(identity: Identity) -> Self {
        Self {
            channel: identity.channel,
            external_id: identity.external,
            user_id: identity.user.to_string(),
            name: identity.name,
            role: identity.role.as_str(),
            admitted: identity.admitted,
            blocked: identity.blocked,
            created_at: time(identity.created_at),
            seen_at: time(identity.seen_at),
        }
    }
}

/// Strangers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pairings {
    pairings: Vec<PairingShape>,
}

/// Accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Identities {
    identities: Vec<IdentityShape>,
    /// How many there are.
    total: u64,
}

/// In, or away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Admission {
    /// They may write from now on; else they get no new code for a day.
    approve: bool,
    /// What they may do: `developer` (the default), `viewer` or `owner`.
    role: Option<String>,
    /// The user that they are; one of their own by default.
    user_id: Option<String>,
}

/// What of an account is to be changed; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IdentityPatch {
    /// What they may do.
    role: Option<String>,
    /// Nothing of theirs is taken any more, or it is again.
    blocked: Option<bool>,
    /// The user that they are.
    user_id: Option<String>,
}

/// Which accounts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IdentityQuery {
    /// How many at most; 50 by default.
    limit: Option<usize>,
    /// How many to skip.
    offset: Option<usize>,
}

/// Strangers who wait to be let in.
#[utoipa::path(
    responses((status = 200, body = Pairings), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[get("/api/v1/pairings")]
pub(super) async fn list_pairings(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Pairings>> {
    caller.0.needs(Role::Owner)?;
    let found = kit.doors.db.read.list_pairings.ask(ListPairings { now: kit.clock.now() }).await?;
    Ok(web::Json(Pairings { pairings: found.into_iter().map(PairingShape::from).collect() }))
}

/// Let a stranger in, or send them away.
#[utoipa::path(
    request_body = Admission,
    params(("id" = String, Path, description = "the pairing, or the code that they have shown")),
    responses((status = 200, body = PairingShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[post("/api/v1/pairings/{id}")]
pub(super) async fn answer_pairing(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<Admission>,
) -> ApiResult<web::Json<PairingShape>> {
    caller.0.needs(Role::Owner)?;
    let body = body.into_inner();
    let answer = PairingAnswer {
        which: match identity::read_code(&path) {
            Some(code) => WhichPairing::Code(code),
            None => WhichPairing::Id(path.into_inner()),
        },
        admit: body.approve,
        role: role(body.role.as_deref())?.unwrap_or(Role::Developer),
        user: body.user_id.as_deref().map(UserId::parse).transpose()?,
        by: caller.0.name.clone(),
        actor: format!("key:{}", caller.0.name),
        now: kit.clock.now(),
    };
    let (pairing, _, rows) = kit.doors.db.write.answer_pairing.ask(AnswerPairing { answer }).await?;
    // If the outbox is down it finds the row when it is up again.
    let _ = kit.doors.fresh.send(Fresh(rows)).await;
    Ok(web::Json(pairing.into()))
}

/// Accounts on chat platforms.
#[utoipa::path(
    params(IdentityQuery),
    responses((status = 200, body = Identities), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[get("/api/v1/identities")]
pub(super) async fn list_identities(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<IdentityQuery>,
) -> ApiResult<web::Json<Identities>> {
    caller.0.needs(Role::Owner)?;
    let (limit, offset) = (limit(query.limit, 50)?, query.offset.unwrap_or(0));
    let (found, total) = kit.doors.db.read.list_identities.ask(ListIdentities { limit, offset }).await?;
    Ok(web::Json(Identities { identities: found.into_iter().map(IdentityShape::from).collect(), total }))
}

/// Change what an account may do, block it, or say who it is.
#[utoipa::path(
    request_body = IdentityPatch,
    params(
        ("channel" = String, Path, description = "the platform"),
        ("id" = String, Path, description = "the platform's id of the account"),
    ),
    responses((status = 200, body = IdentityShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[patch("/api/v1/identities/{channel}/{id}")]
pub(super) async fn change_identity(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: web::Json<IdentityPatch>,
) -> ApiResult<web::Json<IdentityShape>> {
    caller.0.needs(Role::Owner)?;
    let (channel, external) = path.into_inner();
    let body = body.into_inner();
    let change = IdentityChange {
        role: role(body.role.as_deref())?,
        blocked: body.blocked,
        user: body.user_id.as_deref().map(UserId::parse).transpose()?,
    };
    if change.user.as_ref().is_some_and(identity::is_group) {
        return Err(ApiError::bad_request("userId must be a person's: a group's memory is the group's"));
    }
    let action = match change.blocked {
        Some(true) => "identity.blocked",
        Some(false) => "identity.unblocked",
        None => "identity.changed",
    };
    let given = |what: &str, word: Option<String>| word.map(|word| format!("{what} {word}"));
    let details: Vec<String> =
        [given("role", body.role), given("user", body.user_id)].into_iter().flatten().collect();
    let act = act(&kit, &caller, action, &format!("{channel}/{external}"), details.join(", "));
    let changed = ChangeIdentity { channel, external, change, act };
    Ok(web::Json(kit.doors.db.write.change_identity.ask(changed).await?.into()))
}

/// Forget an account: whoever it is has to be let in anew. Their user, with its memory, stays.
#[utoipa::path(
    params(
        ("channel" = String, Path, description = "the platform"),
        ("id" = String, Path, description = "the platform's id of the account"),
    ),
    responses((status = 204, description = "it is forgotten"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[delete("/api/v1/identities/{channel}/{id}")]
pub(super) async fn remove_identity(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Owner)?;
    let (channel, external) = path.into_inner();
    let act = act(&kit, &caller, "identity.removed", &format!("{channel}/{external}"), String::new());
    kit.doors.db.write.remove_identity.ask(RemoveIdentity { channel, external, act }).await?;
    Ok(HttpResponse::NoContent().finish())
}
