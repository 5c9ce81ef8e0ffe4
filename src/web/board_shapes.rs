//! What projects, boards, stories, bots and journals look like in JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    access::Role,
    board::{Assignee, Board, Changed, Column, ColumnRole, Grant, Story},
    bot::{Bot, BotState, journal::Entry},
    ids::UserId,
    project::{ForgeKind, ForgeSettings, Limits, Project, Settings},
};

use super::shapes::time;

/// Where pull requests are opened. Secrets stay in the server's environment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForgeShape {
    /// `github`, `gitea` (also for Forgejo) or `gitlab`.
    kind: &'static str,
    /// Where its API is; nothing for the public one.
    api_url: Option<String>,
    /// The name of the environment variable that holds the token.
    token_env: Option<String>,
}

impl From<ForgeSettings> for ForgeShape {
    fn from(forge: ForgeSettings) -> Self {
        Self { kind: ForgeKind::as_str(forge.kind), api_url: forge.api_url, token_env: forge.token_env }
    }
}

/// What jobs of a project may use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct LimitsShape {
    parallel_jobs: u32,
    max_failures: u32,
    verify_rounds: u32,
    job_minutes: u32,
    memory_mib: u32,
    cpus: f64,
}

impl From<Limits> for LimitsShape {
    fn from(limits: Limits) -> Self {
        let Limits { parallel_jobs, max_failures, verify_rounds, job_minutes, memory_mib, cpus } = limits;
        Self { parallel_jobs, max_failures, verify_rounds, job_minutes, memory_mib, cpus }
    }
}

/// Somebody with a role in a project.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberShape {
    user_id: String,
    /// `owner`, `developer` or `viewer`.
    role: &'static str,
}

impl From<(UserId, Role)> for MemberShape {
    fn from((user, role): (UserId, Role)) -> Self {
        Self { user_id: user.to_string(), role: role.as_str() }
    }
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProjectShape {
    id: String,
    name: String,
    repo_url: String,
    default_branch: String,
    /// `feature-per-job`, `shared` or `main-only`.
    branch_strategy: &'static str,
    auto_push: bool,
    auto_create_pr: bool,
    require_approval: bool,
    /// News at pull requests make tasks go on.
    watch_requests: bool,
    /// `auto`, `edits` or `ask`.
    engine_approvals: &'static str,
    allow_submodules: bool,
    verify_commands: Vec<String>,
    setup_commands: Vec<String>,
    allowed_hosts: Vec<String>,
    allowed_presets: Vec<String>,
    setup_hosts: Vec<String>,
    setup_presets: Vec<String>,
    forge: Option<ForgeShape>,
    image: Option<String>,
    limits: LimitsShape,
    members: Vec<MemberShape>,
    created_at: String,
    updated_at: String,
}

impl From<Project> for ProjectShape {
    fn from(project: Project) -> Self {
        let settings: Settings = project.settings;
        Self {
            id: project.id.to_string(),
            name: project.name,
            repo_url: settings.repo_url,
            default_branch: settings.default_branch,
            branch_strategy: settings.strategy.as_str(),
            auto_push: settings.auto_push,
            auto_create_pr: settings.auto_create_pr,
            require_approval: settings.require_approval,
            watch_requests: settings.watch_requests,
            engine_approvals: settings.engine_approvals.as_str(),
            allow_submodules: settings.allow_submodules,
            verify_commands: settings.verify_commands,
            setup_commands: settings.setup_commands,
            allowed_hosts: settings.allowed_hosts,
            allowed_presets: settings.allowed_presets,
            setup_hosts: settings.setup_hosts,
            setup_presets: settings.setup_presets,
            forge: settings.forge.map(ForgeShape::from),
            image: settings.image,
            limits: settings.limits.into(),
            members: project.members.into_iter().map(MemberShape::from).collect(),
            created_at: time(project.created_at),
            updated_at: time(project.updated_at),
        }
    }
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ColumnShape {
    id: String,
    board_id: String,
    name: String,
    position: usize,
    /// What it means, whatever it is called: `backlog`, `todo`, `in_progress`, `review` or `done`.
    role: &'static str,
    /// What is in it is done.
    is_terminal: bool,
    /// How many stories it takes.
    wip_limit: Option<u32>,
    /// How many stories it has.
    stories: u64,
}

/// A board.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BoardShape {
    id: String,
    project_id: String,
    name: String,
    version: u64,
    columns: Vec<ColumnShape>,
}

impl BoardShape {
    pub(super) fn of(board: Board, stories: impl Fn(&Column) -> u64) -> Self {
        let columns = board.columns.iter().enumerate().map(|(position, column)| ColumnShape {
            id: column.id.to_string(),
            board_id: board.id.to_string(),
            name: column.name.clone(),
            position,
            role: column.role.as_str(),
            is_terminal: column.role == ColumnRole::Done,
            wip_limit: column.wip_limit,
            stories: stories(column),
        });
        let columns = columns.collect();
        let (id, project_id) = (board.id.to_string(), board.project.to_string());
        Self { id, project_id, name: board.name, version: board.version, columns }
    }
}

/// A bot's hold on a story.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimShape {
    bot_id: String,
    /// When it lapses, unless it is renewed.
    until: String,
}

