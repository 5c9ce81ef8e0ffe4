//! `/api/v1/channels`: how chat platforms are doing; `/api/v1/link`: codes that join accounts to users; and what Telegram
//! brings by itself.

use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    actors::{
        db::messages::{ChannelQueues, IssueCode},
        reception::messages::{ChannelReport, Report},
    },
    domain::{
        access::Role,
        identity::{self, NewCode},
        ids::UserId,
        records::ChannelQueue,
    },
};

use super::{
    access::Caller,
    body::Maybe,
    error::{ApiError, ApiResult, ErrorBody},
    kit::{Brought, WebKit},
    shapes::time,
};

/// Where Telegram brings updates, when it was told to.
pub(super) const TELEGRAM_WEBHOOK: &str = "/api/channels/telegram/webhook";
/// What it shows then (<https://core.telegram.org/bots/api#setwebhook>).
const TELEGRAM_SECRET: &str = "x-telegram-bot-api-secret-token";
/// Largest update that is read, in bytes: many times what a message with all its fields takes.
const TELEGRAM_UPDATE: usize = 512 * 1024;

/// How a chat platform is doing.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelShape {
    channel: String,
    enabled: bool,
    /// `disabled`, `connecting`, `up`, `down` (it tries again by itself), `refused` (a person has to do something) or
    /// `failed` (the part of Atoll that listens there).
    state: String,
    /// Since when it is so.
    since: Option<String>,
    /// The bot's own name there.
    account: Option<String>,
    /// When something came last.
    last_update: Option<String>,
    last_error: Option<String>,
    last_error_at: Option<String>,
    /// Who may write: `pairing`, `allowlist` or `open`.
    policy: Option<String>,
    /// Messages that were taken since the start.
    taken: u64,
    /// Messages of ours that wait to be sent.
    waiting: u64,
    /// Those that may or may not have arrived.
    unknown: u64,
    /// Those that were given up.
    dead: u64,
}

/// Chat platforms.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channels {
    channels: Vec<ChannelShape>,
}

/// A code to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewLink {
    /// The user that an account is to join; the key's own by default.
    user_id: Option<String>,
    /// What the account may do: `owner`, `developer` or `viewer`, at most what the key may; by default the same.
    role: Option<String>,
}

/// A code that was made. This is the only time that it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FreshLink {
    /// To be sent to the bot as `/link CODE`, alone with it.
    code: String,
    user_id: String,
    role: &'static str,
    expires_at: String,
}

/// How each platform that is listened to is doing: what its reception says, if anybody is there.
pub(super) async fn reports(kit: &WebKit) -> Vec<(&'static str, bool, Option<ChannelReport>)> {
    let mut all = Vec::new();
    for (name, enabled) in &kit.settings.platforms {
        let report = match (enabled, kit.doors.reports.get(name)) {
            (true, Some(door)) => door.send(Report).await.ok(),
            _ => None,
        };
        all.push((*name, *enabled, report));
    }
    all
}

