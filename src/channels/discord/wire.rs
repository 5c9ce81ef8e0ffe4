//! What Discord sends, as far as it is read (API v10, <https://docs.discord.com/developers/resources/message>).
//!
//! Only what a message cannot be understood without must be there; anything else that is odd counts as not there, so
//! that a new kind of decoration never costs a message.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use serenity::model::id::{ApplicationId, ChannelId, GuildId, InteractionId, MessageId, RoleId, UserId};

/// A frame of the gateway.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    pub(super) op: u8,
    #[serde(default)]
    pub(super) d: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) s: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) t: Option<String>,
}

impl Frame {
    /// What it carries.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.d.as_ref()?.get()).ok()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) heartbeat_interval: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) session_id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) resume_gateway_url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Author {
    pub(super) id: UserId,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) username: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) global_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) bot: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) nick: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) user: Option<Author>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attachment {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) filename: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) content_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) size: Option<u64>,
    pub(super) url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) channel_id: ChannelId,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) guild_id: Option<GuildId>,
    /// Not there in an update that only adds the preview of a link.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) author: Option<Author>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) member: Option<Member>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) edited_timestamp: Option<String>,
    #[serde(default, deserialize_with = "each")]
    pub(super) mentions: Vec<Author>,
    #[serde(default, deserialize_with = "each")]
    pub(super) mention_roles: Vec<RoleId>,
    #[serde(default, deserialize_with = "each")]
    pub(super) attachments: Vec<Attachment>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) flags: u64,
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    pub(super) kind: u8,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) webhook_id: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) referenced_message: Option<Referenced>,
    #[serde(default, deserialize_with = "each")]
    pub(super) message_snapshots: Vec<Snapshot>,
}

/// What a message replies to.
#[derive(Debug, Deserialize)]
pub(super) struct Referenced {
    pub(super) id: MessageId,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) author: Option<Author>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) content: String,
}

/// What a message forwards.
#[derive(Debug, Deserialize)]
pub(super) struct Snapshot {
    pub(super) message: Forwarded,
}

#[derive(Debug, Deserialize)]
pub(super) struct Forwarded {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) content: String,
    #[serde(default, deserialize_with = "each")]
    pub(super) attachments: Vec<Attachment>,
}

/// <https://docs.discord.com/developers/interactions/receiving-and-responding>
#[derive(Debug, Deserialize)]
pub(super) struct Interaction {
    pub(super) id: InteractionId,
    pub(super) application_id: ApplicationId,
    #[serde(rename = "type")]
    pub(super) kind: u8,
    pub(super) token: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) channel_id: Option<ChannelId>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) guild_id: Option<GuildId>,
    /// Where it was done: 0 a guild, 1 alone with the bot, 2 elsewhere.
    #[serde(default)]
    pub(super) context: Value,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) member: Option<Member>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) user: Option<Author>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) message: Option<Id<MessageId>>,
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Id<T> {
    pub(super) id: T,
}

#[derive(Debug, Deserialize)]
pub(super) struct CommandData {
    pub(super) name: String,
    #[serde(default, deserialize_with = "each")]
    pub(super) options: Vec<Given>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) resolved: Resolved,
}

#[derive(Debug, Deserialize)]
pub(super) struct Given {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: Value,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) focused: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Resolved {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) attachments: HashMap<String, Attachment>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ComponentData {
    pub(super) custom_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Guild {
    #[serde(default, deserialize_with = "each")]
    pub(super) roles: Vec<Role>,
    #[serde(default, deserialize_with = "each")]
    pub(super) threads: Vec<Thread>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Role {
    pub(super) id: RoleId,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) tags: Option<RoleTags>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoleTags {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) bot_id: Option<UserId>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Thread {
    pub(super) id: ChannelId,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) owner_id: Option<UserId>,
}

/// What is odd counts as not there.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

/// What is odd in a list is left out.
fn each<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    let Value::Array(items) = Value::deserialize(from)? else { return Ok(Vec::new()) };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}
