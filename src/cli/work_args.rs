//! What can be typed about projects, boards, stories and bots.

use clap::{Args, Subcommand};

/// For whom the answer is.
#[derive(Debug, Clone, Args)]
pub(super) struct Output {
    /// For programs
    #[arg(long)]
    pub(super) json: bool,
}

/// Projects.
#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Make a project, with its board
    #[command(
        after_help = "Examples:\n  atoll project add \"My App\" --repo https://github.com/acme/app.git --verify \"npm test\"\n  atoll project add app --repo /srv/git/app.git --preset npm --setup \"npm ci\"\n  atoll project add app --repo git@git.example:acme/app.git --forge gitea --forge-api https://git.example/api/v1 --token-env ACME_TOKEN"
    )]
    Add(Box<ProjectAdd>),
    /// List projects
    #[command(after_help = "Example:\n  atoll project list --json")]
    List(Output),
    /// Everything about one project
    #[command(after_help = "Example:\n  atoll project show my-app")]
    Show {
        /// Its id
        project: String,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a project with its board, stories and bots; the repository stays
    #[command(after_help = "Example:\n  atoll project remove my-app --yes")]
    Remove {
        /// Its id
        project: String,
        /// Yes, with everything in it
        #[arg(long)]
        yes: bool,
    },
}

/// A project to be made.
#[derive(Debug, Args)]
pub(super) struct ProjectAdd {
    /// What it is called
    pub(super) name: String,
    /// The repository: https://, ssh://, user@host:path, file:/// or a path of the server
    #[arg(long, value_name = "URL")]
    pub(super) repo: String,
    /// Its id; made of the name by default
    #[arg(long)]
    pub(super) id: Option<String>,
    /// The branch that jobs start from
    #[arg(long, default_value = "main")]
    pub(super) branch: String,
    /// feature-per-job, shared or main-only
    #[arg(long, default_value = "feature-per-job")]
    pub(super) strategy: String,
    /// A command that must succeed before a job counts as done; again for more
    #[arg(long, value_name = "COMMAND")]
    pub(super) verify: Vec<String>,
    /// A command that makes a workspace ready; again for more
    #[arg(long, value_name = "COMMAND")]
    pub(super) setup: Vec<String>,
    /// A host that engines may reach: host.example or *.example; again for more
    #[arg(long, value_name = "HOST")]
    pub(super) host: Vec<String>,
    /// A registry that engines may reach: npm, pypi, crates, debian or github; again for more
    #[arg(long)]
    pub(super) preset: Vec<String>,
    /// A host that set-up commands may reach beside these
    #[arg(long, value_name = "HOST")]
    pub(super) setup_host: Vec<String>,
    /// A registry that set-up commands may reach beside these
    #[arg(long, value_name = "PRESET")]
    pub(super) setup_preset: Vec<String>,
    /// Where pull requests are opened: github, gitea, forgejo or gitlab
    #[arg(long, value_name = "KIND")]
    pub(super) forge: Option<String>,
    /// The forge's API, when it is not the public one
    #[arg(long, value_name = "URL", requires = "forge")]
    pub(super) forge_api: Option<String>,
    /// The server's environment variable that holds the forge's token
    #[arg(long, value_name = "NAME", requires = "forge")]
    pub(super) token_env: Option<String>,
    /// Comments at pull requests that name the bot or @atoll, and checks that fail there, make a task go on
    #[arg(long, requires = "forge")]
    pub(super) watch_requests: bool,
    /// When engines ask before they act: auto (never), edits (before each command) or ask (before each edit, too)
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) engine_approvals: String,
    /// Work may change submodules
    #[arg(long)]
    pub(super) allow_submodules: bool,
    /// The image of its sandboxes
    #[arg(long)]
    pub(super) image: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Boards.
#[derive(Debug, Subcommand)]
pub(super) enum BoardCommand {
    /// The columns of a project, side by side
    #[command(after_help = "Examples:\n  atoll board show my-app\n  atoll board show my-app --json")]
    Show {
        /// The project's id
        project: String,
        /// How many stories of each column at most
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
}

/// Stories.
#[derive(Debug, Subcommand)]
pub(super) enum StoryCommand {
    /// Write a story
    #[command(
        after_help = "Examples:\n  atoll story add my-app \"Fix the login\" --priority high --column todo\n  atoll story add my-app \"Dark mode\" --criteria \"the setting is kept\" --label ui --points 3"
    )]
    Add {
        /// The project's id
        project: String,
        #[command(flatten)]
        fields: Box<StoryFields>,
        #[command(flatten)]
        output: Output,
    },
    /// List stories, in the order of the board
    #[command(
        after_help = "Examples:\n  atoll story list my-app --role todo\n  atoll story list my-app --blocked --json"
    )]
    List {
        /// The project's id
        project: String,
        /// In columns with this role: backlog, todo, in_progress, review or done
        #[arg(long)]
        role: Option<String>,
        /// This user's or bot's
        #[arg(long, value_name = "ID")]
        assignee: Option<String>,
        /// critical, high, medium or low
        #[arg(long)]
        priority: Option<String>,
        /// With this label
        #[arg(long)]
        label: Option<String>,
        /// Only those that are blocked
        #[arg(long)]
        blocked: bool,
        /// With these words
        #[arg(short, long, value_name = "WORDS")]
        search: Option<String>,
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
    /// Everything about one story, with its history
    #[command(after_help = "Example:\n  atoll story show ID")]
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Put a story into a column
    #[command(
        after_help = "Examples:\n  atoll story move ID todo\n  atoll story move ID \"In Progress\" --position 0"
    )]
    Move {
        /// Its id
        id: String,
        /// The column: its name, role or id
        column: String,
        /// At which place, from 0; at the end by default
        #[arg(long)]
        position: Option<u64>,
    },
    /// Change a story; what is left out stays
    #[command(
        after_help = "Examples:\n  atoll story edit ID --title \"Fix the login page\" --priority critical\n  atoll story edit ID --blocked \"waits for the key\"\n  atoll story edit ID --unblock"
    )]
    Edit {
        /// Its id
        id: String,
        /// What it is about
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        more: Box<StoryMore>,
        /// Why nobody can work on it
        #[arg(long, value_name = "REASON", conflicts_with = "unblock")]
        blocked: Option<String>,
        /// Let work go on, and forget its failures
        #[arg(long)]
        unblock: bool,
        /// The version that was read: refused when somebody was faster
        #[arg(long)]
        version: Option<u64>,
    },
    /// Remove a story with its history
    #[command(after_help = "Example:\n  atoll story remove ID")]
    Remove {
        /// Its id
        id: String,
    },
}

