//! Claims: a bot's next story, held under a token as long as it is worked on.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::db::messages::{ClaimStory, GetBoard, ProjectOf, ReleaseClaim, RenewClaim},
    domain::{
        access::Role,
        board::{Grant, Outcome},
        ids::{BotId, JobId},
    },
};

use super::{
    access::Caller,
    board_shapes::{GrantShape, StoryShape},
    body::Maybe,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{by, enter},
    stories::{find, shape},
};

/// How long a claim stands by default, and at most, in seconds.
const STANDS: u32 = 300;
const LONGEST: u32 = 3_600;
/// Longest id of a job.
const JOB_ID: usize = 64;

/// For how long.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimBody {
    /// From 1 to 3600; 300 by default.
    seconds: Option<u32>,
}

/// A claim that goes on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RenewBody {
    /// The claim's token.
    token: u64,
    /// From now, from 1 to 3600; 300 by default.
    seconds: Option<u32>,
    /// The job that works under it.
    job_id: Option<String>,
}

/// A claim that ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseBody {
    /// The claim's token.
    token: u64,
    /// `finished` (to Review), `failed` (back to Todo; blocked when it failed too often) or `returned` (back to Todo,
    /// and nobody is to blame).
    outcome: String,
    /// Why it failed.
    reason: Option<String>,
}

/// A claim, if there was a story to claim.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Claimed {
    claim: Option<GrantShape>,
}

fn lease(seconds: Option<u32>) -> ApiResult<i64> {
    match seconds.unwrap_or(STANDS) {
        seconds @ 1..=LONGEST => Ok(i64::from(seconds) * 1_000),
        _ => Err(ApiError::bad_request(format!("seconds must be from 1 to {LONGEST}"))),
    }
}

async fn told(kit: &WebKit, grant: Grant) -> ApiResult<GrantShape> {
    let project = grant.story.project.clone();
    let (board, _) = kit.doors.db.read.get_board.ask(GetBoard { project }).await?;
    Ok(GrantShape::of(grant, board.id.as_str()))
}

/// Claim the next story for a bot that runs, and put it In Progress. Nothing when none is ready, or the bot or the
/// column has enough.
#[utoipa::path(
    request_body = ClaimBody,
    params(("id" = String, Path, description = "the bot")),
    responses((status = 200, body = Claimed), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[post("/api/v1/bots/{id}/claim")]
pub(super) async fn claim_story(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: Maybe<ClaimBody>,
) -> ApiResult<web::Json<Claimed>> {
    let bot = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(bot.clone()), "bot", Role::Developer).await?;
    let ask = ClaimStory { bot, lease_ms: lease(body.0.seconds)?, by: by(&kit, &caller) };
    let claim = match kit.doors.db.write.claim_story.ask(ask).await? {
        Some(grant) => Some(told(&kit, grant).await?),
        None => None,
    };
    Ok(web::Json(Claimed { claim }))
}

/// Prolong a claim. Refused once the story was claimed again, or taken away.
#[utoipa::path(
    request_body = RenewBody,
    params(("id" = String, Path, description = "the story")),
    responses((status = 200, body = GrantShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[post("/api/v1/stories/{id}/renew")]
pub(super) async fn renew_claim(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<RenewBody>,
) -> ApiResult<web::Json<GrantShape>> {
    let story = find(&kit, &caller, path.into_inner(), Role::Developer).await?.id;
    let RenewBody { token, seconds, job_id } = body.into_inner();
    let fits =
        |id: &String| (1..=JOB_ID).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric());
    if job_id.as_ref().is_some_and(|id| !fits(id)) {
        return Err(ApiError::bad_request(format!("jobId must have 1 to {JOB_ID} letters and digits")));
    }
    let (lease_ms, job) = (lease(seconds)?, job_id.map(JobId::new));
    let ask = RenewClaim { story, token, lease_ms, job, by: by(&kit, &caller) };
    let grant = kit.doors.db.write.renew_claim.ask(ask).await?;
    Ok(web::Json(told(&kit, grant).await?))
}

/// End a claim with what came of the work. Refused once the story was claimed again, or taken away.
#[utoipa::path(
    request_body = ReleaseBody,
    params(("id" = String, Path, description = "the story")),
    responses((status = 200, body = StoryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "stories",
)]
#[post("/api/v1/stories/{id}/release")]
pub(super) async fn release_claim(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<ReleaseBody>,
) -> ApiResult<HttpResponse> {
    let story = find(&kit, &caller, path.into_inner(), Role::Developer).await?.id;
    let ReleaseBody { token, outcome, reason } = body.into_inner();
    let outcome = match (outcome.as_str(), reason) {
        ("finished", None) => Outcome::Finished,
        ("returned", None) => Outcome::Returned,
        ("failed", Some(reason)) => Outcome::Failed { reason },
        ("failed", None) => return Err(ApiError::bad_request("say in `reason` why it failed")),
        ("finished" | "returned", Some(_)) => {
            return Err(ApiError::bad_request("`reason` goes with the outcome failed"));
        }
        _ => return Err(ApiError::bad_request("outcome must be finished, failed or returned")),
    };
    let ask = ReleaseClaim { story, token, outcome, by: by(&kit, &caller) };
    let story = kit.doors.db.write.release_claim.ask(ask).await?;
    Ok(HttpResponse::Ok().json(shape(&kit, story).await?))
}
