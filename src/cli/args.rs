//! What can be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::channels::{ChannelsArgs, LinkArgs, PairArgs};
use super::demo::DemoArgs;
use super::outbox::OutboxArgs;
use super::task_args::TaskArgs;
use super::work_args::{BoardArgs, BotArgs, ProjectArgs, StoryArgs};

/// A self-hosted home for AI agents.
#[derive(Debug, Parser)]
#[command(
    name = "atoll",
    version,
    about,
    after_help = "Examples:\n  atoll start -d              run in the background\n  atoll chat                  talk to it\n  atoll chat \"what is new?\"   one question, one answer\n  atoll status                what works, and what to do about the rest\n  atoll keys create --name me --role owner"
)]
pub struct Args {
    /// Home folder: store, files, skills, logs
    #[arg(long, global = true, env = "ATOLL_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Configuration file; by default config.yaml in the home, else here
    #[arg(long, global = true, env = "ATOLL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    #[command(
        after_help = "Examples:\n  atoll start\n  atoll start -d\n  atoll start --config my.yaml --home /srv/atoll"
    )]
    Start {
        /// In the background, with its log in the home
        #[arg(short, long)]
        daemon: bool,
    },
    /// End the server: what runs may finish, the rest goes on at the next start
    Stop,
    /// End the server, then run it in the background
    Restart,
    /// What works, what does not, and what to do about it
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// The log of the server in the background
    #[command(after_help = "Examples:\n  atoll logs -n 100\n  atoll logs -f")]
    Logs {
        /// Go on as the log grows
        #[arg(short, long)]
        follow: bool,
        /// How many of the last lines
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
    },
    /// Talk to the assistant
    Chat(ChatArgs),
    /// Check the configuration: every fault, with its path
    Check,
    /// API keys
    #[command(
        after_help = "Examples:\n  atoll keys create --name me --role owner\n  atoll keys\n  atoll keys revoke ID"
    )]
    Keys(KeysArgs),
    /// The live parts of the server
    #[command(after_help = "Examples:\n  atoll actors\n  atoll actors restart api/ann/default")]
    Actors(ActorsArgs),
    /// Questions that wait for a person
    #[command(
        after_help = "Examples:\n  atoll approvals\n  atoll approvals approve ID\n  atoll approvals reject ID --reason \"not today\""
    )]
    Approvals(ApprovalsArgs),
    /// Chat platforms, and how they are doing
    Channels(ChannelsArgs),
    /// Strangers who want to write on a chat platform
    #[command(
        after_help = "Examples:\n  atoll pair\n  atoll pair approve ABCD-2345\n  atoll pair refuse ABCD-2345"
    )]
    Pair(PairArgs),
    /// A code that joins a chat account to a user: send it to the bot as /link CODE
    #[command(after_help = "Examples:\n  atoll link\n  atoll link --user ann --role developer")]
    Link(LinkArgs),
    /// Who did what
    #[command(after_help = "Examples:\n  atoll audit\n  atoll audit verify")]
    Audit(AuditArgs),
    /// Messages that did not arrive
    Outbox(OutboxArgs),
    /// Where coding jobs run: its image, its self-test, what is there
    #[command(
        after_help = "Examples:\n  atoll sandbox build\n  atoll sandbox build --claude-code --codex\n  atoll sandbox test\n  atoll sandbox clean"
    )]
    Sandbox(SandboxArgs),
    /// Repositories that bots work on
    #[command(
        after_help = "Examples:\n  atoll project add \"My App\" --repo https://github.com/acme/app.git\n  atoll project list"
    )]
    Project(ProjectArgs),
    /// The board of a project
    #[command(after_help = "Example:\n  atoll board show my-app")]
    Board(BoardArgs),
    /// Stories on a board
    #[command(
        after_help = "Examples:\n  atoll story add my-app \"Fix the login\" --column todo\n  atoll story list my-app\n  atoll story move ID review"
    )]
    Story(StoryArgs),
    /// Coding jobs
    #[command(
        after_help = "Examples:\n  atoll task run \"mend the failing test\" --project my-app --follow\n  atoll task list --open\n  atoll task logs ID -f"
    )]
    Task(TaskArgs),
    /// Coding bots
    #[command(
        after_help = "Examples:\n  atoll bot add my-app fixer\n  atoll bot start ID\n  atoll bot journal ID"
    )]
    Bot(BotArgs),
    /// Show what Atoll does, with no key and on this machine alone
    #[command(after_help = "Example:\n  atoll demo coding")]
    Demo(DemoArgs),
    /// Copy the store while it is in use
    #[command(after_help = "Example:\n  atoll backup /backups/atoll-monday.db")]
    Backup {
        /// Where to; by default into `backups` in the home
        file: Option<PathBuf>,
    },
}

