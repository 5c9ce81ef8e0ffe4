//! What the real Discord does not take of a message, and how it says so.

use serde_json::{Value, json};

use super::rest::Reply;

/// Fields of a new message, of a changed one, and of an interaction's answer.
pub(super) const CREATE: &[&str] = &[
    "content",
    "nonce",
    "tts",
    "embeds",
    "allowed_mentions",
    "message_reference",
    "components",
    "sticker_ids",
    "attachments",
    "flags",
    "enforce_nonce",
    "poll",
];
pub(super) const EDIT: &[&str] =
    &["content", "embeds", "flags", "allowed_mentions", "components", "attachments"];
pub(super) const ANSWER: &[&str] =
    &["tts", "content", "embeds", "allowed_mentions", "flags", "components", "attachments", "poll"];

/// A form that is not taken: where, and why.
pub(super) fn bad(path: &str, why: &str) -> Reply {
    let leaf = json!({"_errors": [{"code": "BAD", "message": why}]});
    let errors = path.rsplit('.').fold(leaf, |inner, name| json!({name: inner}));
    Reply::new(400, json!({"code": 50_035, "message": "Invalid Form Body", "errors": errors}))
}

fn count(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

fn fields(value: &Value, known: &[&str], at: &str) -> Result<(), Reply> {
    let Some(map) = value.as_object() else { return Err(bad(at, "Only dictionaries may be used here.")) };
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(bad(&format!("{at}.{key}"), "Unknown field.")),
        None => Ok(()),
    }
}

/// A message: its fields, lengths, embeds and components. `files`: how many came with it.
pub(super) fn message(body: &Value, known: &[&str], files: usize) -> Result<(), Reply> {
    fields(body, known, "body")?;
    if count(&body["content"]) > 2_000 {
        return Err(bad("content", "Must be 2000 or fewer in length."));
    }
    let flags = body["flags"].as_u64().unwrap_or(0);
    if flags & !(1 << 2 | 1 << 6 | 1 << 12) != 0 {
        return Err(bad("flags", "Invalid message flags."));
    }
    if let Some(nonce) = body.get("nonce") {
        let fits = nonce.is_u64() || (1..=25).contains(&count(nonce));
        if !fits {
            return Err(bad("nonce", "Must be 25 or fewer in length."));
        }
    }
    let attachments = body["attachments"].as_array().map_or(0, Vec::len);
    if attachments != files {
        return Err(bad("attachments", "They are not the files that came."));
    }
    mentions(&body["allowed_mentions"])?;
    embeds(&body["embeds"])?;
    components(&body["components"])
}

/// Nothing in it, and no file.
pub(super) fn is_empty(body: &Value, files: usize) -> bool {
    let none = |key: &str| body[key].as_array().is_none_or(Vec::is_empty);
    body["content"].as_str().is_none_or(|text| text.trim().is_empty()) && none("embeds") && files == 0
}

pub(super) fn empty() -> Reply {
    Reply::new(400, json!({"code": 50_006, "message": "Cannot send an empty message"}))
}

fn mentions(value: &Value) -> Result<(), Reply> {
    if value.is_null() {
        return Err(bad("allowed_mentions", "Whoever is named in the text would be called."));
    }
    fields(value, &["parse", "users", "roles", "replied_user"], "allowed_mentions")
}

fn embeds(value: &Value) -> Result<(), Reply> {
    let none = Vec::new();
    let embeds = value.as_array().unwrap_or(&none);
    if embeds.len() > 10 {
        return Err(bad("embeds", "Must be 10 or fewer in length."));
    }
    let known = [
        "title",
        "type",
        "description",
        "url",
        "timestamp",
        "color",
        "footer",
        "image",
        "thumbnail",
        "author",
        "fields",
        "provider",
        "video",
    ];
    let mut total = 0;
    for (at, embed) in embeds.iter().enumerate() {
        let at = format!("embeds.{at}");
        fields(embed, &known, &at)?;
        if count(&embed["title"]) > 256 || count(&embed["description"]) > 4_096 {
            return Err(bad(&format!("{at}.title"), "Must be 256 or fewer in length."));
        }
        total += count(&embed["title"]) + count(&embed["description"]);
        let rows = embed["fields"].as_array().unwrap_or(&none);
        if rows.len() > 25 {
            return Err(bad(&format!("{at}.fields"), "Must be 25 or fewer in length."));
        }
        for (row, field) in rows.iter().enumerate() {
            let at = format!("{at}.fields.{row}");
            fields(field, &["name", "value", "inline"], &at)?;
            let (name, value) = (count(&field["name"]), count(&field["value"]));
            if !(1..=256).contains(&name) || !(1..=1_024).contains(&value) {
                return Err(bad(&format!("{at}.value"), "Must be between 1 and 1024 in length."));
            }
            total += name + value;
        }
    }
    if total > 6_000 { Err(bad("embeds", "Embed size exceeds maximum size of 6000")) } else { Ok(()) }
}