/// A story.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoryShape {
    id: String,
    board_id: String,
    project_id: String,
    column_id: String,
    /// Its place in the column, from 0.
    position: u64,
    title: String,
    description: String,
    acceptance_criteria: String,
    /// `critical`, `high`, `medium` or `low`.
    priority: &'static str,
    story_points: Option<u32>,
    labels: Vec<String>,
    /// Ids of files.
    attachments: Vec<String>,
    assignee: Option<String>,
    /// `user` or `bot`.
    assignee_type: Option<&'static str>,
    /// Ids of stories that must be done before it.
    depends_on: Vec<String>,
    /// Why nobody can work on it.
    blocked: Option<String>,
    /// How often work on it failed since it was last unblocked.
    failures: u32,
    claim: Option<ClaimShape>,
    job_id: Option<String>,
    /// Counts its changes; give it back with a change to be sure that nobody was faster.
    version: u64,
    created_at: String,
    updated_at: String,
}

impl StoryShape {
    pub(super) fn of(story: Story, board: &str) -> Self {
        Self {
            id: story.id.to_string(),
            board_id: board.to_owned(),
            project_id: story.project.to_string(),
            column_id: story.column.to_string(),
            position: story.position,
            title: story.title,
            description: story.description,
            acceptance_criteria: story.acceptance_criteria,
            priority: story.priority.as_str(),
            story_points: story.points,
            labels: story.labels,
            attachments: story.attachments.iter().map(ToString::to_string).collect(),
            assignee: story.assignee.as_ref().map(|one| one.id().to_owned()),
            assignee_type: story.assignee.as_ref().map(Assignee::kind),
            depends_on: story.depends_on.iter().map(ToString::to_string).collect(),
            blocked: story.blocked,
            failures: story.failures,
            claim: story
                .claim
                .map(|claim| ClaimShape { bot_id: claim.bot.to_string(), until: time(claim.until) }),
            job_id: story.job.map(|job| job.to_string()),
            version: story.version,
            created_at: time(story.created_at),
            updated_at: time(story.updated_at),
        }
    }
}

/// One field that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeShape {
    field: String,
    from: serde_json::Value,
    to: serde_json::Value,
}

/// An entry of a story's history.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangedShape {
    /// The version that the change made.
    version: u64,
    at: String,
    /// Who: `key:<name>` or `system`.
    actor: String,
    /// `created`, `changed`, `moved`, `claimed`, `finished`, `failed` or `returned`.
    action: String,
    changes: Vec<ChangeShape>,
}

impl From<Changed> for ChangedShape {
    fn from(changed: Changed) -> Self {
        let changes = changed.changes.into_iter();
        Self {
            version: changed.version,
            at: time(changed.at),
            actor: changed.actor,
            action: changed.action,
            changes: changes
                .map(|one| ChangeShape { field: one.field, from: one.from, to: one.to })
                .collect(),
        }
    }
}

/// A story that was claimed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantShape {
    story: StoryShape,
    /// Show it with everything that is done to the story under this claim. A token that was lost counts no more.
    token: u64,
    /// When the claim lapses, unless it is renewed.
    until: String,
}

impl GrantShape {
    pub(super) fn of(grant: Grant, board: &str) -> Self {
        Self { story: StoryShape::of(grant.story, board), token: grant.token, until: time(grant.until) }
    }
}

/// A bot.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BotShape {
    id: String,
    project_id: String,
    name: String,
    /// `native`, `claude-code` or `codex`.
    engine_type: &'static str,
    model: Option<String>,
    system_prompt: Option<String>,
    /// `stopped`, `running` or `paused`.
    status: &'static str,
    poll_interval_seconds: u32,
    max_concurrent_stories: u32,
    /// What a day may cost; nothing for no cap of its own.
    daily_budget_usd: Option<f64>,
    /// What one story may cost.
    story_budget_usd: Option<f64>,
    /// `idle` or `discovery`.
    idle_behavior: &'static str,
    created_at: String,
    updated_at: String,
}

impl From<Bot> for BotShape {
    fn from(bot: Bot) -> Self {
        let settings = bot.settings;
        let usd = |micros: Option<u64>| micros.map(|micros| micros as f64 / 1e6);
        Self {
            id: bot.id.to_string(),
            project_id: bot.project.to_string(),
            name: bot.name,
            engine_type: settings.engine.as_str(),
            model: settings.model,
            system_prompt: settings.system_prompt,
            status: BotState::as_str(bot.state),
            poll_interval_seconds: settings.poll_interval_seconds,
            max_concurrent_stories: settings.max_concurrent_stories,
            daily_budget_usd: usd(settings.day_micros),
            story_budget_usd: usd(settings.story_micros),
            idle_behavior: settings.idle.as_str(),
            created_at: time(bot.created_at),
            updated_at: time(bot.updated_at),
        }
    }
}

/// An entry of a bot's journal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryShape {
    id: String,
    bot_id: String,
    job_id: Option<String>,
    /// `started`, `completed`, `failed`, `observation`, `decision` or `learning`.
    entry_type: &'static str,
    summary: String,
    details: String,
    story_id: Option<String>,
    created_at: String,
}

impl From<Entry> for EntryShape {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            bot_id: entry.bot.to_string(),
            job_id: entry.job.map(|job| job.to_string()),
            entry_type: entry.kind.as_str(),
            summary: entry.summary,
            details: entry.details,
            story_id: entry.story.map(|story| story.to_string()),
            created_at: time(entry.at),
        }
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// How many at most.
    pub(super) limit: Option<usize>,
    /// How many to skip.
    pub(super) offset: Option<usize>,
}
