//! What can be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

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
        subcommand,
        after_help = "Examples:\n  atoll keys create --name me --role owner\n  atoll keys list\n  atoll keys revoke ID"
    )]
    Keys(KeysCommand),
    /// The live parts of the server
    #[command(
        subcommand,
        after_help = "Examples:\n  atoll actors list\n  atoll actors restart api/ann/default"
    )]
    Actors(ActorsCommand),
    /// Questions that wait for a person
    #[command(
        subcommand,
        after_help = "Examples:\n  atoll approvals list\n  atoll approvals approve ID\n  atoll approvals reject ID --reason \"not today\""
    )]
    Approvals(ApprovalsCommand),
    /// Who did what
    #[command(subcommand)]
    Audit(AuditCommand),
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
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
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
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Make a key worthless
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

/// The live parts of the server.
#[derive(Debug, Subcommand)]
pub enum ActorsCommand {
    /// List them: state, mailbox, restarts, last error
    List {
        /// Of this kind only
        #[arg(long)]
        kind: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
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
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List them
    List {
        /// Also those that are settled
        #[arg(long)]
        all: bool,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Allow
    Approve {
        /// Its id, as listed
        id: String,
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
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// The last rows
    List {
        /// How many
        #[arg(short = 'n', long, default_value_t = 50)]
        lines: usize,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Check that nothing was changed or taken out
    Verify,
}