/// Chat platforms, and how they are doing.
#[utoipa::path(
    responses((status = 200, body = Channels), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[get("/api/v1/channels")]
pub(super) async fn list_channels(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Channels>> {
    caller.0.needs(Role::Viewer)?;
    let queues = kit.doors.db.read.channel_queues.ask(ChannelQueues {}).await?;
    let shape = |(name, enabled, report): (&str, bool, Option<ChannelReport>)| {
        let queue = queues.iter().find(|queue| queue.channel == name).cloned().unwrap_or_default();
        channel(name, enabled, report, &queue)
    };
    let channels = reports(&kit).await.into_iter().map(shape).collect();
    Ok(web::Json(Channels { channels }))
}

fn channel(name: &str, enabled: bool, report: Option<ChannelReport>, queue: &ChannelQueue) -> ChannelShape {
    let state = match (&report, enabled) {
        (_, false) => "disabled",
        (None, true) => "failed",
        (Some(report), true) => report.state.as_str(),
    };
    ChannelShape {
        channel: name.to_owned(),
        enabled,
        state: state.to_owned(),
        since: report.as_ref().map(|report| time(report.since)),
        account: report.as_ref().and_then(|report| report.account.clone()),
        last_update: report.as_ref().and_then(|report| report.last_update).map(time),
        last_error: report.as_ref().and_then(|report| report.last_error.clone()),
        last_error_at: report.as_ref().and_then(|report| report.last_error_at).map(time),
        policy: report.as_ref().map(|report| report.policy.clone()),
        taken: report.map_or(0, |report| report.taken),
        waiting: queue.waiting,
        unknown: queue.unknown,
        dead: queue.dead,
    }
}

/// Make a code that joins an account on a chat platform to a user, once, within ten minutes. It lets an account in that is
/// not known yet.
#[utoipa::path(
    request_body = NewLink,
    responses((status = 201, body = FreshLink), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "channels",
)]
#[post("/api/v1/link")]
pub(super) async fn create_link(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: Maybe<NewLink>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Developer)?;
    let Maybe(body) = body;
    let named = body.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = caller.0.acting_as(named)?;
    let role = role(body.role.as_deref())?.unwrap_or(caller.0.role);
    caller.0.needs(role)?;
    let secret = kit.clock.secret().map_err(|error| ApiError::unavailable(error.to_string()))?;
    let (code, now) = (identity::code(&secret), kit.clock.now());
    let actor = format!("key:{}", caller.0.name);
    let new = NewCode { code: code.clone(), user: user.clone(), role, actor, now };
    kit.doors.db.write.issue_code.ask(IssueCode { code: new }).await?;
    Ok(HttpResponse::Created().json(FreshLink {
        code: identity::shown(&code),
        user_id: user.to_string(),
        role: role.as_str(),
        expires_at: time(now + identity::CODE_MS),
    }))
}

/// Reads a role.
pub(super) fn role(word: Option<&str>) -> ApiResult<Option<Role>> {
    let bad = || ApiError::bad_request("role must be owner, developer or viewer");
    word.map(|word| Role::parse(word).ok_or_else(bad)).transpose()
}

/// What Telegram brings, when `channels.telegram.webhook_url` says so; only Telegram knows the secret that it shows.
#[utoipa::path(
    request_body(content = Object, description = "an update of the Bot API"),
    params(("X-Telegram-Bot-Api-Secret-Token" = String, Header, description = "the secret")),
    responses(
        (status = 200, description = "it was taken"), (status = "4XX", body = ErrorBody),
        (status = 503, body = ErrorBody, description = "it has to come again"),
    ),
    tag = "channels",
)]
#[post("/api/channels/telegram/webhook")]
pub(super) async fn telegram_webhook(
    kit: web::Data<WebKit>,
    request: HttpRequest,
    body: web::Payload,
) -> ApiResult<HttpResponse> {
    let shown = request.headers().get(TELEGRAM_SECRET).and_then(|value| value.to_str().ok());
    let (Some(hook), Some(secret)) = (&kit.doors.telegram_hook, shown) else {
        return Err(ApiError::not_found("route"));
    };
    // Nothing is read for whoever does not know it.
    if !hook.knows(secret) {
        return Err(ApiError::not_found("route"));
    }
    let too_large = || {
        let message = format!("an update has at most {TELEGRAM_UPDATE} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    let body = body.to_bytes_limited(TELEGRAM_UPDATE).await.map_err(|_| too_large())?;
    let body = body.map_err(|_| ApiError::bad_request("the update did not come to its end"))?;
    match hook.bring(secret, &body).await {
        Brought::Taken => Ok(HttpResponse::Ok().json(json!({}))),
        // As if nobody were here: whoever guesses learns nothing.
        Brought::Unknown => Err(ApiError::not_found("route")),
        Brought::NotNow => {
            let message = "not now; bring it again";
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message))
        }
    }
}
