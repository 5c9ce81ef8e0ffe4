//! Reads updates of the Bot API (<https://core.telegram.org/bots/api#update>): pure, and lenient. A field that is odd costs
//! that field, never the message: a ready-made type for all of an update would lose whole messages for one of them.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::chat::{Event, Incoming, Place, Quote, Sender};

use super::{
    media,
    words::{self, Words},
};

/// Longest words of a message that is replied to, in characters.
const QUOTE: usize = 600;
/// Longest name that is passed on, in characters.
const NAME: usize = 80;

/// The bot's own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// Its id.
    pub id: i64,
    /// Its name in mentions, without the `@`.
    pub name: String,
}

impl Me {
    /// Reads what `getMe` gave.
    pub fn read(user: &Value) -> Option<Self> {
        let name = user["username"].as_str().or(user["first_name"].as_str())?;
        Some(Self { id: user["id"].as_i64()?, name: name.to_owned() })
    }
}

/// What an update comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Something happened.
    Heard {
        /// What.
        incoming: Box<Incoming>,
        /// The album that it is a piece of.
        album: Option<String>,
    },
    /// A group became a supergroup.
    Moved {
        /// Its id before.
        from: i64,
        /// Its id now.
        to: i64,
    },
    /// It is nothing for anybody, for this reason.
    Nothing(Cow<'static, str>),
}

fn nothing(why: &'static str) -> Reading {
    Reading::Nothing(Cow::Borrowed(why))
}

/// The number of an update.
pub fn number(update: &Value) -> Option<i64> {
    update["update_id"].as_i64()
}

/// Reads an update.
pub fn read(update: &Value, me: &Me) -> Reading {
    if let Some((from, to)) = moved(&update["message"]) {
        return Reading::Moved { from, to };
    }
    if update["message"].is_object() {
        return message(&update["message"], me).unwrap_or_else(Reading::Nothing);
    }
    if update["edited_message"].is_object() {
        return edited(&update["edited_message"], me).unwrap_or_else(Reading::Nothing);
    }
    if update["callback_query"].is_object() {
        return tap(&update["callback_query"]).unwrap_or_else(|| nothing("a tap without message or data"));
    }
    if let Some(status) = update["my_chat_member"]["new_chat_member"]["status"].as_str() {
        return Reading::Nothing(format!("the bot is now {} of a chat", cut(status, 20)).into());
    }
    nothing("an update of a kind that is not read")
}

/// The old and the new id of a group, which both say.
fn moved(message: &Value) -> Option<(i64, i64)> {
    let chat = message["chat"]["id"].as_i64()?;
    let (to, from) = (message["migrate_to_chat_id"].as_i64(), message["migrate_from_chat_id"].as_i64());
    to.map(|to| (chat, to)).or_else(|| from.map(|from| (from, chat)))
}

/// What messages and edits have in common.
struct Opened<'a> {
    chat: i64,
    number: i64,
    place: Place,
    group: bool,
    sender: Sender,
    words: Words,
    reply: Option<&'a Value>,
}

type Refused = Cow<'static, str>;

fn open<'a>(message: &'a Value, me: &Me) -> Result<Opened<'a>, Refused> {
    let (Some(chat), Some(number)) = (message["chat"]["id"].as_i64(), message["message_id"].as_i64()) else {
        return Err("a message without chat or id".into());
    };
    let group = match message["chat"]["type"].as_str() {
        Some("private") => false,
        Some("group" | "supergroup") => true,
        _ => return Err("a message of a channel".into()),
    };
    if message["sender_chat"].is_object() {
        return Err("a message of a chat, not of a person".into());
    }
    if message["from"]["is_bot"].as_bool() == Some(true) {
        return Err("a message of a bot".into());
    }
    let sender = sender(&message["from"]).ok_or("a message of nobody")?;
    let (text, entities) = match message["text"].as_str() {
        Some(text) => (text, &message["entities"]),
        None => (message["caption"].as_str().unwrap_or_default(), &message["caption_entities"]),
    };
    let words = words::read(text, entities, me).ok_or("a command for another bot")?;
    let place = place(message, chat);
    // In a topic each message seems to reply to the one that opened it.
    let reply = Some(&message["reply_to_message"])
        .filter(|reply| reply.is_object())
        .filter(|reply| place.thread.is_none() || reply["message_id"] != message["message_thread_id"]);
    Ok(Opened { chat, number, place, group, sender, words, reply })
}

