//! What each method does, and what it refuses, in the words of the real server.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    fields::{file_of, only},
    html::{self, Marked, units},
    world::{Kept, Shown, World},
};

/// Largest body of a call, and largest photo, in bytes.
pub(super) const LARGEST: usize = 50 * 1024 * 1024;
const LARGEST_PHOTO: usize = 10 * 1024 * 1024;
const LARGEST_DOWNLOAD: u64 = 20 * 1024 * 1024;

/// The reactions that bots may set, as far as they are used.
const REACTIONS: [&str; 4] = ["👀", "👍", "👎", "🔥"];

/// Why a call is refused.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub code: u16,
    pub words: String,
    pub wait: Option<u64>,
    /// The chat's id of today.
    pub moved: Option<i64>,
}

impl Refusal {
    pub(super) fn new(code: u16, words: &str) -> Self {
        Self { code, words: words.to_owned(), wait: None, moved: None }
    }

    pub(super) fn bad(words: &str) -> Self {
        Self::new(400, &format!("Bad Request: {words}"))
    }

    pub(super) fn slow(wait: u64) -> Self {
        let words = format!("Too Many Requests: retry after {wait}");
        Self { wait: Some(wait), ..Self::new(429, &words) }
    }

    fn moved(to: i64) -> Self {
        Self { moved: Some(to), ..Self::bad("group chat was upgraded to a supergroup chat") }
    }
}

type Done = Result<Value, Refusal>;

/// A call whose fields were looked at.
pub(super) struct Asked {
    pub method: String,
    pub fields: Map<String, Value>,
    /// Name and bytes.
    pub file: Option<(String, Bytes)>,
}

