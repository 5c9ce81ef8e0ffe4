//! Reads events: who said what where, and whether it is for the bot. Pure; what the bot knows of itself is passed in.

use serde::de::DeserializeOwned;
use serenity::model::channel::MessageFlags;

use super::{
    asked,
    known::Known,
    wire::{Attachment, Author, Guild, Member, Message, Referenced, Thread},
};
use crate::{
    domain::{
        Millis,
        chat::{Event, Incoming, Media, Place, Quote, RemoteFile, Sender},
        menu::CommandSpec,
        secret::Secret,
    },
    ports::platform::Typing,
};

/// Discord's first moment, in milliseconds since the Unix epoch: the time in its ids counts from there.
const FIRST: Millis = 1_420_070_400_000;
/// Longest quote that is passed on, in characters.
const QUOTE: usize = 500;
/// Kinds of messages that people write: by themselves, and as a reply. All others are said by Discord.
const WRITTEN: [u8; 2] = [0, 19];

/// An event that is not as it must be. What it says is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event cannot be read: line {line}, column {column}")]
pub struct Unreadable {
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

/// What an event says.
#[derive(Debug, PartialEq)]
pub enum News {
    /// Nothing for us.
    Nothing,
    /// A message stands in a channel.
    Message(Box<Arrived>),
    /// A message was changed.
    Edited {
        /// Its channel.
        channel: u64,
        /// What is told.
        incoming: Box<Incoming>,
    },
    /// Discord wants an answer.
    Asked(Box<Asked>),
    /// Something about the bot's own roles and threads.
    Facts(Vec<Fact>),
}

/// A message.
#[derive(Debug, PartialEq)]
pub struct Arrived {
    /// Its channel.
    pub channel: u64,
    /// Its id.
    pub message: u64,
    /// It is the bot's own.
    pub own: bool,
    /// More than one person can read along.
    pub group: bool,
    /// What is told; nothing for messages of bots and of Discord itself.
    pub incoming: Option<Incoming>,
}

/// Something that Discord wants to have answered, within three seconds.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// Its id.
    pub id: u64,
    /// What it is answered with.
    pub token: Secret,
    /// The application that it is for; answers name it.
    pub application: u64,
    /// Its channel.
    pub channel: u64,
    /// What it is.
    pub what: What,
}

/// What an answer is wanted for.
#[derive(Debug, PartialEq)]
pub enum What {
    /// A command.
    Command(Incoming),
    /// A button was pressed.
    Tap(Incoming),
    /// Something is being typed.
    Typing(Typing),
}

/// Something to know.
#[derive(Debug, PartialEq, Eq)]
pub enum Fact {
    /// This role is the bot's own.
    Role(u64),
    /// The bot opened this thread.
    Thread(u64),
    /// This channel is gone.
    Gone(u64),
}

/// Reads an event.
///
/// # Errors
/// [`Unreadable`] when what it cannot do without is not there.
pub fn read(name: &str, data: &str, known: &Known, menu: &[CommandSpec]) -> Result<News, Unreadable> {
    Ok(match name {
        "MESSAGE_CREATE" => News::Message(Box::new(arrived(parse(data)?, None, known))),
        "MESSAGE_UPDATE" => edited(parse(data)?, known),
        "INTERACTION_CREATE" => asked::read(parse(data)?, menu)?,
        "GUILD_CREATE" => {
            let guild: Guild = parse(data)?;
            let of_bot = |tags: Option<super::wire::RoleTags>| tags.and_then(|tags| tags.bot_id);
            let roles = guild.roles.into_iter().filter_map(|role| Some((role.id, of_bot(role.tags)?)));
            let roles = roles.filter(|(_, bot)| bot.get() == known.me()).map(|(id, _)| Fact::Role(id.get()));
            let threads = guild.threads.iter().filter_map(|thread| own_thread(thread, known));
            facts(roles.chain(threads).collect())
        }
        "THREAD_CREATE" => facts(own_thread(&parse(data)?, known).into_iter().collect()),
        "THREAD_DELETE" | "CHANNEL_DELETE" => {
            let thread: Thread = parse(data)?;
            facts(vec![Fact::Gone(thread.id.get())])
        }
        _ => News::Nothing,
    })
}

