//! What there is at Discord: channels, messages, interactions, the session, and what went on.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

/// The bot, and its application.
pub(crate) const ME: u64 = 900_000_000_000_000_001;
pub(crate) const APPLICATION: u64 = 900_000_000_000_000_002;
/// The only guild.
pub(super) const GUILD: u64 = 700_000_000_000_000_001;
/// The bot's own role there.
pub(super) const ROLE: u64 = 700_000_000_000_000_002;
const FIRST: u64 = 1_420_070_400_000;

/// What a call can meet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Trouble {
    /// It is done, and the answer is lost.
    LoseAnswer,
    /// It is not done, and the connection ends.
    HangUp,
    /// It is done after a while.
    Delay(Duration),
    /// It is not done; this status is answered.
    Status(u16),
    /// It is not done; this status and this number of Discord's are answered.
    Refuse(u16, u64),
    /// It is not done; this field of the form is not taken, for this reason.
    RefuseField(&'static str, &'static str),
    /// It is too much: seconds to wait, and whether for all calls.
    TooMany(f64, bool),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dm(u64),
    Text,
    Thread,
}

/// What a bot may be allowed in a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Right {
    /// To read what was said before, and so to reply.
    ReadHistory,
    /// To post files.
    AttachFiles,
}

/// A channel, and what is wrong with it for the bot (Discord's number).
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub kind: Kind,
    pub trouble: Option<u64>,
    /// What the bot may not do in it.
    pub lacks: Vec<Right>,
    pub messages: Vec<Message>,
    /// When its limit is full again, and how much of it is left.
    pub window: Option<(Instant, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub id: u64,
    pub author: u64,
    pub content: String,
    pub embeds: Value,
    pub components: Value,
    pub attachments: Vec<Value>,
    pub reply_to: Option<u64>,
    pub edited: Option<String>,
    pub flags: u64,
    pub nonce: Option<String>,
    pub mentions: Vec<u64>,
    pub roles: Vec<u64>,
}

/// A message as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub id: u64,
    /// It is the bot's.
    pub own: bool,
    pub content: String,
    pub embeds: Value,
    /// Rows of words and what they stand for.
    pub buttons: Vec<Vec<(String, String)>>,
    /// Names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    pub reply_to: Option<u64>,
    pub edited: bool,
    /// The bot only shows that it thinks.
    pub thinking: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Interaction {
    pub id: u64,
    /// 2 a command, 3 a button, 4 something is being typed.
    pub kind: u64,
    pub channel: u64,
    pub at: Instant,
    /// The kind of the first answer.
    pub answered: Option<u64>,
    pub original: Option<u64>,
    /// What only the person was told.
    pub said: Vec<String>,
    /// What was offered: what is typed, and what is shown for it.
    pub choices: Vec<(String, String)>,
}

/// What a socket is told.
#[derive(Debug)]
pub(super) enum Out {
    Frame(String),
    Close(u16),
    Drop,
}

#[derive(Debug)]
pub(super) struct Session {
    pub id: String,
    pub seq: u64,
    /// What can be told again.
    pub events: Vec<(u64, Value)>,
    /// What was acknowledged for good, and is not told again.
    pub gone: u64,
    pub socket: Option<u64>,
}

pub(super) struct World {
    pub api: String,
    pub gateway: String,
    pub token: String,
    pub heartbeat: Duration,
    pub message_content: bool,
    pub gateway_up: bool,
    pub zombie: bool,
    /// How many sessions may be opened today.
    pub sessions_left: u64,
    pub limit: (u64, Duration),
    pub all_until: Option<Instant>,
    pub troubles: Vec<(String, String, Trouble, u32)>,
    pub log: Vec<Value>,
    pub faults: Vec<String>,
    pub users: BTreeMap<String, u64>,
    pub channels: BTreeMap<u64, Channel>,
    pub interactions: HashMap<String, Interaction>,
    pub files: HashMap<String, Vec<u8>>,
    pub commands: Value,
    pub session: Option<Session>,
    pub sockets: HashMap<u64, UnboundedSender<Out>>,
    pub opened: Option<Instant>,
    next: u64,
}

impl World {
    pub(super) fn new(heartbeat: Duration) -> Self {
        Self {
            api: String::new(),
            gateway: String::new(),
            token: super::TOKEN.into(),
            heartbeat,
            message_content: true,
            gateway_up: true,
            zombie: false,
            sessions_left: 999,
            limit: (1_000, Duration::from_secs(1)),
            all_until: None,
            troubles: Vec::new(),
            log: Vec::new(),
            faults: Vec::new(),
            users: BTreeMap::new(),
            channels: BTreeMap::new(),
            interactions: HashMap::new(),
            files: HashMap::new(),
            commands: Value::Null,
            session: None,
            sockets: HashMap::new(),
            opened: None,
            next: 0,
        }
    }

    /// A new id: the time is in it, and no later one is smaller.
    pub(super) fn id(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        self.next = self.next.max((now - FIRST) << 22) + 1;
        self.next
    }

