//! Stories: what they say, how they may change, and what a change was.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ColumnRole, Refusal, check_text};
use crate::domain::{
    Millis,
    ids::{BotId, ColumnId, FileId, JobId, ProjectId, StoryId, UserId},
};

/// Longest description, and longest list of acceptance criteria, in characters.
const LONG: usize = 20_000;
/// Most labels, and most attachments.
const FEW: usize = 20;
/// Most points.
const POINTS: u32 = 1_000;

/// How urgent a story is; the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before everything.
    Critical,
    /// Soon.
    High,
    /// As it comes.
    #[default]
    Medium,
    /// When there is nothing else.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }
}

/// Whose story it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
pub enum Assignee {
    /// A person's.
    User(UserId),
    /// A bot's.
    Bot(BotId),
}

impl Assignee {
    /// `user` or `bot`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Bot(_) => "bot",
        }
    }

    /// Their id.
    pub fn id(&self) -> &str {
        match self {
            Self::User(id) => id.as_str(),
            Self::Bot(id) => id.as_str(),
        }
    }
}

/// A bot's hold on a story. The token that goes with it is [`Story::token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub bot: BotId,
    /// When it lapses, unless it is renewed.
    pub until: Millis,
}

/// A story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Its id.
    pub id: StoryId,
    /// Whose board it is on.
    pub project: ProjectId,
    /// Where it stands.
    pub column: ColumnId,
    /// Its place in the column, from 0.
    pub position: u64,
    /// What it is about.
    pub title: String,
    /// More of it.
    pub description: String,
    /// What must be so when it is done.
    pub acceptance_criteria: String,
    /// How urgent it is.
    pub priority: Priority,
    /// How much work it is thought to be.
    pub points: Option<u32>,
    /// Words to find it by.
    pub labels: Vec<String>,
    /// Files that go with it.
    pub attachments: Vec<FileId>,
    /// Whose it is.
    pub assignee: Option<Assignee>,
    /// What must be done before it.
    pub depends_on: Vec<StoryId>,
    /// Why nobody can work on it.
    pub blocked: Option<String>,
    /// How often work on it failed since it was last unblocked.
    pub failures: u32,
    /// The bot that holds it.
    pub claim: Option<Claim>,
    /// How often it was claimed. Also the fencing token of the claim that stands.
    pub token: u64,
    /// The job that works, or last worked, on it.
    pub job: Option<JobId>,
    /// Counts its changes.
    pub version: u64,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A story that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStory {
    /// Its id.
    pub id: StoryId,
    /// On whose board.
    pub project: ProjectId,
    /// In which column; the first with the role backlog by default.
    pub column: Option<ColumnId>,
    /// What it says. `title` must be there; `version` and `column` are not looked at.
    pub change: StoryChange,
}

/// A change to a story; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoryChange {
    /// The version that was seen.
    pub version: Option<u64>,
    /// What it is about.
    pub title: Option<String>,
    /// More of it.
    pub description: Option<String>,
    /// What must be so when it is done.
    pub acceptance_criteria: Option<String>,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// How much work; `Some(None)` for unknown.
    pub points: Option<Option<u32>>,
    /// Words to find it by.
    pub labels: Option<Vec<String>>,
    /// Files that go with it.
    pub attachments: Option<Vec<FileId>>,
    /// Whose it is; `Some(None)` for nobody's.
    pub assignee: Option<Option<Assignee>>,
    /// What must be done before it.
    pub depends_on: Option<Vec<StoryId>>,
    /// Why nobody can work on it; `Some(None)` unblocks it and forgets its failures.
    pub blocked: Option<Option<String>>,
    /// To which column.
    pub column: Option<ColumnId>,
    /// To which place in the column, from 0; the end by default.
    pub position: Option<u64>,
}

/// One field that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is called over REST.
    pub field: String,
    /// What it was.
    pub from: Value,
    /// What it is.
    pub to: Value,
}

/// An entry of a story's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its number; later ones are greater.
    pub id: i64,
    /// The version that the change made.
    pub version: u64,
    /// When.
    pub at: Millis,
    /// Who: `key:<name>`, `bot:<id>` or `system`.
    pub actor: String,
    /// What was done, in a word.
    pub action: String,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// Which stories of a project. What is `None` is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoryFilter {
    /// In this column.
    pub column: Option<ColumnId>,
    /// In a column with this role.
    pub role: Option<ColumnRole>,
    /// This person's or bot's, by id.
    pub assignee: Option<String>,
    /// As urgent as this.
    pub priority: Option<Priority>,
    /// With this label.
    pub label: Option<String>,
    /// Blocked, or not.
    pub blocked: Option<bool>,
    /// With these words in title or description.
    pub words: Option<String>,
    /// Only those among the first so many of their column.
    pub per_column: Option<u64>,
}

