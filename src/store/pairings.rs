//! Letting people in: strangers with a code, codes that join an account to a user, and those who guess.

use rusqlite::{Connection, params};

use super::{
    Result, StoreError, audit, count, execute, from_json,
    identities::{self, bad_name},
    outbox, row, rows, to_json,
};
use crate::domain::{
    Millis,
    access::Role,
    audit::Act,
    identity::{
        self, AWAY_MS, CODE_MS, Identity, LOCK_MS, MOST_CODES, MOST_OPEN, NewCode, NewPairing, Pairing,
        PairingAnswer, PairingState, Redeemed, Redemption, Refusal, TRIES, WhichPairing, clean_name,
        hash_code,
    },
    ids::UserId,
    outbound::{Body, OutboxRow},
};

const COLUMNS: &str = "id, channel, external_id, name, place, state, created_at, expires_at, decided_by";

/// Gives a stranger a code, and tells them and all owners on these platforms. Nothing when they have one that holds,
/// were sent away, were let in meanwhile, were given too many, or too many others wait.
///
/// # Errors
/// When the store fails.
pub fn ask(db: &Connection, boot: i64, new: &NewPairing, platforms: &[String]) -> Result<Vec<OutboxRow>> {
    if !may_ask(db, new)? {
        return Ok(Vec::new());
    }
    let sql =
        "INSERT INTO pairings (id, hash, channel, external_id, name, place, state, tries_left, created_at,
                                     expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'open', ?7, ?8, ?9)";
    let (name, expires) = (clean_name(&new.name), new.now + CODE_MS);
    let hash = hash_code(&new.code);
    let place = to_json(&new.place)?;
    execute(db, sql, params![new.id, hash, new.channel, new.external, name, place, TRIES, new.now, expires])?;
    let own = identity::own_user(&new.channel, &new.external).map_err(bad_name)?;
    let there = new.place.conversation(&new.channel, &own).map_err(bad_name)?;
    let mut messages = vec![identity::at(there, identity::welcome_stranger(&new.code))];
    for owner in identities::owners(db, platforms)? {
        let Some(place) = &owner.direct else { continue };
        let body = Body::Pairing { pairing: new.id.clone(), text: identity::stranger_waits(new) };
        let there = place.conversation(&owner.channel, &owner.user).map_err(bad_name)?;
        messages.push(identity::at(there, body));
    }
    messages.iter().map(|message| outbox::post(db, boot, message, new.now)).collect()
}

fn may_ask(db: &Connection, new: &NewPairing) -> Result<bool> {
    let old = "DELETE FROM pairings WHERE channel = ?1 AND expires_at < ?2 AND created_at < ?2";
    execute(db, old, params![new.channel, new.now - AWAY_MS])?;
    let sql = "SELECT count(*) FROM identities WHERE channel = ?1 AND external_id = ?2 AND admitted = 1";
    if count(db, sql, params![new.channel, new.external])? > 0 {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM pairings WHERE channel = ?1 AND state = 'open' AND expires_at > ?2";
    if count(db, sql, params![new.channel, new.now])? >= MOST_OPEN {
        return Ok(false);
    }
    let sql =
        "SELECT count(*), coalesce(sum(state = 'refused' OR (state <> 'paired' AND expires_at > ?4)), 0)
               FROM pairings WHERE channel = ?1 AND external_id = ?2 AND created_at > ?3";
    let params = params![new.channel, new.external, new.now - AWAY_MS, new.now];
    let (codes, closed) =
        row(db, sql, params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?.unwrap_or_default();
    if closed > 0 || codes.unsigned_abs() >= MOST_CODES {
        return Ok(false);
    }
    let sql = "SELECT count(*) FROM guesses WHERE channel = ?1 AND external_id = ?2 AND locked_until > ?3";
    Ok(count(db, sql, params![new.channel, new.external, new.now])? == 0)
}

/// Lets somebody in who waits, or sends them away; whoever is let in is told.
///
/// # Errors
/// [`Refusal`] when nobody waits there, or somebody decided before.
pub fn answer(
    db: &Connection,
    boot: i64,
    answer: &PairingAnswer,
) -> Result<(Pairing, Option<Identity>, Vec<OutboxRow>)> {
    let found = match &answer.which {
        WhichPairing::Id(id) => {
            row(db, &format!("SELECT {COLUMNS} FROM pairings WHERE id = ?1"), [id], read)?
        }
        WhichPairing::Code(code) => {
            row(db, &format!("SELECT {COLUMNS} FROM pairings WHERE hash = ?1"), [hash_code(code)], read)?
        }
    };
    let pairing = found.ok_or(Refusal::NobodyWaits)?;
    let state = if answer.admit { PairingState::Paired } else { PairingState::Refused };
    let sql = "UPDATE pairings SET state = ?2, decided_by = ?3, decided_at = ?4
               WHERE id = ?1 AND state = 'open' AND expires_at > ?4";
    if execute(db, sql, params![pairing.id, state.as_str(), answer.by, answer.now])? == 0 {
        return Err(match (pairing.state, pairing.decided_by) {
            (PairingState::Paired | PairingState::Refused, Some(by)) => {
                Refusal::Settled { state: pairing.state, by }
            }
            _ => Refusal::NobodyWaits,
        }
        .into());
    }
    let account = (pairing.channel.as_str(), pairing.external.as_str());
    let pairing_now = Pairing { state, decided_by: Some(answer.by.clone()), ..pairing.clone() };
    if !answer.admit {
        note(db, answer.now, &answer.actor, "identity.refused", account, &pairing.name)?;
        return Ok((pairing_now, None, Vec::new()));
    }
    let whom = (answer.user.as_ref(), answer.role);
    let identity = identities::admit(db, account, &pairing.name, &pairing.place, whom, answer.now)?;
    let details = format!("{} as {} ({})", identity.name, identity.user, identity.role.as_str());
    note(db, answer.now, &answer.actor, "identity.paired", account, &details)?;
    let body = "You are let in: write to me in plain words; /help shows what else there is.";
    let notice = identity::notice(&pairing.channel, &pairing.place, &identity.user, "Welcome", body)
        .map_err(bad_name)?;
    let row = outbox::post(db, boot, &notice, answer.now)?;
    Ok((pairing_now, Some(identity), vec![row]))
}

/// Pairings that are open, the oldest first.
///
/// # Errors
/// When the store fails.
pub fn open(db: &Connection, now: Millis) -> Result<Vec<Pairing>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pairings WHERE state = 'open' AND expires_at > ?1 ORDER BY created_at, id"
    );
    rows(db, &sql, [now], read)
}