/// Reads a list of messages of one channel, as they are fetched: the oldest first, and how many there were. What cannot
/// be read is left out.
pub(super) fn fetched(data: &str, group: bool, known: &Known) -> Result<(Vec<Arrived>, usize), Unreadable> {
    let messages: Vec<Box<serde_json::value::RawValue>> = parse(data)?;
    let count = messages.len();
    let messages = messages.iter().filter_map(|message| parse::<Message>(message.get()).ok());
    let mut all: Vec<Arrived> = messages.map(|message| arrived(message, Some(group), known)).collect();
    all.sort_by_key(|message| message.message);
    Ok((all, count))
}

pub(super) fn parse<T: DeserializeOwned>(data: &str) -> Result<T, Unreadable> {
    Ok(serde_json::from_str(data)?)
}

fn facts(facts: Vec<Fact>) -> News {
    if facts.is_empty() { News::Nothing } else { News::Facts(facts) }
}

fn own_thread(thread: &Thread, known: &Known) -> Option<Fact> {
    let owner = thread.owner_id?.get();
    (owner == known.me()).then(|| Fact::Thread(thread.id.get()))
}

/// The moment that an id was made at.
pub(super) fn moment(id: u64) -> Millis {
    FIRST + Millis::try_from(id >> 22).unwrap_or(0)
}

/// A channel. Threads are channels of their own at Discord.
pub(super) fn place(channel: u64) -> Place {
    Place { chat: channel.to_string(), thread: None }
}

pub(super) fn sender(author: &Author, member: Option<&Member>) -> Sender {
    let nick = member.and_then(|member| member.nick.as_deref());
    let name = nick.or(author.global_name.as_deref()).unwrap_or(&author.username);
    Sender { id: author.id.to_string(), name: name.to_owned() }
}

/// `group` is known of messages that were fetched: they do not say their guild.
fn arrived(message: Message, group: Option<bool>, known: &Known) -> Arrived {
    let (channel, id) = (message.channel_id.get(), message.id.get());
    let own = message.author.as_ref().is_some_and(|author| author.id.get() == known.me());
    let group = group.unwrap_or(message.guild_id.is_some());
    let incoming = incoming(message, group, known);
    Arrived { channel, message: id, own, group, incoming }
}

fn incoming(message: Message, group: bool, known: &Known) -> Option<Incoming> {
    let author = message.author.as_ref()?;
    if author.bot || message.webhook_id.is_some() || !WRITTEN.contains(&message.kind) {
        return None;
    }
    let text = words(&message, known);
    let is_voice = message.flags & MessageFlags::IS_VOICE_MESSAGE.bits() != 0;
    let forwarded = message.message_snapshots.first().map(|snapshot| &snapshot.message);
    let text = match forwarded {
        Some(forwarded) if text.is_empty() => forwarded.content.trim().to_owned(),
        _ => text,
    };
    let files = message.attachments.iter().chain(forwarded.into_iter().flat_map(|it| &it.attachments));
    let files: Vec<RemoteFile> = files.map(|file| remote(file, is_voice)).collect();
    if text.is_empty() && files.is_empty() && message.content.as_deref().unwrap_or_default().is_empty() {
        // A sticker, a poll: nothing that can be read.
        return None;
    }
    let channel = message.channel_id.get();
    let quote = message.referenced_message.as_ref().and_then(|words| quote(words, channel, known));
    let event = Event::Message {
        message: message.id.to_string(),
        text,
        files,
        addressed: is_addressed(&message, group, known),
        quote,
    };
    Some(Incoming {
        id: format!("m{}", message.id),
        place: place(channel),
        seen_as: None,
        group,
        sender: sender(author, message.member.as_ref()),
        at: moment(message.id.get()),
        event,
    })
}

