//! Bots, and what they leave behind when they go.

use rusqlite::{Connection, params};

use super::{
    Result, StoreError, audit, claims, execute, from_json, row, rows, stories, task_schedules, to_json,
};
use crate::domain::{
    audit::Act,
    board::{By, Refusal, Story, StoryFilter},
    bot::{Bot, BotChange, BotState},
    ids::{BotId, ProjectId, UserId},
};

const COLUMNS: &str = "id, project_id, name, settings, state, created_at, updated_at";

/// Stores a bot.
///
/// # Errors
/// [`StoreError::NotFound`] for its project, or why the domain refuses it.
pub fn create(db: &Connection, bot: &Bot, act: Act) -> Result<Bot> {
    if super::projects::get(db, &bot.project)?.is_none() {
        return Err(StoreError::NotFound("project"));
    }
    check_name(db, bot)?;
    let sql = "INSERT INTO bots (id, project_id, name, settings, state, created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
    let (id, project) = (bot.id.as_str(), bot.project.as_str());
    let settings = to_json(&bot.settings)?;
    execute(db, sql, params![id, project, bot.name, settings, bot.state.as_str(), bot.created_at])?;
    audit::append(db, act)?;
    Ok(bot.clone())
}

/// Changes a bot. When it is stopped, what it holds goes back to Todo and its tokens are worth nothing.
///
/// # Errors
/// [`StoreError::NotFound`], or why the domain refuses the change.
pub fn change(db: &Connection, id: &BotId, change: &BotChange, act: Act) -> Result<Bot> {
    let bot = get(db, id)?.ok_or(StoreError::NotFound("bot"))?;
    let next = Bot { updated_at: act.at, ..bot.revise(change)? };
    check_name(db, &next)?;
    let sql = "UPDATE bots SET name = ?2, settings = ?3, state = ?4, updated_at = ?5 WHERE id = ?1";
    let (settings, state) = (to_json(&next.settings)?, next.state.as_str());
    execute(db, sql, params![id.as_str(), next.name, settings, state, next.updated_at])?;
    if next.state == BotState::Stopped && bot.state != BotState::Stopped {
        let by = By { actor: act.actor.clone(), at: act.at };
        claims::drop_all(db, &bot.project, id, &by)?;
    }
    audit::append(db, act)?;
    Ok(next)
}

/// Removes a bot with its journal. What it holds goes back to Todo and its tokens are worth nothing; what is assigned
/// to it is nobody's. Its schedules come no more.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none.
pub fn remove(db: &Connection, id: &BotId, act: Act) -> Result<()> {
    let bot = get(db, id)?.ok_or(StoreError::NotFound("bot"))?;
    let by = By { actor: act.actor.clone(), at: act.at };
    claims::drop_all(db, &bot.project, id, &by)?;
    let filter = StoryFilter { assignee: Some(id.to_string()), ..Default::default() };
    for story in stories::list(db, &bot.project, &filter, usize::MAX, 0)?.0 {
        stories::keep(db, &story, Story { assignee: None, ..story.clone() }, &by, "changed")?;
    }
    task_schedules::orphan(db, id, act.at)?;
    execute(db, "DELETE FROM bots WHERE id = ?1", [id.as_str()])?;
    audit::append(db, act)?;
    Ok(())
}

/// A bot.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &BotId) -> Result<Option<Bot>> {
    row(db, &format!("SELECT {COLUMNS} FROM bots WHERE id = ?1"), [id.as_str()], read)
}

/// Bots by project and name, and how many fit; with `member`, only those of projects that this person is in.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    member: Option<&UserId>,
    project: Option<&ProjectId>,
    state: Option<BotState>,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Bot>, u64)> {
    const FITS: &str = "(?1 IS NULL OR project_id IN (SELECT project_id FROM members WHERE user_id = ?1))
        AND (?2 IS NULL OR project_id = ?2) AND (?3 IS NULL OR state = ?3)";
    let wanted = (member.map(UserId::as_str), project.map(ProjectId::as_str), state.map(BotState::as_str));
    let total = super::count(db, &format!("SELECT count(*) FROM bots WHERE {FITS}"), wanted)?;
    let (limit, offset) = (super::page(limit), super::page(offset));
    let sql = format!(
        "SELECT {COLUMNS} FROM bots WHERE {FITS} ORDER BY project_id, name LIMIT {limit} OFFSET {offset}"
    );
    Ok((rows(db, &sql, wanted, read)?, total))
}

fn check_name(db: &Connection, bot: &Bot) -> Result<()> {
    let sql = "SELECT 1 FROM bots WHERE project_id = ?1 AND name = ?2 AND id <> ?3";
    let params = params![bot.project.as_str(), bot.name, bot.id.as_str()];
    match row(db, sql, params, |_| Ok(()))? {
        Some(()) => Err(Refusal::Taken { what: "bot", name: bot.name.clone() }.into()),
        None => Ok(()),
    }
}

fn read(row: &rusqlite::Row<'_>) -> Result<Bot> {
    let state: String = row.get(4)?;
    Ok(Bot {
        id: BotId::new(row.get::<_, String>(0)?),
        project: ProjectId::new(row.get::<_, String>(1)?),
        name: row.get(2)?,
        settings: from_json(&row.get::<_, String>(3)?)?,
        state: BotState::parse(&state).ok_or_else(|| StoreError::Corrupt(format!("the state {state}")))?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