/// Checks what a change says on its own.
///
/// # Errors
/// [`Refusal::Bad`] with what is wrong.
pub fn check(change: &StoryChange) -> Result<(), Refusal> {
    let text = |what, text: &Option<String>, least, most, lines| match text {
        Some(text) => check_text(what, text, least, most, lines),
        None => Ok(()),
    };
    text("title", &change.title, 1, 200, false)?;
    text("description", &change.description, 0, LONG, true)?;
    text("acceptanceCriteria", &change.acceptance_criteria, 0, LONG, true)?;
    text("blocked", &change.blocked.clone().flatten(), 1, 2_000, true)?;
    if change.points.flatten().is_some_and(|points| points > POINTS) {
        return Err(Refusal::Bad(format!("storyPoints must be from 0 to {POINTS}")));
    }
    if let Some(labels) = &change.labels {
        labels.iter().try_for_each(|label| check_text("a label", label, 1, 40, false))?;
        few("labels", labels)?;
    }
    change.attachments.as_ref().map_or(Ok(()), |files| few("attachments", files))
}

fn few<T: PartialEq>(what: &str, list: &[T]) -> Result<(), Refusal> {
    if list.len() > FEW {
        return Err(Refusal::Bad(format!("a story has at most {FEW} {what}")));
    }
    match (1..list.len()).any(|at| list[..at].contains(&list[at])) {
        true => Err(Refusal::Bad(format!("{what} must not repeat themselves"))),
        false => Ok(()),
    }
}

/// The story after a change that was checked, as far as its words go: column, place and times are the store's.
/// A claim falls when the story is given to somebody else or leaves the columns of work (`role` is that of the
/// column where it stands afterwards): its token is worth nothing from then on.
pub fn revise(story: &Story, change: &StoryChange, role: Option<ColumnRole>) -> Story {
    let mut next = story.clone();
    let set = |field: &mut String, text: &Option<String>| {
        if let Some(text) = text {
            text.trim().clone_into(field);
        }
    };
    set(&mut next.title, &change.title);
    set(&mut next.description, &change.description);
    set(&mut next.acceptance_criteria, &change.acceptance_criteria);
    next.priority = change.priority.unwrap_or(story.priority);
    next.points = change.points.unwrap_or(story.points);
    if let Some(labels) = &change.labels {
        next.labels = labels.iter().map(|label| label.trim().to_owned()).collect();
    }
    next.attachments = change.attachments.clone().unwrap_or(next.attachments);
    next.assignee = change.assignee.clone().unwrap_or(next.assignee);
    if let Some(depends_on) = &change.depends_on {
        next.depends_on.clone_from(depends_on);
        next.depends_on.sort();
    }
    match &change.blocked {
        None => {}
        Some(Some(reason)) => next.blocked = Some(reason.trim().to_owned()),
        Some(None) => (next.blocked, next.failures) = (None, 0),
    }
    let keeps = next.claim.as_ref().is_some_and(|claim| {
        let others = next.assignee.as_ref().is_some_and(|one| *one != Assignee::Bot(claim.bot.clone()));
        !others && role == Some(ColumnRole::InProgress)
    });
    if !keeps {
        next.claim = None;
    }
    next
}

/// What differs between two states of a story, by the names that fields have over REST. The moment at which a claim
/// lapses is no change of the story.
pub fn diff(before: &Story, after: &Story) -> Vec<Change> {
    let (before, after) = (fields(before), fields(after));
    before
        .into_iter()
        .zip(after)
        .filter(|((_, from), (_, to))| from != to)
        .map(|((field, from), (_, to))| Change { field: field.to_owned(), from, to })
        .collect()
}