/// A conversation.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  atoll chat\n  atoll chat \"what is new?\"\n  atoll chat --conversation work\n  echo \"summarise this\" | atoll chat --json -"
)]
pub struct ChatArgs {
    /// One message, then end; `-` reads it from standard input
    pub message: Option<String>,
    /// Which conversation
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub conversation: String,
    /// As which user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,
    /// Events as lines of JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// API keys.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
    #[command(flatten)]
    list: KeysList,
}

impl KeysArgs {
    /// What is to be done; without a word of it, they are listed.
    pub(super) fn command(&self) -> KeysCommand {
        self.command.clone().unwrap_or_else(|| KeysCommand::List(self.list.clone()))
    }
}

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct KeysList {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// API keys.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and print it, this once
    Create {
        /// What it is called
        #[arg(long)]
        name: String,
        /// owner, developer or viewer
        #[arg(long, default_value = "developer")]
        role: String,
        /// The user it acts as
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// It may name other users (an owner's may anyway)
        #[arg(long)]
        act_for_others: bool,
    },
    /// List keys, without the keys
    List(KeysList),
    /// Make a key worthless
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

/// The live parts of the server.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ActorsArgs {
    #[command(subcommand)]
    command: Option<ActorsCommand>,
    #[command(flatten)]
    list: ActorsList,
}

impl ActorsArgs {
    /// What is to be done; without a word of it, they are listed.
    pub(super) fn command(&self) -> ActorsCommand {
        self.command.clone().unwrap_or_else(|| ActorsCommand::List(self.list.clone()))
    }
}

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct ActorsList {
    /// Of this kind only
    #[arg(long)]
    pub kind: Option<String>,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// The live parts of the server.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ActorsCommand {
    /// List them: state, mailbox, restarts, last error
    List(ActorsList),
    /// What one says of itself
    Inspect {
        /// Its name, as listed
        name: String,
    },
    /// Start a parked one again
    Restart {
        /// Its name, as listed
        name: String,
    },
}

/// Questions that wait for a person.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<ApprovalsCommand>,
    #[command(flatten)]
    list: ApprovalsList,
}

impl ApprovalsArgs {
    /// What is to be done; without a word of it, they are listed.
    pub(super) fn command(&self) -> ApprovalsCommand {
        self.command.clone().unwrap_or_else(|| ApprovalsCommand::List(self.list.clone()))
    }
}

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct ApprovalsList {
    /// Also those that are settled
    #[arg(long)]
    pub all: bool,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Questions that wait for a person.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List them
    List(ApprovalsList),
    /// Allow
    Approve {
        /// Its id, as listed
        id: String,
        /// In which way: no_request (a commit, without a pull request), job or project (a host, for all of it)
        #[arg(long)]
        choice: Option<String>,
    },
    /// Refuse
    Reject {
        /// Its id, as listed
        id: String,
        /// Why; the model is told
        #[arg(long)]
        reason: Option<String>,
    },
}

/// Who did what.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,
    #[command(flatten)]
    list: AuditList,
}

impl AuditArgs {
    /// What is to be done; without a word of it, they are listed.
    pub(super) fn command(&self) -> AuditCommand {
        self.command.clone().unwrap_or_else(|| AuditCommand::List(self.list.clone()))
    }
}

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct AuditList {
    /// How many
    #[arg(short = 'n', long, default_value_t = 50)]
    pub lines: usize,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Who did what.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum AuditCommand {
    /// The last rows
    List(AuditList),
    /// Check that nothing was changed or taken out
    Verify,
}

/// Where coding jobs run.
#[derive(Debug, ClapArgs)]
pub struct SandboxArgs {
    #[command(subcommand)]
    pub(super) command: SandboxCommand,
}

/// Where coding jobs run.
#[derive(Debug, Subcommand)]
pub(super) enum SandboxCommand {
    /// Build the image
    Build(SandboxBuild),
    /// Show that the isolation holds, or what does not
    Test {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// The sandboxes of this home
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// End what was left behind; no server may run
    Clean,
}

/// What the image is built of.
#[derive(Debug, ClapArgs)]
pub(super) struct SandboxBuild {
    /// The image below it, of Debian or like it
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Take in Claude Code
    #[arg(long)]
    pub claude_code: bool,
    /// Take in Codex
    #[arg(long)]
    pub codex: bool,
    /// Docker's network for the build
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Trust this certificate too when fetching engines (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}
