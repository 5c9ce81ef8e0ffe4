//! Turns: every step is one call of [`fn@write`], which checks the lease, the budget and the approvals.

use rusqlite::{Connection, params};

use super::{
    Result, StoreError, approvals, conversations, execute, inbound, outbox, row, rows, spend, to_json, users,
    wakeups,
};
use crate::domain::{
    budget::{Amount, Scope, window},
    ids::{ConversationId, InboundId, TurnId, UserId},
    inbound::{Accepted, State},
    journal::{CloseTurn, Lease, OpenTurn, Source, TakenOver, TurnState, TurnWrite, TurnWritten},
    notice,
    outbound::{Body, NewOutbox, OutboxRow},
    turn::Entry,
};

/// The lease of a turn that begins.
const FIRST_LEASE: Lease = 1;

/// What a turn's row says that a write needs.
struct Held {
    window: i64,
    reserved: Amount,
    lease: Lease,
}

/// Stores one step of a turn. All or nothing, in the transaction that is open.
///
/// # Errors
/// [`StoreError::Stale`] when somebody else holds the turn or went on with the conversation.
pub fn write(db: &Connection, boot: i64, step: &TurnWrite) -> Result<TurnWritten> {
    let mut outbox = Vec::new();
    let (held, begun) = match &step.open {
        Some(open) => match begin(db, step, open)? {
            Ok((held, inbound)) => (held, Some((open.seq, inbound))),
            Err(accepted) => {
                let (exceeded, crowded, granted, model) = (None, false, Amount::ZERO, None);
                return Ok(TurnWritten { lease: 0, accepted, exceeded, crowded, granted, model, outbox });
            }
        },
        None => (lookup(db, step)?, None),
    };
    if !step.entries.is_empty() {
        journal(db, step)?;
    }
    for entry in &step.entries {
        side_rows(db, boot, step, entry, &mut outbox)?;
    }
    for call in &step.calls {
        super::costs::insert(db, &step.user, &step.conversation, step.now, call)?;
    }
    let charged = spend::charge(
        db,
        (&step.user, held.window),
        &step.user_caps,
        held.reserved,
        step.settle,
        (step.reserve, step.keeps),
    )?;
    let of_turn = step.warnings.iter().map(|warning| (Scope::Turn, *warning));
    for (scope, warning) in of_turn.chain(charged.warnings.into_iter().map(|warning| (Scope::User, warning)))
    {
        let body = notice::budget_warning(scope, warning);
        outbox.push(outbox::insert(db, boot, &message(step, body), step.now)?);
    }
    match begun {
        Some((seq, inbound)) => insert(db, step, seq, &inbound, &held, charged.granted)?,
        None => update(db, step, held.reserved, charged.granted)?,
    }
    if let Some(close) = &step.close {
        finish(db, boot, step, close, &mut outbox)?;
    }
    Ok(TurnWritten {
        lease: held.lease,
        accepted: Accepted::New,
        exceeded: charged.exceeded,
        crowded: charged.crowded,
        granted: charged.granted,
        model: users::model(db, &step.user)?,
        outbox,
    })
}

/// Accepts the message and opens the turn; or says that the message was accepted before.
fn begin(
    db: &Connection,
    step: &TurnWrite,
    open: &OpenTurn,
) -> Result<std::result::Result<(Held, InboundId), Accepted>> {
    let inbound_id = match &open.source {
        Source::New(new) => {
            match inbound::accept(db, new, State::Running, Some(&step.turn))? {
                Accepted::New => {}
                duplicate @ Accepted::Duplicate { .. } => return Ok(Err(duplicate)),
            }
            &new.id
        }
        Source::Queued(id) => {
            if !inbound::take(db, id, &step.turn)? {
                return Err(StoreError::Stale("the message was taken up or withdrawn"));
            }
            id
        }
    };
    conversations::begin_turn(db, &step.conversation, &step.user, open.seq, step.now)?;
    super::memories::touch(db, &open.touched)?;
    let held = Held { window: window(step.now), reserved: Amount::ZERO, lease: FIRST_LEASE };
    Ok(Ok((held, inbound_id.clone())))
}

