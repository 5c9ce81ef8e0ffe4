//! What the entries of a job do to the card of its story and to the journal of its bot.

use rusqlite::{Connection, params};

use super::{Result, StoreError, boards, bot_journal, bots, execute, from_json, projects, row, stories};
use crate::domain::{
    Millis,
    approval::Verdict,
    board::{
        By,
        card::{Evidence, play},
        fit_text,
    },
    bot::journal::{self, EntryKind},
    ids::{self, EntryId},
    job::{Entry, ForStory, JobWrite, Outcome, Task},
};

/// Longest summary and longest details of a journal, in characters.
const SUMMARY: usize = 500;
const DETAILS: usize = 20_000;

/// Moves the card by what this entry shows. Whatever became of the story meanwhile, the job goes on.
pub(super) fn follow(db: &Connection, task: &Task, step: &JobWrite, idx: usize, entry: &Entry) -> Result<()> {
    match evidence(db, step, idx, entry)? {
        Some(evidence) => show(db, task, step.now, &evidence),
        None => Ok(()),
    }
}

/// Moves the card of the story that a job is for by what was shown.
pub(super) fn show(db: &Connection, task: &Task, now: Millis, evidence: &Evidence) -> Result<()> {
    let Some(ForStory { story, token }) = &task.asked.story else { return Ok(()) };
    let Some(before) = stories::get(db, story)? else { return Ok(()) };
    let board = boards::of(db, &before.project)?;
    let project = projects::get(db, &before.project)?.ok_or(StoreError::NotFound("project"))?;
    let max_failures = project.settings.limits.max_failures;
    let role = board.role(&before.column);
    let Some(played) = play(&before, role, *token, evidence, max_failures) else { return Ok(()) };
    if let Some(goes) = played.goes {
        stories::send(db, &board, story, goes)?;
    }
    let by = By { actor: format!("job:{}", task.asked.id), at: now };
    stories::keep(db, &before, played.story, &by, played.action)?;
    Ok(())
}

/// Prolongs the claim on the job's story, if it is still held under its token. No change of the story: it makes no
/// version.
pub(super) fn renew(db: &Connection, task: &Task, step: &JobWrite) -> Result<()> {
    let Some(ForStory { story, token }) = &task.asked.story else { return Ok(()) };
    if step.head.over || step.lease_ms <= 0 {
        return Ok(());
    }
    let sql = "UPDATE stories SET claim_until = ?3 WHERE id = ?1 AND token = ?2 AND claim_bot IS NOT NULL";
    let until = step.now.saturating_add(step.lease_ms);
    execute(db, sql, params![story.as_str(), token.cast_signed(), until])?;
    Ok(())
}

fn evidence(db: &Connection, step: &JobWrite, idx: usize, entry: &Entry) -> Result<Option<Evidence>> {
    Ok(match entry {
        Entry::Committed { .. } => passed(db, step, idx)?.then_some(Evidence::Passed),
        Entry::Decided { verdict: Verdict::Rejected { reason: Some(_), .. }, .. } => Some(Evidence::SentBack),
        Entry::Continued { .. } => Some(Evidence::Continued),
        Entry::Ended { closed } => Some(match closed.outcome {
            Outcome::Done => Evidence::Done,
            Outcome::Unchanged | Outcome::Failed => Evidence::Failed { reason: closed.text.clone() },
            Outcome::Rejected | Outcome::Cancelled => Evidence::Stopped { why: closed.text.clone() },
        }),
        _ => None,
    })
}

/// True when the checks that ran last before this entry all passed.
fn passed(db: &Connection, step: &JobWrite, idx: usize) -> Result<bool> {
    let sql = "SELECT body FROM job_journal WHERE job_id = ?1 AND kind = 'verified' AND idx < ?2
               ORDER BY idx DESC LIMIT 1";
    let last: Option<Entry> = row(db, sql, params![step.job.as_str(), super::page(idx)], |row| {
        from_json(&row.get::<_, String>(0)?)
    })?;
    Ok(match last {
        Some(Entry::Verified { runs, .. }) => runs.iter().all(|run| run.passed()),
        _ => true,
    })
}

/// Notes in the bot's journal what this entry tells of its work.
pub(super) fn note(db: &Connection, task: &Task, step: &JobWrite, idx: usize, entry: &Entry) -> Result<()> {
    let Some(bot) = &task.asked.bot else { return Ok(()) };
    let (kind, details) = match entry {
        Entry::EngineStarting { .. } if begins(db, step, idx)? => (EntryKind::Started, String::new()),
        Entry::Ended { closed } => match closed.outcome {
            Outcome::Done => (EntryKind::Completed, step.head.claim.clone()),
            Outcome::Failed | Outcome::Unchanged => (EntryKind::Failed, closed.text.clone()),
            Outcome::Rejected | Outcome::Cancelled => return Ok(()),
        },
        _ => return Ok(()),
    };
    if bots::get(db, bot)?.is_none() {
        return Ok(());
    }
    let details = if details.trim().is_empty() { String::new() } else { fit_text(&details, DETAILS, true) };
    bot_journal::add(
        db,
        &journal::Entry {
            id: EntryId::new(ids::of_step(step.now, &step.job, idx)),
            bot: bot.clone(),
            kind,
            summary: fit_text(&task.asked.title, SUMMARY, false),
            details,
            story: task.asked.story.as_ref().map(|on| on.story.clone()),
            job: Some(step.job.clone()),
            at: step.now,
        },
    )?;
    Ok(())
}

/// True when the engine starts for the first time since the job began or was continued.
fn begins(db: &Connection, step: &JobWrite, idx: usize) -> Result<bool> {
    let sql = "SELECT kind FROM job_journal WHERE job_id = ?1 AND idx < ?2
               AND kind IN ('engine_starting', 'continued') ORDER BY idx DESC LIMIT 1";
    let last =
        row(db, sql, params![step.job.as_str(), super::page(idx)], |row| Ok(row.get::<_, String>(0)?))?;
    Ok(last.is_none_or(|kind| kind == "continued"))
}
