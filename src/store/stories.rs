//! Stories: each change is checked by the domain, makes a new version, and is kept in the story's history.

use rusqlite::{Connection, params};

use super::{Result, StoreError, audit, boards, execute, from_json, row, rows, to_json};
use crate::domain::{
    audit::Act,
    board::{
        Assignee, Board, By, Changed, Claim, ColumnRole, NewStory, Place, Priority, Refusal, Story,
        StoryChange, StoryFilter, claim::Goes, column, dependency, story,
    },
    ids::{BotId, ColumnId, FileId, JobId, ProjectId, StoryId, UserId},
};

const COLUMNS: &str = "s.id, s.project_id, s.column_id, s.position, s.title, s.description,
    s.acceptance_criteria, s.priority, s.points, s.labels, s.attachments, s.assignee, s.assignee_type,
    (SELECT json_group_array(depends_on) FROM
        (SELECT depends_on FROM story_dependencies WHERE story_id = s.id ORDER BY depends_on)),
    s.blocked, s.failures, s.claim_bot, s.claim_until, s.token, s.job_id, s.version, s.created_at,
    s.updated_at";
/// All stories of project `?1` with their places counted.
const NUMBERED: &str = "(SELECT *, row_number() OVER (PARTITION BY column_id ORDER BY place) - 1 AS position
    FROM stories WHERE project_id = ?1) AS s";

/// Stores a story at the end of its column, or at the place that is asked for.
///
/// # Errors
/// [`StoreError::NotFound`] for the project, or why the domain refuses the story.
pub fn create(db: &Connection, new: &NewStory, by: &By) -> Result<Story> {
    let board = boards::of(db, &new.project)?;
    let column = match &new.column {
        Some(id) => board.column(id).ok_or_else(|| unknown_column(id))?,
        None => board.first(ColumnRole::Backlog).ok_or(StoreError::NotFound("column"))?,
    };
    if new.change.title.is_none() {
        return Err(Refusal::Bad("title is missing".into()).into());
    }
    check(db, &new.id, &new.project, &new.change)?;
    column::check_room(column, in_column(db, &column.id)?)?;
    let place = place_at(db, &column.id, &new.id, new.change.position)?;
    let sql = "INSERT INTO stories (id, project_id, column_id, place, title, description,
                   acceptance_criteria, priority, labels, attachments, version, created_at, updated_at)
               VALUES (?1, ?2, ?3, ?4, '', '', '', ?5, '[]', '[]', 0, ?6, ?6)";
    let priority = Priority::default().as_str();
    let (id, project) = (new.id.as_str(), new.project.as_str());
    execute(db, sql, params![id, project, column.id.as_str(), place.as_str(), priority, by.at])?;
    let blank = get(db, &new.id)?.ok_or(StoreError::NotFound("story"))?;
    let next = story::revise(&blank, &new.change, Some(column.role));
    keep(db, &blank, next, by, "created")
}

/// Changes a story, and moves it.
///
/// # Errors
/// [`StoreError::NotFound`], or why the domain refuses the change.
pub fn change(db: &Connection, id: &StoryId, change: &StoryChange, by: &By) -> Result<Story> {
    let before = get(db, id)?.ok_or(StoreError::NotFound("story"))?;
    column::check_version(change.version, before.version)?;
    check(db, id, &before.project, change)?;
    let board = boards::of(db, &before.project)?;
    let to = change.column.as_ref().unwrap_or(&before.column);
    let column = board.column(to).ok_or_else(|| unknown_column(to))?;
    let elsewhere = column.id != before.column;
    if elsewhere {
        column::check_room(column, in_column(db, &column.id)?)?;
    }
    if elsewhere || change.position.is_some_and(|position| position != before.position) {
        put(db, id, &column.id, change.position)?;
    }
    let next = story::revise(&before, change, Some(column.role));
    keep(db, &before, next, by, if elsewhere { "moved" } else { "changed" })
}

