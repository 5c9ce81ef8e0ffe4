//! What a user spent and holds reserved in one UTC day.

use rusqlite::{Connection, params};

use super::{Result, execute, row};
use crate::domain::{
    budget::{self, Amount, Caps, Dimension, Exceeded, Scope},
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
    /// Dimensions that crossed the warning line just now, with what is used and the cap.
    pub(super) warnings: Vec<(Dimension, u64, u64)>,
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
/// have room for it.
pub(super) fn charge(
    db: &Connection,
    (user, window): (&UserId, i64),
    caps: &Caps,
    held: Amount,
    settle: Amount,
    reserve: Amount,
) -> Result<Charged> {
    let before = load(db, user, window)?;
    let spent = before.spent + settle;
    let others = before.reserved - held;
    let verdict = budget::grant(Scope::User, caps, before.raised, spent + others, reserve);
    let granted = *verdict.as_ref().unwrap_or(&Amount::ZERO);
    let account = Account { spent, reserved: others + granted, raised: before.raised };
    if account != before {
        save(db, user, window, &account)?;
    }
    let warnings = budget::crossed(caps, before.raised, before.spent, spent)
        .into_iter()
        .map(|dimension| {
            let cap = caps.of(dimension).unwrap_or(0).saturating_add(before.raised.of(dimension));
            (dimension, spent.of(dimension), cap)
        })
        .collect();
    Ok(Charged { granted, exceeded: verdict.err(), warnings })
}

/// Adds to the caps of a day.
pub(super) fn raise(db: &Connection, user: &UserId, window: i64, by: Amount) -> Result<()> {
    let mut account = load(db, user, window)?;
    account.raised += by;
    save(db, user, window, &account)
}

fn save(db: &Connection, user: &UserId, window: i64, account: &Account) -> Result<()> {
    let (spent, reserved, raised) = (account.spent, account.reserved, account.raised);
    let sql = "INSERT OR REPLACE INTO spend (user_id, budget_window,
                   spent_tokens, spent_micros, spent_tool_calls, spent_time_ms,
                   reserved_tokens, reserved_micros, reserved_tool_calls, reserved_time_ms,
                   raised_tokens, raised_micros, raised_tool_calls, raised_time_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let values = [spent, reserved, raised]
        .into_iter()
        .flat_map(|amount| [amount.tokens, amount.micros, amount.tool_calls, amount.time_ms])
        .map(|quantity| i64::try_from(quantity).unwrap_or(i64::MAX))
        .collect::<Vec<i64>>();
    let mut params: Vec<&dyn rusqlite::ToSql> = vec![];
    let user = user.as_str();
    params.push(&user);
    params.push(&window);
    params.extend(values.iter().map(|value| value as &dyn rusqlite::ToSql));
    execute(db, sql, params.as_slice())?;
    Ok(())
}