fn edited(message: Message, known: &Known) -> News {
    let (Some(author), Some(stamp), Some(_)) = (&message.author, &message.edited_timestamp, &message.content)
    else {
        return News::Nothing;
    };
    let Ok(at) = chrono::DateTime::parse_from_rfc3339(stamp) else { return News::Nothing };
    if author.bot || message.webhook_id.is_some() || !WRITTEN.contains(&message.kind) {
        return News::Nothing;
    }
    let (channel, group, at) = (message.channel_id.get(), message.guild_id.is_some(), at.timestamp_millis());
    let event = Event::Edited {
        message: message.id.to_string(),
        text: words(&message, known),
        addressed: is_addressed(&message, group, known),
    };
    let incoming = Incoming {
        id: format!("e{}-{at}", message.id),
        place: place(channel),
        seen_as: None,
        group,
        sender: sender(author, message.member.as_ref()),
        at,
        event,
    };
    News::Edited { channel, incoming: Box::new(incoming) }
}

fn is_addressed(message: &Message, group: bool, known: &Known) -> bool {
    let me = |author: &Author| author.id.get() == known.me();
    let replied = message.referenced_message.as_ref().and_then(|words| words.author.as_ref()).is_some_and(me);
    !group
        || replied
        || message.mentions.iter().any(me)
        || message.mention_roles.iter().any(|role| known.is_own_role(role.get()))
        || known.is_own_thread(message.channel_id.get())
}

fn quote(words: &Referenced, channel: u64, known: &Known) -> Option<Quote> {
    let author = words.author.as_ref()?;
    let text: String = words.content.chars().take(QUOTE).collect();
    let is_last = known.said_last(channel) == Some(words.id.get());
    (!is_last && !text.is_empty()).then(|| Quote { name: sender(author, None).name, text })
}

/// The words: mentions of the bot are taken out, those of others are names.
fn words(message: &Message, known: &Known) -> String {
    let content = message.content.as_deref().unwrap_or_default();
    let (mut out, mut rest) = (String::with_capacity(content.len()), content);
    while let Some(at) = rest.find("<@") {
        let (before, mention) = rest.split_at(at);
        out.push_str(before);
        let Some((inner, after)) = mention[2..].split_once('>') else {
            rest = mention;
            break;
        };
        let id = inner.strip_prefix(['!', '&']).unwrap_or(inner);
        let is_role = inner.starts_with('&');
        let of = |id: u64| message.mentions.iter().find(|author| author.id.get() == id);
        match id.parse::<u64>() {
            Ok(id) if (is_role && known.is_own_role(id)) || (!is_role && id == known.me()) => {
                let is_apart = out.is_empty() || out.ends_with(char::is_whitespace);
                rest = if is_apart { after.strip_prefix(' ').unwrap_or(after) } else { after };
                continue;
            }
            Ok(id) if !is_role => match of(id) {
                Some(author) => {
                    out.push('@');
                    out.push_str(&sender(author, None).name);
                }
                None => out.push_str(&mention[..inner.len() + 3]),
            },
            Ok(_) => out.push_str(&mention[..inner.len() + 3]),
            Err(_) => {
                // No mention after all: what follows may be one.
                out.push_str("<@");
                rest = &mention[2..];
                continue;
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out.trim().to_owned()
}

pub(super) fn remote(file: &Attachment, is_voice: bool) -> RemoteFile {
    let told = file.content_type.as_deref().unwrap_or("application/octet-stream");
    let media_type = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let media = match media_type.split('/').next().unwrap_or_default() {
        "audio" if is_voice => Media::Voice,
        "audio" => Media::Audio,
        "image" => Media::Photo,
        "video" => Media::Video,
        _ => Media::Document,
    };
    let name = if file.filename.trim().is_empty() { "file".to_owned() } else { file.filename.clone() };
    RemoteFile { media, name, media_type, size: file.size, reference: file.url.clone() }
}

#[cfg(test)]
mod tests;
