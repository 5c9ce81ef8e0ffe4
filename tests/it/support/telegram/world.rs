//! What the stand-in knows: chats with their messages, updates that wait, files, calls.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::html::Marked;

/// A call as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub method: String,
    /// Its fields; a file is `{"name", "type", "size"}`.
    pub fields: Value,
    /// As in HTTP.
    pub status: u16,
    /// What was said when it was refused.
    pub error: Option<String>,
}

/// A message as it stands in a chat now.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Shown {
    pub id: i64,
    /// Of the bot.
    pub own: bool,
    /// What a person reads.
    pub text: String,
    /// What was sent.
    pub markup: String,
    /// Labels and data, row by row.
    pub buttons: Vec<Vec<(String, String)>>,
    /// Method, name and bytes of a file of the bot's.
    pub file: Option<(String, String, Bytes)>,
    pub reply_to: Option<i64>,
    pub thread: Option<i64>,
    pub silent: bool,
    /// How often it was changed.
    pub edits: usize,
    pub reactions: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub shown: Shown,
    pub marked: Marked,
    /// As the API shows it to the bot.
    pub value: Value,
}

#[derive(Debug, Default)]
pub(super) struct Chat {
    pub messages: BTreeMap<i64, Kept>,
    pub topics: BTreeSet<i64>,
    /// Nothing arrives: what is said then, with its status.
    pub shut: Option<(u16, String)>,
    /// It has this id now.
    pub moved: Option<i64>,
    pub typing: usize,
    posted: VecDeque<Instant>,
}

/// How much may be posted.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// So many posts and edits in this time, for each chat.
    pub chat: Option<(usize, Duration)>,
    /// The same for all chats together.
    pub all: Option<(usize, Duration)>,
    /// What is told to whoever is too fast, in seconds.
    pub retry_after: u64,
}

pub(super) struct World {
    pub token: String,
    pub revoked: bool,
    pub limits: Option<Limits>,
    pub updates: VecDeque<Value>,
    /// All updates that ever were.
    pub history: Vec<Value>,
    pub chats: BTreeMap<i64, Chat>,
    pub names: BTreeMap<i64, String>,
    /// Path and bytes by id.
    pub files: BTreeMap<String, (String, Bytes)>,
    pub sizes: BTreeMap<String, u64>,
    /// Address and secret.
    pub webhook: Option<(String, String)>,
    pub commands: Vec<(String, String)>,
    /// Taps that are not answered.
    pub taps: BTreeSet<String>,
    /// Taps that are answered, with what was said.
    pub answers: Vec<(String, Option<String>)>,
    pub calls: Vec<Call>,
    /// Grows with each question for updates: an older one that is still held ends.
    pub poll: u64,
    pub held: bool,
    pub next_update: i64,
    pub next_message: i64,
    posted: VecDeque<Instant>,
}

impl World {
    pub(super) fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            revoked: false,
            limits: None,
            updates: VecDeque::new(),
            history: Vec::new(),
            chats: BTreeMap::new(),
            names: BTreeMap::new(),
            files: BTreeMap::new(),
            sizes: BTreeMap::new(),
            webhook: None,
            commands: Vec::new(),
            taps: BTreeSet::new(),
            answers: Vec::new(),
            calls: Vec::new(),
            poll: 0,
            held: false,
            next_update: 100_000,
            next_message: 1,
            posted: VecDeque::new(),
        }
    }

    /// The bot's own account.
    pub(super) fn me() -> Value {
        json!({
            "id": 7_000, "is_bot": true, "first_name": "Atoll", "username": "AtollBot", "can_join_groups": true,
            "can_read_all_group_messages": false, "supports_inline_queries": false, "can_connect_to_business": false,
            "has_main_web_app": false,
        })
    }

    pub(super) fn person(&self, id: i64) -> Value {
        let name = self.names.get(&id).cloned().unwrap_or_else(|| format!("Person {id}"));
        json!({"id": id, "is_bot": false, "first_name": name, "language_code": "en"})
    }

    /// A chat as the API shows it. Groups have negative ids.
    pub(super) fn chat_value(&self, id: i64) -> Value {
        if id > 0 {
            let mut chat = self.person(id);
            chat.as_object_mut().unwrap().retain(|key, _| key == "id" || key == "first_name");
            chat["type"] = "private".into();
            chat
        } else {
            json!({"id": id, "type": "supergroup", "title": format!("Group {id}"), "is_forum": true})
        }
    }

    pub(super) fn message_id(&mut self) -> i64 {
        self.next_message += 1;
        self.next_message - 1
    }

    /// Time goes on by a second with each message.
    pub(super) fn date(id: i64) -> i64 {
        1_700_000_000 + id
    }

    /// Puts an update in the queue; `fields` is everything but its number.
    pub(super) fn update(&mut self, fields: Value) -> i64 {
        let number = self.next_update;
        self.next_update += 1;
        let mut update = json!({"update_id": number});
        update.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.updates.push_back(update.clone());
        self.history.push(update);
        number
    }

    /// A person's message: it stands in the chat, and the bot gets an update.
    pub(super) fn told(&mut self, chat: i64, user: i64, more: Value) -> i64 {
        let id = self.message_id();
        let mut value = json!({
            "message_id": id, "from": self.person(user), "chat": self.chat_value(chat), "date": Self::date(id),
        });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let text = value["text"].as_str().or(value["caption"].as_str()).unwrap_or_default().to_owned();
        let shown = Shown { id, text, thread: value["message_thread_id"].as_i64(), ..Shown::default() };
        let kept = Kept { shown, marked: Marked::default(), value: value.clone() };
        self.chats.entry(chat).or_default().messages.insert(id, kept);
        self.update(json!({"message": value}));
        id
    }

    /// Bytes that the API gives out; gives their id.
    pub(super) fn file(&mut self, name: &str, bytes: Bytes) -> String {
        let id = format!("file-{}", self.files.len() + 1);
        self.files.insert(id.clone(), (format!("files/{}_{name}", self.files.len()), bytes));
        id
    }

    /// Counts a post. `Err` with seconds to wait when it is too much.
    pub(super) fn count(&mut self, chat: i64) -> Result<(), u64> {
        let Some(limits) = self.limits.clone() else { return Ok(()) };
        let now = Instant::now();
        let fits = |posted: &mut VecDeque<Instant>, most: Option<(usize, Duration)>| {
            let Some((most, window)) = most else { return true };
            while posted.front().is_some_and(|at| now.duration_since(*at) >= window) {
                posted.pop_front();
            }
            posted.len() < most
        };
        let here = &mut self.chats.entry(chat).or_default().posted;
        if !fits(here, limits.chat) || !fits(&mut self.posted, limits.all) {
            return Err(limits.retry_after);
        }
        here.push_back(now);
        self.posted.push_back(now);
        Ok(())
    }
}