impl Opened<'_> {
    fn addressed(&self, me: &Me) -> bool {
        let answers = self.reply.is_some_and(|reply| reply["from"]["id"].as_i64() == Some(me.id));
        !self.group || self.words.mentioned || answers
    }

    fn quote(&self, message: &Value, me: &Me) -> Option<Quote> {
        let reply = self.reply?;
        let chosen = message["quote"]["text"].as_str().filter(|text| !text.trim().is_empty());
        let own = reply["from"]["id"].as_i64() == Some(me.id);
        let just_before = reply["message_id"].as_i64().is_some_and(|before| before + 1 == self.number);
        if own && just_before && chosen.is_none() {
            return None;
        }
        let text = chosen.or(reply["text"].as_str()).or(reply["caption"].as_str()).map(str::to_owned);
        let text = text.or_else(|| media::describe(reply)).or_else(|| {
            let files = media::files(reply);
            files.first().map(|file| format!("(a file: {})", file.name))
        })?;
        let name = sender(&reply["from"]).map(|sender| sender.name);
        let name = name.or_else(|| reply["sender_chat"]["title"].as_str().map(|title| cut(title, NAME)));
        Some(Quote { name: name.unwrap_or_else(|| "somebody".into()), text: cut(&text, QUOTE) })
    }

    fn heard(self, id: String, date: &Value, event: Event, album: Option<String>) -> Reading {
        let at = date.as_i64().unwrap_or(0).saturating_mul(1_000);
        let (place, group, sender) = (self.place, self.group, self.sender);
        let incoming = Box::new(Incoming { id, place, seen_as: None, group, sender, at, event });
        Reading::Heard { incoming, album }
    }
}

fn message(message: &Value, me: &Me) -> Result<Reading, Refused> {
    let opened = open(message, me)?;
    let files = media::files(message);
    let mut text = opened.words.text.clone();
    if let Some(is) = media::describe(message) {
        text = if text.is_empty() { is } else { format!("{text}\n{is}") };
    }
    // Somebody who only calls the bot by its name wants an answer as well.
    if text.is_empty() && files.is_empty() && !opened.words.mentioned {
        return Err("a message about the chat itself".into());
    }
    let (addressed, quote) = (opened.addressed(me), opened.quote(message, me));
    let id = format!("{}:{}", opened.chat, opened.number);
    let event = Event::Message { message: opened.number.to_string(), text, files, addressed, quote };
    let album = message["media_group_id"].as_str().map(str::to_owned);
    Ok(opened.heard(id, &message["date"], event, album))
}

fn edited(message: &Value, me: &Me) -> Result<Reading, Refused> {
    let opened = open(message, me)?;
    let (text, addressed) = (opened.words.text.clone(), opened.addressed(me));
    if text.is_empty() {
        return Err("an edit without words".into());
    }
    let date = &message["edit_date"];
    // Two corrections in one second differ in their words.
    let id =
        format!("{}:{}:{}-{:08x}", opened.chat, opened.number, date.as_i64().unwrap_or(0), digest(&text));
    let event = Event::Edited { message: opened.number.to_string(), text, addressed };
    Ok(opened.heard(id, date, event, None))
}

fn tap(query: &Value) -> Option<Reading> {
    let message = &query["message"];
    let token = query["id"].as_str()?.to_owned();
    let chat = message["chat"]["id"].as_i64()?;
    let number = message["message_id"].as_i64()?;
    let sender = sender(&query["from"]).filter(|_| query["from"]["is_bot"].as_bool() != Some(true))?;
    let data = query["data"].as_str()?.to_owned();
    let incoming = Box::new(Incoming {
        id: format!("tap:{token}"),
        place: place(message, chat),
        seen_as: None,
        group: message["chat"]["type"].as_str() != Some("private"),
        sender,
        // A tap has no time of its own.
        at: message["date"].as_i64().unwrap_or(0).saturating_mul(1_000),
        event: Event::Tap { message: number.to_string(), data, token },
    });
    Some(Reading::Heard { incoming, album: None })
}

fn place(message: &Value, chat: i64) -> Place {
    let in_topic = message["is_topic_message"].as_bool() == Some(true);
    let thread = message["message_thread_id"].as_i64().filter(|_| in_topic);
    Place { chat: chat.to_string(), thread: thread.map(|thread| thread.to_string()) }
}

fn sender(user: &Value) -> Option<Sender> {
    let id = user["id"].as_i64()?.to_string();
    let parts = [&user["first_name"], &user["last_name"]];
    let name = parts.iter().filter_map(|part| part.as_str()).collect::<Vec<_>>().join(" ");
    let name =
        if name.trim().is_empty() { user["username"].as_str().unwrap_or(&id).to_owned() } else { name };
    Some(Sender { name: cut(name.trim(), NAME), id })
}

/// The first characters of it.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Tells texts apart, the same in every version (FNV-1a).
fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
