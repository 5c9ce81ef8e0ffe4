//! `atoll actors`.

use serde_json::{Value, json};

use crate::home::Home;

use super::{
    CliResult,
    args::{ActorsArgs, ActorsCommand, ActorsList},
    client::{Client, block_on},
    table::{age, field, say, say_json, say_table},
};

pub(super) fn run(home: &Home, args: &ActorsArgs) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match &args.command() {
            ActorsCommand::List(ActorsList { kind, json }) => {
                let query: Vec<(&str, &str)> = kind.iter().map(|kind| ("kind", kind.as_str())).collect();
                let tree = client.get_with("/api/v1/actors", &query).await?;
                if *json { say_json(&tree) } else { show(&tree) }
            }
            ActorsCommand::Inspect { name } => {
                let found = client.get_with("/api/v1/actors/inspect", &[("name", name)]).await?;
                say_json(&found);
            }
            ActorsCommand::Restart { name } => {
                client.post("/api/v1/actors/restart", &json!({"name": name})).await?;
                say(&format!("{name} is started again"));
            }
        }
        Ok(())
    })?
}

fn show(tree: &Value) {
    let list = tree["actors"].as_array().cloned().unwrap_or_default();
    let rows = list
        .iter()
        .map(|actor| {
            let restarts = format!(
                "{} panics, {} errors, {} stops, {} freezes",
                field(actor, "panics"),
                field(actor, "errors"),
                field(actor, "stops"),
                field(actor, "freezes")
            );
            vec![
                field(actor, "name"),
                field(actor, "parent"),
                field(actor, "state"),
                format!("{}/{}", field(actor, "mailboxDepth"), field(actor, "mailboxCapacity")),
                age(actor["oldestMs"].as_i64().unwrap_or(0)),
                field(actor, "handled"),
                restarts,
                field(actor, "lastError"),
            ]
        })
        .collect();
    say_table(&["name", "parent", "state", "mailbox", "oldest", "handled", "restarts", "last error"], rows);
    let total = tree["total"].as_u64().unwrap_or(0);
    if total > list.len() as u64 {
        say(&format!("{} of {total} are shown", list.len()));
    }
}
