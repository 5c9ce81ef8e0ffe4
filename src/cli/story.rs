//! `atoll story`.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::home::Home;

use super::{
    CliError, CliResult,
    client::{Client, block_on, segment},
    project::say_fields,
    table::{field, say, say_json, say_table},
    work_args::{StoryCommand, StoryMore},
};

pub(super) fn run(home: &Home, command: &StoryCommand) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match command {
            StoryCommand::Add { project, fields, output } => {
                let mut body = body(&fields.more);
                body.insert("title".into(), json!(fields.title));
                if let Some(column) = &fields.column {
                    body.insert("columnId".into(), find_column(&client, project, column).await?);
                }
                let path = format!("/api/v1/projects/{}/stories", segment(project));
                let made = client.post(&path, &Value::Object(body)).await?;
                if output.json {
                    say_json(&made);
                } else {
                    say(&field(&made, "id"));
                }
                Ok(())
            }
            StoryCommand::List { .. } => list(&client, command).await,
            StoryCommand::Show { id, output } => show(&client, id, output.json).await,
            StoryCommand::Move { id, column, position } => {
                let story = client.get(&path(id)).await?;
                let column = find_column(&client, &field(&story, "projectId"), column).await?;
                let mut body = json!({"columnId": column, "version": story["version"]});
                if let Some(position) = position {
                    body["position"] = json!(position);
                }
                client.patch(&path(id), &body).await?;
                say("moved");
                Ok(())
            }
            StoryCommand::Edit { id, title, more, blocked, unblock, version } => {
                let mut body = body(more);
                if let Some(title) = title {
                    body.insert("title".into(), json!(title));
                }
                if blocked.is_some() || *unblock {
                    body.insert("blocked".into(), json!(blocked));
                }
                if body.is_empty() {
                    return Err(CliError::said("say what to change: `atoll story edit --help`"));
                }
                if let Some(version) = version {
                    body.insert("version".into(), json!(version));
                }
                let changed = client.patch(&path(id), &Value::Object(body)).await?;
                say(&format!("changed: version {}", field(&changed, "version")));
                Ok(())
            }
            StoryCommand::Remove { id } => {
                client.done(Method::DELETE, &path(id)).await?;
                say("removed");
                Ok(())
            }
        }
    })?
}

fn path(id: &str) -> String {
    format!("/api/v1/stories/{}", segment(id))
}

/// What was typed of a story, by the names of the interface.
fn body(more: &StoryMore) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.into(), value);
        }
    };
    set("description", more.description.as_ref().map(|text| json!(text)));
    set("acceptanceCriteria", more.criteria.as_ref().map(|text| json!(text)));
    set("priority", more.priority.as_ref().map(|word| json!(word)));
    set("storyPoints", more.points.map(|points| json!(points)));
    set("labels", (!more.label.is_empty()).then(|| json!(more.label)));
    set("dependsOn", (!more.after.is_empty()).then(|| json!(more.after)));
    set("assignee", more.user.as_ref().or(more.bot.as_ref()).map(|id| json!(id)));
    set("assigneeType", more.bot.as_ref().map(|_| json!("bot")));
    set("assignee", more.nobody.then_some(Value::Null));
    body
}

/// The id of the column that is named by its id, its name, or (the first one) its role.
async fn find_column(client: &Client, project: &str, named: &str) -> Result<Value, CliError> {
    let path = format!("/api/v1/projects/{}/board", segment(project));
    let found = client.get_with(&path, &[("limit", "1")]).await?;
    let columns = found["board"]["columns"].as_array().cloned().unwrap_or_default();
    let is =
        |key: &str| columns.iter().find(|column| field(column, key).to_lowercase() == named.to_lowercase());
    let column = is("id").or_else(|| is("name")).or_else(|| is("role"));
    column.map(|column| column["id"].clone()).ok_or_else(|| {
        let names: Vec<String> = columns.iter().map(|column| field(column, "name")).collect();
        CliError::said(format!("the board has no column `{named}`; it has {}", names.join(", ")))
    })
}

async fn list(client: &Client, command: &StoryCommand) -> CliResult {
    let StoryCommand::List { project, role, assignee, priority, label, blocked, search, limit, output } =
        command
    else {
        return Ok(());
    };
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    let wanted =
        [("role", role), ("assignee", assignee), ("priority", priority), ("label", label), ("q", search)];
    query.extend(wanted.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))));
    if *blocked {
        query.push(("blocked", "true"));
    }
    let base = format!("/api/v1/projects/{}", segment(project));
    let found = client.get_with(&format!("{base}/stories"), &query).await?;
    if output.json {
        say_json(&found);
        return Ok(());
    }
    let board = client.get_with(&format!("{base}/board"), &[("limit", "1")]).await?;
    let columns = board["board"]["columns"].as_array().cloned().unwrap_or_default();
    let name = |story: &Value| {
        let column = columns.iter().find(|column| column["id"] == story["columnId"]);
        column.map(|column| field(column, "name")).unwrap_or_default()
    };
    let stories = found["stories"].as_array().cloned().unwrap_or_default();
    let row = |story: &Value| {
        let [id, priority, title, assignee, blocked] =
            ["id", "priority", "title", "assignee", "blocked"].map(|key| field(story, key));
        vec![id, name(story), priority, title, assignee, blocked]
    };
    say_table(
        &["id", "column", "priority", "title", "assignee", "blocked"],
        stories.iter().map(row).collect(),
    );
    let (shown, total) = (stories.len() as u64, found["total"].as_u64().unwrap_or(0));
    if shown < total {
        say(&format!("{shown} of {total}: -n shows more"));
    }
    Ok(())
}

async fn show(client: &Client, id: &str, as_json: bool) -> CliResult {
    let mut story = client.get(&path(id)).await?;
    let history = client.get(&format!("{}/history", path(id))).await?;
    if as_json {
        story["history"] = history["history"].clone();
        say_json(&story);
        return Ok(());
    }
    say_fields(&story);
    let row = |entry: &Value| {
        let fields = entry["changes"].as_array().into_iter().flatten().map(|change| field(change, "field"));
        let fields = fields.collect::<Vec<_>>().join(", ");
        let [version, at, actor, action] = ["version", "at", "actor", "action"].map(|key| field(entry, key));
        vec![version, at, actor, action, fields]
    };
    let rows = history["history"].as_array().into_iter().flatten().map(row).collect();
    say("");
    say_table(&["version", "when", "who", "what", "fields"], rows);
    Ok(())
}
