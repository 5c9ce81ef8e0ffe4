//! `atoll bot`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::home::Home;

use super::{
    CliResult,
    client::{Client, block_on, segment},
    project::say_fields,
    table::{field, say, say_json, say_table},
    work_args::{BotAdd, BotCommand},
};

pub(super) fn run(home: &Home, command: &BotCommand) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match command {
            BotCommand::Add(add) => {
                let made = client.post("/api/v1/bots", &body(add)).await?;
                if add.output.json {
                    say_json(&made);
                } else {
                    say(&field(&made, "id"));
                }
                Ok(())
            }
            BotCommand::List { project, output } => {
                let mut query = vec![("limit", "500")];
                query.extend(project.as_deref().map(|project| ("projectId", project)));
                let found = client.get_with("/api/v1/bots", &query).await?;
                if output.json {
                    say_json(&found);
                    return Ok(());
                }
                let keys = ["id", "projectId", "name", "engineType", "model", "status"];
                let list = found["bots"].as_array().into_iter().flatten();
                let rows = list.map(|bot| keys.map(|key| field(bot, key)).to_vec()).collect();
                say_table(&["id", "project", "name", "engine", "model", "status"], rows);
                Ok(())
            }
            BotCommand::Show { id, output } => {
                let found = client.get(&path(id)).await?;
                if output.json {
                    say_json(&found);
                } else {
                    say_fields(&found);
                }
                Ok(())
            }
            BotCommand::Start { id } => turn(&client, id, "start").await,
            BotCommand::Pause { id } => turn(&client, id, "pause").await,
            BotCommand::Stop { id } => turn(&client, id, "stop").await,
            BotCommand::Remove { id } => {
                client.done(Method::DELETE, &path(id)).await?;
                say("removed");
                Ok(())
            }
            BotCommand::Journal { .. } => journal(&client, command).await,
        }
    })?
}

fn path(id: &str) -> String {
    format!("/api/v1/bots/{}", segment(id))
}

fn body(add: &BotAdd) -> Value {
    json!({
        "projectId": add.project, "name": add.name, "engineType": add.engine, "model": add.model,
        "systemPrompt": add.prompt, "pollIntervalSeconds": add.poll, "maxConcurrentStories": add.stories,
        "dailyBudgetUsd": add.per_day, "storyBudgetUsd": add.per_story, "idleBehavior": add.idle,
    })
}

async fn turn(client: &Client, id: &str, action: &str) -> CliResult {
    let now = client.post(&format!("{}/loop", path(id)), &json!({"action": action})).await?;
    say(&field(&now, "status"));
    for (key, what) in [("jobIds", "tasks still open"), ("waitsFor", "waits"), ("lastError", "last error")] {
        let words = match &now[key] {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        if !words.is_empty() {
            say(&format!("{what}: {words}"));
        }
    }
    Ok(())
}

async fn journal(client: &Client, command: &BotCommand) -> CliResult {
    let BotCommand::Journal { id, kind, search, limit, output } = command else { return Ok(()) };
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(kind.as_deref().map(|kind| ("type", kind)));
    query.extend(search.as_deref().map(|words| ("q", words)));
    let found = client.get_with(&format!("{}/journal", path(id)), &query).await?;
    if output.json {
        say_json(&found);
        return Ok(());
    }
    let list = found["entries"].as_array().into_iter().flatten();
    let keys = ["createdAt", "entryType", "summary", "storyId"];
    let rows = list.map(|entry| keys.map(|key| field(entry, key)).to_vec()).collect();
    say_table(&["when", "type", "summary", "story"], rows);
    Ok(())
}