/// Removes a story. Those that waited for it wait no longer.
///
/// # Errors
/// [`StoreError::NotFound`], [`Refusal::Stale`], or [`Refusal::Busy`] while a bot holds it.
pub fn remove(db: &Connection, id: &StoryId, version: Option<u64>, act: Act) -> Result<()> {
    let story = get(db, id)?.ok_or(StoreError::NotFound("story"))?;
    column::check_version(version, story.version)?;
    if story.claim.is_some() {
        let why = "a bot works on it: move it out of its column first, which takes it away from the bot";
        return Err(Refusal::Busy(why.into()).into());
    }
    let by = By { actor: act.actor.clone(), at: act.at };
    let sql = "SELECT story_id FROM story_dependencies WHERE depends_on = ?1";
    let waiting = rows(db, sql, [id.as_str()], |row| Ok(StoryId::new(row.get::<_, String>(0)?)))?;
    for other in waiting {
        let before = get(db, &other)?.ok_or(StoreError::NotFound("story"))?;
        let depends_on = before.depends_on.iter().filter(|one| *one != id).cloned().collect();
        keep(db, &before, Story { depends_on, ..before.clone() }, &by, "changed")?;
    }
    execute(db, "DELETE FROM stories WHERE id = ?1", [id.as_str()])?;
    audit::append(db, act)?;
    Ok(())
}

/// A story.
///
/// # Errors
/// When the store fails.
pub fn get(db: &Connection, id: &StoryId) -> Result<Option<Story>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM
             (SELECT *, (SELECT count(*) FROM stories AS o
                         WHERE o.column_id = stories.column_id AND o.place < stories.place) AS position
              FROM stories WHERE id = ?1) AS s"
    );
    row(db, &sql, [id.as_str()], read)
}

/// Stories of a project in the order of the board, and how many fit.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    project: &ProjectId,
    filter: &StoryFilter,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Story>, u64)> {
    const FITS: &str = "(?2 IS NULL OR s.column_id = ?2) AND (?3 IS NULL OR c.role = ?3)
        AND (?4 IS NULL OR s.assignee = ?4) AND (?5 IS NULL OR s.priority = ?5)
        AND (?6 IS NULL OR EXISTS (SELECT 1 FROM json_each(s.labels) WHERE value = ?6))
        AND (?7 IS NULL OR (s.blocked IS NOT NULL) = ?7)
        AND (?8 IS NULL OR instr(lower(s.title || ' ' || s.description), lower(?8)) > 0)
        AND (?9 IS NULL OR s.position < ?9)";
    let from = format!("FROM {NUMBERED} JOIN board_columns AS c ON c.id = s.column_id WHERE {FITS}");
    let wanted = (
        project.as_str(),
        filter.column.as_ref().map(ColumnId::as_str),
        filter.role.map(ColumnRole::as_str),
        filter.assignee.as_deref(),
        filter.priority.map(Priority::as_str),
        filter.label.as_deref(),
        filter.blocked,
        filter.words.as_deref(),
        filter.per_column.map(|most| i64::try_from(most).unwrap_or(i64::MAX)),
    );
    let total = super::count(db, &format!("SELECT count(*) {from}"), wanted)?;
    let (limit, offset) = (super::page(limit), super::page(offset));
    let sql = format!("SELECT {COLUMNS} {from} ORDER BY c.place, s.place LIMIT {limit} OFFSET {offset}");
    Ok((rows(db, &sql, wanted, read)?, total))
}

/// All stories of a project that are not done.
pub(super) fn open(db: &Connection, project: &ProjectId) -> Result<Vec<Story>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {NUMBERED} JOIN board_columns AS c ON c.id = s.column_id
         WHERE c.role <> 'done' ORDER BY s.id"
    );
    rows(db, &sql, [project.as_str()], read)
}

/// The history of a story, newest first, and how much of it there is.
///
/// # Errors
/// When the store fails.
pub fn history(db: &Connection, id: &StoryId, limit: usize, offset: usize) -> Result<(Vec<Changed>, u64)> {
    let sql = "SELECT id, version, at, actor, action, changes FROM story_changes WHERE story_id = ?1
               ORDER BY version DESC LIMIT ?2 OFFSET ?3";
    let changes = rows(db, sql, params![id.as_str(), super::page(limit), super::page(offset)], |row| {
        Ok(Changed {
            id: row.get(0)?,
            version: row.get::<_, i64>(1)?.unsigned_abs(),
            at: row.get(2)?,
            actor: row.get(3)?,
            action: row.get(4)?,
            changes: from_json(&row.get::<_, String>(5)?)?,
        })
    })?;
    let total = super::count(db, "SELECT count(*) FROM story_changes WHERE story_id = ?1", [id.as_str()])?;
    Ok((changes, total))
}

