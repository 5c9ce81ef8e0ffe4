//! What can be typed about tasks.

use clap::{Args, Subcommand};

use super::work_args::Output;

/// Tasks: coding jobs.
#[derive(Debug, Args)]
pub struct TaskArgs {
    #[command(subcommand)]
    pub(super) command: TaskCommand,
}

/// Tasks.
#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Give a task
    #[command(
        after_help = "Examples:\n  atoll task run \"mend the failing test\" --project my-app --follow\n  atoll task run \"update the README\" --project my-app --engine claude-code --yes\n  echo \"a long instruction\" | atoll task run - --project my-app"
    )]
    Run(Box<TaskRun>),
    /// List tasks, the newest first
    #[command(after_help = "Examples:\n  atoll task list\n  atoll task list --project my-app --open --json")]
    List(TaskList),
    /// Everything about one task, with what the checks said
    #[command(after_help = "Example:\n  atoll task show ID")]
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// What a task did and said
    #[command(
        after_help = "Examples:\n  atoll task logs ID\n  atoll task logs ID -f --verbosity verbose\n  atoll task logs ID --from 120 --json"
    )]
    Logs {
        /// Its id
        id: String,
        /// Go on until it is over
        #[arg(short, long)]
        follow: bool,
        /// From this line on
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        from: u64,
        /// quiet, normal or verbose; as the task was given by default
        #[arg(long)]
        verbosity: Option<String>,
        /// Lines of JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// The whole diff of a task's work
    #[command(after_help = "Examples:\n  atoll task diff ID\n  atoll task diff ID | git apply")]
    Diff {
        /// Its id
        id: String,
    },
    /// End a task
    Cancel {
        /// Its id
        id: String,
    },
    /// Try again
    Retry {
        /// Its id
        id: String,
    },
    /// Go on with a new instruction, on the task's branch and in its session
    #[command(after_help = "Example:\n  atoll task continue ID \"and add a test for it\"")]
    Continue {
        /// Its id
        id: String,
        /// What is to be done now
        instruction: String,
    },
    /// Say a word into the running work
    #[command(after_help = "Example:\n  atoll task steer ID \"leave the public API as it is\"")]
    Steer {
        /// Its id
        id: String,
        /// The words
        text: String,
    },
    /// Say yes to what a task waits for
    #[command(after_help = "Examples:\n  atoll task approve ID\n  atoll task approve ID --without-pr")]
    Approve {
        /// Its id
        id: String,
        /// Push, and open no pull request
        #[arg(long)]
        without_pr: bool,
    },
    /// Say no to what a task waits for
    #[command(
        after_help = "Examples:\n  atoll task reject ID\n  atoll task reject ID --reason \"keep the old name\"   it goes on with this"
    )]
    Reject {
        /// Its id
        id: String,
        /// What is to be done instead; without it the task ends
        #[arg(long)]
        reason: Option<String>,
    },
}

/// A task to be given.
#[derive(Debug, Args)]
pub(super) struct TaskRun {
    /// What is to be done; `-` reads it from standard input
    pub(super) instruction: String,
    /// The project's id
    #[arg(long, value_name = "PROJECT")]
    pub(super) project: String,
    /// In one line; the beginning of the instruction by default
    #[arg(long)]
    pub(super) title: Option<String>,
    /// native, claude-code or codex
    #[arg(long)]
    pub(super) engine: Option<String>,
    /// Which model; the engine's own choice by default
    #[arg(long)]
    pub(super) model: Option<String>,
    /// quiet, normal or verbose
    #[arg(long)]
    pub(super) verbosity: Option<String>,
    /// Where its end is posted to
    #[arg(long, value_name = "URL")]
    pub(super) callback: Option<String>,
    /// Show what it does, and ask for approval here
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Approve its work unseen, as soon as it asks; follows it
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Which tasks.
#[derive(Debug, Args)]
pub(super) struct TaskList {
    /// Of this project
    #[arg(long)]
    pub(super) project: Option<String>,
    /// Of this bot
    #[arg(long)]
    pub(super) bot: Option<String>,
    /// In this status
    #[arg(long)]
    pub(super) status: Option<String>,
    /// Only those that are not over
    #[arg(long)]
    pub(super) open: bool,
    /// How many at most
    #[arg(short = 'n', long, default_value_t = 50)]
    pub(super) limit: usize,
    #[command(flatten)]
    pub(super) output: Output,
}
