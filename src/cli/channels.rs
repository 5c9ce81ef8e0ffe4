//! `atoll channels`, `atoll pair`, `atoll link`: chat platforms, and who may write there.

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::{
    actors::db::messages::IssueCode,
    domain::{
        access::Role,
        identity::{self, NewCode},
        ids::UserId,
    },
    home::Home,
};

use super::{
    CliError, CliResult, Surroundings,
    client::{Client, block_on, segment},
    table::{field, say, say_json, say_table},
};

/// How they are listed.
#[derive(Debug, Clone, ClapArgs)]
pub struct ChannelsArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// Strangers.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PairArgs {
    #[command(subcommand)]
    command: Option<PairCommand>,
    #[command(flatten)]
    list: ChannelsArgs,
}

/// Strangers.
#[derive(Debug, Clone, Subcommand)]
enum PairCommand {
    /// Who waits to be let in
    List(ChannelsArgs),
    /// Let somebody in
    Approve {
        /// The code that they have shown you, or the id
        code: String,
        /// What they may do: developer, viewer or owner
        #[arg(long, default_value = "developer")]
        role: String,
        /// The user that they are; one of their own by default
        #[arg(long, value_name = "ID")]
        user: Option<String>,
    },
    /// Send somebody away for a day
    Refuse {
        /// The code, or the id
        code: String,
    },
}

/// A code for an account of yours.
#[derive(Debug, ClapArgs)]
pub struct LinkArgs {
    /// The user that the account joins
    #[arg(long, default_value = crate::domain::ids::DEFAULT_USER, value_name = "ID")]
    pub user: String,
    /// What the account may do: owner, developer or viewer
    #[arg(long, default_value = "owner")]
    pub role: String,
}

fn rows(list: &Value, keys: &[&str]) -> Vec<Vec<String>> {
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| keys.iter().map(|key| field(entry, key)).collect()).collect()
}

pub(super) fn run(home: &Home, args: &ChannelsArgs) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        let found = client.get("/api/v1/channels").await?;
        if args.json {
            say_json(&found);
            return Ok(());
        }
        let keys = ["channel", "state", "account", "policy", "lastUpdate", "waiting", "dead", "lastError"];
        let heads =
            ["channel", "state", "account", "who may write", "last update", "waiting", "dead", "last error"];
        say_table(&heads, rows(&found["channels"], &keys));
        Ok(())
    })?
}

pub(super) fn pair(home: &Home, args: &PairArgs) -> CliResult {
    let client = Client::find(home)?;
    let command = args.command.clone().unwrap_or_else(|| PairCommand::List(args.list.clone()));
    block_on(async {
        match command {
            PairCommand::List(ChannelsArgs { json }) => {
                let found = client.get("/api/v1/pairings").await?;
                if json {
                    say_json(&found);
                    return Ok(());
                }
                let rows = rows(&found["pairings"], &["id", "channel", "externalId", "name", "expiresAt"]);
                if rows.is_empty() {
                    say("nobody waits to be let in");
                } else {
                    say_table(&["id", "channel", "account", "name", "expires"], rows);
                    say("let somebody in only by the code that they tell you: atoll pair approve CODE");
                }
            }
            PairCommand::Approve { code, role, user } => {
                let body = json!({"approve": true, "role": role, "userId": user});
                let paired = client.post(&format!("/api/v1/pairings/{}", segment(&code)), &body).await?;
                say(&format!("{} may write now, on {}", field(&paired, "name"), field(&paired, "channel")));
            }
            PairCommand::Refuse { code } => {
                let body = json!({"approve": false});
                let refused = client.post(&format!("/api/v1/pairings/{}", segment(&code)), &body).await?;
                say(&format!("{} was sent away", field(&refused, "name")));
            }
        }
        Ok(())
    })?
}

/// Works on the store itself: the first owner of a chat comes in with it.
pub(super) fn link(home: &Home, args: &LinkArgs, surroundings: &dyn Surroundings) -> CliResult {
    let role =
        Role::parse(&args.role).ok_or_else(|| CliError::said("--role must be owner, developer or viewer"))?;
    let user = UserId::parse(&args.user).map_err(|bad| CliError::said(bad.to_string()))?;
    let code = identity::code(&surroundings.random()?.0);
    let now = surroundings.now();
    let new = NewCode { code: code.clone(), user, role, actor: "local".into(), now };
    surroundings.with_store(
        home,
        Box::new(move |doors| {
            Box::pin(async move {
                doors.write.issue_code.ask(IssueCode { code: new }).await?;
                // Alone on standard output: a script reads it.
                say(&identity::shown(&code));
                Ok(())
            })
        }),
    )
}
