//! A job as it is asked for, stored and shown: everything beside its journal.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Candidate, Entry, Outcome},
    state::{Job, Phase},
};
use crate::domain::{
    Millis,
    approval::{Choice, Subject, Verdict},
    bot::Engine,
    budget::{Amount, Caps, Exceeded},
    ids::{ApprovalId, BotId, ConversationId, JobId, ProjectId, StoryId, UserId},
    journal::ModelCall,
    message::FileRef,
    model::Usage,
    outbound::OutboxRow,
};

/// Who goes first when there is not room for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// A person waits for it.
    #[default]
    Interactive,
    /// A bot found it on its board.
    Proactive,
    /// Its time came.
    Scheduled,
}

impl Priority {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Proactive => "proactive",
            Self::Scheduled => "scheduled",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Interactive, Self::Proactive, Self::Scheduled].into_iter().find(|one| one.as_str() == text)
    }
}

/// How much somebody wants to hear of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verbosity {
    /// Where it stands.
    Quiet,
    /// Also what it says, runs and changes.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

impl Verbosity {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Normal => "normal",
            Self::Verbose => "verbose",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Quiet, Self::Normal, Self::Verbose].into_iter().find(|one| one.as_str() == text)
    }
}

/// The story that a job works on, and the fencing token of the claim under which it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForStory {
    /// The story.
    pub story: StoryId,
    /// The token.
    pub token: u64,
}

/// A job as it is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id: short, of letters and digits.
    pub id: JobId,
    /// In which project.
    pub project: ProjectId,
    /// Whose work it is: whose budget, whose questions. For a bot's job `bot:` and the bot's id.
    pub user: UserId,
    /// Who asked, for the audit log and the story's history: `key:<name>`, `bot:<id>`, `schedule:<id>`.
    pub actor: String,
    /// In one line.
    pub title: String,
    /// What is to be done.
    pub instruction: String,
    /// What the engine is told beside that: a bot's system prompt and what it remembers. Empty for nothing.
    pub system: String,
    /// What does the work.
    pub engine: Engine,
    /// Which model; `None` for the engine's own choice.
    pub model: Option<String>,
    /// Who goes first.
    pub priority: Priority,
    /// What is told of it where it was asked for.
    pub verbosity: Verbosity,
    /// Where its end and its questions are posted to, signed.
    pub callback_url: Option<String>,
    /// The bot that does it.
    pub bot: Option<BotId>,
    /// The story that it is about.
    pub story: Option<ForStory>,
    /// Files that lie in the workspace.
    pub attachments: Vec<FileRef>,
    /// It only looks and proposes stories: nothing of what it changes is taken over.
    pub discovery: bool,
    /// The conversation that it was asked for in, where its person hears of it.
    pub conversation: Option<ConversationId>,
    /// When.
    pub at: Millis,
}

/// Where a job stands, as its row says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Head {
    /// [`Phase::as_str`].
    pub state: String,
    /// It is over, until somebody continues it.
    pub over: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why, or what it waits for.
    pub text: String,
    /// The branch that it works on.
    pub branch: Option<String>,
    /// What came out.
    pub candidate: Option<Candidate>,
    /// What the engine claims to have done.
    pub claim: String,
    /// The pull request.
    pub url: Option<String>,
    /// The question that it waits for.
    pub approval: Option<ApprovalId>,
}

impl Head {
    /// Somebody works on it, or will: it does not wait for a person's word about work that came out, and is not on its
    /// way out.
    pub fn at_work(&self) -> bool {
        !self.over && !matches!(self.state.as_str(), "awaiting_approval" | "pushing" | "requesting")
    }

    /// What the row of this job says.
    pub fn of(job: &Job) -> Self {
        let (outcome, text) = match job.phase() {
            Phase::Over(closed) => (Some(closed.outcome), closed.text.clone()),
            Phase::Parked(wait) => (None, wait.why().to_owned()),
            _ => (None, String::new()),
        };
        Self {
            state: job.phase().as_str().to_owned(),
            over: outcome.is_some(),
            outcome,
            text,
            branch: job.branch().map(str::to_owned),
            candidate: job.candidate().cloned(),
            claim: job.claim().to_owned(),
            url: job.url().map(str::to_owned),
            approval: job.open_approval().cloned(),
        }
    }
}

/// What a job used of models so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// Money and time; what was prepaid and not settled is in it.
    pub amount: Amount,
    /// What people added to its budget.
    pub raised: Amount,
}

/// A stored job.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// As it was asked for.
    pub asked: NewTask,
    /// Where it stands.
    pub head: Head,
    /// What it used.
    pub spent: Spent,
    /// When a worker took it up first.
    pub started_at: Option<Millis>,
    /// When it ended last.
    pub ended_at: Option<Millis>,
    /// When it was last written.
    pub updated_at: Millis,
}

