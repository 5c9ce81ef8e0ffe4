//! One step of a job, in one transaction: its journal, its row, its questions, and everything that moves with them.

use rusqlite::{Connection, params};

use super::{
    Result, StoreError, audit, execute, identities, job_cards, job_questions, jobs, outbox, proposals,
    requests, row, to_json,
};
use crate::domain::{
    audit::Act,
    chat::PLATFORMS,
    ids::{ConversationId, DEFAULT_CONVERSATION},
    job::{Entry, JobWrite, JobWritten, Outcome, Question, Task, Verbosity, callbacks},
    notice,
    outbound::{Body, CALLBACK_CHANNEL, NewOutbox, OutboxRow},
};

/// Stores a step.
///
/// # Errors
/// [`StoreError::NotFound`] for the job; [`StoreError::Stale`] when it does not follow what is stored, or uses an
/// approval that is not there to be used.
pub fn write(db: &Connection, boot: i64, step: &JobWrite) -> Result<JobWritten> {
    let before = jobs::get(db, &step.job)?.ok_or(StoreError::NotFound("task"))?;
    journal(db, step)?;
    for id in &step.uses {
        job_questions::consume(db, &before, step, id)?;
    }
    for id in &step.withdraws {
        job_questions::withdraw(db, &step.job, id)?;
    }
    if step.entries.iter().any(|entry| matches!(entry, Entry::Ended { .. } | Entry::Continued { .. })) {
        job_questions::void(db, &step.job)?;
    }
    for question in &step.asks {
        job_questions::ask(db, &before, question, step.now)?;
    }
    jobs::save(db, &after(&before, step))?;
    for (idx, entry) in (step.first..).zip(&step.entries) {
        job_cards::follow(db, &before, step, idx, entry)?;
        job_cards::note(db, &before, step, idx, entry)?;
        follow(db, &before, step, idx, entry)?;
        log(db, step, entry)?;
    }
    job_cards::renew(db, &before, step)?;
    let outbox = messages(db, &before, step)?
        .into_iter()
        .chain(posts(&before, step)?)
        .collect::<Vec<_>>()
        .iter()
        .map(|message| outbox::post(db, boot, message, step.now))
        .collect::<Result<Vec<OutboxRow>>>()?;
    let task = jobs::get(db, &step.job)?.ok_or(StoreError::NotFound("task"))?;
    Ok(JobWritten { task, outbox })
}

/// Appends to the journal, if the step follows what is stored.
fn journal(db: &Connection, step: &JobWrite) -> Result<()> {
    let sql = "SELECT max(idx) FROM job_journal WHERE job_id = ?1";
    let last = row(db, sql, [step.job.as_str()], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
    if super::page(step.first) != last.map_or(0, |last| last + 1) {
        return Err(StoreError::Stale("the task has gone on"));
    }
    for (idx, entry) in (step.first..).zip(&step.entries) {
        let sql = "INSERT INTO job_journal (job_id, idx, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        let params = params![step.job.as_str(), super::page(idx), step.now, entry.kind(), to_json(entry)?];
        execute(db, sql, params)?;
    }
    Ok(())
}

/// What else moves with an entry: a look for work ends with proposals, and a job that goes on has no news any more.
fn follow(db: &Connection, before: &Task, step: &JobWrite, idx: usize, entry: &Entry) -> Result<()> {
    match entry {
        Entry::Ended { closed } if before.asked.discovery && closed.outcome == Outcome::Done => {
            proposals::add(db, before, step, idx)
        }
        Entry::Continued { .. } => requests::went_on(db, &step.job),
        _ => Ok(()),
    }
}

fn after(before: &Task, step: &JobWrite) -> Task {
    let mut task = Task { head: step.head.clone(), updated_at: step.now, ..before.clone() };
    for entry in &step.entries {
        match entry {
            Entry::Claimed => task.started_at = task.started_at.or(Some(step.now)),
            Entry::Ended { .. } => task.ended_at = Some(step.now),
            Entry::Continued { .. } => task.ended_at = None,
            _ => {}
        }
    }
    task
}

fn log(db: &Connection, step: &JobWrite, entry: &Entry) -> Result<()> {
    let (action, details) = match entry {
        Entry::Pushed => {
            let branch = step.head.branch.as_deref().unwrap_or("an unknown branch");
            let commit =
                step.head.candidate.as_ref().map_or("an unknown commit", |came| came.commit.as_str());
            ("job.pushed", format!("{commit} to {branch}"))
        }
        Entry::Ended { closed } => ("job.ended", format!("{}: {}", closed.outcome.as_str(), closed.text)),
        _ => return Ok(()),
    };
    let actor = format!("job:{}", step.job);
    let act = Act { at: step.now, actor, action: action.into(), subject: step.job.to_string(), details };
    audit::append(db, act)?;
    Ok(())
}

/// What is posted to the address that was given with the job.
fn posts(task: &Task, step: &JobWrite) -> Result<Vec<NewOutbox>> {
    let Some(url) = &task.asked.callback_url else { return Ok(Vec::new()) };
    let (user, id) = (&task.asked.user, task.asked.id.as_str());
    let conversation = ConversationId::of(CALLBACK_CHANNEL, user, id)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let post = |payload| NewOutbox {
        user: user.clone(),
        conversation: conversation.clone(),
        turn: None,
        answers: Vec::new(),
        body: Body::Callback { url: url.clone(), payload },
    };
    Ok(callbacks(task, step).into_iter().map(post).collect())
}

/// Where the person whose job it is hears of it: where they asked for it, else where they were last met alone on a chat
/// platform, else over REST.
fn heard_in(db: &Connection, task: &Task) -> Result<ConversationId> {
    if let Some(conversation) = &task.asked.conversation {
        return Ok(conversation.clone());
    }
    let user = &task.asked.user;
    let met = identities::last_met(db, user)?;
    match met.as_ref().and_then(|met| Some((met, met.direct.as_ref()?))) {
        Some((met, place)) => place.conversation(&met.channel, user),
        None => ConversationId::of("api", user, DEFAULT_CONVERSATION),
    }
    .map_err(identities::bad_name)
}

/// What the person whose job it is hears of a step. A bot hears nothing.
fn messages(db: &Connection, task: &Task, step: &JobWrite) -> Result<Vec<NewOutbox>> {
    let user = &task.asked.user;
    if user.as_str().starts_with("bot:") {
        return Ok(Vec::new());
    }
    let questions = step.asks.iter().map(|Question { id, preview, expires_at, .. }| Body::Approval {
        approval: id.clone(),
        preview: preview.clone(),
        expires_at: *expires_at,
    });
    let told = step.entries.iter().filter_map(|entry| match entry {
        Entry::Ended { closed } if task.asked.verbosity != Verbosity::Quiet => {
            Some(notice::task_ended(&task.asked, &step.head, closed))
        }
        entry => notice::task_goes_on(&task.asked, entry),
    });
    let bodies: Vec<Body> = questions.chain(told).collect();
    let moves = task.head.state != step.head.state;
    if bodies.is_empty() && !moves {
        return Ok(Vec::new());
    }
    let conversation = heard_in(db, task)?;
    // Only in a chat can a message be changed.
    let stands = (moves && PLATFORMS.contains(&conversation.channel()))
        .then(|| notice::task_stands(&task.asked, &step.head, &task.spent));
    let message = |body| NewOutbox {
        user: user.clone(),
        conversation: conversation.clone(),
        turn: None,
        answers: Vec::new(),
        body,
    };
    Ok(stands.into_iter().chain(bodies).map(message).collect())
}
