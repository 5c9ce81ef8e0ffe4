//! What people do at the stand-in for Discord, and what they see.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    FakeDiscord,
    world::{APPLICATION, Channel, GUILD, Interaction, Kind, ME, Message, ROLE, Right, Shown, World, stamp},
};

impl FakeDiscord {
    /// The id of a person.
    pub(crate) fn user(&self, name: &str) -> u64 {
        self.world().user(name)
    }

    /// The channel of a person and the bot.
    pub(crate) fn dm_channel(&self, user: &str) -> u64 {
        let mut world = self.world();
        let user = world.user(user);
        let known = world.channels.iter().find(|(_, channel)| channel.kind == Kind::Dm(user));
        if let Some((id, _)) = known {
            return *id;
        }
        world.open(Kind::Dm(user))
    }

    /// A new channel of the guild.
    pub(crate) fn guild_channel(&self) -> u64 {
        self.world().open(Kind::Text)
    }

    /// Somebody writes to the bot alone. Gives the message.
    pub(crate) fn dm(&self, user: &str, text: &str) -> u64 {
        let channel = self.dm_channel(user);
        self.say(channel, user, text)
    }

    /// Somebody writes in a channel.
    pub(crate) fn say(&self, channel: u64, user: &str, text: &str) -> u64 {
        self.write(channel, user, text, |_| {})
    }

    /// Somebody mentions the bot.
    pub(crate) fn mention(&self, channel: u64, user: &str, text: &str) -> u64 {
        self.write(channel, user, &format!("<@{ME}> {text}"), |message| message.mentions.push(ME))
    }

    /// Somebody mentions the bot's role.
    pub(crate) fn mention_role(&self, channel: u64, user: &str, text: &str) -> u64 {
        self.write(channel, user, &format!("<@&{ROLE}> {text}"), |message| message.roles.push(ROLE))
    }

    /// Somebody replies to a message.
    pub(crate) fn reply(&self, channel: u64, user: &str, to: u64, text: &str) -> u64 {
        self.write(channel, user, text, |message| message.reply_to = Some(to))
    }

    /// Somebody sends a file with a message; `voice` as one that was spoken.
    pub(crate) fn send_file(
        &self,
        channel: u64,
        user: &str,
        text: &str,
        (name, media_type, bytes): (&str, &str, &[u8]),
        voice: bool,
    ) -> u64 {
        let attachment = self.world().keep(channel, name, media_type, bytes.to_vec());
        self.write(channel, user, text, |message| {
            message.attachments.push(attachment);
            message.flags = if voice { 1 << 13 } else { 0 };
        })
    }

    fn write(&self, channel: u64, user: &str, text: &str, more: impl FnOnce(&mut Message)) -> u64 {
        let mut world = self.world();
        let author = world.user(user);
        let id = world.id();
        let mut message = Message::new(id, author, text);
        more(&mut message);
        world.add(channel, message)
    }

    /// The last message of a person is told once more, as it is when a session is taken up again.
    pub(crate) fn again(&self, channel: u64) {
        let mut world = self.world();
        let messages = &world.channels[&channel].messages;
        let message = messages.iter().rfind(|message| message.author != ME).unwrap().clone();
        let event = world.message_event(channel, &message);
        world.emit("MESSAGE_CREATE", event);
    }

