//! A question to a person: one row, bound to one exact action, answered once.

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    budget::Exceeded,
    ids::{ApprovalId, ConversationId, JobId, TurnId, UserId},
};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Subject {
    /// To run one tool call.
    Tool {
        /// The tool.
        tool: String,
        /// [`super::skill::action_hash`] of tool and arguments.
        action: String,
    },
    /// To raise a budget.
    Budget {
        /// What was exceeded, and by how much the cap grows.
        exceeded: Exceeded,
    },
    /// To let exactly this commit leave the machine.
    Commit {
        /// The job that made it.
        job: JobId,
        /// The commit.
        commit: String,
        /// Its tree: what the answer is bound to.
        tree: String,
    },
    /// To let a job reach a host.
    Host {
        /// The job.
        job: JobId,
        /// The host.
        host: String,
    },
}

/// In which way a question is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// As it was asked. A host is allowed until the engine ends.
    #[default]
    Plain,
    /// A commit is pushed without a pull request.
    NoRequest,
    /// A host is allowed for all of the job.
    Job,
    /// A host is allowed for all jobs of the project.
    Project,
}

impl Choice {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::NoRequest => "no_request",
            Self::Job => "job",
            Self::Project => "project",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Plain, Self::NoRequest, Self::Job, Self::Project].into_iter().find(|one| one.as_str() == text)
    }
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody has answered.
    Pending,
    /// Allowed, not yet used.
    Approved,
    /// Refused.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// Allowed and used: it is worth nothing any more.
    Consumed,
    /// The work that asked has ended.
    Void,
}

impl Status {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Consumed => "consumed",
            Self::Void => "void",
        }
    }

    /// Reads a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Rejected, Self::Expired, Self::Consumed, Self::Void]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// A person's answer, or the lack of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Approved {
        /// Who said so.
        by: String,
    },
    /// Do not.
    Rejected {
        /// Who said so.
        by: String,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Nobody answered in time.
    Expired,
}

/// A stored approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its name.
    pub id: ApprovalId,
    /// The turn that asked.
    pub turn: TurnId,
    /// The conversation it was asked in.
    pub conversation: ConversationId,
    /// Whose work it is; they and every owner may answer.
    pub user: UserId,
    /// What is asked for.
    pub subject: Subject,
    /// What a person is shown: the exact action in words.
    pub preview: String,
    /// Where it stands.
    pub status: Status,
    /// When it was asked.
    pub asked_at: Millis,
    /// When it expires.
    pub expires_at: Millis,
    /// Who answered.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Millis>,
    /// Why, in their words.
    pub reason: Option<String>,
    /// In which way.
    #[serde(default)]
    pub choice: Choice,
}

/// The channel of the conversations that jobs ask in: `job/<user>/<job>`.
pub const JOB_CHANNEL: &str = "job";

impl Approval {
    /// The job that asked; `None` when a turn did.
    pub fn job(&self) -> Option<JobId> {
        (self.conversation.channel() == JOB_CHANNEL).then(|| JobId::new(self.conversation.name()))
    }
}

/// Somebody's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The question.
    pub id: ApprovalId,
    /// Go on, or do not.
    pub approve: bool,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Who answers, for the record.
    pub by: String,
    /// The same for the audit log: `key:<name>` or `user:<id>`.
    pub actor: String,
    /// The user who answers.
    pub user: UserId,
    /// They are an owner: they may answer for everybody, and raise budgets.
    pub owner: bool,
    /// They may answer for the project that asks: its developers and owners may.
    pub member: bool,
    /// In which way they answer.
    pub choice: Choice,
    /// When.
    pub now: Millis,
}

/// Checks that this person may answer this question.
///
/// # Errors
/// [`Refusal::Unknown`] for another user's question, [`Refusal::OwnersOnly`] for a budget.
pub fn may_answer(approval: &Approval, answer: &Answer) -> Result<(), Refusal> {
    let theirs = approval.user == answer.user;
    match &approval.subject {
        _ if answer.owner => Ok(()),
        Subject::Commit { .. } if theirs || answer.member => Ok(()),
        Subject::Budget { .. } | Subject::Host { .. } if theirs || answer.member => Err(Refusal::OwnersOnly),
        Subject::Tool { .. } if theirs || answer.member => Ok(()),
        _ => Err(Refusal::Unknown),
    }
}

/// Checks that a question of this kind can be answered in this way.
///
/// # Errors
/// [`Refusal::Choice`] when it cannot.
pub fn fits(subject: &Subject, choice: Choice) -> Result<(), Refusal> {
    match (subject, choice) {
        (_, Choice::Plain)
        | (Subject::Commit { .. }, Choice::NoRequest)
        | (Subject::Host { .. }, Choice::Job | Choice::Project) => Ok(()),
        (_, choice) => Err(Refusal::Choice(choice)),
    }
}

/// Why an answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such approval (or none this person may see).
    #[error("there is no such approval")]
    Unknown,
    /// Somebody was faster, or it was used.
    #[error("already {}{}", .status.as_str(), .by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    Settled {
        /// Where it stands.
        status: Status,
        /// Who decided.
        by: Option<String>,
    },
    /// It was asked too long ago.
    #[error("expired: ask for the work again")]
    Expired,
    /// It takes somebody else.
    #[error("only an owner may raise a budget or open the network to a job")]
    OwnersOnly,
    /// It is another kind of question.
    #[error(
        "this question cannot be answered with `{}`: a commit takes `plain` or `no_request`, a host `plain`, `job` or \
         `project`, anything else only `plain`",
        .0.as_str()
    )]
    Choice(Choice),
}
