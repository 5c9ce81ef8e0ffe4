//! What a real provider would refuse, and how it would say so.

use std::collections::HashSet;

use serde_json::Value;

use super::model::Request;

const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// What the real APIs refuse.
pub(super) fn check(request: &Request) -> Option<String> {
    let body = &request.body;
    if body.is_null() {
        return None;
    }
    let messages = body["messages"].as_array()?;
    if request.is_anthropic() { check_anthropic(body, messages) } else { check_openai(body, messages) }
}

fn check_openai(body: &Value, messages: &[Value]) -> Option<String> {
    let known = [
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "tools",
    ];
    for key in body.as_object()?.keys() {
        if !known.contains(&key.as_str()) {
            return Some(format!("unknown parameter {key}"));
        }
    }
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
            let Some(at) = open.iter().position(|known| *known == id) else {
                return Some(format!("a tool message answers no call: {id}"));
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Some(format!("tool calls without results: {open:?}"));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            open.push(call["id"].as_str().unwrap_or_default().to_owned());
            let args = call["function"]["arguments"].as_str().unwrap_or("{");
            if serde_json::from_str::<Value>(args).is_err() && !args.starts_with("broken") {
                return Some(format!("arguments are no JSON: {args}"));
            }
        }
    }
    if !open.is_empty() {
        return Some(format!("tool calls without results at the end: {open:?}"));
    }
    let parts = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    for part in parts {
        let data = |place: &Value| {
            place.as_str().unwrap_or_default().split(';').next().unwrap_or_default().to_owned()
        };
        let fine = match part["type"].as_str().unwrap_or_default() {
            "image_url" => {
                PICTURES.map(|kind| format!("data:{kind}")).contains(&data(&part["image_url"]["url"]))
            }
            "input_audio" => part["input_audio"]["format"] == "wav" || part["input_audio"]["format"] == "mp3",
            "video_url" => data(&part["video_url"]["url"]).starts_with("data:video/"),
            "file" => data(&part["file"]["file_data"]) == "data:application/pdf",
            "text" => true,
            _ => false,
        };
        if !fine {
            return Some(format!("a part of type {} is not taken as it is", part["type"]));
        }
    }
    check_tools(body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]))
}

fn check_anthropic(body: &Value, messages: &[Value]) -> Option<String> {
    if body["max_tokens"].as_u64().is_none() {
        return Some("max_tokens is missing".into());
    }
    let mut role = "assistant";
    let mut uses: Vec<String> = Vec::new();
    for message in messages {
        let now = message["role"].as_str().unwrap_or_default();
        if now == role {
            return Some(format!("two messages in a row of {now}"));
        }
        role = if now == "user" { "user" } else { "assistant" };
        let blocks = message["content"].as_array().cloned().unwrap_or_default();
        if blocks.is_empty() {
            return Some("a message without content".into());
        }
        let results: Vec<String> = blocks
            .iter()
            .filter(|block| block["type"] == "tool_result")
            .map(|block| block["tool_use_id"].as_str().unwrap_or_default().to_owned())
            .collect();
        if results != uses {
            return Some(format!("tool_use {uses:?} is followed by tool_result {results:?}"));
        }
        if blocks.iter().any(|block| {
            block["type"] == "text" && block["text"].as_str().is_none_or(|t| t.trim().is_empty())
        }) {
            return Some("text content blocks must be non-empty".into());
        }
        uses = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| block["id"].as_str().unwrap_or_default().to_owned())
            .collect();
    }
    let blocks = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    for block in blocks {
        let (source, kind) = (&block["source"], block["source"]["media_type"].as_str().unwrap_or_default());
        let fine = match block["type"].as_str().unwrap_or_default() {
            "image" => source["type"] == "base64" && PICTURES.contains(&kind),
            "document" => source["type"] == "base64" && kind == "application/pdf",
            "text" | "tool_use" | "tool_result" => true,
            _ => false,
        };
        if !fine {
            return Some(format!("a block of type {} with {kind} is not taken", block["type"]));
        }
    }
    if role != "user" {
        return Some("the last message must be the user's".into());
    }
    let marks = body.to_string().matches("cache_control").count();
    if marks > 4 {
        return Some(format!("{marks} cache marks, at most 4"));
    }
    check_tools(body["tools"].as_array().into_iter().flatten())
}

fn check_tools<'a>(tools: impl Iterator<Item = &'a Value>) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for tool in tools {
        let name = tool["name"].as_str().unwrap_or_default();
        let fine = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !fine || names.contains(&name) {
            return Some(format!("tool name `{name}` is bad or there twice"));
        }
        names.push(name);
    }
    None
}