impl Asked {
    fn int(&self, name: &str) -> i64 {
        self.fields.get(name).and_then(Value::as_i64).unwrap_or(0)
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn get(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }
}

/// Does what is asked; questions for updates are not among it.
pub(super) fn answer(world: &mut World, asked: &Asked) -> Done {
    let posts = asked.method.starts_with("send") || asked.method.starts_with("edit");
    if asked.fields.contains_key("chat_id") {
        let chat = asked.int("chat_id");
        if let Some((code, words)) = world.chats.get(&chat).and_then(|chat| chat.shut.clone()) {
            return Err(Refusal::new(code, &words));
        }
        match world.chats.get(&chat).map(|chat| chat.moved) {
            Some(Some(to)) => return Err(Refusal::moved(to)),
            Some(None) => {}
            None => return Err(Refusal::bad("chat not found")),
        }
        let thread = asked.int("message_thread_id");
        if thread != 0 && !world.chats[&chat].topics.contains(&thread) {
            return Err(Refusal::bad("message thread not found"));
        }
        if posts && asked.method != "sendChatAction" {
            world.count(chat).map_err(Refusal::slow)?;
        }
    }
    match asked.method.as_str() {
        "getMe" => Ok(World::me()),
        "setWebhook" => set_webhook(world, asked),
        "deleteWebhook" => {
            world.webhook = None;
            Ok(json!(true))
        }
        "getWebhookInfo" => Ok(json!({
            "url": world.webhook.as_ref().map_or("", |(url, _)| url), "has_custom_certificate": false,
            "pending_update_count": world.updates.len(),
        })),
        "sendChatAction" => {
            if asked.text("action") != "typing" {
                return Err(Refusal::bad("wrong parameter action in request"));
            }
            world.chats.entry(asked.int("chat_id")).or_default().typing += 1;
            Ok(json!(true))
        }
        method if method.starts_with("send") => send(world, asked),
        method if method.starts_with("edit") => edit(world, asked),
        "deleteMessage" => delete(world, asked),
        "answerCallbackQuery" => answer_tap(world, asked),
        "setMessageReaction" => react(world, asked),
        "getFile" => get_file(world, asked),
        _ => set_commands(world, asked),
    }
}

fn set_webhook(world: &mut World, asked: &Asked) -> Done {
    if !asked.text("url").starts_with("https://") {
        return Err(Refusal::bad("bad webhook: An HTTPS URL must be provided for webhook"));
    }
    let secret = asked.text("secret_token");
    if secret.is_empty() || secret.len() > 256 {
        return Err(Refusal::bad("secret token has the wrong length"));
    }
    world.webhook = Some((asked.text("url").to_owned(), secret.to_owned()));
    Ok(json!(true))
}

/// The words of a call as they will be seen.
fn marked(asked: &Asked, name: &str) -> Result<Marked, Refusal> {
    let text = asked.text(name);
    match asked.text("parse_mode") {
        "" => Ok(Marked { plain: text.trim().to_owned(), marks: Vec::new() }),
        "HTML" => html::read(text).map_err(|why| Refusal::bad(&format!("can't parse entities: {why}"))),
        _ => Err(Refusal::bad("unsupported parse_mode")),
    }
}

fn words(asked: &Asked) -> Result<Marked, Refusal> {
    let marked = marked(asked, "text")?;
    if marked.plain.is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if units(&marked.plain) > 4_096 {
        return Err(Refusal::bad("message is too long"));
    }
    Ok(marked)
}

fn caption(asked: &Asked) -> Result<Marked, Refusal> {
    let marked = marked(asked, "caption")?;
    if units(&marked.plain) > 1_024 {
        return Err(Refusal::bad("message caption is too long"));
    }
    Ok(marked)
}

fn buttons(asked: &Asked) -> Result<Vec<Vec<(String, String)>>, Refusal> {
    let markup = asked.get("reply_markup");
    only(markup, "reply_markup", &["inline_keyboard"])?;
    let mut rows = Vec::new();
    for row in markup["inline_keyboard"].as_array().into_iter().flatten() {
        let mut found = Vec::new();
        for button in row.as_array().into_iter().flatten() {
            only(button, "a button", &["text", "callback_data"])?;
            let text = |name: &str| button[name].as_str().unwrap_or_default().to_owned();
            let (label, data) = (text("text"), text("callback_data"));
            if label.is_empty() {
                return Err(Refusal::bad("inline keyboard button text must be non-empty"));
            }
            if !(1..=64).contains(&data.len()) {
                return Err(Refusal::bad("BUTTON_DATA_INVALID"));
            }
            found.push((label, data));
        }
        rows.push(found);
    }
    Ok(rows)
}

fn send(world: &mut World, asked: &Asked) -> Done {
    only(
        asked.get("link_preview_options"),
        "link_preview_options",
        &["is_disabled", "url", "prefer_small_media", "prefer_large_media", "show_above_text"],
    )?;
    let reply = asked.get("reply_parameters");
    only(reply, "reply_parameters", &["message_id", "allow_sending_without_reply", "quote"])?;
    let (chat, takes_file) = (asked.int("chat_id"), file_of(&asked.method).is_some());
    let marked = if takes_file { caption(asked)? } else { words(asked)? };
    let buttons = buttons(asked)?;
    let mut reply_to = reply["message_id"].as_i64();
    if reply_to.is_some_and(|to| !world.chats[&chat].messages.contains_key(&to)) {
        if reply["allow_sending_without_reply"] != true {
            return Err(Refusal::bad("message to be replied not found"));
        }
        reply_to = None;
    }
    let file = match &asked.file {
        Some((_, bytes)) if bytes.is_empty() => return Err(Refusal::bad("file must be non-empty")),
        Some((_, bytes)) if asked.method == "sendPhoto" && bytes.len() > LARGEST_PHOTO => {
            return Err(Refusal::bad("file is too big"));
        }
        Some((name, bytes)) => Some((asked.method.clone(), name.clone(), bytes.clone())),
        None if takes_file => return Err(Refusal::bad("there is no file in the request")),
        None => None,
    };
    let id = world.message_id();
    let (kind, markup) = if takes_file { ("caption", "caption") } else { ("text", "text") };
    let mut value = json!({
        "message_id": id, "from": World::me(), "chat": world.chat_value(chat), "date": World::date(id),
    });
    value[kind] = marked.plain.clone().into();
    if let Some(thread) = asked.get("message_thread_id").as_i64() {
        value["message_thread_id"] = thread.into();
        value["is_topic_message"] = true.into();
    }
    let shown = Shown {
        id,
        own: true,
        text: marked.plain.clone(),
        markup: asked.text(markup).to_owned(),
        buttons,
        file,
        reply_to,
        thread: asked.get("message_thread_id").as_i64(),
        silent: asked.get("disable_notification") == true,
        edits: 0,
        reactions: Vec::new(),
    };
    let kept = Kept { shown, marked, value: value.clone() };
    world.chats.entry(chat).or_default().messages.insert(id, kept);
    Ok(value)
}

fn edit(world: &mut World, asked: &Asked) -> Done {
    let chat = world.chats.entry(asked.int("chat_id")).or_default();
    let kept = chat
        .messages
        .get_mut(&asked.int("message_id"))
        .ok_or_else(|| Refusal::bad("message to edit not found"))?;
    if !kept.shown.own {
        return Err(Refusal::bad("message can't be edited"));
    }
    let (marked, markup) = match (asked.method.as_str(), kept.shown.file.is_some()) {
        ("editMessageText", true) => return Err(Refusal::bad("there is no text in the message to edit")),
        ("editMessageText", false) => (words(asked)?, asked.text("text").to_owned()),
        ("editMessageCaption", false) => {
            return Err(Refusal::bad("there is no caption in the message to edit"));
        }
        ("editMessageCaption", true) => (caption(asked)?, asked.text("caption").to_owned()),
        _ => (kept.marked.clone(), kept.shown.markup.clone()),
    };
    let buttons = buttons(asked)?;
    if marked == kept.marked && buttons == kept.shown.buttons {
        return Err(Refusal::bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a current \
             content and reply markup of the message",
        ));
    }
    kept.shown.text = marked.plain.clone();
    (kept.shown.markup, kept.shown.buttons, kept.marked) = (markup, buttons, marked);
    kept.shown.edits += 1;
    let name = if kept.shown.file.is_some() { "caption" } else { "text" };
    kept.value[name] = kept.shown.text.clone().into();
    Ok(kept.value.clone())
}