/// A question of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name.
    pub id: ApprovalId,
    /// What is asked for.
    pub subject: Subject,
    /// The same in words: everything that a person must know.
    pub preview: String,
    /// When it expires.
    pub expires_at: Millis,
}

/// Everything that one step of a job stores, in one transaction. Cards and journals of bots move with it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobWrite {
    /// The job.
    pub job: JobId,
    /// Journal index of the first entry: refused when it is not the next.
    pub first: usize,
    /// New journal entries.
    pub entries: Vec<Entry>,
    /// Where the job stands after them.
    pub head: Head,
    /// Questions that are asked.
    pub asks: Vec<Question>,
    /// Questions that are withdrawn.
    pub withdraws: Vec<ApprovalId>,
    /// Approvals that are used now, each once: what they allow beyond the job happens here.
    pub uses: Vec<ApprovalId>,
    /// When.
    pub now: Millis,
    /// How long the claim on its story holds from now, in milliseconds.
    pub lease_ms: i64,
}

/// What a stored step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct JobWritten {
    /// The job after it.
    pub task: Task,
    /// Messages that are to go out now.
    pub outbox: Vec<OutboxRow>,
}

/// An answer to a question of a job that it has not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The question.
    pub approval: ApprovalId,
    /// What it is about.
    pub subject: Subject,
    /// The answer.
    pub verdict: Verdict,
    /// In which way.
    pub choice: Choice,
}

/// A job, as it is found in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Its row.
    pub task: Task,
    /// Its journal.
    pub entries: Vec<Entry>,
    /// Answers that it has not used.
    pub answered: Vec<Answered>,
    /// Questions that wait for a person.
    pub pending: Vec<(ApprovalId, Subject)>,
    /// Hosts that people allowed for this job.
    pub hosts: Vec<String>,
}

/// A model call that a job wants to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepayment {
    /// The job.
    pub job: JobId,
    /// What it may cost at worst.
    pub worst: Amount,
    /// Most that one job may spend, from the configuration; a bot's own caps are in its row.
    pub job_caps: Caps,
    /// Most that one user may spend in a day.
    pub user_caps: Caps,
    /// When.
    pub now: Millis,
}

/// What came of asking for one: `Err` when a budget has no room, and nothing was charged.
pub type Prepaid = Result<Amount, Exceeded>;

/// A model call that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// The job.
    pub job: JobId,
    /// What was prepaid.
    pub prepaid: Amount,
    /// When.
    pub prepaid_at: Millis,
    /// What it came to; `None` when it was never made.
    pub call: Option<ModelCall>,
    /// When.
    pub now: Millis,
}

/// Which jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only those of projects that this person is in.
    pub member: Option<UserId>,
    /// Of this person.
    pub user: Option<UserId>,
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of this bot.
    pub bot: Option<BotId>,
    /// Of this story.
    pub story: Option<StoryId>,
    /// In this state.
    pub state: Option<String>,
    /// Only those that are over, or that are not.
    pub over: Option<bool>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A job of a person, as tests ask for it.
    pub(crate) fn task(id: &str) -> NewTask {
        NewTask {
            id: JobId::new(id),
            project: ProjectId::new("p"),
            user: UserId::new("ann"),
            actor: "key:ann".into(),
            title: "mend the test".into(),
            instruction: "mend the test".into(),
            system: String::new(),
            engine: Engine::Native,
            model: None,
            priority: Priority::Interactive,
            verbosity: Verbosity::Normal,
            callback_url: None,
            bot: None,
            story: None,
            attachments: vec![],
            discovery: false,
            conversation: None,
            at: 1,
        }
    }

    #[test]
    fn a_row_says_where_the_job_stands_and_words_are_read_as_they_are_written() {
        let mut job = Job::new(super::super::Opening { instruction: "x".into(), discovery: false });
        assert_eq!(Head::of(&job).state, "queued");
        job.step(&super::super::tests::LIMITS, super::super::Event::Cancel);
        let head = Head::of(&job);
        assert_eq!(
            (head.over, head.outcome, head.text.as_str()),
            (true, Some(Outcome::Cancelled), "cancelled")
        );
        for priority in [Priority::Interactive, Priority::Proactive, Priority::Scheduled] {
            assert_eq!(Priority::parse(priority.as_str()), Some(priority));
        }
        for verbosity in [Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose] {
            assert_eq!(Verbosity::parse(verbosity.as_str()), Some(verbosity));
        }
        let standing = |state: &str, over| Head { state: state.into(), over, ..Head::default() };
        for (state, over, at_work) in [
            ("queued", false, true),
            ("running", false, true),
            ("parked", false, true),
            ("awaiting_approval", false, false),
            ("pushing", false, false),
            ("done", true, false),
        ] {
            assert_eq!(standing(state, over).at_work(), at_work, "{state}");
        }
        let quiet = serde_json::from_str::<Head>("{}").unwrap();
        assert_eq!(quiet, Head::default());
    }
}
