//! Claims: one transaction decides who works on what, so no two ever do.

use rusqlite::{Connection, params};

use super::{Result, StoreError, boards, bots, execute, projects, rows, stories};
use crate::domain::{
    Millis,
    board::{
        Board, By, ColumnRole, Grant, Outcome, Story,
        claim::{fence, may_take, settle, take},
        column::check_room,
        next_for,
    },
    ids::{BotId, JobId, ProjectId, StoryId},
};

/// What is said of a claim that nobody renewed.
const LAPSED: &str = "nobody renewed the claim: whoever worked on it is gone";

/// Takes back what lapsed, then gives a bot the next story, if it may have one and there is one.
///
/// # Errors
/// [`StoreError::NotFound`], or [`crate::domain::board::Refusal::NotRunning`].
pub fn next(db: &Connection, bot: &BotId, lease_ms: i64, by: &By) -> Result<Option<Grant>> {
    let bot = bots::get(db, bot)?.ok_or(StoreError::NotFound("bot"))?;
    may_take(&bot, 0)?;
    let board = boards::of(db, &bot.project)?;
    take_back(db, &board, by.at)?;
    let held = super::count(db, "SELECT count(*) FROM stories WHERE claim_bot = ?1", [bot.id.as_str()])?;
    let Some(column) = board.first(ColumnRole::InProgress) else { return Ok(None) };
    if !may_take(&bot, held)? || check_room(column, stories::in_column(db, &column.id)?).is_err() {
        return Ok(None);
    }
    let open = stories::open(db, &bot.project)?;
    let Some(story) = next_for(&bot, &board, &open) else { return Ok(None) };
    stories::put(db, &story.id, &column.id, None)?;
    let taken = take(story, &bot.id, by.at, lease_ms);
    let story = stories::keep(db, story, taken, by, "claimed")?;
    Ok(Some(grant(story)))
}

/// Prolongs a claim, and notes the job that works under it.
///
/// # Errors
/// [`StoreError::NotFound`], or [`crate::domain::board::Refusal::Fenced`].
pub fn renew(
    db: &Connection,
    id: &StoryId,
    token: u64,
    lease_ms: i64,
    job: Option<&JobId>,
    by: &By,
) -> Result<Grant> {
    let story = stories::get(db, id)?.ok_or(StoreError::NotFound("story"))?;
    let mut claim = fence(&story, token)?.clone();
    claim.until = by.at.saturating_add(lease_ms);
    // When a claim lapses is no change of the story: it makes no new version.
    execute(db, "UPDATE stories SET claim_until = ?2 WHERE id = ?1", params![id.as_str(), claim.until])?;
    let next = Story { claim: Some(claim), job: job.cloned().or_else(|| story.job.clone()), ..story.clone() };
    Ok(grant(stories::keep(db, &story, next, by, "changed")?))
}

/// Ends a claim with what came of it.
///
/// # Errors
/// [`StoreError::NotFound`], or [`crate::domain::board::Refusal::Fenced`].
pub fn release(db: &Connection, id: &StoryId, token: u64, outcome: &Outcome, by: &By) -> Result<Story> {
    outcome.check()?;
    let story = stories::get(db, id)?.ok_or(StoreError::NotFound("story"))?;
    fence(&story, token)?;
    let board = boards::of(db, &story.project)?;
    end(db, &board, &story, outcome, by)
}

/// Ends the claims of a bot that goes, or is stopped: what it held goes back, and nobody is to blame.
pub(super) fn drop_all(db: &Connection, project: &ProjectId, bot: &BotId, by: &By) -> Result<()> {
    let board = boards::of(db, project)?;
    for story in stories::open(db, project)? {
        if story.claim.as_ref().is_some_and(|claim| claim.bot == *bot) {
            end(db, &board, &story, &Outcome::Returned, by)?;
        }
    }
    Ok(())
}

/// Claims whose time is over end as failures: a story that kills whoever works on it must not go round for ever.
fn take_back(db: &Connection, board: &Board, now: Millis) -> Result<()> {
    let sql = "SELECT id FROM stories WHERE project_id = ?1 AND claim_bot IS NOT NULL AND claim_until <= ?2";
    let lapsed = rows(db, sql, params![board.project.as_str(), now], |row| {
        Ok(StoryId::new(row.get::<_, String>(0)?))
    })?;
    let by = By { actor: "system".into(), at: now };
    for id in lapsed {
        let story = stories::get(db, &id)?.ok_or(StoreError::NotFound("story"))?;
        end(db, board, &story, &Outcome::Failed { reason: LAPSED.into() }, &by)?;
    }
    Ok(())
}

fn end(db: &Connection, board: &Board, story: &Story, outcome: &Outcome, by: &By) -> Result<Story> {
    let project = projects::get(db, &story.project)?.ok_or(StoreError::NotFound("project"))?;
    let (next, goes) = settle(story, outcome, project.settings.limits.max_failures);
    stories::send(db, board, &story.id, goes)?;
    let action = match outcome {
        Outcome::Finished => "finished",
        Outcome::Failed { .. } => "failed",
        Outcome::Returned => "returned",
    };
    stories::keep(db, story, next, by, action)
}

fn grant(story: Story) -> Grant {
    let until = story.claim.as_ref().map_or(0, |claim| claim.until);
    Grant { token: story.token, until, story }
}
