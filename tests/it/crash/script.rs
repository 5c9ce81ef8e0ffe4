//! A model that does what the message says, and a skill whose effects can be counted.
//!
//! A message carries its plan: `plan[m1]: activate | look put act | say`. Each part is one answer of the model:
//! tools to call, or words to say. Every answer bears the number of its request, so that a stored answer leads
//! back to the request that it answered.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::*;

const TOOLS: &str = r#"{"name": "effects", "description": "leaves a line for each run", "tools": [
    {"name": "fx_look", "description": "reads", "effect": "pure"},
    {"name": "fx_put", "description": "knows its key", "effect": "idempotent"},
    {"name": "fx_act", "description": "acts", "effect": "once"},
    {"name": "fx_ask", "description": "acts when allowed", "effect": "once", "approval": true},
    {"name": "fx_gate", "description": "waits for a file", "effect": "pure"}
]}"#;
/// One line a run: the key of the call and the name of the tool.
const SCRIPT: &str = r#"key=${SKILL_CONFIG#*\"callKey\":\"}
key=${key%%\"*}
echo "$key $1" >> "$HOME/../effects"
if [ "$1" = fx_gate ]; then
    while [ ! -e "$HOME/../open" ]; do sleep 0.01; done
fi
echo "ran $1"
"#;

/// Puts the skill into a home.
pub(super) fn install(home: &Path) {
    let folder = home.join("skills/effects");
    std::fs::create_dir_all(folder.join("scripts")).unwrap();
    std::fs::create_dir_all(home.join("workspace")).unwrap();
    std::fs::write(folder.join("SKILL.md"), "---\nname: effects\ndescription: effects\n---\nRun it.")
        .unwrap();
    std::fs::write(folder.join("tools.json"), TOOLS).unwrap();
    std::fs::write(folder.join("scripts/run.sh"), SCRIPT).unwrap();
}

/// The lines that tools left behind.
pub(super) fn effects(home: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(home.join("workspace/effects")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lets all gates open, now and later.
pub(super) fn open_gate(home: &Path) {
    std::fs::write(home.join("workspace/open"), "").unwrap();
}

/// The configuration under which all of this runs.
pub(super) fn config(model: &MockModel, more: &str) -> String {
    let agent = if more.contains("agent:") {
        ""
    } else {
        "agent: {max_resumes: 100, memory: {auto_extraction: false}}\n"
    };
    format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: k, max_tokens: 200}}\n\
         prices: {{mock: {{input: 3, output: 15}}}}\n\
         skills: {{effects: {{run_on_host: true}}}}\n{agent}{more}",
        model.openai()
    )
}

/// The answer that the plan of the newest message asks for.
pub(super) fn obey(request: &Request) -> Reply {
    let number = request.number;
    if request.last().starts_with("<transcript>") {
        return Reply::say(format!("they talked (#{number})"));
    }
    let messages = request.body["messages"].as_array().cloned().unwrap_or_default();
    let planned =
        messages.iter().rposition(|message| message["role"] == "user" && words(message).contains("plan["));
    let Some(at) = planned else { return Reply::say(format!("no plan (#{number})")) };
    let text = words(&messages[at]);
    let (name, plan) = parse(&text);
    let since = &messages[at + 1..];
    let step = since.iter().filter(|message| message["role"] == "assistant").count();
    let results = since.iter().filter(|message| message["role"] == "tool").count();
    match plan.get(step).copied().unwrap_or("say") {
        "say" => Reply::say(format!("{name} is done with {results} results (#{number})")),
        "cut" => Reply::Cut(format!("a part (#{number}), ")),
        "slowly" => Reply::Slowly(vec!["slowly, ".into(), format!("{name} is done (#{number})")], 5),
        calls => {
            let id = remembered(&request.text());
            Reply::Call(String::new(), calls.split(' ').map(|word| call(word, name, &id)).collect())
        }
    }
}

fn call(word: &str, name: &str, id: &str) -> (String, Value) {
    let (tool, args) = match word {
        "activate" => ("activate_skill", json!({"skill_name": "effects"})),
        "remember" => {
            ("memory_store", json!({"content": format!("{name} has a boat called Anna of {name}")}))
        }
        "recall" => ("memory_retrieve", json!({"query": format!("boat {name}")})),
        "revise" => ("memory_update", json!({"memory_id": id, "content": format!("{name} sold the boat")})),
        "forget" => ("memory_delete", json!({"memory_id": id})),
        tool => return (format!("fx_{tool}"), json!({"word": name})),
    };
    (tool.to_owned(), args)
}

/// The id of the fact that was stored last.
fn remembered(text: &str) -> String {
    text.rsplit_once("(id: ").map(|(_, rest)| rest.chars().take(12).collect()).unwrap_or_default()
}

/// The name of a message and the parts of its plan.
pub(super) fn parse(text: &str) -> (&str, Vec<&str>) {
    let Some((_, rest)) = text.rsplit_once("plan[") else { return ("", Vec::new()) };
    let (name, rest) = rest.split_once("]:").unwrap_or((rest, ""));
    let plan = rest.lines().next().unwrap_or_default();
    (name, plan.split('|').map(str::trim).collect())
}

fn words(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts.to_string(),
    }
}
