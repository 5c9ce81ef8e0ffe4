//! Accounts on chat platforms: who they are, where they were last met, and what is said to those who are not let in.

use rusqlite::{Connection, params};

use super::{Result, StoreError, audit, count, execute, from_json, outbox, posts, row, rows, to_json, users};
use crate::domain::{
    Millis,
    access::Role,
    audit::Act,
    chat::Place,
    identity::{Identity, IdentityChange, Recognised, clean_name, fold_name},
    ids::{BadName, UserId},
    outbound::{NewOutbox, OutboxRow},
};

const COLUMNS: &str =
    "channel, external_id, user_id, name, role, admitted, blocked, direct_place, created_at, seen_at";

/// An id from a platform does not fit into ours; whoever passed it on had to look.
pub(super) fn bad_name(error: BadName) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

/// One account.
///
/// # Errors
/// When the store fails.
pub fn find(db: &Connection, channel: &str, external: &str) -> Result<Option<Identity>> {
    let sql = format!("SELECT {COLUMNS} FROM identities WHERE channel = ?1 AND external_id = ?2");
    row(db, &sql, [channel, external], read)
}

/// What is known of somebody who writes: whether this message came before, their account, whether another has a
/// name that looks the same, and where the chat belongs.
///
/// # Errors
/// When the store fails.
pub fn recognise(
    db: &Connection,
    channel: &str,
    external: &str,
    name: &str,
    chat: &str,
    incoming: &str,
) -> Result<Recognised> {
    let sql = "SELECT (SELECT count(*) FROM inbound WHERE channel = ?1 AND external_id = ?2)
                    + (SELECT count(*) FROM turned_away WHERE channel = ?1 AND external_id = ?2)";
    let before = count(db, sql, [channel, incoming])? > 0;
    let sql = "SELECT count(*) FROM identities WHERE channel = ?1 AND fold = ?2 AND external_id <> ?3";
    let namesake = count(db, sql, [channel, &fold_name(&clean_name(name)), external])? > 0;
    let parent = posts::opened_under(db, channel, chat)?;
    Ok(Recognised { before, identity: find(db, channel, external)?, namesake, parent })
}

/// Notes that somebody wrote, and where when it was alone with us. An account that is new has a user of its own.
///
/// # Errors
/// When the store fails.
pub fn see(
    db: &Connection,
    channel: &str,
    external: &str,
    name: &str,
    direct: Option<&Place>,
    now: Millis,
) -> Result<Identity> {
    let name = clean_name(name);
    let own = crate::domain::identity::own_user(channel, external).map_err(bad_name)?;
    let direct = direct.map(to_json).transpose()?;
    let sql =
        "INSERT INTO identities (channel, external_id, user_id, name, fold, role, admitted, direct_place,
                                       created_at, seen_at)
               VALUES (?1, ?2, ?3, ?4, ?5, 'developer', 0, ?6, ?7, ?7)
               ON CONFLICT (channel, external_id) DO UPDATE SET
                   name = ?4, fold = ?5, direct_place = coalesce(?6, direct_place), seen_at = ?7";
    execute(db, sql, params![channel, external, own.as_str(), name, fold_name(&name), direct, now])?;
    let identity = find(db, channel, external)?.ok_or(StoreError::NotFound("account"))?;
    users::ensure(db, &identity.user, now)?;
    let sql = "UPDATE users SET name = ?2 WHERE id = ?1 AND name = id";
    execute(db, sql, params![own.as_str(), name])?;
    Ok(identity)
}

/// Lets an account in, as this user with this role.
pub(super) fn admit(
    db: &Connection,
    (channel, external): (&str, &str),
    name: &str,
    place: &Place,
    (user, role): (Option<&UserId>, Role),
    now: Millis,
) -> Result<Identity> {
    let identity = see(db, channel, external, name, Some(place), now)?;
    let user = user.unwrap_or(&identity.user);
    users::ensure(db, user, now)?;
    let sql = "UPDATE identities SET admitted = 1, blocked = 0, user_id = ?3, role = ?4
               WHERE channel = ?1 AND external_id = ?2";
    execute(db, sql, params![channel, external, user.as_str(), role.as_str()])?;
    find(db, channel, external)?.ok_or(StoreError::NotFound("account"))
}

/// Changes what an account may do and who it is.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such account.
pub fn change(
    db: &Connection,
    channel: &str,
    external: &str,
    change: &IdentityChange,
    act: Act,
) -> Result<Identity> {
    let known = find(db, channel, external)?.ok_or(StoreError::NotFound("account"))?;
    let user = change.user.as_ref().unwrap_or(&known.user);
    users::ensure(db, user, act.at)?;
    let named = known.admitted || change.role.is_some() || change.user.is_some();
    let sql = "UPDATE identities SET user_id = ?3, role = ?4, blocked = ?5, admitted = ?6
               WHERE channel = ?1 AND external_id = ?2";
    let role = change.role.unwrap_or(known.role);
    let blocked = change.blocked.unwrap_or(known.blocked);
    execute(db, sql, params![channel, external, user.as_str(), role.as_str(), blocked, named])?;
    audit::append(db, act)?;
    find(db, channel, external)?.ok_or(StoreError::NotFound("account"))
}

