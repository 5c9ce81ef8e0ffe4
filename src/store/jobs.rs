//! Coding jobs: stored, read and listed. What a step of one stores is in `job_write`.

use rusqlite::{Connection, params};

use super::{
    Result, StoreError, audit, bots, claims, execute, from_json, job_questions, projects, row, rows,
    spend::read_amount, to_json,
};
use crate::domain::{
    audit::Act,
    board::{By, Refusal},
    bot::Engine,
    gateway::EgressRecord,
    ids::{BotId, ConversationId, JobId, ProjectId, StoryId, UserId},
    job::{Entry, ForStory, Head, JobRow, NewTask, Outcome, Priority, Spent, Task, TaskFilter, Verbosity},
    model::Usage,
};

pub use super::{job_questions::expire, job_write::write};

const COLUMNS: &str = "id, project_id, user_id, actor, title, instruction, system, engine, model, priority,
    verbosity, callback_url, bot_id, story_id, story_token, attachments, state, over, outcome, head,
    used_input, used_cached, used_cache_written, used_output,
    spent_tokens, spent_micros, spent_tool_calls, spent_time_ms,
    raised_tokens, raised_micros, raised_tool_calls, raised_time_ms,
    created_at, started_at, ended_at, updated_at, discovery, conversation";
/// The state of a job that nobody has taken up.
const QUEUED: &str = "queued";

/// Stores a job; the story that it is for notes it, and its claim holds for `lease_ms` from now.
///
/// # Errors
/// [`StoreError::NotFound`] for its project, bot or story; [`Refusal::Taken`] for its id; [`Refusal::Fenced`] when the
/// story is not held under its token.
pub fn create(db: &Connection, task: &NewTask, lease_ms: i64, act: Act) -> Result<Task> {
    if projects::get(db, &task.project)?.is_none() {
        return Err(StoreError::NotFound("project"));
    }
    if get(db, &task.id)?.is_some() {
        return Err(Refusal::Taken { what: "task", name: task.id.to_string() }.into());
    }
    if let Some(bot) = &task.bot
        && bots::get(db, bot)?.is_none_or(|bot| bot.project != task.project)
    {
        return Err(StoreError::NotFound("bot"));
    }
    insert(db, task)?;
    if let Some(ForStory { story, token }) = &task.story {
        let by = By { actor: task.actor.clone(), at: task.at };
        let grant = claims::renew(db, story, *token, lease_ms, Some(&task.id), &by)?;
        if grant.story.project != task.project {
            return Err(StoreError::NotFound("story"));
        }
    }
    audit::append(db, act)?;
    get(db, &task.id)?.ok_or(StoreError::NotFound("task"))
}

fn insert(db: &Connection, task: &NewTask) -> Result<()> {
    let sql = "INSERT INTO jobs (id, project_id, user_id, actor, title, instruction, system, engine, model, priority,
                   verbosity, callback_url, bot_id, story_id, story_token, attachments, state, over, head,
                   created_at, updated_at, discovery, conversation)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, 0, '{}', ?18, ?18,
                   ?19, ?20)";
    let params = params![
        task.id.as_str(),
        task.project.as_str(),
        task.user.as_str(),
        task.actor,
        task.title,
        task.instruction,
        task.system,
        task.engine.as_str(),
        task.model,
        task.priority.as_str(),
        task.verbosity.as_str(),
        task.callback_url,
        task.bot.as_ref().map(BotId::as_str),
        task.story.as_ref().map(|on| on.story.as_str()),
        task.story.as_ref().map(|on| on.token.cast_signed()),
        to_json(&task.attachments)?,
        QUEUED,
        task.at,
        task.discovery,
        task.conversation.as_ref().map(ConversationId::as_str),
    ];
    execute(db, sql, params)?;
    Ok(())
}

/// Everything that a job's actor needs.
///
/// # Errors
/// [`StoreError::NotFound`], or [`Refusal::Busy`] for a job that ended so long ago that its journal was let go.
pub fn load(db: &Connection, id: &JobId) -> Result<JobRow> {
    let task = get(db, id)?.ok_or(StoreError::NotFound("task"))?;
    let entries = entries(db, id)?;
    if task.head.over && entries.is_empty() {
        let why = "this task ended so long ago that its journal was let go: submit it as a new one";
        return Err(Refusal::Busy(why.into()).into());
    }
    let questions = job_questions::of(db, id)?;
    Ok(JobRow {
        task,
        entries,
        answered: questions.answered,
        pending: questions.pending,
        hosts: questions.hosts,
    })
}

/// The journal of a job.
fn entries(db: &Connection, id: &JobId) -> Result<Vec<Entry>> {
    let sql = "SELECT body FROM job_journal WHERE job_id = ?1 ORDER BY idx";
    rows(db, sql, [id.as_str()], |row| from_json(&row.get::<_, String>(0)?))
}

/// Jobs that are not over, the oldest first.
///
/// # Errors
/// When the store fails.
pub fn open(db: &Connection) -> Result<Vec<Task>> {
    rows(db, &format!("SELECT {COLUMNS} FROM jobs WHERE over = 0 ORDER BY created_at, id"), [], read)
}

/// One job.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &JobId) -> Result<Option<Task>> {
    row(db, &format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"), [id.as_str()], read)
}

