//! What tasks, their evidence, logs and requests look like in JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    domain::{
        gateway::{EgressKind, EgressRecord, Verdict},
        job::{Entry, Outcome, Task, VerifyRun},
    },
    ports::job_files::LogLine,
};

use super::shapes::time;

/// A check of the project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceShape {
    command: String,
    /// How it ended; nothing when it was ended by its time.
    exit: Option<i64>,
    /// The end of what it said.
    tail: String,
}

impl From<&VerifyRun> for EvidenceShape {
    fn from(run: &VerifyRun) -> Self {
        Self { command: run.command.clone(), exit: run.exit, tail: run.tail.clone() }
    }
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskShape {
    id: String,
    project_id: String,
    user_id: String,
    title: String,
    instruction: String,
    /// `queued`, `preparing`, `running`, `verifying`, `committing`, `awaiting_approval`, `pushing`, `requesting`,
    /// `parked`; or, when it is over, `done`, `unchanged`, `rejected`, `failed`, `cancelled`.
    status: String,
    /// `native`, `claude-code` or `codex`.
    engine_type: &'static str,
    model: Option<String>,
    /// `interactive`, `proactive` or `scheduled`.
    priority: &'static str,
    /// `quiet`, `normal` or `verbose`.
    verbosity: &'static str,
    /// Ids of files.
    attachments: Vec<String>,
    /// What the engine claims to have done.
    output: Option<String>,
    /// Why it failed.
    error: Option<String>,
    /// Why it ended, or what it waits for.
    text: String,
    branch: Option<String>,
    commit_sha: Option<String>,
    /// What an approval is bound to.
    tree: Option<String>,
    /// What changed, in a line.
    stat: Option<String>,
    /// What a person should look at.
    flags: Vec<String>,
    pr_url: Option<String>,
    /// The question that it waits for.
    approval_id: Option<String>,
    /// From when it was first taken up until it ended.
    duration_ms: Option<i64>,
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: f64,
    bot_id: Option<String>,
    story_id: Option<String>,
    created_at: String,
    updated_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    /// What the project's checks came to last; only where one task is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Vec<EvidenceShape>>,
}

impl TaskShape {
    /// A task with what its checks came to last.
    pub(super) fn with_evidence(task: Task, entries: &[Entry]) -> Self {
        let runs = entries.iter().rev().find_map(|entry| match entry {
            Entry::Verified { runs, .. } => Some(runs.as_slice()),
            _ => None,
        });
        let evidence = runs.unwrap_or_default().iter().map(EvidenceShape::from).collect();
        Self { evidence: Some(evidence), ..task.into() }
    }
}

impl From<Task> for TaskShape {
    fn from(task: Task) -> Self {
        let Task { asked, head, spent, started_at, ended_at, updated_at } = task;
        let failed = head.outcome == Some(Outcome::Failed);
        let (mut commit_sha, mut tree, mut stat, mut flags) = (None, None, None, Vec::new());
        if let Some(candidate) = head.candidate {
            (commit_sha, tree, stat) = (Some(candidate.commit), Some(candidate.tree), Some(candidate.stat));
            flags = candidate.flags;
        }
        Self {
            id: asked.id.to_string(),
            project_id: asked.project.to_string(),
            user_id: asked.user.to_string(),
            title: asked.title,
            instruction: asked.instruction,
            status: head.state,
            engine_type: asked.engine.as_str(),
            model: asked.model,
            priority: asked.priority.as_str(),
            verbosity: asked.verbosity.as_str(),
            attachments: asked.attachments.iter().map(|file| file.id.to_string()).collect(),
            output: (!head.claim.is_empty()).then_some(head.claim),
            error: failed.then(|| head.text.clone()),
            text: head.text,
            branch: head.branch,
            commit_sha,
            tree,
            stat,
            flags,
            pr_url: head.url,
            approval_id: head.approval.map(|approval| approval.to_string()),
            duration_ms: started_at.zip(ended_at).map(|(from, to)| (to - from).max(0)),
            input_tokens: spent.usage.input,
            output_tokens: spent.usage.output,
            cost_usd: spent.amount.micros as f64 / 1e6,
            bot_id: asked.bot.map(|bot| bot.to_string()),
            story_id: asked.story.map(|on| on.story.to_string()),
            created_at: time(asked.at),
            updated_at: time(updated_at),
            started_at: started_at.map(time),
            ended_at: ended_at.map(time),
            evidence: None,
        }
    }
}

/// A line of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineShape {
    /// Its number; numbers of lines that were let go are not used again.
    seq: u64,
    at: String,
    /// What it tells: an object whose `type` is `state`, `note`, `engine`, `check` or `egress`.
    #[schema(value_type = Object)]
    event: Value,
}

impl From<&LogLine> for LineShape {
    fn from(line: &LogLine) -> Self {
        let event = serde_json::to_value(&line.event).unwrap_or_default();
        Self { seq: line.seq, at: time(line.at), event }
    }
}

/// A request that a task's sandbox made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EgressShape {
    at: String,
    /// `model`, `tunnel` or `other`.
    kind: &'static str,
    host: String,
    /// `allowed`, `refused`, `cut` or `failed`.
    verdict: &'static str,
    /// Why, unless it was allowed.
    why: Option<String>,
    /// Bytes that left the sandbox.
    sent: u64,
    /// Bytes that came back.
    received: u64,
    ms: u64,
}

impl From<EgressRecord> for EgressShape {
    fn from(record: EgressRecord) -> Self {
        let (verdict, why) = match record.verdict {
            Verdict::Allowed => ("allowed", None),
            Verdict::Refused { why, .. } => ("refused", Some(why)),
            Verdict::Cut(why) => ("cut", Some(why)),
            Verdict::Failed(why) => ("failed", Some(why)),
        };
        let kind = match record.kind {
            EgressKind::Model => "model",
            EgressKind::Tunnel => "tunnel",
            EgressKind::Other => "other",
        };
        let EgressRecord { at, host, sent, received, ms, .. } = record;
        Self { at: time(at), kind, host, verdict, why, sent, received, ms }
    }
}