fn lookup(db: &Connection, step: &TurnWrite) -> Result<Held> {
    let sql = "SELECT lease, state, budget_window, reserved_tokens, reserved_micros, reserved_tool_calls,
                      reserved_time_ms
               FROM turns WHERE id = ?1";
    let found = row(db, sql, [step.turn.as_str()], |row| {
        let held = Held { lease: row.get(0)?, window: row.get(2)?, reserved: spend::read_amount(row, 3)? };
        Ok((held, row.get::<_, String>(1)?))
    })?;
    match found {
        None => Err(StoreError::Stale("there is no such turn")),
        Some((_, state)) if state == TurnState::Over.as_str() => Err(StoreError::Stale("the turn is over")),
        Some((held, _)) if held.lease != step.lease => Err(StoreError::Stale("another holds the turn")),
        Some((held, _)) => Ok(held),
    }
}

fn journal(db: &Connection, step: &TurnWrite) -> Result<()> {
    let sql = "INSERT INTO journal (turn_id, n, entries) VALUES (?1, ?2, ?3)";
    execute(db, sql, params![step.turn.as_str(), step.first as i64, to_json(&step.entries)?])?;
    Ok(())
}

/// What follows from an entry outside the journal: questions asked, approvals used, messages joined.
fn side_rows(
    db: &Connection,
    boot: i64,
    step: &TurnWrite,
    entry: &Entry,
    outbox: &mut Vec<OutboxRow>,
) -> Result<()> {
    if let Some(held) = entry.asks() {
        approvals::ask(db, step, held)?;
        super::wakeups::insert(db, &step.conversation, held.expires_at, "approval")?;
        let body = Body::Approval {
            approval: held.approval.clone(),
            preview: held.preview.clone(),
            expires_at: held.expires_at,
        };
        outbox.push(outbox::insert(db, boot, &message(step, body), step.now)?);
    }
    if let Some(approval) = entry.consumes() {
        approvals::consume(db, approval, step)?;
    }
    if let Entry::Steered { inbound: id, .. } = entry
        && !inbound::take(db, id, &step.turn)?
    {
        return Err(StoreError::Stale("the message was taken up or withdrawn"));
    }
    Ok(())
}

/// The stored approval raises the account of the day that the turn draws on.
pub(super) fn budget_window(db: &Connection, turn: &TurnId) -> Result<Option<i64>> {
    row(db, "SELECT budget_window FROM turns WHERE id = ?1", [turn.as_str()], |row| Ok(row.get(0)?))
}

fn message(step: &TurnWrite, body: Body) -> NewOutbox {
    NewOutbox {
        user: step.user.clone(),
        conversation: step.conversation.clone(),
        turn: Some(step.turn.clone()),
        answers: Vec::new(),
        body,
    }
}

fn insert(
    db: &Connection,
    step: &TurnWrite,
    seq: i64,
    inbound: &InboundId,
    held: &Held,
    granted: Amount,
) -> Result<()> {
    let sql = "INSERT INTO turns (id, conversation_id, user_id, seq, inbound_id, state, lease, started_at,
                                  budget_window, reserved_tokens, reserved_micros, reserved_tool_calls,
                                  reserved_time_ms, outcome, ended_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    let outcome = step.close.as_ref().map(|close| close.outcome.as_str());
    execute(
        db,
        sql,
        params![
            step.turn.as_str(),
            step.conversation.as_str(),
            step.user.as_str(),
            seq,
            inbound.as_str(),
            step.state.as_str(),
            held.lease,
            step.now,
            held.window,
            granted.tokens as i64,
            granted.micros as i64,
            granted.tool_calls as i64,
            granted.time_ms as i64,
            outcome,
            outcome.map(|_| step.now)
        ],
    )?;
    Ok(())
}

fn update(db: &Connection, step: &TurnWrite, held: Amount, granted: Amount) -> Result<()> {
    if held == granted && step.state == TurnState::Running && step.close.is_none() {
        return Ok(());
    }
    let sql = "UPDATE turns SET state = ?2, reserved_tokens = ?3, reserved_micros = ?4,
                      reserved_tool_calls = ?5, reserved_time_ms = ?6, outcome = ?7, ended_at = ?8
               WHERE id = ?1";
    let outcome = step.close.as_ref().map(|close| close.outcome.as_str());
    execute(
        db,
        sql,
        params![
            step.turn.as_str(),
            step.state.as_str(),
            granted.tokens as i64,
            granted.micros as i64,
            granted.tool_calls as i64,
            granted.time_ms as i64,
            outcome,
            outcome.map(|_| step.now)
        ],
    )?;
    Ok(())
}

