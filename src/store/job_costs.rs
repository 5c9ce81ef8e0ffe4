//! What jobs cost: charged at once at its worst to the job, its bot's day and its user's day, corrected afterwards. So
//! a crash leaves nothing reserved, and what was never settled stays charged.

use rusqlite::{Connection, params};

use super::{Result, StoreError, bots, costs, execute, job_questions, jobs, row, spend};
use crate::domain::{
    budget::{self, Amount, Caps, Scope, window},
    ids::{BotId, JobId},
    job::{Prepaid, Prepayment, Settlement, Task},
    model::Usage,
};

/// Charges what a model call may cost at worst, if the job, its bot's day and its user's day have room for it; asked in
/// this order, and the first that has none is told. Time is no budget of jobs.
///
/// # Errors
/// [`StoreError::NotFound`], or [`StoreError::Stale`] for a job that is over.
pub fn prepay(db: &Connection, call: &Prepayment) -> Result<Prepaid> {
    let task = jobs::get(db, &call.job)?.ok_or(StoreError::NotFound("task"))?;
    if task.head.over {
        return Err(StoreError::Stale("the task is over"));
    }
    let worst = timeless(call.worst);
    let day = window(call.now);
    let bot = task.asked.bot.as_ref().map(|bot| bots::get(db, bot)).transpose()?.flatten();
    let settings = bot.map(|bot| bot.settings).unwrap_or_default();
    let micros = [call.job_caps.micros, settings.story_micros].into_iter().flatten().min();
    let job_caps = Caps { micros, time_ms: None, ..call.job_caps };
    let granted = budget::grant(Scope::Job, &job_caps, task.spent.raised, task.spent.amount, worst);
    if let Err(exceeded) = granted {
        return Ok(Err(exceeded));
    }
    if let Some(bot) = &task.asked.bot {
        let (spent, raised) = bot_day(db, bot, day)?;
        let caps = Caps { micros: settings.day_micros, ..Caps::default() };
        if let Err(exceeded) = budget::grant(Scope::Bot, &caps, raised, spent, worst) {
            return Ok(Err(exceeded));
        }
    }
    let account = spend::load(db, &task.asked.user, day)?;
    let caps = Caps { time_ms: None, ..call.user_caps };
    let used = account.spent + account.reserved;
    if let Err(exceeded) = budget::grant(Scope::User, &caps, account.raised, used, worst) {
        return Ok(Err(exceeded));
    }
    charge(db, &task, day, worst, Amount::ZERO)?;
    Ok(Ok(worst))
}

/// Puts what a call came to in the place of what was prepaid for it.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such job.
pub fn settle(db: &Connection, call: &Settlement) -> Result<()> {
    let task = jobs::get(db, &call.job)?.ok_or(StoreError::NotFound("task"))?;
    let cost = call.call.as_ref().map_or(Amount::ZERO, |made| made.cost);
    let prepaid = timeless(call.prepaid);
    charge(db, &task, window(call.prepaid_at), cost - prepaid, prepaid - cost)?;
    if let Some(made) = &call.call {
        costs::insert(db, &task.asked.user, &job_questions::conversation(&task)?, call.now, made)?;
        use_up(db, &call.job, &made.usage)?;
    }
    Ok(())
}

