//! `GET /api/skills`.

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{actors::skill_host::messages::ListSkills, domain::access::Role};

use super::{
    access::Caller,
    error::{ApiResult, ErrorBody},
    kit::WebKit,
};

/// A skill.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SkillShape {
    name: String,
    description: String,
    active: bool,
    tool_count: usize,
    /// Why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The skills there are.
#[utoipa::path(
    responses((status = 200, body = Vec<SkillShape>), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "chat",
)]
#[get("/api/skills")]
pub(super) async fn skills(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<Vec<SkillShape>>> {
    caller.0.needs(Role::Viewer)?;
    let list = kit.doors.skills.send(ListSkills).await?;
    let shapes = list.into_iter().map(|skill| SkillShape {
        name: skill.name,
        description: skill.description,
        active: skill.active,
        tool_count: skill.tools,
        reason: skill.reason,
    });
    Ok(web::Json(shapes.collect()))
}
