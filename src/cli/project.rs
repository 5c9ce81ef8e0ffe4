//! `atoll project` and `atoll board`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::home::Home;

use super::{
    CliError, CliResult,
    client::{Client, block_on, segment},
    table::{field, say, say_json, say_table},
    work_args::{BoardCommand, ProjectAdd, ProjectCommand},
};

pub(super) fn run(home: &Home, command: &ProjectCommand) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match command {
            ProjectCommand::Add(add) => {
                let made = client.post("/api/v1/projects", &body(add)).await?;
                if add.output.json {
                    say_json(&made);
                } else {
                    say(&format!("made the project {}: atoll board show {0}", field(&made, "id")));
                }
            }
            ProjectCommand::List(output) => {
                let found = client.get_with("/api/v1/projects", &[("limit", "500")]).await?;
                if output.json {
                    say_json(&found);
                    return Ok(());
                }
                let list = found["projects"].as_array().cloned().unwrap_or_default();
                if list.is_empty() {
                    say("there is no project: atoll project add NAME --repo URL");
                    return Ok(());
                }
                let keys = ["id", "name", "repoUrl", "defaultBranch", "branchStrategy"];
                let rows = list.iter().map(|project| keys.map(|key| field(project, key)).to_vec()).collect();
                say_table(&["id", "name", "repository", "branch", "strategy"], rows);
            }
            ProjectCommand::Show { project, output } => {
                let found = client.get(&format!("/api/v1/projects/{}", segment(project))).await?;
                if output.json { say_json(&found) } else { say_fields(&found) }
            }
            ProjectCommand::Remove { project, yes } => {
                if !yes {
                    let why = "this removes its board, stories, bots and journals: add --yes";
                    return Err(CliError::said(why));
                }
                let path = format!("/api/v1/projects/{}", segment(project));
                client.done(Method::DELETE, &path).await?;
                say("removed");
            }
        }
        Ok(())
    })?
}

fn body(add: &ProjectAdd) -> Value {
    let forge = add
        .forge
        .as_ref()
        .map(|kind| json!({"kind": kind, "apiUrl": add.forge_api, "tokenEnv": add.token_env}));
    json!({
        "id": add.id, "name": add.name, "repoUrl": add.repo, "defaultBranch": add.branch,
        "branchStrategy": add.strategy, "verifyCommands": add.verify, "setupCommands": add.setup,
        "allowedHosts": add.host, "allowedPresets": add.preset, "setupHosts": add.setup_host,
        "setupPresets": add.setup_preset, "forge": forge, "watchRequests": add.watch_requests, "image": add.image,
        "engineApprovals": add.engine_approvals, "allowSubmodules": add.allow_submodules,
    })
}

/// Prints an object for people: one line a field, in the order of the interface; what is empty is left out.
pub(super) fn say_fields(value: &Value) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            let words = list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let rows = value.as_object().into_iter().flatten().filter(|(_, value)| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    });
    say_table(&["field", "value"], rows.map(|(key, value)| vec![key.clone(), text(value)]).collect());
}

pub(super) fn board(home: &Home, command: &BoardCommand) -> CliResult {
    let client = Client::find(home)?;
    let BoardCommand::Show { project, limit, output } = command;
    block_on(async {
        let path = format!("/api/v1/projects/{}/board", segment(project));
        let found = client.get_with(&path, &[("limit", &limit.to_string())]).await?;
        if output.json {
            say_json(&found);
        } else {
            say_board(&found);
        }
        Ok(())
    })?
}

/// Columns side by side; each story is its id, how urgent it is, and its title.
fn say_board(found: &Value) {
    let columns = found["board"]["columns"].as_array().cloned().unwrap_or_default();
    let stories = found["stories"].as_array().cloned().unwrap_or_default();
    let in_column = |column: &Value| -> Vec<String> {
        let own = stories.iter().filter(|story| story["columnId"] == column["id"]);
        let mut cards: Vec<String> = own.map(card).collect();
        let more = column["stories"].as_u64().unwrap_or(0).saturating_sub(cards.len() as u64);
        if more > 0 {
            cards.push(format!("… and {more} more"));
        }
        cards
    };
    let cards: Vec<Vec<String>> = columns.iter().map(in_column).collect();
    let heads: Vec<String> = columns
        .iter()
        .map(|column| match column["wipLimit"].as_u64() {
            Some(limit) => format!("{} ({}/{limit})", field(column, "name"), field(column, "stories")),
            None => format!("{} ({})", field(column, "name"), field(column, "stories")),
        })
        .collect();
    let height = cards.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| cards.iter().map(|column| column.get(at).cloned().unwrap_or_default()).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    say_table(&heads, (0..height).map(row).collect());
}

fn card(story: &Value) -> String {
    let urgency = match story["priority"].as_str() {
        Some("critical") => "!! ",
        Some("high") => "! ",
        _ => "",
    };
    let mut text = format!("{} {urgency}{}", field(story, "id"), field(story, "title"));
    if let Some(reason) = story["blocked"].as_str() {
        text.push_str(&format!(" [blocked: {reason}]"));
    }
    if let Some(bot) = story["claim"]["botId"].as_str() {
        text.push_str(&format!(" [{bot} works on it]"));
    } else if let Some(name) = story["assignee"].as_str() {
        text.push_str(&format!(" @{name}"));
    }
    text
}
