//! Schedules of coding jobs.

use rusqlite::{Connection, params};

use super::{Result, StoreError, audit, bots, execute, projects, row, rows};
use crate::domain::{
    Millis,
    audit::Act,
    board::Refusal,
    ids::{BotId, ProjectId, ScheduleId, UserId},
    task_schedule::{Schedule, ScheduleChange},
};

const COLUMNS: &str = "id, project_id, bot_id, user_id, instruction, cron, timezone, enabled, last_run_at,
    next_run_at, created_at, updated_at";

/// Stores a schedule.
///
/// # Errors
/// [`StoreError::NotFound`] for its project; [`Refusal::Bad`] for a bot of another one.
pub fn create(db: &Connection, schedule: &Schedule, act: Act) -> Result<Schedule> {
    if projects::get(db, &schedule.project)?.is_none() {
        return Err(StoreError::NotFound("project"));
    }
    check_bot(db, schedule)?;
    let sql =
        "INSERT INTO task_schedules (id, project_id, bot_id, user_id, instruction, cron, timezone, enabled,
                   last_run_at, next_run_at, created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let params = params![
        schedule.id.as_str(),
        schedule.project.as_str(),
        schedule.bot.as_ref().map(BotId::as_str),
        schedule.user.as_str(),
        schedule.instruction,
        schedule.cron,
        schedule.timezone,
        schedule.enabled,
        schedule.last_run_at,
        schedule.next_run_at,
        schedule.created_at,
        schedule.updated_at,
    ];
    execute(db, sql, params)?;
    audit::append(db, act)?;
    Ok(schedule.clone())
}

/// Changes a schedule.
///
/// # Errors
/// [`StoreError::NotFound`], or what does not fit.
pub fn change(db: &Connection, id: &ScheduleId, change: &ScheduleChange, act: Act) -> Result<Schedule> {
    let next = get(db, id)?.ok_or(StoreError::NotFound("schedule"))?.revise(change, act.at)?;
    check_bot(db, &next)?;
    let sql =
        "UPDATE task_schedules SET bot_id = ?2, instruction = ?3, cron = ?4, timezone = ?5, enabled = ?6,
                   next_run_at = ?7, updated_at = ?8 WHERE id = ?1";
    let params = params![
        id.as_str(),
        next.bot.as_ref().map(BotId::as_str),
        next.instruction,
        next.cron,
        next.timezone,
        next.enabled,
        next.next_run_at,
        next.updated_at,
    ];
    execute(db, sql, params)?;
    audit::append(db, act)?;
    Ok(next)
}

/// Removes a schedule. Jobs that came of it stay.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none.
pub fn remove(db: &Connection, id: &ScheduleId, act: Act) -> Result<()> {
    if execute(db, "DELETE FROM task_schedules WHERE id = ?1", [id.as_str()])? == 0 {
        return Err(StoreError::NotFound("schedule"));
    }
    audit::append(db, act)?;
    Ok(())
}

/// Notes that a schedule came, and when it comes next. One that was changed meanwhile keeps the time it has since; one
/// that was removed is nothing to note.
///
/// # Errors
/// When the store fails.
pub fn ran(db: &Connection, id: &ScheduleId, at: Millis, next: Option<Millis>) -> Result<()> {
    let sql = "UPDATE task_schedules SET last_run_at = ?2,
                   next_run_at = CASE WHEN next_run_at <= ?2 THEN ?3 ELSE next_run_at END WHERE id = ?1";
    execute(db, sql, params![id.as_str(), at, next])?;
    Ok(())
}

/// What was set for a bot that goes is nobody's, and comes no more until somebody says so.
pub(super) fn orphan(db: &Connection, bot: &BotId, now: Millis) -> Result<()> {
    let sql = "UPDATE task_schedules SET bot_id = NULL, enabled = 0, next_run_at = NULL, updated_at = ?2
               WHERE bot_id = ?1";
    execute(db, sql, params![bot.as_str(), now])?;
    Ok(())
}

/// One schedule.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &ScheduleId) -> Result<Option<Schedule>> {
    row(db, &format!("SELECT {COLUMNS} FROM task_schedules WHERE id = ?1"), [id.as_str()], read)
}

/// Schedules, the oldest first, and how many fit; with `member`, only those of projects that this person is in, with
/// `user` only those that they set up.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    member: Option<&UserId>,
    user: Option<&UserId>,
    project: Option<&ProjectId>,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Schedule>, u64)> {
    const FITS: &str = "(?1 IS NULL OR project_id IN (SELECT project_id FROM members WHERE user_id = ?1))
        AND (?2 IS NULL OR project_id = ?2) AND (?3 IS NULL OR user_id = ?3)";
    let wanted = (member.map(UserId::as_str), project.map(ProjectId::as_str), user.map(UserId::as_str));
    let total = super::count(db, &format!("SELECT count(*) FROM task_schedules WHERE {FITS}"), wanted)?;
    let (limit, offset) = (super::page(limit), super::page(offset));
    let sql = format!(
        "SELECT {COLUMNS} FROM task_schedules WHERE {FITS} ORDER BY created_at, id LIMIT {limit} OFFSET {offset}"
    );
    Ok((rows(db, &sql, wanted, read)?, total))
}

/// Schedules whose time has come, the longest overdue first. Those of a stopped bot wait until it is started.
///
/// # Errors
/// When the store fails.
pub fn due(db: &Connection, now: Millis, limit: usize) -> Result<Vec<Schedule>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM task_schedules WHERE enabled = 1 AND next_run_at <= ?1
         AND NOT EXISTS (SELECT 1 FROM bots WHERE bots.id = task_schedules.bot_id AND bots.state = 'stopped')
         ORDER BY next_run_at, id LIMIT ?2"
    );
    rows(db, &sql, params![now, super::page(limit)], read)
}

fn check_bot(db: &Connection, schedule: &Schedule) -> Result<()> {
    let Some(id) = &schedule.bot else { return Ok(()) };
    if bots::get(db, id)?.is_none_or(|bot| bot.project != schedule.project) {
        return Err(Refusal::Bad(format!("botId names {id}, which is no bot of this project")).into());
    }
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Schedule> {
    Ok(Schedule {
        id: ScheduleId::new(row.get::<_, String>(0)?),
        project: ProjectId::new(row.get::<_, String>(1)?),
        bot: row.get::<_, Option<String>>(2)?.map(BotId::new),
        user: UserId::new(row.get::<_, String>(3)?),
        instruction: row.get(4)?,
        cron: row.get(5)?,
        timezone: row.get(6)?,
        enabled: row.get(7)?,
        last_run_at: row.get(8)?,
        next_run_at: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
    })
}
