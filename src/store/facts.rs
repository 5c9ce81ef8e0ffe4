//! Facts that were read from a conversation: paid for before the model is asked, kept together with how far it
//! was read.

use rusqlite::{Connection, params};

use super::{Result, costs, execute, memories, spend};
use crate::domain::{
    Millis,
    budget::{self, Amount, Caps, Scope, window},
    ids::UserId,
    journal::KeptFacts,
};

/// Takes what a call of a model may cost at worst from the user's day, and says what was taken. `None` when it
/// would use up what is kept for the user's own turns: the last fifth of a cap. It is charged at once, so that
/// a crash leaves nothing reserved: [`keep`] gives back what was not needed.
///
/// # Errors
/// When the store fails.
pub fn prepay(
    db: &Connection,
    user: &UserId,
    caps: &Caps,
    worst: Amount,
    now: Millis,
) -> Result<Option<Amount>> {
    let account = spend::load(db, user, window(now))?;
    let before = account.spent + account.reserved;
    let Ok(granted) = budget::grant(Scope::User, caps, account.raised, before, worst) else {
        return Ok(None);
    };
    let after = before + granted;
    if !budget::crossed(caps, account.raised, Amount::ZERO, after).is_empty() {
        return Ok(None);
    }
    spend::add(db, user, window(now), granted, Amount::ZERO, Amount::ZERO)?;
    Ok(Some(granted))
}

/// Keeps facts, says how far the conversation was read, and corrects what was prepaid.
///
/// # Errors
/// When the store fails.
pub fn keep(db: &Connection, kept: &KeptFacts) -> Result<usize> {
    let mut fresh = 0;
    for memory in &kept.facts {
        let (_, merged) = memories::store(db, memory)?;
        fresh += usize::from(!merged);
    }
    let sql = "UPDATE conversations SET extracted_through = max(extracted_through, ?2) WHERE id = ?1";
    execute(db, sql, params![kept.conversation.as_str(), kept.through])?;
    if let Some(call) = &kept.call {
        costs::insert(db, &kept.user, &kept.conversation, kept.now, call)?;
    }
    let spent = kept.call.as_ref().map_or(Amount::ZERO, |call| call.cost);
    spend::give_back(db, &kept.user, window(kept.prepaid_at), kept.prepaid - spent)?;
    Ok(fresh)
}