/// How many stories a column has.
pub(super) fn in_column(db: &Connection, column: &ColumnId) -> Result<u64> {
    super::count(db, "SELECT count(*) FROM stories WHERE column_id = ?1", [column.as_str()])
}

/// Puts a story where its claim's end sends it.
pub(super) fn send(db: &Connection, board: &Board, id: &StoryId, goes: Goes) -> Result<()> {
    let column = board.first(goes.to).ok_or(StoreError::NotFound("column"))?;
    put(db, id, &column.id, goes.top.then_some(0))
}

/// Puts a story into a column, at a place from 0, or at its end.
pub(super) fn put(db: &Connection, id: &StoryId, column: &ColumnId, position: Option<u64>) -> Result<()> {
    let place = place_at(db, column, id, position)?;
    let sql = "UPDATE stories SET column_id = ?2, place = ?3 WHERE id = ?1";
    execute(db, sql, params![id.as_str(), column.as_str(), place.as_str()])?;
    Ok(())
}

/// A free place in a column, as if the story itself were not there.
fn place_at(db: &Connection, column: &ColumnId, id: &StoryId, position: Option<u64>) -> Result<Place> {
    let places = |order: &str, skip: u64| {
        let sql = format!(
            "SELECT place FROM stories WHERE column_id = ?1 AND id <> ?2 ORDER BY place {order} LIMIT 2 OFFSET ?3"
        );
        let skip = i64::try_from(skip).unwrap_or(i64::MAX);
        rows(db, &sql, params![column.as_str(), id.as_str(), skip], |row| {
            let text: String = row.get(0)?;
            Place::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the place {text}")))
        })
    };
    let found = match position {
        Some(0) => return Ok(Place::between(None, places("ASC", 0)?.first())),
        Some(position) => places("ASC", position - 1)?,
        None => Vec::new(),
    };
    match found.as_slice() {
        [before, after, ..] => Ok(Place::between(Some(before), Some(after))),
        // Beyond the end is the end.
        _ => Ok(Place::between(places("DESC", 0)?.first(), None)),
    }
}

fn unknown_column(id: &ColumnId) -> StoreError {
    Refusal::Bad(format!("columnId names {id}, which is no column of this board")).into()
}

/// What a change says on its own, and whom and what it names.
fn check(db: &Connection, id: &StoryId, project: &ProjectId, change: &StoryChange) -> Result<()> {
    story::check(change)?;
    let terminal = Assignee::User(UserId::default_user());
    if let Some(Some(assignee)) = &change.assignee
        && *assignee != terminal
    {
        let sql = match assignee {
            Assignee::Bot(_) => "SELECT 1 FROM bots WHERE project_id = ?1 AND id = ?2",
            Assignee::User(_) => {
                // Owners of the place are in every project.
                "SELECT 1 FROM members WHERE project_id = ?1 AND user_id = ?2
                 UNION SELECT 1 FROM keys WHERE role = 'owner' AND revoked_at IS NULL AND user_id = ?2"
            }
        };
        if row(db, sql, params![project.as_str(), assignee.id()], |_| Ok(()))?.is_none() {
            let (kind, name) = (assignee.kind(), assignee.id());
            return Err(Refusal::Bad(format!(
                "assignee names the {kind} {name}, who is not in this project"
            ))
            .into());
        }
    }
    if let Some(wanted) = &change.depends_on {
        let mut edges = dependency::Edges::new();
        let sql = "SELECT s.id, d.depends_on FROM stories AS s
                   LEFT JOIN story_dependencies AS d ON d.story_id = s.id WHERE s.project_id = ?1";
        for (from, to) in rows(db, sql, [project.as_str()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        })? {
            edges.entry(StoryId::new(from)).or_default().extend(to.map(StoryId::new));
        }
        dependency::check(id, wanted, &edges)?;
    }
    Ok(())
}