/// The pairing that a message on its way out asks owners about.
pub(super) fn shown_by(db: &Connection, outbox: i64) -> Result<Option<Pairing>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pairings WHERE id =
             (SELECT json_extract(body, '$.pairing') FROM outbox
              WHERE id = ?1 AND json_extract(body, '$.kind') = 'pairing')"
    );
    row(db, &sql, [outbox], read)
}

/// True when somebody waits whose time is over.
///
/// # Errors
/// When the store fails.
pub fn is_any_over(db: &Connection, now: Millis) -> Result<bool> {
    Ok(count(db, "SELECT count(*) FROM pairings WHERE state = 'open' AND expires_at <= ?1", [now])? > 0)
}

/// Closes the pairings that nobody decided in time.
///
/// # Errors
/// When the store fails.
pub fn expire(db: &Connection, now: Millis) -> Result<()> {
    let sql =
        "UPDATE pairings SET state = 'expired', decided_at = ?1 WHERE state = 'open' AND expires_at <= ?1";
    execute(db, sql, [now])?;
    Ok(())
}

/// Stores a code that joins an account to a user.
///
/// # Errors
/// When the store fails.
pub fn issue(db: &Connection, new: &NewCode) -> Result<()> {
    execute(db, "DELETE FROM link_codes WHERE expires_at < ?1", [new.now - AWAY_MS])?;
    let sql = "INSERT INTO link_codes (hash, user_id, role, issued_by, created_at, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (user, role) = (new.user.as_str(), new.role.as_str());
    execute(db, sql, params![hash_code(&new.code), user, role, new.actor, new.now, new.now + CODE_MS])?;
    let act = Act {
        at: new.now,
        actor: new.actor.clone(),
        action: "link.issued".into(),
        subject: user.to_owned(),
        details: format!("an account may join as {role}"),
    };
    audit::append(db, act)?;
    Ok(())
}