/// Jobs, newest first, and how many fit.
///
/// # Errors
/// When the store fails.
pub fn list(db: &Connection, filter: &TaskFilter, limit: usize, offset: usize) -> Result<(Vec<Task>, u64)> {
    const FITS: &str = "(?1 IS NULL OR project_id IN (SELECT project_id FROM members WHERE user_id = ?1))
        AND (?2 IS NULL OR project_id = ?2) AND (?3 IS NULL OR bot_id = ?3) AND (?4 IS NULL OR story_id = ?4)
        AND (?5 IS NULL OR state = ?5) AND (?6 IS NULL OR over = ?6) AND (?7 IS NULL OR user_id = ?7)";
    let wanted = (
        filter.member.as_ref().map(UserId::as_str),
        filter.project.as_ref().map(ProjectId::as_str),
        filter.bot.as_ref().map(BotId::as_str),
        filter.story.as_ref().map(StoryId::as_str),
        filter.state.as_deref(),
        filter.over,
        filter.user.as_ref().map(UserId::as_str),
    );
    let total = super::count(db, &format!("SELECT count(*) FROM jobs WHERE {FITS}"), wanted)?;
    let (limit, offset) = (super::page(limit), super::page(offset));
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE {FITS} ORDER BY created_at DESC, id DESC LIMIT {limit} OFFSET {offset}"
    );
    Ok((rows(db, &sql, wanted, read)?, total))
}

/// Notes requests of a job's sandbox, in their order.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such job.
pub fn add_egress(db: &Connection, job: &JobId, records: &[EgressRecord]) -> Result<()> {
    if get(db, job)?.is_none() {
        return Err(StoreError::NotFound("task"));
    }
    for record in records {
        let sql = "INSERT INTO job_egress (job_id, at, record) VALUES (?1, ?2, ?3)";
        execute(db, sql, params![job.as_str(), record.at, to_json(record)?])?;
    }
    Ok(())
}

/// Requests of a job's sandbox, newest first, and how many there are.
///
/// # Errors
/// When the store fails.
pub fn list_egress(
    db: &Connection,
    job: &JobId,
    limit: usize,
    offset: usize,
) -> Result<(Vec<EgressRecord>, u64)> {
    let sql = "SELECT record FROM job_egress WHERE job_id = ?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3";
    let params = params![job.as_str(), super::page(limit), super::page(offset)];
    let found = rows(db, sql, params, |row| from_json(&row.get::<_, String>(0)?))?;
    let total = super::count(db, "SELECT count(*) FROM job_egress WHERE job_id = ?1", [job.as_str()])?;
    Ok((found, total))
}

/// Replaces where a job stands.
pub(super) fn save(db: &Connection, task: &Task) -> Result<()> {
    let head = &task.head;
    // What is searched by has columns of its own, and is stored once.
    let rest = Head { state: String::new(), over: false, outcome: None, ..head.clone() };
    let sql =
        "UPDATE jobs SET state = ?2, over = ?3, outcome = ?4, head = ?5, started_at = ?6, ended_at = ?7,
                   updated_at = ?8 WHERE id = ?1";
    let params = params![
        task.asked.id.as_str(),
        head.state,
        head.over,
        head.outcome.map(Outcome::as_str),
        to_json(&rest)?,
        task.started_at,
        task.ended_at,
        task.updated_at,
    ];
    execute(db, sql, params)?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Task> {
    let text = |at: usize| row.get::<_, String>(at);
    let maybe = |at: usize| row.get::<_, Option<String>>(at);
    let number = |at: usize| row.get::<_, i64>(at).map(|number| number.max(0).unsigned_abs());
    let story = match (maybe(13)?, row.get::<_, Option<i64>>(14)?) {
        (Some(story), Some(token)) => {
            Some(ForStory { story: StoryId::new(story), token: token.unsigned_abs() })
        }
        _ => None,
    };
    let asked = NewTask {
        id: JobId::new(text(0)?),
        project: ProjectId::new(text(1)?),
        user: UserId::new(text(2)?),
        actor: text(3)?,
        title: text(4)?,
        instruction: text(5)?,
        system: text(6)?,
        engine: word("engine", &text(7)?, Engine::parse)?,
        model: maybe(8)?,
        priority: word("priority", &text(9)?, Priority::parse)?,
        verbosity: word("verbosity", &text(10)?, Verbosity::parse)?,
        callback_url: maybe(11)?,
        bot: maybe(12)?.map(BotId::new),
        story,
        attachments: from_json(&text(15)?)?,
        discovery: row.get(36)?,
        conversation: maybe(37)?.map(ConversationId::new),
        at: row.get(32)?,
    };
    let head = Head {
        state: text(16)?,
        over: row.get(17)?,
        outcome: maybe(18)?.map(|outcome| word("outcome", &outcome, Outcome::parse)).transpose()?,
        ..from_json(&text(19)?)?
    };
    let usage =
        Usage { input: number(20)?, cached: number(21)?, cache_written: number(22)?, output: number(23)? };
    Ok(Task {
        asked,
        head,
        spent: Spent { usage, amount: read_amount(row, 24)?, raised: read_amount(row, 28)? },
        started_at: row.get(33)?,
        ended_at: row.get(34)?,
        updated_at: row.get(35)?,
    })
}

fn word<T>(what: &str, text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| StoreError::Corrupt(format!("the {what} `{text}` of a task")))
}