fn finish(
    db: &Connection,
    boot: i64,
    step: &TurnWrite,
    close: &CloseTurn,
    outbox: &mut Vec<OutboxRow>,
) -> Result<()> {
    let past = &close.past;
    let sql = "INSERT INTO history (conversation_id, seq, turn_id, first, count, messages)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    execute(
        db,
        sql,
        params![
            step.conversation.as_str(),
            past.seq,
            step.turn.as_str(),
            past.first,
            past.messages.len() as i64,
            to_json(&past.messages)?
        ],
    )?;
    conversations::end_turn(db, &step.conversation, close)?;
    if let Some(at) = close.look_again_at {
        wakeups::insert(db, &step.conversation, at, "facts")?;
    }
    if close.asked {
        approvals::void(db, &step.turn)?;
    }
    let answer = match &close.answer {
        Some(answer) => {
            let row = outbox::insert(db, boot, answer, step.now)?;
            let id = row.id;
            outbox.push(row);
            Some(id)
        }
        None => None,
    };
    let to = if close.outcome.is_silent() { State::Cancelled } else { State::Answered };
    inbound::close(db, &close.serves, to, &step.turn, answer)
}

/// Takes over all open turns of a conversation: writes of whoever held them are refused from now on. What
/// they held reserved counts as spent, for nobody knows whether it was.
///
/// # Errors
/// When the store fails.
pub fn take_over(db: &Connection, conversation: &ConversationId) -> Result<Vec<TakenOver>> {
    let sql = "SELECT id, user_id, budget_window, reserved_tokens, reserved_micros, reserved_tool_calls,
                      reserved_time_ms, state
               FROM turns WHERE conversation_id = ?1 AND state <> 'over' ORDER BY seq";
    let open = rows(db, sql, [conversation.as_str()], |row| {
        let user = UserId::new(row.get::<_, String>(1)?);
        let (turn, state) = (row.get::<_, String>(0)?, row.get::<_, String>(7)?);
        Ok((turn, user, row.get::<_, i64>(2)?, spend::read_amount(row, 3)?, state))
    })?;
    let mut taken = Vec::new();
    for (turn, user, window, reserved, state) in open {
        let caps = Default::default();
        spend::charge(db, (&user, window), &caps, reserved, reserved, (Amount::ZERO, false))?;
        let sql = "UPDATE turns SET lease = lease + 1, resumes = resumes + (state = 'running'),
                          reserved_tokens = 0, reserved_micros = 0, reserved_tool_calls = 0,
                          reserved_time_ms = 0
                   WHERE id = ?1 RETURNING lease, resumes";
        let ran = state == TurnState::Running.as_str();
        let lost = if ran { Some(note_lost(db, &turn, reserved)?) } else { None };
        let found = row(db, sql, [&turn], |row| {
            let id = TurnId::new(turn.clone());
            Ok(TakenOver { turn: id, lease: row.get(0)?, resumes: row.get(1)?, lost: None })
        })?;
        taken.extend(found.map(|found| TakenOver { lost, ..found }));
    }
    Ok(taken)
}

/// Adds to a turn's journal what was reserved for the step that was cut off.
fn note_lost(db: &Connection, turn: &str, lost: Amount) -> Result<Entry> {
    let entry = Entry::Resumed { lost };
    let sql = "INSERT INTO journal (turn_id, n, entries)
               SELECT turn_id, n + json_array_length(entries), ?2 FROM journal WHERE turn_id = ?1
               ORDER BY n DESC LIMIT 1";
    execute(db, sql, params![turn, to_json(&[&entry])?])?;
    Ok(entry)
}

/// The journal of a turn.
///
/// # Errors
/// When the store fails or an entry cannot be read.
pub fn entries(db: &Connection, turn: &TurnId) -> Result<Vec<Entry>> {
    let sql = "SELECT entries FROM journal WHERE turn_id = ?1 ORDER BY n";
    let writes: Vec<Vec<Entry>> =
        rows(db, sql, [turn.as_str()], |row| super::from_json(&row.get::<_, String>(0)?))?;
    Ok(writes.into_iter().flatten().collect())
}
