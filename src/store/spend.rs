//! What a user spent and holds reserved in one UTC day.

use rusqlite::{Connection, params};

use super::{Result, execute, row};
use crate::domain::{
    budget::{self, Amount, Caps, Dimension, Exceeded, Scope, Warning},
    ids::UserId,
};

/// A day's account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) spent: Amount,
    pub(super) reserved: Amount,
    pub(super) raised: Amount,
}

/// What came of a step's spending.
pub(super) struct Charged {
    /// What is reserved for the next step.
    pub(super) granted: Amount,
    /// Why nothing is.
    pub(super) exceeded: Option<Exceeded>,
    /// There would be room if nobody else held any.
    pub(super) crowded: bool,
    /// Dimensions that crossed the warning line just now.
    pub(super) warnings: Vec<Warning>,
}

pub(super) fn load(db: &Connection, user: &UserId, window: i64) -> Result<Account> {
    let sql = "SELECT spent_tokens, spent_micros, spent_tool_calls, spent_time_ms,
                      reserved_tokens, reserved_micros, reserved_tool_calls, reserved_time_ms,
                      raised_tokens, raised_micros, raised_tool_calls, raised_time_ms
               FROM spend WHERE user_id = ?1 AND budget_window = ?2";
    let found = row(db, sql, params![user.as_str(), window], |row| {
        Ok(Account {
            spent: read_amount(row, 0)?,
            reserved: read_amount(row, 4)?,
            raised: read_amount(row, 8)?,
        })
    })?;
    Ok(found.unwrap_or_default())
}

/// Four columns of a row, from `at` on.
pub(super) fn read_amount(row: &rusqlite::Row<'_>, at: usize) -> Result<Amount> {
    let column = |offset: usize| row.get::<_, i64>(at + offset).map(|quantity| quantity.max(0) as u64);
    Ok(Amount { tokens: column(0)?, micros: column(1)?, tool_calls: column(2)?, time_ms: column(3)? })
}

/// Gives back what was `held`, charges what was really spent, and reserves for the next step if the caps
/// have room for it, or keeps of what was held what is still needed.
pub(super) fn charge(
    db: &Connection,
    (user, window): (&UserId, i64),
    caps: &Caps,
    held: Amount,
    settle: Amount,
    (reserve, keeps): (Amount, bool),
) -> Result<Charged> {
    if *caps == Caps::default() {
        // Nothing to check: the account is kept all the same, in one statement.
        add(db, user, window, settle, held, reserve)?;
        return Ok(Charged { granted: reserve, exceeded: None, crowded: false, warnings: Vec::new() });
    }
    let before = load(db, user, window)?;
    let spent = before.spent + settle;
    let others = before.reserved - held;
    let verdict = match keeps {
        true => Ok(reserve),
        false => budget::grant(Scope::User, caps, before.raised, spent + others, reserve),
    };
    let alone = || budget::grant(Scope::User, caps, before.raised, spent, reserve);
    let crowded = verdict.is_err() && alone().is_ok();
    let granted = *verdict.as_ref().unwrap_or(&Amount::ZERO);
    add(db, user, window, settle, held, granted)?;
    let warnings = budget::crossed(caps, before.raised, before.spent, spent);
    Ok(Charged { granted, exceeded: verdict.err(), crowded, warnings })
}

pub(super) fn add(
    db: &Connection,
    user: &UserId,
    window: i64,
    settle: Amount,
    held: Amount,
    reserve: Amount,
) -> Result<()> {
    if settle == Amount::ZERO && held == reserve {
        return Ok(());
    }
    let sql = "INSERT INTO spend (user_id, budget_window,
                   spent_tokens, spent_micros, spent_tool_calls, spent_time_ms,
                   reserved_tokens, reserved_micros, reserved_tool_calls, reserved_time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, 0), max(?8, 0), max(?9, 0), max(?10, 0))
               ON CONFLICT DO UPDATE SET
                   spent_tokens = spent_tokens + ?3, spent_micros = spent_micros + ?4,
                   spent_tool_calls = spent_tool_calls + ?5, spent_time_ms = spent_time_ms + ?6,
                   reserved_tokens = max(reserved_tokens + ?7, 0),
                   reserved_micros = max(reserved_micros + ?8, 0),
                   reserved_tool_calls = max(reserved_tool_calls + ?9, 0),
                   reserved_time_ms = max(reserved_time_ms + ?10, 0)";
    let signed = |quantity: u64| i64::try_from(quantity).unwrap_or(i64::MAX);
    let change = |dimension| signed(reserve.of(dimension)).saturating_sub(signed(held.of(dimension)));
    execute(
        db,
        sql,
        params![
            user.as_str(),
            window,
            signed(settle.tokens),
            signed(settle.micros),
            signed(settle.tool_calls),
            signed(settle.time_ms),
            change(Dimension::Tokens),
            change(Dimension::Money),
            change(Dimension::ToolCalls),
            change(Dimension::Time)
        ],
    )?;
    Ok(())
}

/// Takes back a charge that was not needed.
pub(super) fn give_back(db: &Connection, user: &UserId, window: i64, amount: Amount) -> Result<()> {
    let sql = "UPDATE spend SET spent_tokens = max(spent_tokens - ?3, 0), spent_micros = max(spent_micros - ?4, 0),
                      spent_tool_calls = max(spent_tool_calls - ?5, 0), spent_time_ms = max(spent_time_ms - ?6, 0)
               WHERE user_id = ?1 AND budget_window = ?2";
    let signed = |quantity: u64| i64::try_from(quantity).unwrap_or(i64::MAX);
    let [tokens, micros, tool_calls, time] =
        [amount.tokens, amount.micros, amount.tool_calls, amount.time_ms].map(signed);
    execute(db, sql, params![user.as_str(), window, tokens, micros, tool_calls, time])?;
    Ok(())
}

/// Adds to the caps of a day.
pub(super) fn raise(db: &Connection, user: &UserId, window: i64, by: Amount) -> Result<()> {
    let sql = "INSERT INTO spend (user_id, budget_window, raised_tokens, raised_micros, raised_tool_calls,
                                  raised_time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET
                   raised_tokens = raised_tokens + ?3, raised_micros = raised_micros + ?4,
                   raised_tool_calls = raised_tool_calls + ?5, raised_time_ms = raised_time_ms + ?6";
    let signed = |quantity: u64| i64::try_from(quantity).unwrap_or(i64::MAX);
    execute(
        db,
        sql,
        params![
            user.as_str(),
            window,
            signed(by.tokens),
            signed(by.micros),
            signed(by.tool_calls),
            signed(by.time_ms)
        ],
    )?;
    Ok(())
}