/// Stores the next state of a story, unless nothing changed. Where it stands is read, not written.
pub(super) fn keep(db: &Connection, before: &Story, next: Story, by: &By, action: &str) -> Result<Story> {
    let now = get(db, &before.id)?.ok_or(StoreError::NotFound("story"))?;
    let next = Story { column: now.column, position: now.position, ..next };
    let changes = story::diff(before, &next);
    if changes.is_empty() && before.token == next.token {
        return Ok(next);
    }
    let next = Story { version: before.version + 1, updated_at: by.at, ..next };
    save(db, &next)?;
    if before.depends_on != next.depends_on {
        execute(db, "DELETE FROM story_dependencies WHERE story_id = ?1", [next.id.as_str()])?;
        for other in &next.depends_on {
            let sql = "INSERT INTO story_dependencies (story_id, depends_on) VALUES (?1, ?2)";
            execute(db, sql, params![next.id.as_str(), other.as_str()])?;
        }
    }
    let sql = "INSERT INTO story_changes (story_id, version, at, actor, action, changes)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let version = next.version.cast_signed();
    execute(db, sql, params![next.id.as_str(), version, by.at, by.actor, action, to_json(&changes)?])?;
    Ok(next)
}

fn save(db: &Connection, story: &Story) -> Result<()> {
    let sql = "UPDATE stories SET title = ?2, description = ?3, acceptance_criteria = ?4, priority = ?5,
                   points = ?6, labels = ?7, attachments = ?8, assignee = ?9, assignee_type = ?10,
                   blocked = ?11, failures = ?12, claim_bot = ?13, claim_until = ?14, token = ?15,
                   job_id = ?16, version = ?17, updated_at = ?18 WHERE id = ?1";
    let params = params![
        story.id.as_str(),
        story.title,
        story.description,
        story.acceptance_criteria,
        story.priority.as_str(),
        story.points,
        to_json(&story.labels)?,
        to_json(&story.attachments)?,
        story.assignee.as_ref().map(Assignee::id),
        story.assignee.as_ref().map(Assignee::kind),
        story.blocked,
        story.failures,
        story.claim.as_ref().map(|claim| claim.bot.as_str()),
        story.claim.as_ref().map(|claim| claim.until),
        story.token.cast_signed(),
        story.job.as_ref().map(JobId::as_str),
        story.version.cast_signed(),
        story.updated_at,
    ];
    execute(db, sql, params)?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Story> {
    let priority: String = row.get(7)?;
    let assignee = match (row.get::<_, Option<String>>(11)?, row.get::<_, Option<String>>(12)?.as_deref()) {
        (Some(id), Some("bot")) => Some(Assignee::Bot(BotId::new(id))),
        (Some(id), Some("user")) => Some(Assignee::User(UserId::new(id))),
        (None, None) => None,
        (_, kind) => return Err(StoreError::Corrupt(format!("an assignee of the type {kind:?}"))),
    };
    let claim = match (row.get::<_, Option<String>>(16)?, row.get::<_, Option<i64>>(17)?) {
        (Some(bot), Some(until)) => Some(Claim { bot: BotId::new(bot), until }),
        _ => None,
    };
    Ok(Story {
        id: StoryId::new(row.get::<_, String>(0)?),
        project: ProjectId::new(row.get::<_, String>(1)?),
        column: ColumnId::new(row.get::<_, String>(2)?),
        position: row.get::<_, i64>(3)?.unsigned_abs(),
        title: row.get(4)?,
        description: row.get(5)?,
        acceptance_criteria: row.get(6)?,
        priority: Priority::parse(&priority)
            .ok_or_else(|| StoreError::Corrupt(format!("the priority {priority}")))?,
        points: row.get(8)?,
        labels: from_json(&row.get::<_, String>(9)?)?,
        attachments: from_json::<Vec<FileId>>(&row.get::<_, String>(10)?)?,
        assignee,
        depends_on: from_json(&row.get::<_, String>(13)?)?,
        blocked: row.get(14)?,
        failures: row.get(15)?,
        claim,
        token: row.get::<_, i64>(18)?.unsigned_abs(),
        job: row.get::<_, Option<String>>(19)?.map(JobId::new),
        version: row.get::<_, i64>(20)?.unsigned_abs(),
        created_at: row.get(21)?,
        updated_at: row.get(22)?,
    })
}
