//! Giving jobs: the same job is never given twice, however often it is asked for.

use crate::{
    actors::{
        db::messages::{DbError, Recall},
        jobs::messages::{JobRefused, Submit},
        kernel::Unreachable,
    },
    domain::{
        audit::Act,
        board::Refusal,
        bot::{Bot, instruction::REMEMBERED_TOKENS, journal::Entry},
        job::NewTask,
    },
};

use super::kit::BotsKit;

/// What became of giving a job.
pub(super) enum Given {
    /// It is stored; it may have been before.
    Stored,
    /// It will never be taken as it is; why.
    Refused(String),
    /// Not now; why. Asking again may help.
    Later(String),
}

/// Gives a job.
pub(super) async fn give(kit: &BotsKit, task: NewTask) -> Given {
    let act = Act {
        at: kit.clock.now(),
        actor: task.actor.clone(),
        action: "task.created".into(),
        subject: task.id.to_string(),
        details: format!("{} in {}", task.title, task.project),
    };
    let later = |error: Unreachable| Given::Later(error.to_string());
    match kit.doors.submit.ask(Submit { task, act }).await {
        Ok(_) | Err(JobRefused::Store(DbError::Board(Refusal::Taken { .. }))) => Given::Stored,
        Err(JobRefused::Unreachable(error)) => later(error),
        Err(JobRefused::Store(DbError::Unreachable(error))) => later(error),
        Err(JobRefused::NotNow(why)) => Given::Later(why),
        Err(JobRefused::Store(DbError::Failed(why))) => Given::Later(why),
        Err(refused) => Given::Refused(refused.to_string()),
    }
}

/// What a bot is reminded of.
pub(super) async fn remembered(kit: &BotsKit, bot: &Bot) -> Result<Vec<Entry>, DbError> {
    let ask = Recall { bot: bot.id.clone(), max_tokens: REMEMBERED_TOKENS };
    kit.doors.recall.ask(ask).await
}