fn components(value: &Value) -> Result<(), Reply> {
    let none = Vec::new();
    let rows = value.as_array().unwrap_or(&none);
    if rows.len() > 5 {
        return Err(bad("components", "Must be between 1 and 5 in length."));
    }
    let mut ids = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let at = format!("components.{at}");
        fields(row, &["type", "components", "id"], &at)?;
        let buttons = row["components"].as_array().unwrap_or(&none);
        if row["type"] != 1 || !(1..=5).contains(&buttons.len()) {
            return Err(bad(&format!("{at}.components"), "Must be between 1 and 5 in length."));
        }
        for button in buttons {
            fields(button, &["type", "style", "label", "emoji", "custom_id", "disabled", "id"], &at)?;
            let (label, id) = (count(&button["label"]), count(&button["custom_id"]));
            let style = button["style"].as_u64().unwrap_or(0);
            if button["type"] != 2 || label > 80 || !(1..=100).contains(&id) || !(1..=4).contains(&style) {
                return Err(bad(
                    &format!("{at}.components.0.custom_id"),
                    "Must be between 1 and 100 in length.",
                ));
            }
            if ids.contains(&&button["custom_id"]) {
                return Err(bad(&at, "Component custom id cannot be duplicated"));
            }
            ids.push(&button["custom_id"]);
        }
    }
    Ok(())
}

/// A list of numbers up to one, each once; or none at all.
fn numbers(list: &Value, most: u64, at: &str) -> Result<(), Reply> {
    if list.is_null() {
        return Ok(());
    }
    let all: Vec<u64> = list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let once = (0..=most).all(|one| all.iter().filter(|known| **known == one).count() <= 1);
    let fits = list.as_array().is_some_and(|list| list.len() == all.len() && !all.is_empty());
    if fits && once && all.iter().all(|one| *one <= most) {
        return Ok(());
    }
    Err(bad(at, "Value must be one of those that there are, and each once."))
}

/// The list of commands.
pub(super) fn commands(list: &Value) -> Result<(), Reply> {
    let Some(list) = list.as_array() else { return Err(bad("body", "A list.")) };
    let named = |value: &Value| {
        let name = value.as_str().unwrap_or_default();
        (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b"-_".contains(&b))
    };
    let known = [
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "options",
        "default_member_permissions",
        "dm_permission",
        "type",
        "integration_types",
        "contexts",
        "nsfw",
    ];
    let option_fields = [
        "type",
        "name",
        "name_localizations",
        "description",
        "description_localizations",
        "required",
        "choices",
        "options",
        "channel_types",
        "min_value",
        "max_value",
        "min_length",
        "max_length",
        "autocomplete",
    ];
    for (at, command) in list.iter().enumerate() {
        let at = at.to_string();
        fields(command, &known, &at)?;
        if !named(&command["name"]) || !(1..=100).contains(&count(&command["description"])) {
            return Err(bad(&format!("{at}.name"), "Command name is invalid"));
        }
        numbers(&command["integration_types"], 1, &format!("{at}.integration_types"))?;
        numbers(&command["contexts"], 2, &format!("{at}.contexts"))?;
        let mut optional = false;
        for option in command["options"].as_array().into_iter().flatten() {
            fields(option, &option_fields, &at)?;
            let required = option["required"] == true;
            let choices = option["choices"].as_array().map_or(0, Vec::len);
            let both = choices > 0 && option["autocomplete"] == true;
            if !named(&option["name"]) || (required && optional) || choices > 25 || both {
                return Err(bad(&format!("{at}.options"), "Required options must be placed before others"));
            }
            optional |= !required;
        }
    }
    Ok(())
}

/// What is offered to somebody who types.
pub(super) fn choices(list: &Value) -> Result<(), Reply> {
    let Some(list) = list.as_array().filter(|list| list.len() <= 25) else {
        return Err(bad("data.choices", "Must be 25 or fewer in length."));
    };
    for choice in list {
        fields(choice, &["name", "name_localizations", "value"], "data.choices")?;
        if !(1..=100).contains(&count(&choice["name"])) || !(1..=100).contains(&count(&choice["value"])) {
            return Err(bad("data.choices", "Must be between 1 and 100 in length."));
        }
    }
    Ok(())
}
