//! `atoll outbox`: messages that did not arrive. Works on the store itself, also while the server runs.

use clap::{Args as ClapArgs, Subcommand};

use crate::{
    actors::db::messages::{DbDoors, ListOutbox, ResendOutbox},
    domain::{audit::Act, records::OutboxState},
    home::Home,
};

use super::{
    CliError, CliResult, Surroundings,
    table::{say, say_json, say_table},
};

/// Messages that did not arrive.
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  atoll outbox\n  atoll outbox --state waiting\n  atoll outbox resend 42"
)]
pub struct OutboxArgs {
    #[command(subcommand)]
    command: Option<OutboxCommand>,
    #[command(flatten)]
    list: OutboxList,
}

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct OutboxList {
    /// waiting, parked, unknown or dead; by default all but waiting
    #[arg(long)]
    state: Option<String>,
    /// How many
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
    /// For programs
    #[arg(long)]
    json: bool,
}

/// Messages that did not arrive.
#[derive(Debug, Clone, Subcommand)]
enum OutboxCommand {
    /// List them, the newest first
    List(OutboxList),
    /// Send one again
    Resend {
        /// Its number, as listed
        id: i64,
    },
}

pub(super) fn run(home: &Home, args: &OutboxArgs, surroundings: &dyn Surroundings) -> CliResult {
    let command = args.command.clone().unwrap_or_else(|| OutboxCommand::List(args.list.clone()));
    match command {
        OutboxCommand::List(wanted) => {
            let state = wanted.state.as_deref().map(|word| {
                OutboxState::parse(word)
                    .ok_or_else(|| CliError::said("--state must be waiting, parked, unknown or dead"))
            });
            let state = state.transpose()?;
            let ask = ListOutbox { user: None, state, before: None, limit: wanted.lines };
            surroundings.with_store(home, Box::new(move |doors| Box::pin(list(doors, ask, wanted.json))))
        }
        OutboxCommand::Resend { id } => {
            let act = Act {
                at: surroundings.now(),
                actor: "local".into(),
                action: "outbox.resent".into(),
                subject: id.to_string(),
                details: String::new(),
            };
            surroundings.with_store(
                home,
                Box::new(move |doors| {
                    Box::pin(async move {
                        let row = doors.write.resend_outbox.ask(ResendOutbox { id, act }).await?;
                        say(&format!("the {} {id} goes out again by {}", row.kind, row.channel));
                        Ok(())
                    })
                }),
            )
        }
    }
}

async fn list(doors: DbDoors, ask: ListOutbox, json: bool) -> CliResult {
    let found = doors.read.list_outbox.ask(ask).await?;
    if json {
        say_json(&serde_json::to_value(&found).unwrap_or_default());
        return Ok(());
    }
    let rows = found
        .into_iter()
        .map(|row| {
            let at = chrono::DateTime::from_timestamp_millis(row.created_at)
                .map(|utc| utc.format("%Y-%m-%d %H:%M:%S").to_string())
                .unwrap_or_default();
            vec![
                row.id.to_string(),
                at,
                row.conversation.to_string(),
                row.kind,
                row.state.as_str().into(),
                row.attempts.to_string(),
                row.error.unwrap_or_default(),
            ]
        })
        .collect();
    say_table(&["no", "stored (UTC)", "to", "what", "state", "tries", "why"], rows);
    Ok(())
}
