//! Pull requests of jobs: where each stands, and what of it was seen.

use rusqlite::{Connection, params};

use super::{Result, StoreError, bot_journal, bots, execute, from_json, job_cards, jobs, row, rows, to_json};
use crate::domain::{
    Millis,
    board::{card::Evidence, fit_text},
    bot::{
        journal::{self, EntryKind},
        requests::{Standing, Watch},
    },
    ids::{EntryId, JobId, of_step},
    job::Task,
};

/// Where the ids of entries about pull requests begin: no journal of a job is so long.
const STEP: usize = 60_000;

/// Jobs that are done and whose pull request was not seen merged or closed, those first that were not looked at for the
/// longest time; with what was seen of them.
///
/// # Errors
/// When the store fails.
pub fn watched(db: &Connection, limit: usize) -> Result<Vec<(Task, Watch)>> {
    let sql =
        "SELECT j.id, json_extract(j.head, '$.url'), r.url, r.state, r.since, r.seen, r.pending, j.created_at
               FROM jobs AS j LEFT JOIN job_requests AS r ON r.job_id = j.id
               WHERE j.outcome = 'done' AND json_extract(j.head, '$.url') IS NOT NULL
                 AND (r.state IS NULL OR r.state = 'open' OR r.url <> json_extract(j.head, '$.url'))
               ORDER BY coalesce(r.looked_at, 0), j.id LIMIT ?1";
    let found = rows(db, sql, [super::page(limit)], |row| {
        let (url, known): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let watch = if known.as_ref() == Some(&url) {
            read(row, url)?
        } else {
            Watch { url, since: row.get(7)?, ..Watch::default() }
        };
        Ok((JobId::new(row.get::<_, String>(0)?), watch))
    })?;
    let with = |(id, watch)| Ok(jobs::get(db, &id)?.map(|task| (task, watch)));
    found.into_iter().map(with).filter_map(Result::transpose).collect()
}

fn read(row: &rusqlite::Row<'_>, url: String) -> Result<Watch> {
    let standing: String = row.get(3)?;
    Ok(Watch {
        url,
        standing: Standing::parse(&standing)
            .ok_or_else(|| StoreError::Corrupt(format!("a pull request is {standing}")))?,
        since: row.get(4)?,
        seen: from_json(&row.get::<_, String>(5)?)?,
        pending: row.get(6)?,
    })
}

/// Notes what was seen of a job's pull request. One that was merged takes the card of its story to Done; both ends are
/// told in the bot's journal.
///
/// # Errors
/// [`StoreError::NotFound`] for the job.
pub fn note(db: &Connection, job: &JobId, watch: &Watch, now: Millis) -> Result<()> {
    let task = jobs::get(db, job)?.ok_or(StoreError::NotFound("task"))?;
    let known = row(db, "SELECT url, state FROM job_requests WHERE job_id = ?1", [job.as_str()], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let sql = "INSERT INTO job_requests (job_id, url, state, looked_at, since, seen, pending)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT DO UPDATE SET url = ?2, state = ?3, looked_at = ?4, since = ?5, seen = ?6, pending = ?7";
    let (state, seen) = (watch.standing.as_str(), to_json(&watch.seen)?);
    execute(db, sql, params![job.as_str(), watch.url, state, now, watch.since, seen, watch.pending])?;
    let told = known.is_some_and(|(url, was)| url == watch.url && was == state);
    match watch.standing {
        Standing::Open => Ok(()),
        _ if told => Ok(()),
        Standing::Merged => {
            job_cards::show(db, &task, now, &Evidence::Merged)?;
            tell(db, &task, now, EntryKind::Completed, &format!("merged: {}", task.asked.title), &watch.url)
        }
        Standing::Closed => {
            let summary = format!("closed without being merged: {}", task.asked.title);
            tell(db, &task, now, EntryKind::Observation, &summary, &watch.url)
        }
    }
}

/// The job goes on: what it was to go on with is done.
pub(super) fn went_on(db: &Connection, job: &JobId) -> Result<()> {
    execute(db, "UPDATE job_requests SET pending = NULL WHERE job_id = ?1", [job.as_str()])?;
    Ok(())
}

fn tell(db: &Connection, task: &Task, now: Millis, kind: EntryKind, summary: &str, url: &str) -> Result<()> {
    let Some(bot) = &task.asked.bot else { return Ok(()) };
    if bots::get(db, bot)?.is_none() {
        return Ok(());
    }
    let entry = journal::Entry {
        id: EntryId::new(of_step(now, &task.asked.id, STEP)),
        bot: bot.clone(),
        kind,
        summary: fit_text(summary, 500, false),
        details: fit_text(url, 2_000, false),
        story: task.asked.story.as_ref().map(|on| on.story.clone()),
        job: Some(task.asked.id.clone()),
        at: now,
    };
    bot_journal::add(db, &entry)?;
    Ok(())
}
