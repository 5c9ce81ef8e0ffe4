//! The command line: one command a file. Commands about a running server go over its REST interface with the
//! local key; those about the store open it themselves.

mod actors;
mod approvals;
mod args;
mod audit;
mod backup;
mod bot;
mod channels;
mod chat;
mod check;
mod client;
mod demo;
mod keys;
mod logs;
mod outbox;
mod process;
mod project;
mod sandbox;
mod status;
mod story;
mod table;
mod task;
mod task_args;
mod task_watch;
mod work_args;

pub use args::{
    ActorsArgs, ActorsList, ApprovalsArgs, ApprovalsList, Args, AuditArgs, AuditList, Command, KeysArgs,
    KeysList, SandboxArgs,
};

pub use channels::{ChannelsArgs, LinkArgs, PairArgs};
pub use demo::{DemoArgs, DemoCommand};
pub use outbox::{OutboxArgs, OutboxList};
pub use task_args::TaskArgs;
pub use work_args::{BoardArgs, BotArgs, ProjectArgs, StoryArgs};

use std::sync::Arc;

use crate::{actors::db::messages::DbError, config, home::Home, ports::sandbox_care::SandboxCare};

/// Why a command failed; the text is for the person who typed it.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// It says what to do.
    #[error("{0}")]
    Said(String),
    /// A file cannot be used.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The store said no.
    #[error("{0}")]
    Store(#[from] DbError),
    /// Nothing more to say: it was said already.
    #[error("")]
    Quiet,
}

impl CliError {
    fn said(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }
}

type CliResult = Result<(), CliError>;

/// What commands are given by the composition root.
pub trait Surroundings {
    /// Opens the store of a home and does something with it.
    ///
    /// # Errors
    /// When it cannot be opened, or what `work` says.
    fn with_store(&self, home: &Home, work: StoreWork) -> CliResult;

    /// 32 bytes that nobody can guess, and 128 fresh bits for an id.
    ///
    /// # Errors
    /// When the system has no random numbers.
    fn random(&self) -> Result<([u8; 32], u128), CliError>;

    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64;

    /// Who looks after the sandboxes of a home.
    fn sandboxes(&self, home: &Home, config: &config::Sandbox) -> Arc<dyn SandboxCare>;
}

/// What a command does with the store.
pub type StoreWork = Box<
    dyn FnOnce(
        crate::actors::db::messages::DbDoors,
    ) -> std::pin::Pin<Box<dyn std::future::Future<Output = CliResult>>>,
>;

/// Runs a command other than `start`, which the composition root runs itself.
///
/// # Errors
/// [`CliError`] with what to tell the person.
pub fn run(args: &Args, home: &Home, surroundings: &dyn Surroundings) -> CliResult {
    match &args.command {
        Command::Start { .. } => Ok(()),
        Command::Stop => process::stop(home),
        Command::Restart => process::restart(args, home),
        Command::Status { json } => status::run(args, home, *json, surroundings),
        Command::Logs { follow, lines } => logs::run(home, *follow, *lines),
        Command::Chat(chat) => chat::run(home, chat),
        Command::Check => check::run(args, home),
        Command::Keys(args) => keys::run(home, args, surroundings),
        Command::Actors(args) => actors::run(home, args),
        Command::Approvals(args) => approvals::run(home, args),
        Command::Channels(args) => channels::run(home, args),
        Command::Pair(args) => channels::pair(home, args),
        Command::Link(args) => channels::link(home, args, surroundings),
        Command::Audit(args) => audit::run(home, args, surroundings),
        Command::Outbox(args) => outbox::run(home, args, surroundings),
        Command::Sandbox(wanted) => sandbox::run(args, home, wanted, surroundings),
        Command::Project(args) => project::run(home, &args.command),
        Command::Board(args) => project::board(home, &args.command),
        Command::Story(args) => story::run(home, &args.command),
        Command::Task(args) => task::run(home, &args.command),
        Command::Bot(args) => bot::run(home, &args.command),
        Command::Demo(DemoArgs { command: DemoCommand::Coding(wanted) }) => {
            demo::run(args, home, wanted, surroundings)
        }
        Command::Backup { file } => backup::run(home, file.as_deref(), surroundings),
    }
}

/// Starts the server as a daemon.
///
/// # Errors
/// [`CliError`] when it does not come up.
pub fn start_daemon(args: &Args, home: &Home) -> CliResult {
    process::start_daemon(args, home)
}

/// The configuration file that applies, if there is one: the one that is named, else the home's, else the one
/// here.
pub fn config_file(args: &Args, home: &Home) -> Option<std::path::PathBuf> {
    let named = args.config.clone();
    let candidates = [home.root().join("config.yaml"), std::path::PathBuf::from("config.yaml")];
    named.or_else(|| candidates.into_iter().find(|path| path.is_file()))
}
