//! Who may do what in a project: the one place where that is asked.

use actix_web::http::StatusCode;
use serde::{Deserialize, Deserializer};

use crate::{
    actors::db::messages::{FindProject, ProjectOf},
    domain::{access::Role, audit::Act, board::By, ids::UserId, project::Project},
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult},
    kit::WebKit,
};

/// Most entries of a list.
const MOST: usize = 500;

/// The project of something, for somebody who may do this in it. To a stranger it does not exist; `what` is what they
/// asked for.
pub(super) async fn enter(
    kit: &WebKit,
    caller: &Caller,
    of: ProjectOf,
    what: &str,
    needed: Role,
) -> ApiResult<Project> {
    let Caller(principal) = caller;
    // A viewer's key changes nothing anywhere.
    principal.needs(needed.min(Role::Developer))?;
    let found = kit.doors.db.read.find_project.ask(FindProject { of }).await?;
    let found = found.and_then(|project| {
        let role = project.role_of(&principal.user, principal.role)?;
        Some((project, role))
    });
    let (project, role) = found.ok_or_else(|| ApiError::not_found(what))?;
    if role < needed {
        let (needed, has) = (needed.as_str(), role.as_str());
        let message =
            format!("this needs the role {needed} in the project {}, and you have {has}", project.id);
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    Ok(project)
}

/// Whose projects a list shows: `None` for an owner of the place, who sees all.
pub(super) fn listed_for(caller: &Caller) -> ApiResult<Option<UserId>> {
    caller.0.needs(Role::Viewer)?;
    Ok((caller.0.role != Role::Owner).then(|| caller.0.user.clone()))
}

/// A row for the audit log.
pub(super) fn act(kit: &WebKit, caller: &Caller, action: &str, subject: &str, details: String) -> Act {
    let By { actor, at } = by(kit, caller);
    Act { at, actor, action: action.into(), subject: subject.into(), details }
}

/// Who does it, and when.
pub(super) fn by(kit: &WebKit, caller: &Caller) -> By {
    By { actor: format!("key:{}", caller.0.name), at: kit.clock.now() }
}

/// How many entries of a list are wanted.
pub(super) fn limit(wanted: Option<usize>, default: usize) -> ApiResult<usize> {
    match wanted {
        None => Ok(default),
        Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::bad_request(format!("limit must be from 1 to {MOST}"))),
    }
}

/// Reads a word, or says which there are.
pub(super) fn word<T>(
    what: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    words: &str,
) -> ApiResult<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    parse(text).map(Some).ok_or_else(|| ApiError::bad_request(format!("{what} must be {words}")))
}

/// Tells a field that is `null` from one that is left out.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
