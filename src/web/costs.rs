//! `GET /api/v1/costs`.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{Costs, Today},
    domain::{access::Role, ids::UserId, records::CostsBy},
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::{AmountShape, CostShape, read_time},
};

const DAY: i64 = 86_400_000;
/// Days that are summed up when none are named.
const DAYS: i64 = 30;

/// Which costs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CostQuery {
    /// Whose; all for an owner, the key's own user's for others.
    user_id: Option<String>,
    /// From this day or moment; 30 days back by default.
    from: Option<String>,
    /// Until this day or moment; now by default.
    to: Option<String>,
    /// Summed up by `day`, `model`, `user` or `conversation`; by day by default.
    #[param(value_type = Option<String>)]
    by: Option<CostsBy>,
}

/// Costs, and for one user what today's budget looks like.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CostReport {
    costs: Vec<CostShape>,
    #[serde(rename = "totalUsd")]
    total_usd: f64,
    today: Option<TodayShape>,
}

/// Today's account of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TodayShape {
    spent: AmountShape,
    reserved: AmountShape,
    raised: AmountShape,
}

/// What models cost.
#[utoipa::path(
    params(CostQuery),
    responses((status = 200, body = CostReport), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/costs")]
pub(super) async fn costs(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<CostQuery>,
) -> ApiResult<web::Json<CostReport>> {
    let Caller(principal) = caller;
    principal.needs(Role::Viewer)?;
    let named = query.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = principal.looking_at(named)?;
    let now = kit.clock.now();
    let moment = |text: &Option<String>, usual: i64| match text {
        None => Ok(usual),
        Some(text) => read_time(text).ok_or_else(|| {
            ApiError::bad_request("from and to must be days (2026-11-21) or RFC 3339 moments")
        }),
    };
    let (from, to) = (moment(&query.from, now - DAYS * DAY)?, moment(&query.to, now + 1)?);
    let by = query.by.unwrap_or(CostsBy::Day);
    let lines = kit.doors.db.read.costs.ask(Costs { user: user.clone(), from, to, by }).await?;
    let total_usd = lines.iter().map(|line| line.micro_usd).sum::<u64>() as f64 / 1e6;
    let today = match user {
        Some(user) => {
            let (spent, reserved, raised) = kit.doors.db.read.today.ask(Today { user, now }).await?;
            Some(TodayShape { spent: spent.into(), reserved: reserved.into(), raised: raised.into() })
        }
        None => None,
    };
    Ok(web::Json(CostReport { costs: lines.into_iter().map(CostShape::from).collect(), total_usd, today }))
}