fn fields(story: &Story) -> [(&'static str, Value); 15] {
    [
        ("columnId", json!(story.column)),
        ("position", json!(story.position)),
        ("title", json!(story.title)),
        ("description", json!(story.description)),
        ("acceptanceCriteria", json!(story.acceptance_criteria)),
        ("priority", json!(story.priority)),
        ("storyPoints", json!(story.points)),
        ("labels", json!(story.labels)),
        ("attachments", json!(story.attachments)),
        ("assignee", json!(story.assignee)),
        ("dependsOn", json!(story.depends_on)),
        ("blocked", json!(story.blocked)),
        ("failures", json!(story.failures)),
        ("claimedBy", json!(story.claim.as_ref().map(|claim| &claim.bot))),
        ("jobId", json!(story.job)),
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn story(id: &str, column: &str) -> Story {
        Story {
            id: StoryId::new(id),
            project: ProjectId::new("p"),
            column: ColumnId::new(column),
            position: 0,
            title: "t".into(),
            description: String::new(),
            acceptance_criteria: String::new(),
            priority: Priority::Medium,
            points: None,
            labels: vec![],
            attachments: vec![],
            assignee: None,
            depends_on: vec![],
            blocked: None,
            failures: 0,
            claim: None,
            token: 0,
            job: None,
            version: 1,
            created_at: 0,
            updated_at: 0,
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_name() {
        let base = StoryChange::default;
        let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
        for (change, word) in [
            (StoryChange { title: Some("  ".into()), ..base() }, "title"),
            (StoryChange { title: Some("x".repeat(201)), ..base() }, "title"),
            (StoryChange { title: Some("a\nb".into()), ..base() }, "title"),
            (StoryChange { description: Some("x".repeat(20_001)), ..base() }, "description"),
            (StoryChange { acceptance_criteria: Some("\u{0}".into()), ..base() }, "acceptanceCriteria"),
            (StoryChange { blocked: Some(Some(" ".into())), ..base() }, "blocked"),
            (StoryChange { points: Some(Some(1_001)), ..base() }, "storyPoints"),
            (StoryChange { labels: Some(many), ..base() }, "labels"),
            (StoryChange { labels: Some(vec!["a".into(), "a".into()]), ..base() }, "labels"),
            (StoryChange { labels: Some(vec![String::new()]), ..base() }, "label"),
            (
                StoryChange { attachments: Some(vec![FileId::new("f"), FileId::new("f")]), ..base() },
                "attachments",
            ),
        ] {
            let Err(Refusal::Bad(why)) = check(&change) else { panic!("{change:?}") };
            assert!(why.contains(word), "{why}");
        }
        let fine = StoryChange { description: Some("a\n\tb".into()), points: Some(None), ..base() };
        assert_eq!(check(&fine), Ok(()));
    }

    #[test]
    fn a_difference_names_each_field_once() {
        let before = story("s", "todo");
        let change = StoryChange {
            title: Some(" new ".into()),
            points: Some(Some(3)),
            labels: Some(vec![" ui".into()]),
            blocked: Some(Some("no key".into())),
            ..Default::default()
        };
        let after = revise(&before, &change, Some(ColumnRole::Todo));
        let changes = diff(&before, &after);
        let names: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(names, ["title", "storyPoints", "labels", "blocked"]);
        assert_eq!((&changes[0].from, &changes[0].to), (&json!("t"), &json!("new")));
        assert_eq!(diff(&after, &revise(&after, &change, None)), []);
    }

    #[test]
    fn unblocking_forgets_the_failures() {
        let blocked = Story { blocked: Some("x".into()), failures: 3, ..story("s", "todo") };
        let free = StoryChange { blocked: Some(None), ..Default::default() };
        let next = revise(&blocked, &free, Some(ColumnRole::Todo));
        assert_eq!((next.blocked, next.failures), (None, 0));
    }

    #[test]
    fn a_claim_falls_when_the_story_goes_elsewhere() {
        let claim = Claim { bot: BotId::new("b"), until: 9 };
        let held = Story { claim: Some(claim), token: 4, ..story("s", "doing") };
        let give = |to| StoryChange { assignee: Some(to), ..Default::default() };
        let other = Some(Assignee::User(UserId::new("ann")));
        let own = Some(Assignee::Bot(BotId::new("b")));
        let doing = Some(ColumnRole::InProgress);
        for (change, role, keeps) in [
            (StoryChange::default(), doing, true),
            (give(own), doing, true),
            (give(None), doing, true),
            (give(other), doing, false),
            (StoryChange::default(), Some(ColumnRole::Todo), false),
            (StoryChange::default(), Some(ColumnRole::Review), false),
        ] {
            let next = revise(&held, &change, role);
            assert_eq!((next.claim.is_some(), next.token), (keeps, 4), "{change:?} {role:?}");
        }
    }
}