/// Joins an account to the user whose code it shows, once. What the account's own user had comes along when nobody
/// else is behind that user.
///
/// # Errors
/// When the store fails. A wrong code is no error: it is counted.
pub fn redeem(db: &Connection, shown: &Redemption) -> Result<Redeemed> {
    let account = (shown.channel.as_str(), shown.external.as_str());
    if let Some(wait_ms) = locked(db, account, shown.now)? {
        return Ok(Redeemed::Locked { wait_ms, now: false });
    }
    let known = identities::find(db, account.0, account.1)?;
    if known.as_ref().is_some_and(|known| known.blocked) {
        return Ok(Redeemed::Wrong);
    }
    let hash = hash_code(&shown.code);
    let me = format!("{}/{}", account.0, account.1);
    let sql = "SELECT user_id, role, used_by FROM link_codes WHERE hash = ?1 AND expires_at > ?2";
    let found = row(db, sql, params![hash, shown.now], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let (user, role) = match (found, known.as_ref()) {
        // It comes again: the platform did not hear that it was taken.
        (Some((user, _, Some(by))), Some(known)) if by == me && known.user.as_str() == user => {
            return Ok(Redeemed::Already(known.clone()));
        }
        (Some((user, role, None)), _) => (UserId::new(user), role),
        _ => return guessed_wrong(db, account, shown.now),
    };
    execute(db, "UPDATE link_codes SET used_by = ?2 WHERE hash = ?1", params![hash, me])?;
    execute(db, "DELETE FROM guesses WHERE channel = ?1 AND external_id = ?2", [account.0, account.1])?;
    let sql = "UPDATE pairings SET state = 'void', decided_at = ?3
               WHERE channel = ?1 AND external_id = ?2 AND state = 'open'";
    execute(db, sql, params![account.0, account.1, shown.now])?;
    let role = Role::parse(&role).ok_or_else(|| StoreError::Corrupt(format!("role `{role}`")))?;
    // What somebody gave to this account by name stays.
    let own = known.as_ref().filter(|known| known.admitted).map_or(role, |known| known.role.max(role));
    let identity = identities::admit(db, account, &shown.name, &shown.place, (Some(&user), own), shown.now)?;
    let moved = match &known {
        Some(known) if known.user != user => move_along(db, known, &user)?,
        _ => (0, 0),
    };
    let details = format!("{} is {} now ({})", identity.name, identity.user, identity.role.as_str());
    note(db, shown.now, &format!("user:{user}"), "identity.linked", account, &details)?;
    Ok(Redeemed::Joined { identity, moved })
}

/// What an account's own user had goes over to another, when nobody else is that user.
fn move_along(db: &Connection, account: &Identity, to: &UserId) -> Result<(usize, usize)> {
    let own = identity::own_user(&account.channel, &account.external).map_err(bad_name)?;
    if account.user != own {
        return Ok((0, 0));
    }
    let others = "SELECT (SELECT count(*) FROM identities WHERE user_id = ?1)
                       + (SELECT count(*) FROM keys WHERE user_id = ?1 AND revoked_at IS NULL)";
    if count(db, others, [own.as_str()])? > 0 {
        return Ok((0, 0));
    }
    let params = [to.as_str(), own.as_str()];
    let memories = execute(db, "UPDATE memories SET user_id = ?1 WHERE user_id = ?2", params)?;
    let schedules = execute(db, "UPDATE task_schedules SET user_id = ?1 WHERE user_id = ?2", params)?;
    execute(db, "UPDATE OR IGNORE members SET user_id = ?1 WHERE user_id = ?2", params)?;
    execute(db, "DELETE FROM members WHERE user_id = ?1", [own.as_str()])?;
    let open = "UPDATE approvals SET user_id = ?1 WHERE user_id = ?2 AND status = 'pending'";
    execute(db, open, params)?;
    Ok((memories, schedules))
}

fn locked(db: &Connection, (channel, external): (&str, &str), now: Millis) -> Result<Option<u64>> {
    let sql = "SELECT locked_until FROM guesses WHERE channel = ?1 AND external_id = ?2";
    let until = row(db, sql, [channel, external], |row| Ok(row.get::<_, i64>(0)?))?.unwrap_or(0);
    Ok((until > now).then(|| (until - now).unsigned_abs()))
}

/// Counts a wrong code against whoever showed it, and against the code that they were given themselves.
fn guessed_wrong(db: &Connection, (channel, external): (&str, &str), now: Millis) -> Result<Redeemed> {
    let sql =
        "INSERT INTO guesses (channel, external_id, wrong, since, locked_until) VALUES (?1, ?2, 1, ?3, 0)
               ON CONFLICT (channel, external_id) DO UPDATE SET
                   wrong = CASE WHEN since <= ?3 - ?4 THEN 1 ELSE wrong + 1 END,
                   since = CASE WHEN since <= ?3 - ?4 THEN ?3 ELSE since END
               RETURNING wrong";
    let wrong = row(db, sql, params![channel, external, now, LOCK_MS], |row| Ok(row.get::<_, u32>(0)?))?;
    let sql = "UPDATE pairings SET tries_left = tries_left - 1,
                      state = CASE WHEN tries_left <= 1 THEN 'void' ELSE state END,
                      decided_at = CASE WHEN tries_left <= 1 THEN ?3 END
               WHERE channel = ?1 AND external_id = ?2 AND state = 'open'";
    execute(db, sql, params![channel, external, now])?;
    if wrong.unwrap_or(0) < TRIES {
        return Ok(Redeemed::Wrong);
    }
    let sql = "UPDATE guesses SET locked_until = ?3, wrong = 0 WHERE channel = ?1 AND external_id = ?2";
    execute(db, sql, params![channel, external, now + LOCK_MS])?;
    let details = format!("{TRIES} wrong codes");
    note(db, now, "system", "identity.locked", (channel, external), &details)?;
    Ok(Redeemed::Locked { wait_ms: LOCK_MS.unsigned_abs(), now: true })
}

fn note(
    db: &Connection,
    at: Millis,
    actor: &str,
    action: &str,
    (channel, external): (&str, &str),
    details: &str,
) -> Result<()> {
    let subject = format!("{channel}/{external}");
    let act =
        Act { at, actor: actor.to_owned(), action: action.to_owned(), subject, details: details.to_owned() };
    audit::append(db, act)?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Pairing> {
    let state: String = row.get(5)?;
    Ok(Pairing {
        id: row.get(0)?,
        channel: row.get(1)?,
        external: row.get(2)?,
        name: row.get(3)?,
        place: from_json(&row.get::<_, String>(4)?)?,
        state: PairingState::parse(&state)
            .ok_or_else(|| StoreError::Corrupt(format!("pairing state `{state}`")))?,
        created_at: row.get(6)?,
        expires_at: row.get(7)?,
        decided_by: row.get(8)?,
    })
}
