//! `atoll task`.

use std::io::{IsTerminal as _, Read as _};

use serde_json::{Value, json};

use crate::home::Home;

use super::{
    CliResult,
    client::{Client, block_on, segment},
    project::say_fields,
    table::{field, say, say_json, say_piece, say_table},
    task_args::{TaskCommand, TaskList, TaskRun},
    task_watch::{Look, Watch, plain},
};

pub(super) fn run(home: &Home, command: &TaskCommand) -> CliResult {
    let client = Client::find(home)?;
    block_on(async {
        match command {
            TaskCommand::Run(run) => give(&client, run).await,
            TaskCommand::List(list) => show_list(&client, list).await,
            TaskCommand::Show { id, output } => {
                let found = client.get(&path(id)).await?;
                if output.json {
                    say_json(&found);
                } else {
                    show(&found);
                }
                Ok(())
            }
            TaskCommand::Logs { id, follow, from, verbosity, json } => {
                let look = Look { verbosity: verbosity.clone(), json: *json, answers: false, yes: false };
                let mut watch = Watch::new(&client, id, *from, look);
                if *follow { watch.until_over().await } else { watch.what_is_there().await }
            }
            TaskCommand::Diff { id } => {
                let diff = client.text(&format!("{}/diff", path(id))).await?;
                let safe = if std::io::stdout().is_terminal() { plain(&diff) } else { diff };
                say_piece(&safe);
                Ok(())
            }
            TaskCommand::Cancel { id } => tell(&client, id, "cancel", json!({})).await,
            TaskCommand::Retry { id } => tell(&client, id, "retry", json!({})).await,
            TaskCommand::Continue { id, instruction } => {
                tell(&client, id, "follow-up", json!({"instruction": instruction})).await
            }
            TaskCommand::Steer { id, text } => tell(&client, id, "steer", json!({"text": text})).await,
            TaskCommand::Approve { id, without_pr } => {
                tell(&client, id, "approve", json!({"withoutPullRequest": without_pr})).await
            }
            TaskCommand::Reject { id, reason } => {
                tell(&client, id, "reject", json!({"reason": reason})).await
            }
        }
    })?
}

/// A task's place in the interface.
pub(super) fn path(id: &str) -> String {
    format!("/api/v1/tasks/{}", segment(id))
}

/// Tells a task something, and says where it stands then.
async fn tell(client: &Client, id: &str, what: &str, body: Value) -> CliResult {
    let now = client.post(&format!("{}/{what}", path(id)), &body).await?;
    say(&field(&now, "status"));
    Ok(())
}

async fn give(client: &Client, run: &TaskRun) -> CliResult {
    let mut instruction = run.instruction.clone();
    if instruction == "-" {
        instruction.clear();
        std::io::stdin().read_to_string(&mut instruction)?;
    }
    let body = json!({
        "projectId": run.project, "instruction": instruction, "title": run.title, "engineType": run.engine,
        "model": run.model, "verbosity": run.verbosity, "callbackUrl": run.callback,
    });
    let made = client.post("/api/v1/tasks", &body).await?;
    let id = field(&made, "jobId");
    let follows = run.follow || run.yes;
    match (run.output.json, follows) {
        (true, false) => say_json(&made),
        (true, true) => say(&made.to_string()),
        (false, false) => say(&id),
        (false, true) => say(&format!("task {id}: {}", plain(&field(&made["task"], "title")))),
    }
    if !follows {
        return Ok(());
    }
    let look = Look { verbosity: run.verbosity.clone(), json: run.output.json, answers: true, yes: run.yes };
    Watch::new(client, &id, 0, look).until_over().await
}

async fn show_list(client: &Client, list: &TaskList) -> CliResult {
    let limit = list.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    let wanted = [("projectId", &list.project), ("botId", &list.bot), ("status", &list.status)];
    query.extend(wanted.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?))));
    if list.open {
        query.push(("over", "false"));
    }
    let found = client.get_with("/api/v1/tasks", &query).await?;
    if list.output.json {
        say_json(&found);
        return Ok(());
    }
    let tasks = found["tasks"].as_array().cloned().unwrap_or_default();
    let keys = ["id", "projectId", "status", "title", "engineType", "costUsd", "createdAt"];
    let rows = tasks.iter().map(|task| keys.map(|key| plain(&field(task, key))).to_vec()).collect();
    say_table(&["id", "project", "status", "title", "engine", "usd", "since"], rows);
    let (shown, total) = (tasks.len() as u64, found["total"].as_u64().unwrap_or(0));
    if shown < total {
        say(&format!("{shown} of {total}: -n shows more"));
    }
    Ok(())
}

fn show(task: &Value) {
    let mut fields = task.clone();
    let evidence = fields["evidence"].take();
    say_fields(&harmless(fields));
    for run in evidence.as_array().into_iter().flatten() {
        say("");
        say_check(run);
    }
}

/// All texts without what could mislead a terminal.
fn harmless(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(&text)),
        Value::Array(list) => list.into_iter().map(harmless).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, harmless(value))).collect(),
        other => other,
    }
}

/// What a check came to.
pub(super) fn say_check(run: &Value) {
    let passed = run["exit"] == 0;
    let how = match run["exit"].as_i64() {
        Some(0) => String::new(),
        Some(code) => format!("  (exit {code})"),
        None => "  (ended by its time)".into(),
    };
    say(&format!("  {} {}{how}", if passed { "✓" } else { "✗" }, plain(&field(run, "command"))));
    if !passed {
        for line in plain(&field(run, "tail")).lines() {
            say(&format!("      {line}"));
        }
    }
}