/// What a fresh story says.
#[derive(Debug, Args)]
pub(super) struct StoryFields {
    /// What it is about
    pub(super) title: String,
    /// In which column: its name, role or id; the backlog by default
    #[arg(long)]
    pub(super) column: Option<String>,
    #[command(flatten)]
    pub(super) more: StoryMore,
}

/// What a story says beside its title.
#[derive(Debug, Args)]
pub(super) struct StoryMore {
    /// More of it
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// What must be so when it is done
    #[arg(long, value_name = "TEXT")]
    pub(super) criteria: Option<String>,
    /// critical, high, medium or low
    #[arg(long)]
    pub(super) priority: Option<String>,
    /// How much work it is thought to be
    #[arg(long)]
    pub(super) points: Option<u32>,
    /// A word to find it by; again for more
    #[arg(long)]
    pub(super) label: Vec<String>,
    /// A story that must be done before it; again for more
    #[arg(long, value_name = "ID")]
    pub(super) after: Vec<String>,
    /// Whose it is: a user's id
    #[arg(long, value_name = "USER", conflicts_with_all = ["bot", "nobody"])]
    pub(super) user: Option<String>,
    /// Whose it is: a bot's id
    #[arg(long, value_name = "BOT", conflicts_with = "nobody")]
    pub(super) bot: Option<String>,
    /// It is nobody's
    #[arg(long)]
    pub(super) nobody: bool,
}

/// Bots.
#[derive(Debug, Subcommand)]
pub(super) enum BotCommand {
    /// Make a bot; it is stopped
    #[command(
        after_help = "Examples:\n  atoll bot add my-app fixer\n  atoll bot add my-app fixer --engine claude-code --stories 2 --per-day 5 --per-story 1.5"
    )]
    Add(Box<BotAdd>),
    /// List bots
    #[command(after_help = "Examples:\n  atoll bot list\n  atoll bot list --project my-app --json")]
    List {
        /// Of this project
        #[arg(long)]
        project: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Everything about one bot
    #[command(after_help = "Example:\n  atoll bot show ID")]
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Let a bot take stories
    Start {
        /// Its id
        id: String,
    },
    /// Let a bot take no new stories
    Pause {
        /// Its id
        id: String,
    },
    /// Stop a bot
    Stop {
        /// Its id
        id: String,
    },
    /// Remove a bot with its journal
    #[command(after_help = "Example:\n  atoll bot remove ID")]
    Remove {
        /// Its id
        id: String,
    },
    /// What a bot did, saw, decided and learned
    #[command(
        after_help = "Examples:\n  atoll bot journal ID\n  atoll bot journal ID --type learning\n  atoll bot journal ID --search \"flaky test\" --json"
    )]
    Journal {
        /// Its id
        id: String,
        /// started, completed, failed, observation, decision or learning
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// With all these words
        #[arg(short, long, value_name = "WORDS")]
        search: Option<String>,
        /// How many of the newest
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        output: Output,
    },
}

/// A bot to be made.
#[derive(Debug, Args)]
pub(super) struct BotAdd {
    /// The project's id
    pub(super) project: String,
    /// What it is called
    pub(super) name: String,
    /// native, claude-code or codex
    #[arg(long, default_value = "native")]
    pub(super) engine: String,
    /// Which model; the engine's own choice by default
    #[arg(long)]
    pub(super) model: Option<String>,
    /// What it is told before every story
    #[arg(long, value_name = "TEXT")]
    pub(super) prompt: Option<String>,
    /// How often it looks for a story
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(super) poll: u32,
    /// How many stories it works on at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) stories: u32,
    /// What a day may cost
    #[arg(long, value_name = "USD")]
    pub(super) per_day: Option<f64>,
    /// What one story may cost
    #[arg(long, value_name = "USD")]
    pub(super) per_story: Option<f64>,
    /// What it does when no story is ready: idle or discovery
    #[arg(long, default_value = "idle")]
    pub(super) idle: String,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Repositories that bots work on.
#[derive(Debug, Args)]
pub struct ProjectArgs {
    #[command(subcommand)]
    pub(super) command: ProjectCommand,
}

/// The board of a project.
#[derive(Debug, Args)]
pub struct BoardArgs {
    #[command(subcommand)]
    pub(super) command: BoardCommand,
}

/// Stories on a board.
#[derive(Debug, Args)]
pub struct StoryArgs {
    #[command(subcommand)]
    pub(super) command: StoryCommand,
}

/// Coding bots.
#[derive(Debug, Args)]
pub struct BotArgs {
    #[command(subcommand)]
    pub(super) command: BotCommand,
}