/// Charges and gives back on all three accounts. How long calls took is noted for the job alone.
fn charge(db: &Connection, task: &Task, day: i64, more: Amount, back: Amount) -> Result<()> {
    let sql = "UPDATE jobs SET spent_tokens = max(spent_tokens + ?2, 0), spent_micros = max(spent_micros + ?3, 0),
                   spent_tool_calls = max(spent_tool_calls + ?4, 0), spent_time_ms = max(spent_time_ms + ?5, 0)
               WHERE id = ?1";
    let [tokens, micros, tool_calls, time] = change(more, back);
    execute(db, sql, params![task.asked.id.as_str(), tokens, micros, tool_calls, time])?;
    if let Some(bot) = &task.asked.bot {
        let sql = "INSERT INTO bot_days (bot_id, budget_window, spent_tokens, spent_micros, spent_tool_calls)
                   VALUES (?1, ?2, max(?3, 0), max(?4, 0), max(?5, 0))
                   ON CONFLICT DO UPDATE SET spent_tokens = max(spent_tokens + ?3, 0),
                       spent_micros = max(spent_micros + ?4, 0), spent_tool_calls = max(spent_tool_calls + ?5, 0)";
        execute(db, sql, params![bot.as_str(), day, tokens, micros, tool_calls])?;
    }
    spend::add(db, &task.asked.user, day, timeless(more), Amount::ZERO, Amount::ZERO)?;
    spend::give_back(db, &task.asked.user, day, timeless(back))
}

fn use_up(db: &Connection, job: &JobId, usage: &Usage) -> Result<()> {
    let sql = "UPDATE jobs SET used_input = used_input + ?2, used_cached = used_cached + ?3,
                   used_cache_written = used_cache_written + ?4, used_output = used_output + ?5 WHERE id = ?1";
    let [input, cached, written, output] =
        [usage.input, usage.cached, usage.cache_written, usage.output].map(signed);
    execute(db, sql, params![job.as_str(), input, cached, written, output])?;
    Ok(())
}

/// Adds to the caps of a job.
pub(super) fn raise_job(db: &Connection, job: &JobId, by: Amount) -> Result<()> {
    let sql = "UPDATE jobs SET raised_tokens = raised_tokens + ?2, raised_micros = raised_micros + ?3,
                   raised_tool_calls = raised_tool_calls + ?4, raised_time_ms = raised_time_ms + ?5 WHERE id = ?1";
    let [tokens, micros, tool_calls, time] = change(by, Amount::ZERO);
    execute(db, sql, params![job.as_str(), tokens, micros, tool_calls, time])?;
    Ok(())
}

/// Adds to the caps of a bot's day.
pub(super) fn raise_bot(db: &Connection, bot: &BotId, day: i64, by: Amount) -> Result<()> {
    let sql = "INSERT INTO bot_days (bot_id, budget_window, raised_tokens, raised_micros, raised_tool_calls,
                   raised_time_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET raised_tokens = raised_tokens + ?3, raised_micros = raised_micros + ?4,
                   raised_tool_calls = raised_tool_calls + ?5, raised_time_ms = raised_time_ms + ?6";
    let [tokens, micros, tool_calls, time] = change(by, Amount::ZERO);
    execute(db, sql, params![bot.as_str(), day, tokens, micros, tool_calls, time])?;
    Ok(())
}

/// What a bot spent in a day, and what was added to its cap.
///
/// # Errors
/// When the store fails.
pub fn bot_day(db: &Connection, bot: &BotId, day: i64) -> Result<(Amount, Amount)> {
    let sql = "SELECT spent_tokens, spent_micros, spent_tool_calls, spent_time_ms,
                      raised_tokens, raised_micros, raised_tool_calls, raised_time_ms
               FROM bot_days WHERE bot_id = ?1 AND budget_window = ?2";
    let found = row(db, sql, params![bot.as_str(), day], |row| {
        Ok((spend::read_amount(row, 0)?, spend::read_amount(row, 4)?))
    })?;
    Ok(found.unwrap_or_default())
}

fn timeless(amount: Amount) -> Amount {
    Amount { time_ms: 0, ..amount }
}

fn change(more: Amount, back: Amount) -> [i64; 4] {
    let change = |more, back| signed(more).saturating_sub(signed(back));
    [
        change(more.tokens, back.tokens),
        change(more.micros, back.micros),
        change(more.tool_calls, back.tool_calls),
        change(more.time_ms, back.time_ms),
    ]
}

fn signed(quantity: u64) -> i64 {
    i64::try_from(quantity).unwrap_or(i64::MAX)
}