    /// Somebody corrects a message.
    pub(crate) fn edit(&self, channel: u64, message: u64, text: &str) {
        let mut world = self.world();
        let edited = stamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64);
        let known = world.message(channel, message).unwrap();
        known.content = text.to_owned();
        known.edited = Some(edited);
        let event = known.clone();
        let event = world.message_event(channel, &event);
        world.emit("MESSAGE_UPDATE", event);
    }

    /// Somebody gives a command. Gives the interaction.
    pub(crate) fn slash(&self, channel: u64, user: &str, name: &str, options: &[(&str, &str)]) -> u64 {
        let options: Vec<Value> =
            options.iter().map(|(name, value)| json!({"name": name, "type": 3, "value": value})).collect();
        let data = json!({"id": "1", "name": name, "type": 1, "options": options});
        self.interact(channel, user, 2, data, None)
    }

    /// Somebody gives a command with a file.
    pub(crate) fn slash_with_file(
        &self,
        channel: u64,
        user: &str,
        name: &str,
        options: &[(&str, &str)],
        (option, file, bytes): (&str, &str, &[u8]),
    ) -> u64 {
        let attachment = self.world().keep(channel, file, "text/plain", bytes.to_vec());
        let id = attachment["id"].as_str().unwrap().to_owned();
        let mut given: Vec<Value> =
            options.iter().map(|(name, value)| json!({"name": name, "type": 3, "value": value})).collect();
        given.push(json!({"name": option, "type": 11, "value": id}));
        let data = json!({"id": "1", "name": name, "type": 1, "options": given,
            "resolved": {"attachments": {id: attachment}}});
        self.interact(channel, user, 2, data, None)
    }

    /// Somebody types behind a command.
    pub(crate) fn typing_behind(&self, channel: u64, user: &str, name: &str, option: (&str, &str)) -> u64 {
        let options = json!([{"name": option.0, "type": 3, "value": option.1, "focused": true}]);
        self.interact(channel, user, 4, json!({"id": "1", "name": name, "type": 1, "options": options}), None)
    }

    /// Somebody presses a button; it must be there.
    pub(crate) fn tap(&self, channel: u64, user: &str, message: u64, data: &str) -> u64 {
        let shown = self.messages(channel);
        let shown = shown.iter().find(|shown| shown.id == message).unwrap();
        let there = shown.buttons.iter().flatten().any(|(_, stands_for)| stands_for == data);
        assert!(there, "there is no such button: {shown:?}");
        self.interact(channel, user, 3, json!({"custom_id": data, "component_type": 2}), Some(message))
    }

    /// Somebody presses a button that they still saw when it was taken away.
    pub(crate) fn tap_late(&self, channel: u64, user: &str, message: u64, data: &str) -> u64 {
        self.interact(channel, user, 3, json!({"custom_id": data, "component_type": 2}), Some(message))
    }

    fn interact(&self, channel: u64, user: &str, kind: u64, data: Value, message: Option<u64>) -> u64 {
        let mut world = self.world();
        let (user, id) = (world.user(user), world.id());
        let token = format!("interaction-token-{id}");
        let mut event = json!({"id": id.to_string(), "application_id": APPLICATION.to_string(), "type": kind,
            "token": token, "channel_id": channel.to_string(), "version": 1, "locale": "en-GB", "data": data,
            "entitlements": []});
        let who = world.user_json(user);
        let context = u64::from(world.is_dm(channel));
        if kind != 3 {
            let name = event["data"]["name"].as_str().unwrap_or_default();
            assert!(world.is_offered(name, context), "there is no /{name} here: {}", world.commands);
        }
        event["context"] = json!(context);
        if world.is_dm(channel) {
            event["user"] = who;
            event["authorizing_integration_owners"] = json!({"0": "0"});
        } else {
            event["authorizing_integration_owners"] = json!({"0": GUILD.to_string()});
            event["guild_id"] = json!(GUILD.to_string());
            event["member"] = json!({"user": who, "nick": null, "roles": [], "permissions": "0"});
        }
        if let Some(message) = message {
            let known = world.message(channel, message).unwrap().clone();
            event["message"] = world.message_json(channel, &known);
        }
        let (answered, original) = (None, None);
        let interaction = Interaction {
            id,
            kind,
            channel,
            at: Instant::now(),
            answered,
            original,
            said: Vec::new(),
            choices: Vec::new(),
        };
        world.interactions.insert(token, interaction);
        world.emit("INTERACTION_CREATE", event);
        id
    }

    fn interaction(&self, id: u64) -> Interaction {
        self.world().interactions.values().find(|known| known.id == id).unwrap().clone()
    }

    /// How an interaction was first answered (Discord's number).
    pub(crate) fn answered(&self, interaction: u64) -> Option<u64> {
        self.interaction(interaction).answered
    }

    /// What only the person who did it was told.
    pub(crate) fn said(&self, interaction: u64) -> Vec<String> {
        self.interaction(interaction).said
    }

    /// What was offered to somebody who types.
    pub(crate) fn offered(&self, interaction: u64) -> Vec<String> {
        self.interaction(interaction).choices.into_iter().map(|(value, _)| value).collect()
    }

    /// The same, as it is shown.
    pub(crate) fn offered_labels(&self, interaction: u64) -> Vec<String> {
        self.interaction(interaction).choices.into_iter().map(|(_, label)| label).collect()
    }

    /// A channel as a person sees it.
    pub(crate) fn messages(&self, channel: u64) -> Vec<Shown> {
        let world = self.world();
        let messages = world.channels.get(&channel).map(|channel| channel.messages.as_slice());
        messages.unwrap_or_default().iter().map(|message| world.shown(message)).collect()
    }

    /// What the bot says in a channel.
    pub(crate) fn bot_says(&self, channel: u64) -> Vec<String> {
        let own = self.messages(channel).into_iter().filter(|shown| shown.own && !shown.thinking);
        own.map(|shown| shown.content).collect()
    }

    /// The commands that are registered.
    pub(crate) fn commands(&self) -> Value {
        self.world().commands.clone()
    }

    /// Whatever the bot does in this channel is refused with this number: 50007, 50001, 50013, 10003.
    pub(crate) fn spoil(&self, channel: u64, number: Option<u64>) {
        self.world().channels.get_mut(&channel).unwrap().trouble = number;
    }

    /// The bot may not do this in this channel.
    pub(crate) fn forbid(&self, channel: u64, right: Right) {
        self.world().channels.get_mut(&channel).unwrap().lacks.push(right);
    }
}