fn delete(world: &mut World, asked: &Asked) -> Done {
    let (chat, message) = (asked.int("chat_id"), asked.int("message_id"));
    let messages = &mut world.chats.entry(chat).or_default().messages;
    let kept = messages.get(&message).ok_or_else(|| Refusal::bad("message to delete not found"))?;
    if !kept.shown.own && chat < 0 {
        return Err(Refusal::bad("message can't be deleted"));
    }
    messages.remove(&message);
    Ok(json!(true))
}

fn answer_tap(world: &mut World, asked: &Asked) -> Done {
    let id = asked.text("callback_query_id").to_owned();
    if asked.text("text").chars().count() > 200 {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    if !world.taps.remove(&id) {
        return Err(Refusal::bad("query is too old and response timeout expired or query ID is invalid"));
    }
    world.answers.push((id, asked.get("text").as_str().map(str::to_owned)));
    Ok(json!(true))
}

fn react(world: &mut World, asked: &Asked) -> Done {
    let messages = &mut world.chats.entry(asked.int("chat_id")).or_default().messages;
    let kept = messages
        .get_mut(&asked.int("message_id"))
        .ok_or_else(|| Refusal::bad("message to react not found"))?;
    let mut reactions = Vec::new();
    for reaction in asked.get("reaction").as_array().into_iter().flatten() {
        only(reaction, "a reaction", &["type", "emoji"])?;
        let emoji = reaction["emoji"].as_str().unwrap_or_default();
        if reaction["type"] != "emoji" || !REACTIONS.contains(&emoji) {
            return Err(Refusal::bad("REACTION_INVALID"));
        }
        reactions.push(emoji.to_owned());
    }
    kept.shown.reactions = reactions;
    Ok(json!(true))
}

fn get_file(world: &mut World, asked: &Asked) -> Done {
    let id = asked.text("file_id");
    let wrong = || Refusal::bad("wrong file_id or the file is temporarily unavailable");
    let (path, bytes) = world.files.get(id).ok_or_else(wrong)?;
    let size = world.sizes.get(id).copied().unwrap_or(bytes.len() as u64);
    if size > LARGEST_DOWNLOAD {
        return Err(Refusal::bad("file is too big"));
    }
    Ok(json!({"file_id": id, "file_unique_id": format!("u-{id}"), "file_size": size, "file_path": path}))
}

fn set_commands(world: &mut World, asked: &Asked) -> Done {
    let mut commands = Vec::new();
    for command in asked.get("commands").as_array().into_iter().flatten() {
        only(command, "a command", &["command", "description"])?;
        let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
        let (name, help) = (text("command"), text("description"));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=32).contains(&name.len()) || !name.chars().all(plain) {
            return Err(Refusal::bad("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&help.chars().count()) {
            return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
        commands.push((name, help));
    }
    if commands.len() > 100 {
        return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    world.commands = commands;
    Ok(json!(true))
}
