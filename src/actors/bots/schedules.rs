//! Jobs that come by the clock: each due schedule gives one job, however many of its times were missed.

use std::sync::Arc;

use crate::{
    actors::db::messages::{DbError, DueSchedules, GetBot, ScheduleRan},
    domain::{bot::instruction, task_schedule::Schedule},
};

use super::{
    kit::BotsKit,
    submit::{Given, give, remembered},
};

/// Schedules of one look.
const PAGE: usize = 100;

/// Gives the jobs whose time has come; says how many there were.
pub(super) async fn run_due(kit: Arc<BotsKit>) -> Result<u64, String> {
    let now = kit.clock.now();
    let due =
        kit.doors.due.ask(DueSchedules { now, limit: PAGE }).await.map_err(|error| error.to_string())?;
    let mut ran = 0;
    for schedule in due {
        match run(&kit, &schedule).await {
            Ok(true) => ran += 1,
            // It is due as long as its coming is not noted: the next look tries again.
            Ok(false) => {}
            Err(error) => tracing::warn!(schedule = %schedule.id, %error, "a scheduled task cannot be given"),
        }
    }
    Ok(ran)
}

async fn run(kit: &BotsKit, schedule: &Schedule) -> Result<bool, DbError> {
    let Some(due) = schedule.next_run_at else { return Ok(false) };
    let bot = match &schedule.bot {
        Some(id) => kit.doors.bot.ask(GetBot { id: id.clone() }).await?,
        None => None,
    };
    let noted = match &bot {
        Some(bot) => remembered(kit, bot).await?,
        None => Vec::new(),
    };
    let now = kit.clock.now();
    let of = bot.as_ref().map(|bot| (bot, noted.as_slice()));
    // The job is named after the time that was due: when the end of this is lost, it is not given twice.
    match give(kit, instruction::for_schedule(schedule, due, of, now)).await {
        Given::Stored => {}
        Given::Refused(why) => {
            tracing::error!(schedule = %schedule.id, why, "a scheduled task is refused: this time is left out");
        }
        Given::Later(why) => {
            tracing::warn!(schedule = %schedule.id, why, "a scheduled task has to wait");
            return Ok(false);
        }
    }
    let ran = ScheduleRan { id: schedule.id.clone(), ran_at: now, next: schedule.next_after(now) };
    kit.doors.ran.ask(ran).await?;
    Ok(true)
}
