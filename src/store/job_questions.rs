//! Questions of jobs: asked, withdrawn, used once. They are rows of `approvals` like those of turns.

use rusqlite::{Connection, params};

use super::{Result, StoreError, approvals, audit, execute, job_costs, projects, rows, spend, to_json};
use crate::domain::{
    Millis,
    approval::{Approval, Choice, JOB_CHANNEL, Status, Subject, Verdict},
    audit::Act,
    budget::{Amount, Exceeded, Scope, window},
    ids::{ApprovalId, ConversationId, JobId},
    job::{Answered, JobWrite, Question, Task},
    project::{Project, ProjectChange},
};

/// What is known of a job's questions.
pub(super) struct Questions {
    /// Answers that it has not used.
    pub(super) answered: Vec<Answered>,
    /// Questions that wait for a person.
    pub(super) pending: Vec<(ApprovalId, Subject)>,
    /// Hosts that people allowed for all of this job.
    pub(super) hosts: Vec<String>,
}

/// Where a job asks: `job/<user>/<job>`.
pub(super) fn conversation(task: &Task) -> Result<ConversationId> {
    ConversationId::of(JOB_CHANNEL, &task.asked.user, task.asked.id.as_str())
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Stores a question.
pub(super) fn ask(db: &Connection, task: &Task, question: &Question, now: Millis) -> Result<()> {
    let sql = "INSERT INTO approvals (id, turn_id, conversation_id, user_id, subject, preview, status,
                                      asked_at, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8)";
    let place = conversation(task)?;
    let params = params![
        question.id.as_str(),
        task.asked.id.as_str(),
        place.as_str(),
        task.asked.user.as_str(),
        to_json(&question.subject)?,
        question.preview,
        now,
        question.expires_at,
    ];
    execute(db, sql, params)?;
    Ok(())
}

/// Withdraws one question of a job, if nobody has used or refused it.
pub(super) fn withdraw(db: &Connection, job: &JobId, id: &ApprovalId) -> Result<()> {
    let sql = "UPDATE approvals SET status = 'void'
               WHERE id = ?1 AND turn_id = ?2 AND status IN ('pending', 'approved')";
    execute(db, sql, params![id.as_str(), job.as_str()])?;
    Ok(())
}

/// Uses an answer: an approval only once, and what it allows beyond the job happens here. A refusal, and a question
/// that nobody answered in time, allow nothing.
pub(super) fn consume(db: &Connection, task: &Task, step: &JobWrite, id: &ApprovalId) -> Result<()> {
    let found = approvals::find(db, id)?.filter(|approval| approval.turn.as_str() == step.job.as_str());
    let Some(approval) = found else { return Err(StoreError::Stale("this question is not the job's")) };
    match approval.status {
        Status::Rejected | Status::Expired => return Ok(()),
        Status::Approved => {}
        Status::Pending | Status::Consumed | Status::Void => {
            return Err(StoreError::Stale("the approval was used or withdrawn"));
        }
    }
    execute(db, "UPDATE approvals SET status = 'consumed' WHERE id = ?1", [id.as_str()])?;
    match &approval.subject {
        Subject::Budget { exceeded } => raise(db, task, exceeded, step.now),
        Subject::Host { host, .. } if approval.choice == Choice::Project => {
            allow(db, task, host, &approval, step.now)
        }
        Subject::Host { .. } | Subject::Commit { .. } | Subject::Tool { .. } => Ok(()),
    }
}

fn raise(db: &Connection, task: &Task, exceeded: &Exceeded, now: Millis) -> Result<()> {
    let by = Amount::only(exceeded.dimension, exceeded.raise);
    match (exceeded.scope, &task.asked.bot) {
        (Scope::Job, _) => job_costs::raise_job(db, &task.asked.id, by),
        (Scope::Bot, Some(bot)) => job_costs::raise_bot(db, bot, window(now), by),
        (Scope::User, _) => spend::raise(db, &task.asked.user, window(now), by),
        (Scope::Bot, None) | (Scope::Turn, _) => Ok(()),
    }
}

/// Adds a host to those that all jobs of the project may reach.
fn allow(db: &Connection, task: &Task, host: &str, approval: &Approval, now: Millis) -> Result<()> {
    let id = &task.asked.project;
    let project = projects::get(db, id)?.ok_or(StoreError::NotFound("project"))?;
    let hosts = &project.settings.allowed_hosts;
    if hosts.iter().any(|known| known == host) {
        return Ok(());
    }
    let allowed_hosts = Some(hosts.iter().cloned().chain([host.to_owned()]).collect());
    let by = approval.decided_by.as_deref().unwrap_or("nobody known");
    let (action, details) = match project.revise(&ProjectChange { allowed_hosts, ..Default::default() }) {
        Ok(next) => {
            projects::save(db, &Project { updated_at: now, ..next })?;
            (
                "project.changed",
                format!("allowedHosts gained {host}, allowed by {by} for task {}", task.asked.id),
            )
        }
        // The step itself must not fail over a list that is full.
        Err(why) => ("project.unchanged", format!("{host}, allowed by {by}, is not kept: {why}")),
    };
    let (actor, subject) = (format!("job:{}", task.asked.id), id.to_string());
    audit::append(db, Act { at: now, actor, action: action.into(), subject, details })?;
    Ok(())
}

/// The questions of a job, in the order in which they were asked.
pub(super) fn of(db: &Connection, job: &JobId) -> Result<Questions> {
    let sql =
        format!("SELECT {} FROM approvals WHERE turn_id = ?1 ORDER BY asked_at, id", approvals::COLUMNS);
    let mut found = Questions { answered: Vec::new(), pending: Vec::new(), hosts: Vec::new() };
    for approval in rows(db, &sql, [job.as_str()], approvals::read)? {
        let by = approval.decided_by.unwrap_or_default();
        let verdict = match (approval.status, &approval.subject, approval.choice) {
            (Status::Approved, ..) => Verdict::Approved { by },
            (Status::Rejected, ..) => Verdict::Rejected { by, reason: approval.reason },
            (Status::Expired, ..) => Verdict::Expired,
            (Status::Pending, ..) => {
                found.pending.push((approval.id, approval.subject));
                continue;
            }
            (Status::Consumed, Subject::Host { host, .. }, Choice::Job) => {
                found.hosts.push(host.clone());
                continue;
            }
            (Status::Consumed | Status::Void, ..) => continue,
        };
        let (approval, subject, choice) = (approval.id, approval.subject, approval.choice);
        found.answered.push(Answered { approval, subject, verdict, choice });
    }
    Ok(found)
}

/// Closes the questions of jobs whose time is over, and names them with their jobs.
///
/// # Errors
/// When the store fails.
pub fn expire(db: &Connection, now: Millis) -> Result<Vec<(JobId, ApprovalId)>> {
    let sql = "UPDATE approvals SET status = 'expired'
               WHERE status = 'pending' AND expires_at <= ?1 AND conversation_id LIKE ?2 || '/%'
               RETURNING turn_id, id";
    let mut expired = rows(db, sql, params![now, JOB_CHANNEL], |row| {
        Ok((JobId::new(row.get::<_, String>(0)?), ApprovalId::new(row.get::<_, String>(1)?)))
    })?;
    expired.sort();
    Ok(expired)
}

/// Withdraws all questions of a job that wait or were answered and not used.
pub(super) fn void(db: &Connection, job: &JobId) -> Result<()> {
    let sql = "UPDATE approvals SET status = 'void' WHERE turn_id = ?1 AND status IN ('pending', 'approved')";
    execute(db, sql, [job.as_str()])?;
    Ok(())
}
