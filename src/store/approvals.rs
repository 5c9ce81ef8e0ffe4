//! Questions to people: asked, answered once, used once.

use rusqlite::{Connection, params};

use super::{Result, StoreError, execute, from_json, inbound, row, rows, spend, to_json, turns};
use crate::domain::{
    Millis,
    approval::{Answer, Approval, Choice, Refusal, Status, Subject, Verdict, fits, may_answer},
    budget::{Amount, Scope},
    ids::{ApprovalId, ConversationId, TurnId, UserId},
    journal::{Decided, TurnWrite},
    turn::Held,
};

pub(super) const COLUMNS: &str =
    "id, turn_id, conversation_id, user_id, subject, preview, status, asked_at, expires_at,
                       decided_by, decided_at, reason, choice";

/// Stores a question.
pub(super) fn ask(db: &Connection, step: &TurnWrite, held: &Held) -> Result<()> {
    let sql = "INSERT INTO approvals (id, turn_id, conversation_id, user_id, subject, preview, status,
                                      asked_at, expires_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8)";
    execute(
        db,
        sql,
        params![
            held.approval.as_str(),
            step.turn.as_str(),
            step.conversation.as_str(),
            step.user.as_str(),
            to_json(&held.subject)?,
            held.preview,
            held.asked_at,
            held.expires_at
        ],
    )?;
    Ok(())
}

/// Uses an approval, once; what it allows beside the step itself happens here.
pub(super) fn consume(db: &Connection, id: &ApprovalId, step: &TurnWrite) -> Result<()> {
    let sql =
        "UPDATE approvals SET status = 'consumed' WHERE id = ?1 AND turn_id = ?2 AND status = 'approved'
               RETURNING subject";
    let subject: Option<Subject> =
        row(db, sql, params![id.as_str(), step.turn.as_str()], |row| from_json(&row.get::<_, String>(0)?))?;
    match subject {
        None => Err(StoreError::Stale("the approval was used or withdrawn")),
        Some(Subject::Budget { exceeded }) if exceeded.scope == Scope::User => {
            let Some(window) = turns::budget_window(db, &step.turn)? else {
                return Err(StoreError::Stale("there is no such turn"));
            };
            spend::raise(db, &step.user, window, Amount::only(exceeded.dimension, exceeded.raise))
        }
        Some(
            Subject::Budget { .. } | Subject::Tool { .. } | Subject::Commit { .. } | Subject::Host { .. },
        ) => Ok(()),
    }
}

/// Withdraws the questions of a turn that ended.
pub(super) fn void(db: &Connection, turn: &TurnId) -> Result<()> {
    let sql = "UPDATE approvals SET status = 'void' WHERE turn_id = ?1 AND status IN ('pending', 'approved')";
    execute(db, sql, [turn.as_str()])?;
    Ok(())
}

/// Answers a question, once, by compare-and-set.
///
/// # Errors
/// [`StoreError::Approval`] when it is unknown, not this person's, expired, or somebody was faster.
pub fn decide(db: &Connection, answer: &Answer) -> Result<Decided> {
    let asked = find(db, &answer.id)?.ok_or(Refusal::Unknown)?;
    // In a group it is also the question of those whose words led to it.
    let member = answer.member || inbound::spoke(db, &asked.turn, &answer.user)?;
    may_answer(&asked, &Answer { member, ..answer.clone() })?;
    fits(&asked.subject, answer.choice)?;
    let status = if answer.approve { Status::Approved } else { Status::Rejected };
    let sql = "UPDATE approvals SET status = ?2, decided_by = ?3, decided_at = ?4, reason = ?5, choice = ?6
               WHERE id = ?1 AND status = 'pending' AND expires_at > ?4";
    let (id, reason, choice) = (answer.id.as_str(), answer.reason.as_deref(), answer.choice.as_str());
    let params = params![id, status.as_str(), answer.by, answer.now, reason, choice];
    if execute(db, sql, params)? == 0 {
        return Err(match asked.status {
            Status::Pending | Status::Expired => Refusal::Expired,
            status => Refusal::Settled { status, by: asked.decided_by },
        }
        .into());
    }
    let by = answer.by.clone();
    let verdict = if answer.approve {
        Verdict::Approved { by }
    } else {
        Verdict::Rejected { by, reason: answer.reason.clone() }
    };
    let approval = find(db, &answer.id)?.ok_or(Refusal::Unknown)?;
    Ok(Decided { approval, verdict })
}

/// Closes the questions of a conversation whose time is over, and names them.
///
/// # Errors
/// When the store fails.
pub fn expire(db: &Connection, conversation: &ConversationId, now: Millis) -> Result<Vec<ApprovalId>> {
    let sql = "UPDATE approvals SET status = 'expired' WHERE conversation_id = ?1 AND status = 'pending'
               AND expires_at <= ?2 RETURNING id";
    rows(db, sql, params![conversation.as_str(), now], |row| Ok(ApprovalId::new(row.get::<_, String>(0)?)))
}

/// The answers to a turn's questions that it has not used.
pub(super) fn verdicts(db: &Connection, turn: &TurnId) -> Result<Vec<(ApprovalId, Verdict)>> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE turn_id = ?1");
    let approvals = rows(db, &sql, [turn.as_str()], read)?;
    Ok(approvals
        .into_iter()
        .filter_map(|approval| {
            let by = approval.decided_by.unwrap_or_default();
            let verdict = match approval.status {
                Status::Approved => Verdict::Approved { by },
                Status::Rejected => Verdict::Rejected { by, reason: approval.reason },
                Status::Expired => Verdict::Expired,
                Status::Pending | Status::Consumed | Status::Void => return None,
            };
            Some((approval.id, verdict))
        })
        .collect())
}

/// One question.
///
/// # Errors
/// When the store fails.
pub fn find(db: &Connection, id: &ApprovalId) -> Result<Option<Approval>> {
    let sql = format!("SELECT {COLUMNS} FROM approvals WHERE id = ?1");
    row(db, &sql, [id.as_str()], read)
}

/// Questions, newest first: of one user or of all, in one state or in all.
///
/// # Errors
/// When the store fails.
pub fn list(
    db: &Connection,
    user: Option<&UserId>,
    status: Option<Status>,
    limit: usize,
) -> Result<Vec<Approval>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM approvals
         WHERE (?1 IS NULL OR user_id = ?1) AND (?2 IS NULL OR status = ?2)
         ORDER BY asked_at DESC, id DESC LIMIT ?3"
    );
    let params = params![user.map(UserId::as_str), status.map(Status::as_str), limit as i64];
    rows(db, &sql, params, read)
}

pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Approval> {
    let (status, choice): (String, String) = (row.get(6)?, row.get(12)?);
    Ok(Approval {
        id: ApprovalId::new(row.get::<_, String>(0)?),
        turn: TurnId::new(row.get::<_, String>(1)?),
        conversation: ConversationId::new(row.get::<_, String>(2)?),
        user: UserId::new(row.get::<_, String>(3)?),
        subject: from_json(&row.get::<_, String>(4)?)?,
        preview: row.get(5)?,
        status: Status::parse(&status)
            .ok_or_else(|| StoreError::Corrupt(format!("approval status `{status}`")))?,
        asked_at: row.get(7)?,
        expires_at: row.get(8)?,
        decided_by: row.get(9)?,
        decided_at: row.get(10)?,
        reason: row.get(11)?,
        choice: Choice::parse(&choice)
            .ok_or_else(|| StoreError::Corrupt(format!("approval choice `{choice}`")))?,
    })
}
