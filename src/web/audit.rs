//! `/api/v1/audit`: what was done by whom, chained by hashes.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{ListAudit, VerifyAudit},
    domain::access::Role,
};

use super::{
    access::Caller,
    error::{ApiResult, ErrorBody},
    kit::WebKit,
    shapes::AuditShape,
};

const LISTED: usize = 200;
const MOST: usize = 1_000;

/// Which rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// After this number.
    after: Option<i64>,
    /// How many at most.
    limit: Option<usize>,
}

/// Rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditRows {
    rows: Vec<AuditShape>,
}

/// An unbroken chain.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Verified {
    ok: bool,
    rows: i64,
    /// Hash of the last row: keep it elsewhere to notice when the end is cut off.
    head: String,
}

/// Rows of the audit log, oldest first.
#[utoipa::path(
    params(AuditQuery),
    responses((status = 200, body = AuditRows), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/audit")]
pub(super) async fn list_audit(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<AuditQuery>,
) -> ApiResult<web::Json<AuditRows>> {
    caller.0.needs(Role::Owner)?;
    let (after, limit) = (query.after.unwrap_or(0), query.limit.unwrap_or(LISTED).min(MOST));
    let rows = kit.doors.db.read.list_audit.ask(ListAudit { after, limit }).await?;
    Ok(web::Json(AuditRows { rows: rows.into_iter().map(AuditShape::from).collect() }))
}

/// Check the whole chain.
#[utoipa::path(
    responses((status = 200, body = Verified), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/audit/verify")]
pub(super) async fn verify_audit(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Verified>> {
    caller.0.needs(Role::Owner)?;
    let (rows, head) = kit.doors.db.read.verify_audit.ask(VerifyAudit {}).await?;
    Ok(web::Json(Verified { ok: true, rows, head }))
}
