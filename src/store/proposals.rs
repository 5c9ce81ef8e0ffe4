//! Stories that bots propose: put into the backlog when the look that found them ends, in the same transaction.

use rusqlite::{Connection, params};

use super::{Result, StoreError, stories};
use crate::domain::{
    board::{By, NewStory, StoryChange},
    bot::{instruction, proposals},
    ids::{BotId, StoryId, short_of},
    job::{JobWrite, Task},
};

/// Puts what the engine proposed into the backlog, for nobody in particular. What the board does not take is left out.
pub(super) fn add(db: &Connection, task: &Task, step: &JobWrite, idx: usize) -> Result<()> {
    let by = By { actor: task.asked.actor.clone(), at: step.now };
    for (number, proposal) in proposals::read(&step.head.claim).into_iter().enumerate() {
        let new = NewStory {
            id: StoryId::new(short_of(&format!("proposal/{}/{idx}/{number}", step.job))),
            project: task.asked.project.clone(),
            column: None,
            change: StoryChange {
                title: Some(proposal.title),
                description: Some(proposal.description),
                acceptance_criteria: Some(proposal.acceptance_criteria),
                labels: Some(instruction::labels()),
                ..StoryChange::default()
            },
        };
        match stories::create(db, &new, &by) {
            Ok(_) => {}
            Err(StoreError::Board(_)) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How many stories that a bot proposed wait in the backlog.
///
/// # Errors
/// When the store fails.
pub fn waiting(db: &Connection, bot: &BotId) -> Result<u64> {
    let sql = "SELECT count(*) FROM stories AS s
               JOIN board_columns AS c ON c.id = s.column_id AND c.role = 'backlog'
               JOIN story_changes AS h ON h.story_id = s.id AND h.version = 1 AND h.actor = ?1
               WHERE EXISTS (SELECT 1 FROM json_each(s.labels) WHERE value = ?2)";
    super::count(db, sql, params![format!("bot:{bot}"), proposals::LABEL])
}
