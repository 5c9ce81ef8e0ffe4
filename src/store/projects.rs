//! Projects and their members.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{Result, StoreError, audit, boards, execute, from_json, row, rows, to_json};
use crate::domain::{
    access::Role,
    audit::Act,
    board::{Board, Refusal},
    ids::{BotId, ProjectId, StoryId, UserId},
    project::{Project, ProjectChange},
};

const COLUMNS: &str =
    "projects.id, projects.name, projects.settings, projects.created_at, projects.updated_at";

/// Stores a project with its board.
///
/// # Errors
/// [`Refusal::Taken`] when there is one of this id.
pub fn create(db: &Connection, project: &Project, board: &Board, act: Act) -> Result<Project> {
    if get(db, &project.id)?.is_some() {
        return Err(Refusal::Taken { what: "project", name: project.id.to_string() }.into());
    }
    let sql = "INSERT INTO projects (id, name, settings, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?4)";
    let settings = to_json(&project.settings)?;
    execute(db, sql, params![project.id.as_str(), project.name, settings, project.created_at])?;
    boards::insert(db, board)?;
    audit::append(db, act)?;
    Ok(project.clone())
}

/// Changes a project.
///
/// # Errors
/// [`StoreError::NotFound`], or what does not fit.
pub fn change(db: &Connection, id: &ProjectId, change: &ProjectChange, act: Act) -> Result<Project> {
    let project = get(db, id)?.ok_or(StoreError::NotFound("project"))?;
    let next = Project { updated_at: act.at, ..project.revise(change)? };
    save(db, &next)?;
    audit::append(db, act)?;
    Ok(next)
}

/// Stores a project's next state; its members are stored elsewhere.
pub(super) fn save(db: &Connection, project: &Project) -> Result<()> {
    let sql = "UPDATE projects SET name = ?2, settings = ?3, updated_at = ?4 WHERE id = ?1";
    let settings = to_json(&project.settings)?;
    execute(db, sql, params![project.id.as_str(), project.name, settings, project.updated_at])?;
    Ok(())
}

/// Gives somebody a role in a project, or takes it with `None`.
///
/// # Errors
/// [`StoreError::NotFound`] for a project that is not there, or a member that is to go and is none.
pub fn set_member(
    db: &Connection,
    id: &ProjectId,
    user: &UserId,
    role: Option<Role>,
    act: Act,
) -> Result<Project> {
    let project = get(db, id)?.ok_or(StoreError::NotFound("project"))?;
    match role {
        Some(role) => {
            let sql = "INSERT INTO members (project_id, user_id, role) VALUES (?1, ?2, ?3)
                       ON CONFLICT (project_id, user_id) DO UPDATE SET role = ?3";
            execute(db, sql, params![id.as_str(), user.as_str(), role.as_str()])?;
        }
        None => {
            if !project.members.contains_key(user) {
                return Err(StoreError::NotFound("member"));
            }
            let sql = "DELETE FROM members WHERE project_id = ?1 AND user_id = ?2";
            execute(db, sql, params![id.as_str(), user.as_str()])?;
        }
    }
    execute(db, "UPDATE projects SET updated_at = ?2 WHERE id = ?1", params![id.as_str(), act.at])?;
    audit::append(db, act)?;
    get(db, id)?.ok_or(StoreError::NotFound("project"))
}

/// Removes a project with all that is in it.
///
/// # Errors
/// [`Refusal::Busy`] while a bot holds one of its stories or one of its jobs is not over.
pub fn remove(db: &Connection, id: &ProjectId, act: Act) -> Result<()> {
    let sql = "SELECT count(*) FROM stories WHERE project_id = ?1 AND claim_bot IS NOT NULL";
    let held: i64 = row(db, sql, [id.as_str()], |row| Ok(row.get(0)?))?.unwrap_or(0);
    if held > 0 {
        let why = format!("bots work on {held} of its stories: stop them, or take the stories back first");
        return Err(Refusal::Busy(why).into());
    }
    let open =
        super::count(db, "SELECT count(*) FROM jobs WHERE project_id = ?1 AND over = 0", [id.as_str()])?;
    if open > 0 {
        let why = format!("{open} of its tasks are not over: cancel them first, or wait until they are");
        return Err(Refusal::Busy(why).into());
    }
    if execute(db, "DELETE FROM projects WHERE id = ?1", [id.as_str()])? == 0 {
        return Err(StoreError::NotFound("project"));
    }
    audit::append(db, act)?;
    Ok(())
}

/// A project.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &ProjectId) -> Result<Option<Project>> {
    let sql = format!("SELECT {COLUMNS} FROM projects WHERE id = ?1");
    let found = row(db, &sql, [id.as_str()], read)?;
    found.map(|project| with_members(db, project)).transpose()
}

/// The project of a story.
///
/// # Errors
/// When the store fails.
pub fn of_story(db: &Connection, story: &StoryId) -> Result<Option<Project>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM stories JOIN projects ON projects.id = project_id WHERE stories.id = ?1"
    );
    let found = row(db, &sql, [story.as_str()], read)?;
    found.map(|project| with_members(db, project)).transpose()
}

/// The project of a bot.
///
/// # Errors
/// When the store fails.
pub fn of_bot(db: &Connection, bot: &BotId) -> Result<Option<Project>> {
    let sql =
        format!("SELECT {COLUMNS} FROM bots JOIN projects ON projects.id = project_id WHERE bots.id = ?1");
    let found = row(db, &sql, [bot.as_str()], read)?;
    found.map(|project| with_members(db, project)).transpose()
}

/// Projects by id, and how many there are; with `member`, only those that this person is in.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    member: Option<&UserId>,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Project>, u64)> {
    const VISIBLE: &str = "?1 IS NULL OR projects.id IN (SELECT project_id FROM members WHERE user_id = ?1)";
    let member = member.map(UserId::as_str);
    let sql = format!("SELECT {COLUMNS} FROM projects WHERE {VISIBLE} ORDER BY id LIMIT ?2 OFFSET ?3");
    let found = rows(db, &sql, params![member, super::page(limit), super::page(offset)], read)?;
    let found = found.into_iter().map(|project| with_members(db, project)).collect::<Result<_>>()?;
    let sql = format!("SELECT count(*) FROM projects WHERE {VISIBLE}");
    Ok((found, super::count(db, &sql, params![member])?))
}

fn with_members(db: &Connection, project: Project) -> Result<Project> {
    let sql = "SELECT user_id, role FROM members WHERE project_id = ?1";
    let members = rows(db, sql, [project.id.as_str()], |row| {
        let word: String = row.get(1)?;
        let role = Role::parse(&word).ok_or_else(|| StoreError::Corrupt(format!("the role {word}")))?;
        Ok((UserId::new(row.get::<_, String>(0)?), role))
    })?;
    Ok(Project { members: members.into_iter().collect(), ..project })
}

fn read(row: &rusqlite::Row<'_>) -> Result<Project> {
    Ok(Project {
        id: ProjectId::new(row.get::<_, String>(0)?),
        name: row.get(1)?,
        settings: from_json(&row.get::<_, String>(2)?)?,
        members: BTreeMap::new(),
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}