impl Message {
    pub(super) fn new(id: u64, author: u64, content: &str) -> Self {
        Self {
            id,
            author,
            content: content.to_owned(),
            embeds: json!([]),
            components: json!([]),
            attachments: Vec::new(),
            reply_to: None,
            edited: None,
            flags: 0,
            nonce: None,
            mentions: Vec::new(),
            roles: Vec::new(),
        }
    }
}

impl World {
    pub(super) fn user(&mut self, name: &str) -> u64 {
        if let Some(id) = self.users.get(name) {
            return *id;
        }
        let id = self.id();
        self.users.insert(name.to_owned(), id);
        id
    }

    pub(super) fn open(&mut self, kind: Kind) -> u64 {
        let id = self.id();
        self.channels.insert(
            id,
            Channel { kind, trouble: None, lacks: Vec::new(), messages: Vec::new(), window: None },
        );
        id
    }

    /// Keeps a file, and gives it as an attachment.
    pub(super) fn keep(&mut self, channel: u64, name: &str, media_type: &str, bytes: Vec<u8>) -> Value {
        let id = self.id();
        let path = format!("/attachments/{channel}/{id}/{name}");
        let url = format!("{}{path}?ex=1&is=1&hm=1", self.api);
        let size = bytes.len();
        self.files.insert(path, bytes);
        json!({"id": id.to_string(), "filename": name, "content_type": media_type, "size": size, "url": url,
            "proxy_url": url})
    }

    fn shown(&self, message: &Message) -> Shown {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = message.components.as_array().into_iter().flatten().map(|row| {
            let buttons = row["components"].as_array().into_iter().flatten();
            buttons.map(|button| (text(&button["label"]), text(&button["custom_id"]))).collect()
        });
        let file = |attachment: &Value| {
            let url = text(&attachment["url"]);
            let path =
                url.strip_prefix(&self.api).and_then(|path| path.split('?').next()).unwrap_or_default();
            (text(&attachment["filename"]), self.files.get(path).cloned().unwrap_or_default())
        };
        Shown {
            id: message.id,
            own: message.author == ME,
            content: message.content.clone(),
            embeds: message.embeds.clone(),
            buttons: rows.collect(),
            files: message.attachments.iter().map(file).collect(),
            reply_to: message.reply_to,
            edited: message.edited.is_some(),
            thinking: message.flags & 128 != 0,
        }
    }
}
