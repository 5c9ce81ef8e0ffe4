//! What things look like in JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{
    Millis,
    approval::{Approval, Subject},
    audit::Row,
    budget::Amount,
    journal::WhileBusy,
    memory::Memory,
    records::{CostLine, KeyInfo, User},
};

/// A moment as RFC 3339 text in UTC.
pub(super) fn time(at: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(at)
        .map(|utc| utc.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        .unwrap_or_default()
}

/// Reads RFC 3339 text, or a day such as `2026-11-21` (its beginning in UTC).
pub(super) fn read_time(text: &str) -> Option<Millis> {
    if let Ok(moment) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_millis());
    }
    let day = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

/// A remembered fact.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemoryShape {
    id: String,
    user_id: String,
    content: String,
    category: String,
    tags: Vec<String>,
    importance: f64,
    uses: u64,
    source: String,
    created_at: String,
    updated_at: String,
}

impl From<Memory> for MemoryShape {
    fn from(memory: Memory) -> Self {
        Self {
            id: memory.id.to_string(),
            user_id: memory.user_id.to_string(),
            content: memory.content,
            category: memory.category,
            tags: memory.tags,
            importance: memory.importance,
            uses: memory.uses,
            source: memory.source,
            created_at: time(memory.created_at),
            updated_at: time(memory.updated_at),
        }
    }
}

/// A question to a person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApprovalShape {
    id: String,
    /// `tool` or `budget`.
    kind: &'static str,
    user_id: String,
    conversation_id: String,
    turn_id: String,
    /// Exactly what would be done.
    preview: String,
    /// What exactly it is bound to: the hash of tool and arguments, the tree of a commit, a host; empty for a budget.
    action: String,
    /// `pending`, `approved`, `rejected`, `expired`, `consumed` or `void`.
    status: &'static str,
    asked_at: String,
    expires_at: String,
    decided_by: Option<String>,
    decided_at: Option<String>,
    reason: Option<String>,
}

impl From<Approval> for ApprovalShape {
    fn from(approval: Approval) -> Self {
        let (kind, action) = match approval.subject {
            Subject::Tool { action, .. } => ("tool", action),
            Subject::Budget { .. } => ("budget", String::new()),
            Subject::Commit { tree, .. } => ("commit", tree),
            Subject::Host { host, .. } => ("host", host),
        };
        Self {
            id: approval.id.to_string(),
            kind,
            user_id: approval.user.to_string(),
            conversation_id: approval.conversation.name().to_owned(),
            turn_id: approval.turn.to_string(),
            preview: approval.preview,
            action,
            status: approval.status.as_str(),
            asked_at: time(approval.asked_at),
            expires_at: time(approval.expires_at),
            decided_by: approval.decided_by,
            decided_at: approval.decided_at.map(time),
            reason: approval.reason,
        }
    }
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserShape {
    id: String,
    name: String,
    /// `queue`, `steer`, `interrupt`, or nothing for what is configured.
    while_busy: Option<&'static str>,
    created_at: String,
}

impl From<User> for UserShape {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            while_busy: user.while_busy.map(WhileBusy::as_str),
            created_at: time(user.created_at),
        }
    }
}

/// An API key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyShape {
    id: String,
    name: String,
    /// `owner`, `developer` or `viewer`.
    role: &'static str,
    user_id: String,
    acts_for_others: bool,
    created_at: String,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<KeyInfo> for KeyShape {
    fn from(key: KeyInfo) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            role: key.role.as_str(),
            user_id: key.user_id.to_string(),
            acts_for_others: key.acts_for_others,
            created_at: time(key.created_at),
            last_used_at: key.last_used_at.map(time),
            revoked_at: key.revoked_at.map(time),
        }
    }
}

/// A line of costs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CostShape {
    /// The day, model, user or conversation.
    key: String,
    calls: u64,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    usd: f64,
}

impl From<CostLine> for CostShape {
    fn from(line: CostLine) -> Self {
        Self {
            key: line.key,
            calls: line.calls,
            input_tokens: line.input_tokens,
            cached_tokens: line.cached_tokens,
            output_tokens: line.output_tokens,
            usd: line.micro_usd as f64 / 1e6,
        }
    }
}

/// A quantity of everything that is limited.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AmountShape {
    tokens: u64,
    usd: f64,
    tool_calls: u64,
    seconds: f64,
}

impl From<Amount> for AmountShape {
    fn from(amount: Amount) -> Self {
        Self {
            tokens: amount.tokens,
            usd: amount.micros as f64 / 1e6,
            tool_calls: amount.tool_calls,
            seconds: amount.time_ms as f64 / 1e3,
        }
    }
}

/// A row of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditShape {
    seq: i64,
    at: String,
    actor: String,
    action: String,
    subject: String,
    details: String,
    prev: String,
    hash: String,
}

impl From<Row> for AuditShape {
    fn from(row: Row) -> Self {
        Self {
            seq: row.seq,
            at: time(row.act.at),
            actor: row.act.actor,
            action: row.act.action,
            subject: row.act.subject,
            details: row.act.details,
            prev: row.prev,
            hash: row.hash,
        }
    }
}
