//! What models cost: one row a paid call.

use rusqlite::{Connection, params};

use super::{Result, execute, rows};
use crate::domain::{
    Millis,
    budget::{Amount, window},
    ids::{ConversationId, UserId},
    journal::ModelCall,
    records::{CostLine, CostsBy},
};

/// Adds a paid call to its day.
pub(super) fn insert(
    db: &Connection,
    user: &UserId,
    conversation: &ConversationId,
    now: Millis,
    call: &ModelCall,
) -> Result<()> {
    let sql =
        "INSERT INTO costs (day, user_id, conversation_id, provider, model, calls, input, cached, output,
                                  micros, time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10)
               ON CONFLICT DO UPDATE SET calls = calls + 1, input = input + ?6, cached = cached + ?7,
                      output = output + ?8, micros = micros + ?9, time_ms = time_ms + ?10";
    execute(
        db,
        sql,
        params![
            window(now),
            user.as_str(),
            conversation.as_str(),
            call.provider,
            call.model,
            call.usage.input as i64,
            call.usage.cached as i64,
            call.usage.output as i64,
            call.cost.micros as i64,
            call.cost.time_ms as i64
        ],
    )?;
    Ok(())
}

/// Costs of the UTC days from that of `from` to that of `to`, summed up.
///
/// # Errors
/// When the store fails.
pub fn summary(
    db: &Connection,
    user: Option<&UserId>,
    from: Millis,
    to: Millis,
    by: CostsBy,
) -> Result<Vec<CostLine>> {
    let key = match by {
        CostsBy::Day => "date(day * 86400, 'unixepoch')",
        CostsBy::Model => "provider || '/' || model",
        CostsBy::User => "user_id",
        CostsBy::Conversation => "conversation_id",
    };
    let sql = format!(
        "SELECT {key}, sum(calls), sum(input), sum(cached), sum(output), sum(micros) FROM costs
         WHERE day >= ?1 AND day <= ?2 AND (?3 IS NULL OR user_id = ?3) GROUP BY 1 ORDER BY 1"
    );
    rows(db, &sql, params![window(from), window(to), user.map(UserId::as_str)], |row| {
        let number = |at: usize| row.get::<_, i64>(at).map(|number| number.max(0) as u64);
        Ok(CostLine {
            key: row.get(0)?,
            calls: number(1)?,
            input_tokens: number(2)?,
            cached_tokens: number(3)?,
            output_tokens: number(4)?,
            micro_usd: number(5)?,
        })
    })
}

/// What a user spent today, holds reserved, and was granted beyond the caps.
///
/// # Errors
/// When the store fails.
pub fn today(db: &Connection, user: &UserId, now: Millis) -> Result<(Amount, Amount, Amount)> {
    let account = super::spend::load(db, user, window(now))?;
    Ok((account.spent, account.reserved, account.raised))
}
