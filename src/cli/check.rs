//! `atoll check`.

use crate::{config, home::Home};

use super::{Args, CliError, CliResult, config_file, table::say};

pub(super) fn run(args: &Args, home: &Home) -> CliResult {
    let Some(path) = config_file(args, home) else {
        say("there is no config.yaml: everything has its default");
        return Ok(());
    };
    let env = |name: &str| std::env::var(name).ok();
    let config = config::load(&path, &env).map_err(|error| CliError::said(error.to_string()))?;
    say(&format!("{} is well", path.display()));
    if let Some(warning) = config::open_warning(&config.chats) {
        say(&format!("warning: {warning}"));
    }
    for key in &config.planned {
        say(&format!("note: `{key}` is given, and its part of Atoll is not built yet"));
    }
    Ok(())
}
