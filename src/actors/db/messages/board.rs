//! What the store is asked about projects, boards, stories and bots.

use std::collections::BTreeMap;

use crate::domain::{
    access::Role,
    audit::Act,
    board::{Board, BoardChange, By, Changed, Grant, NewStory, Outcome, Story, StoryChange, StoryFilter},
    bot::{
        Bot, BotChange, BotState,
        journal::{Entry, EntryKind},
    },
    ids::*,
    project::{Project, ProjectChange},
};

use super::message;

/// Which project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectOf {
    /// This one.
    Id(ProjectId),
    /// The one that a story is in.
    Story(StoryId),
    /// The one that a bot works on.
    Bot(BotId),
    /// The one that a job works in.
    Job(JobId),
    /// The one that the job works in that asks this.
    Approval(ApprovalId),
}

message!(
    /// Stores a project with its board.
    CreateProject { /// The project.
        project: Project, /// Its board.
        board: Board, /// For the audit log.
        act: Act } -> Project
);
message!(
    /// Changes a project.
    ChangeProject { /// Which.
        id: ProjectId, /// What.
        change: ProjectChange, /// For the audit log.
        act: Act } -> Project
);
message!(
    /// Gives somebody a role in a project, or takes it.
    SetMember { /// In which.
        id: ProjectId, /// Whom.
        user: UserId, /// Which role; `None` for none.
        role: Option<Role>, /// For the audit log.
        act: Act } -> Project
);
message!(
    /// Removes a project with all that is in it.
    RemoveProject { /// Which.
        id: ProjectId, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Changes a board.
    ChangeBoard { /// Of which project.
        project: ProjectId, /// What.
        change: BoardChange, /// For the audit log.
        act: Act } -> Board
);
message!(
    /// Stores a story.
    CreateStory { /// The story.
        story: NewStory, /// Who, and when.
        by: By } -> Story
);
message!(
    /// Changes a story, and moves it.
    ChangeStory { /// Which.
        id: StoryId, /// What.
        change: StoryChange, /// Who, and when.
        by: By } -> Story
);
message!(
    /// Removes a story.
    RemoveStory { /// Which.
        id: StoryId, /// The version that was seen.
        version: Option<u64>, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Stores a bot.
    CreateBot { /// The bot.
        bot: Bot, /// For the audit log.
        act: Act } -> Bot
);
message!(
    /// Changes a bot: how it works, and whether.
    ChangeBot { /// Which.
        id: BotId, /// What.
        change: BotChange, /// For the audit log.
        act: Act } -> Bot
);
message!(
    /// Removes a bot with its journal; what it holds goes back.
    RemoveBot { /// Which.
        id: BotId, /// For the audit log.
        act: Act } -> ()
);
message!(
    /// Gives a bot the next story, if it may have one and there is one.
    ClaimStory { /// Who.
        bot: BotId, /// For how long, in milliseconds.
        lease_ms: i64, /// Who asks, and when.
        by: By } -> Option<Grant>
);
message!(
    /// Prolongs a claim.
    RenewClaim { /// On which story.
        story: StoryId, /// Under which token.
        token: u64, /// For how long from now, in milliseconds.
        lease_ms: i64, /// The job that works under it; `None` leaves the one that is noted.
        job: Option<JobId>, /// Who asks, and when.
        by: By } -> Grant
);
message!(
    /// Ends a claim with what came of it.
    ReleaseClaim { /// On which story.
        story: StoryId, /// Under which token.
        token: u64, /// What came of it.
        outcome: Outcome, /// Who says so, and when.
        by: By } -> Story
);
message!(
    /// Writes into a bot's journal. One whose id is known is written already.
    AddEntry { /// The entry.
        entry: Entry } -> Entry
);

message!(
    /// A project with its members.
    FindProject { /// Which.
        of: ProjectOf } -> Option<Project>
);
message!(
    /// Projects by id, and how many there are.
    ListProjects { /// Only those that this person is in.
        member: Option<UserId>, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Project>, u64)
);
message!(
    /// A board, and how many stories each column has; columns without any are left out.
    GetBoard { /// Of which project.
        project: ProjectId } -> (Board, BTreeMap<ColumnId, u64>)
);
message!(
    /// One story.
    GetStory { /// Which.
        id: StoryId } -> Option<Story>
);
message!(
    /// Stories in the order of the board, and how many fit.
    ListStories { /// Of which project.
        project: ProjectId, /// Which of them.
        filter: StoryFilter, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Story>, u64)
);
message!(
    /// What was done to a story, newest first, and how much that is.
    StoryHistory { /// Which.
        id: StoryId, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Changed>, u64)
);
message!(
    /// One bot.
    GetBot { /// Which.
        id: BotId } -> Option<Bot>
);
message!(
    /// Bots by project and name, and how many fit.
    ListBots { /// Only those of projects that this person is in.
        member: Option<UserId>, /// Of this project.
        project: Option<ProjectId>, /// In this state.
        state: Option<BotState>, /// How many at most.
        limit: usize, /// How many to skip.
        offset: usize } -> (Vec<Bot>, u64)
);
message!(
    /// Entries of a journal, newest first.
    ListEntries { /// Whose.
        bot: BotId, /// Of this kind.
        kind: Option<EntryKind>, /// With all these words.
        query: Option<String>, /// Older than this one.
        before: Option<EntryId>, /// How many at most.
        limit: usize } -> Vec<Entry>
);
message!(
    /// What a bot is reminded of, the oldest first.
    Recall { /// Whom.
        bot: BotId, /// In how many tokens at most.
        max_tokens: u64 } -> Vec<Entry>
);
