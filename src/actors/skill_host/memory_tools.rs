//! The memory tools: five ways to the facts of one user, and of that user only.

use serde_json::{Value, json};

use crate::{
    actors::db::messages::*,
    domain::{
        ids::{MemoryId, encode_short},
        memory::{self, CATEGORIES, Memory, MemoryChange, NewMemory},
        message::ToolCall,
        skill::{EffectClass, ToolSpec},
    },
    ports::tool::{ToolContext, ToolOutput},
};

use super::actor::Kit;

pub(super) const NAMES: [&str; 5] =
    ["memory_store", "memory_retrieve", "memory_list", "memory_update", "memory_delete"];
const FOUND: usize = 5;
const LISTED: usize = 50;
const MOST: usize = 200;

pub(super) fn specs() -> Vec<ToolSpec> {
    let tags = json!({"type": "array", "items": {"type": "string"}, "description": "Words to find it by."});
    let category = json!({"type": "string", "enum": CATEGORIES});
    let importance = json!({
        "type": "number", "minimum": 0, "maximum": 1,
        "description": "0.3 minor, 0.5 usual, 0.7 important, 0.9 must not be forgotten."
    });
    let id = json!({"type": "string", "description": "The id in square brackets, as listed."});
    let object = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required});
    vec![
        spec(
            "memory_store",
            "Keeps a fact about the user for later conversations. One fact a call, in a full sentence.",
            object(
                json!({"content": {"type": "string"}, "category": category, "tags": tags, "importance": importance}),
                &["content"],
            ),
            EffectClass::Idempotent,
        ),
        spec(
            "memory_retrieve",
            "Finds facts by words.",
            object(
                json!({"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": MOST}}),
                &["query"],
            ),
            EffectClass::Pure,
        ),
        spec(
            "memory_list",
            "Lists facts, the newest first.",
            object(
                json!({"category": {"type": "string"}, "limit": {"type": "integer", "minimum": 1, "maximum": MOST}}),
                &[],
            ),
            EffectClass::Pure,
        ),
        spec(
            "memory_update",
            "Corrects a fact that is there.",
            object(
                json!({"memory_id": id, "content": {"type": "string"}, "category": category, "tags": tags, "importance": importance}),
                &["memory_id"],
            ),
            EffectClass::Idempotent,
        ),
        spec(
            "memory_delete",
            "Forgets a fact for good.",
            object(json!({"memory_id": id}), &["memory_id"]),
            EffectClass::Idempotent,
        ),
    ]
}

fn spec(name: &str, description: &str, input_schema: Value, effect: EffectClass) -> ToolSpec {
    ToolSpec {
        name: name.into(),
        description: description.into(),
        input_schema,
        effect,
        approval: false,
        skill: None,
    }
}

pub(super) async fn run(kit: &Kit, call: &ToolCall, context: &ToolContext) -> ToolOutput {
    let outcome = match call.name.as_str() {
        "memory_store" => store(kit, &call.args, context).await,
        "memory_retrieve" => retrieve(kit, &call.args, context).await,
        "memory_list" => list(kit, &call.args, context).await,
        "memory_update" => update(kit, &call.args, context).await,
        _ => delete(kit, &call.args, context).await,
    };
    match outcome {
        Ok(text) => ToolOutput::ok(text),
        Err(error) => ToolOutput::failed(format!("Error: {error}.")),
    }
}

async fn store(kit: &Kit, args: &Value, context: &ToolContext) -> Result<String, String> {
    let change = change(args);
    memory::check(&change).map_err(|fault| fault.to_string())?;
    let memory = NewMemory {
        id: MemoryId::new(encode_short(kit.clock.fresh())),
        user: context.user.clone(),
        content: change.content.unwrap_or_default(),
        category: change.category.unwrap_or_else(|| "general".into()),
        tags: change.tags.unwrap_or_default(),
        importance: change.importance.unwrap_or(0.5),
        source: "tool".into(),
        origin: Some(context.key.clone()),
        now: kit.clock.now(),
    };
    let (memory, merged) = kit.doors.store.ask(StoreMemory { memory }).await.map_err(word)?;
    Ok(match merged {
        true => format!("Joined with what was known already (id: {}).", memory.id),
        false => format!("Memory stored (id: {}).", memory.id),
    })
}

async fn retrieve(kit: &Kit, args: &Value, context: &ToolContext) -> Result<String, String> {
    let search = SearchMemories {
        user: context.user.clone(),
        query: args["query"].as_str().unwrap_or_default().to_owned(),
        now: kit.clock.now(),
        limit: limit(args, FOUND),
    };
    let found = kit.doors.search.ask(search).await.map_err(word)?;
    let ids = found.iter().map(|memory| memory.id.clone()).collect::<Vec<_>>();
    if !ids.is_empty() {
        kit.doors.used.ask(UsedMemories { ids }).await.map_err(word)?;
    }
    Ok(lines(&found))
}

async fn list(kit: &Kit, args: &Value, context: &ToolContext) -> Result<String, String> {
    let list = ListMemories {
        user: context.user.clone(),
        category: args["category"].as_str().map(str::to_owned),
        limit: limit(args, LISTED),
        offset: 0,
    };
    Ok(lines(&kit.doors.list.ask(list).await.map_err(word)?))
}

async fn update(kit: &Kit, args: &Value, context: &ToolContext) -> Result<String, String> {
    let change = change(args);
    memory::check(&change).map_err(|fault| fault.to_string())?;
    let (user, id, now) = (context.user.clone(), id(args), kit.clock.now());
    let memory = kit.doors.update.ask(UpdateMemory { user, id, change, now }).await.map_err(word)?;
    Ok(format!("Memory changed: {}", line(&memory)))
}

async fn delete(kit: &Kit, args: &Value, context: &ToolContext) -> Result<String, String> {
    let (user, id) = (context.user.clone(), id(args));
    match kit.doors.delete.ask(DeleteMemory { user, id }).await {
        Ok(()) => Ok("Memory deleted.".into()),
        Err(error) => Err(word(error)),
    }
}

fn change(args: &Value) -> MemoryChange {
    let text = |key: &str| args[key].as_str().map(str::to_owned);
    let tags = args["tags"].as_array().map(|tags| {
        tags.iter().filter_map(Value::as_str).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
    });
    MemoryChange {
        content: text("content"),
        category: text("category"),
        tags,
        importance: args["importance"].as_f64(),
    }
}

fn id(args: &Value) -> MemoryId {
    MemoryId::new(args["memory_id"].as_str().unwrap_or_default().trim_matches(['[', ']']))
}

fn limit(args: &Value, usual: usize) -> usize {
    args["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usual).min(MOST)
}

fn lines(memories: &[Memory]) -> String {
    if memories.is_empty() {
        return "Nothing found.".into();
    }
    memories.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(memory: &Memory) -> String {
    let tags = if memory.tags.is_empty() { String::new() } else { format!(" [{}]", memory.tags.join(", ")) };
    format!("[{}] ({}) {}{tags}", memory.id, memory.category, memory.content)
}

fn word(error: DbError) -> String {
    error.to_string()
}