    pub(super) fn note(&mut self, call: &str, body: Value) {
        self.log.push(json!({"call": call, "body": body}));
    }

    pub(super) fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    pub(super) fn message(&mut self, channel: u64, message: u64) -> Option<&mut Message> {
        self.channels.get_mut(&channel)?.messages.iter_mut().find(|known| known.id == message)
    }

    pub(super) fn user_json(&self, id: u64) -> Value {
        let name = self.users.iter().find(|(_, known)| **known == id).map(|(name, _)| name.as_str());
        let name = if id == ME { "atoll" } else { name.unwrap_or("somebody") };
        let mut user = json!({"id": id.to_string(), "username": name, "discriminator": "0", "avatar": null,
            "global_name": name, "public_flags": 0});
        if id == ME {
            user["bot"] = json!(true);
        }
        user
    }

    /// A message as REST gives it.
    pub(super) fn message_json(&self, channel: u64, message: &Message) -> Value {
        let by_id = |id: u64| {
            let messages = &self.channels.get(&channel)?.messages;
            messages.iter().find(|known| known.id == id)
        };
        let moment = ((message.id >> 22) + FIRST) as i64;
        let mut value = json!({
            "id": message.id.to_string(), "channel_id": channel.to_string(), "author": self.user_json(message.author),
            "content": message.content, "timestamp": stamp(moment), "edited_timestamp": message.edited, "tts": false,
            "mention_everyone": false, "mentions": message.mentions.iter().map(|id| self.user_json(*id)).collect::<Vec<_>>(),
            "mention_roles": message.roles.iter().map(u64::to_string).collect::<Vec<_>>(),
            "attachments": message.attachments, "embeds": message.embeds, "components": message.components,
            "pinned": false, "type": if message.reply_to.is_some() { 19 } else { 0 }, "flags": message.flags,
        });
        if let Some(nonce) = &message.nonce {
            value["nonce"] = json!(nonce);
        }
        if let Some(answered) = message.reply_to {
            value["message_reference"] =
                json!({"type": 0, "message_id": answered.to_string(), "channel_id": channel.to_string()});
            value["referenced_message"] =
                by_id(answered).map_or(Value::Null, |known| self.message_json(channel, known));
        }
        value
    }

    /// A message as the gateway tells it.
    pub(super) fn message_event(&self, channel: u64, message: &Message) -> Value {
        let mut value = self.message_json(channel, message);
        if !self.is_dm(channel) {
            value["guild_id"] = json!(GUILD.to_string());
            value["member"] =
                json!({"nick": null, "roles": [], "joined_at": stamp(0), "deaf": false, "mute": false});
        }
        value
    }

    pub(super) fn lacks(&self, channel: u64, right: Right) -> bool {
        self.channels.get(&channel).is_some_and(|channel| channel.lacks.contains(&right))
    }

    /// Whether people find a command where they are. While none are registered that is not looked at.
    pub(super) fn is_offered(&self, name: &str, context: u64) -> bool {
        let Some(commands) = self.commands.as_array() else { return true };
        let known = commands.iter().find(|command| command["name"] == name);
        let fits = |contexts: &Value| contexts.as_array().is_none_or(|list| list.contains(&json!(context)));
        known.is_some_and(|command| fits(&command["contexts"]))
    }

    pub(super) fn is_dm(&self, channel: u64) -> bool {
        self.channels.get(&channel).is_some_and(|channel| matches!(channel.kind, Kind::Dm(_)))
    }

    /// Puts a message into its channel and tells of it.
    pub(super) fn add(&mut self, channel: u64, message: Message) -> u64 {
        let id = message.id;
        let event = self.message_event(channel, &message);
        self.channels.get_mut(&channel).unwrap().messages.push(message);
        self.emit("MESSAGE_CREATE", event);
        id
    }

    /// Tells of something: at once when somebody listens, else when the session is taken up.
    pub(super) fn emit(&mut self, name: &str, data: Value) {
        let Some(session) = &mut self.session else { return };
        session.seq += 1;
        let frame = json!({"op": 0, "s": session.seq, "t": name, "d": data});
        session.events.push((session.seq, frame.clone()));
        if let Some(socket) = session.socket.and_then(|id| self.sockets.get(&id)) {
            let _ = socket.send(Out::Frame(frame.to_string()));
        }
    }

    pub(super) fn send_all(&self, frame: &Value) {
        self.sockets.values().for_each(|socket| drop(socket.send(Out::Frame(frame.to_string()))));
    }

    pub(super) fn close_all(&self, code: u16) {
        self.sockets.values().for_each(|socket| drop(socket.send(Out::Close(code))));
    }

    /// Sockets break off at once: what is said from now on is not told to them.
    pub(super) fn drop_all(&mut self) {
        self.sockets.drain().for_each(|(_, socket)| drop(socket.send(Out::Drop)));
        if let Some(session) = &mut self.session {
            session.socket = None;
        }
    }

    pub(super) fn forget_session(&mut self) {
        self.session = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.socket.is_some())
    }
}

/// A moment as Discord writes it.
pub(super) fn stamp(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}
