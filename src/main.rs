//! The command line's beginning: finds the home, then runs the server or a command.

use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use atoll::{
    app::{self, LocalStore, SystemClock},
    cli::{self, Args, CliError, Command, StoreWork, Surroundings},
    config::{self, Config},
    home::Home,
    ports::{clock::Clock, sandbox_care::SandboxCare},
    telemetry,
};
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Quiet) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "atoll: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), CliError> {
    let home = Home::open(&home_folder(args)?).map_err(said)?;
    match &args.command {
        Command::Start { daemon: true } => cli::start_daemon(args, &home),
        Command::Start { daemon: false } => serve(args, &home),
        _ => cli::run(args, &home, &Real),
    }
}

fn serve(args: &Args, home: &Home) -> Result<(), CliError> {
    let (config, from) = configuration(args, home)?;
    telemetry::start(&config.log).map_err(said)?;
    app::serve(home, config, &from, &environment).map_err(said)
}

fn configuration(args: &Args, home: &Home) -> Result<(Config, String), CliError> {
    match cli::config_file(args, home) {
        Some(path) => {
            let config = config::load(&path, &environment).map_err(said)?;
            Ok((config, path.display().to_string()))
        }
        None => {
            let config = config::parse("", "config.yaml", &environment).map_err(said)?;
            Ok((config, "none: everything has its default".into()))
        }
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `--home`, else `ATOLL_HOME` (both by clap), else `~/.atoll`.
fn home_folder(args: &Args) -> Result<PathBuf, CliError> {
    if let Some(home) = &args.home {
        return Ok(home.clone());
    }
    let user = std::env::home_dir().filter(|path| !path.as_os_str().is_empty());
    user.map(|path| path.join(".atoll"))
        .ok_or_else(|| CliError::Said("this user has no home folder: give one with --home DIR".into()))
}

fn said(error: impl std::fmt::Display) -> CliError {
    CliError::Said(error.to_string())
}

/// The real world, for commands.
struct Real;

impl Surroundings for Real {
    fn with_store(&self, home: &Home, work: StoreWork) -> Result<(), CliError> {
        app::with_store(home, async |store: LocalStore| work(store.doors).await).map_err(said)?
    }

    fn random(&self) -> Result<([u8; 32], u128), CliError> {
        Ok((SystemClock.secret().map_err(said)?, SystemClock.fresh()))
    }

    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn sandboxes(&self, home: &Home, config: &config::Sandbox) -> Arc<dyn SandboxCare> {
        app::sandboxes(home, config)
    }
}