/// Forgets an account: whoever it is, they are unknown from now on. Their user stays.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such account.
pub fn remove(db: &Connection, channel: &str, external: &str, act: Act) -> Result<()> {
    let sql = "DELETE FROM identities WHERE channel = ?1 AND external_id = ?2";
    if execute(db, sql, [channel, external])? == 0 {
        return Err(StoreError::NotFound("account"));
    }
    execute(db, "DELETE FROM guesses WHERE channel = ?1 AND external_id = ?2", [channel, external])?;
    audit::append(db, act)?;
    Ok(())
}

/// Accounts by channel and id, and how many there are.
///
/// # Errors
/// When the store fails.
pub fn list(db: &Connection, limit: usize, offset: usize) -> Result<(Vec<Identity>, u64)> {
    let sql = format!("SELECT {COLUMNS} FROM identities ORDER BY channel, external_id LIMIT ?1 OFFSET ?2");
    let found = rows(db, &sql, params![super::page(limit), super::page(offset)], read)?;
    Ok((found, count(db, "SELECT count(*) FROM identities", [])?))
}

/// The places where owners are met alone on these platforms, with the users that they are.
pub(super) fn owners(db: &Connection, platforms: &[String]) -> Result<Vec<Identity>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM identities
         WHERE role = 'owner' AND admitted = 1 AND blocked = 0 AND direct_place IS NOT NULL
         AND channel IN (SELECT value FROM json_each(?1)) ORDER BY channel, external_id"
    );
    rows(db, &sql, [to_json(&platforms)?], read)
}

/// The account by which a user was last met alone.
pub(super) fn last_met(db: &Connection, user: &UserId) -> Result<Option<Identity>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM identities WHERE user_id = ?1 AND blocked = 0 AND direct_place IS NOT NULL
         ORDER BY seen_at DESC, channel LIMIT 1"
    );
    row(db, &sql, [user.as_str()], read)
}

/// Somebody who may not write is told so, once.
///
/// # Errors
/// When the store fails.
pub fn refuse(
    db: &Connection,
    boot: i64,
    (channel, external): (&str, &str),
    name: &str,
    notice: &NewOutbox,
    now: Millis,
) -> Result<Option<OutboxRow>> {
    see(db, channel, external, name, None, now)?;
    let sql =
        "UPDATE identities SET told_at = ?3 WHERE channel = ?1 AND external_id = ?2 AND told_at IS NULL";
    if execute(db, sql, params![channel, external, now])? == 0 {
        return Ok(None);
    }
    outbox::post(db, boot, notice, now).map(Some)
}

/// Stores messages of ours. With the id of something that came in they are stored once: that is not taken, and
/// answered with them.
///
/// # Errors
/// When the store fails.
pub fn post(
    db: &Connection,
    boot: i64,
    notices: &[NewOutbox],
    once: Option<(&str, &str)>,
    now: Millis,
) -> Result<Vec<OutboxRow>> {
    if let Some((channel, external)) = once {
        let sql = "INSERT OR IGNORE INTO turned_away (channel, external_id, at) VALUES (?1, ?2, ?3)";
        if execute(db, sql, params![channel, external, now])? == 0 {
            return Ok(Vec::new());
        }
    }
    notices.iter().map(|notice| outbox::post(db, boot, notice, now)).collect()
}

/// Where listening at a platform goes on from.
///
/// # Errors
/// When the store fails.
pub fn position(db: &Connection, channel: &str) -> Result<Option<String>> {
    let sql = "SELECT position FROM channel_positions WHERE channel = ?1";
    row(db, sql, [channel], |row| Ok(row.get(0)?))
}

/// Notes where listening at a platform goes on from.
///
/// # Errors
/// When the store fails.
pub fn reached(db: &Connection, channel: &str, position: &str) -> Result<()> {
    let sql = "INSERT INTO channel_positions (channel, position) VALUES (?1, ?2)
               ON CONFLICT (channel) DO UPDATE SET position = ?2";
    execute(db, sql, [channel, position])?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> Result<Identity> {
    let role: String = row.get(4)?;
    let direct: Option<String> = row.get(7)?;
    Ok(Identity {
        channel: row.get(0)?,
        external: row.get(1)?,
        user: UserId::new(row.get::<_, String>(2)?),
        name: row.get(3)?,
        role: Role::parse(&role).ok_or_else(|| StoreError::Corrupt(format!("role `{role}`")))?,
        admitted: row.get(5)?,
        blocked: row.get(6)?,
        direct: direct.map(|text| from_json(&text)).transpose()?,
        created_at: row.get(8)?,
        seen_at: row.get(9)?,
    })
}
