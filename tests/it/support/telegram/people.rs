//! What the people in the chats do and see. A chat with a positive id is the direct one with that person.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{FakeTelegram, Shown, world::World};

impl FakeTelegram {
    /// A person with a name.
    pub(crate) fn name(&self, user: i64, name: &str) {
        self.world().names.insert(user, name.to_owned());
    }

    /// A person writes. Gives the message's id.
    pub(crate) fn say(&self, chat: i64, user: i64, text: &str) -> i64 {
        self.change(|world| world.told(chat, user, json!({"text": text, "entities": entities(text)})))
    }

    /// A person sends a message with these fields.
    pub(crate) fn send(&self, chat: i64, user: i64, fields: Value) -> i64 {
        self.change(|world| world.told(chat, user, fields))
    }

    /// A person replies to a message.
    pub(crate) fn reply(&self, chat: i64, user: i64, to: i64, text: &str) -> i64 {
        self.change(|world| {
            let to = world.chats[&chat].messages[&to].value.clone();
            world.told(chat, user, json!({"text": text, "entities": entities(text), "reply_to_message": to}))
        })
    }

    /// A person writes in a topic of a group, which is opened when it is not there. Gives the message's id.
    pub(crate) fn say_in_topic(&self, chat: i64, topic: i64, user: i64, text: &str) -> i64 {
        self.change(|world| {
            world.chats.entry(chat).or_default().topics.insert(topic);
            let opener = json!({"message_id": topic, "from": world.person(user), "chat": world.chat_value(chat),
                "date": 1, "forum_topic_created": {"name": "a topic", "icon_color": 1}});
            let fields = json!({"text": text, "entities": entities(text), "message_thread_id": topic,
                "is_topic_message": true, "reply_to_message": opener});
            world.told(chat, user, fields)
        })
    }

    /// A person sends a photo.
    pub(crate) fn photo(&self, chat: i64, user: i64, bytes: &[u8], caption: &str) -> i64 {
        self.change(|world| {
            let fields = photo(world, bytes, caption);
            world.told(chat, user, fields)
        })
    }

    /// A person sends photos as an album, with words at the first. Gives the messages' ids.
    pub(crate) fn album(&self, chat: i64, user: i64, photos: &[&[u8]], caption: &str) -> Vec<i64> {
        self.change(|world| {
            let group = format!("album-{}", world.next_message);
            let piece = |(at, bytes): (usize, &&[u8])| {
                let mut fields = photo(world, bytes, if at == 0 { caption } else { "" });
                fields["media_group_id"] = group.clone().into();
                world.told(chat, user, fields)
            };
            photos.iter().enumerate().map(piece).collect()
        })
    }

    /// A person sends a file as a document. The API says that it has this size, when one is given.
    pub(crate) fn document(&self, chat: i64, user: i64, name: &str, bytes: &[u8], size: Option<u64>) -> i64 {
        self.change(|world| {
            let id = world.file(name, Bytes::copy_from_slice(bytes));
            if let Some(size) = size {
                world.sizes.insert(id.clone(), size);
            }
            let document = json!({"file_id": id, "file_unique_id": "u", "file_name": name, "mime_type": "text/plain",
                "file_size": size.unwrap_or(bytes.len() as u64)});
            world.told(chat, user, json!({"document": document}))
        })
    }

    /// A group becomes a supergroup: with another id, and numbers of its own for messages. The bot may be told or not.
    pub(crate) fn upgrade(&self, from: i64, to: i64, told: bool) {
        self.change(|world| {
            world.chats.entry(to).or_default();
            world.next_message = 1;
            if told {
                world.told(from, 42, json!({"migrate_to_chat_id": to}));
                world.told(to, 42, json!({"migrate_from_chat_id": from}));
            }
            world.chats.entry(from).or_default().moved = Some(to);
        });
    }

    /// A person corrects a message.
    pub(crate) fn edit(&self, chat: i64, message: i64, text: &str) {
        self.change(|world| {
            let kept = world.chats.get_mut(&chat).unwrap().messages.get_mut(&message).unwrap();
            kept.shown.edits += 1;
            kept.shown.text = text.to_owned();
            kept.value["text"] = text.into();
            kept.value["entities"] = entities(text);
            kept.value["edit_date"] = (World::date(message) + 60 * kept.shown.edits as i64).into();
            let value = kept.value.clone();
            world.update(json!({"edited_message": value}));
        });
    }

    /// A person presses the button with this label, which must be there. Gives the tap's id.
    pub(crate) fn tap(&self, chat: i64, user: i64, message: i64, label: &str) -> String {
        let shown = self.messages(chat).into_iter().find(|shown| shown.id == message).unwrap();
        let button = shown.buttons.iter().flatten().find(|(known, _)| known == label);
        let data = button.unwrap_or_else(|| panic!("no button {label} in {shown:?}")).1.clone();
        self.forge_tap(chat, user, message, &data)
    }

    /// Somebody sends a tap of their own making.
    pub(crate) fn forge_tap(&self, chat: i64, user: i64, message: i64, data: &str) -> String {
        self.change(|world| {
            let id = format!("tap-{}", world.next_update);
            world.taps.insert(id.clone());
            let known = world.chats.get(&chat).and_then(|chat| chat.messages.get(&message));
            let value = known.map_or_else(
                || json!({"message_id": message, "chat": world.chat_value(chat), "date": 0}),
                |kept| kept.value.clone(),
            );
            world.update(json!({"callback_query": {
                "id": id, "from": world.person(user), "message": value, "chat_instance": "1", "data": data,
            }}));
            id
        })
    }

    /// An update with these fields.
    pub(crate) fn raw(&self, fields: Value) -> i64 {
        self.change(|world| world.update(fields))
    }

    /// Updates begin at this number from now on.
    pub(crate) fn number_from(&self, number: i64) {
        self.change(|world| world.next_update = number);
    }

    /// A person opens the direct chat, without a word that the bot would get.
    pub(crate) fn open(&self, chat: i64) {
        self.change(|world| {
            world.chats.entry(chat).or_default();
        });
    }

    /// A person blocks the bot, or throws it out: nothing arrives in this chat, for this reason. `None`: it does again.
    pub(crate) fn shut(&self, chat: i64, why: Option<(u16, &str)>) {
        let why = why.map(|(code, words)| (code, words.to_owned()));
        self.change(|world| world.chats.entry(chat).or_default().shut = why);
    }

    /// What a person sees in a chat: messages of all, as they are now.
    pub(crate) fn messages(&self, chat: i64) -> Vec<Shown> {
        let world = self.world();
        let messages = world.chats.get(&chat).into_iter().flat_map(|chat| chat.messages.values());
        messages.map(|kept| kept.shown.clone()).collect()
    }

    /// What the bot has in a chat, as it is now.
    pub(crate) fn said(&self, chat: i64) -> Vec<Shown> {
        self.messages(chat).into_iter().filter(|shown| shown.own).collect()
    }

    /// How often the chat was shown that the bot writes.
    pub(crate) fn typed(&self, chat: i64) -> usize {
        self.world().chats.get(&chat).map_or(0, |chat| chat.typing)
    }

    /// Somebody removes a message; bots are not told.
    pub(crate) fn remove(&self, chat: i64, message: i64) {
        self.change(|world| world.chats.get_mut(&chat).and_then(|chat| chat.messages.remove(&message)));
    }
}

fn photo(world: &mut World, bytes: &[u8], caption: &str) -> Value {
    let small = world.file("small.jpg", Bytes::from_static(b"small"));
    let large = world.file("photo.jpg", Bytes::copy_from_slice(bytes));
    let size = |id: &str, side: u32, size: usize| json!({"file_id": id, "file_unique_id": format!("u-{id}"), "width": side, "height": side, "file_size": size});
    let mut fields = json!({"photo": [size(&small, 90, 5), size(&large, 1_280, bytes.len())]});
    if !caption.is_empty() {
        fields["caption"] = caption.into();
        fields["caption_entities"] = entities(caption);
    }
    fields
}

/// What the server marks by itself: mentions and commands.
fn entities(text: &str) -> Value {
    let (mut found, mut at) = (Vec::new(), 0);
    for word in text.split_inclusive(char::is_whitespace) {
        let trimmed = word.trim_end();
        let kind = match trimmed.chars().next() {
            Some('@') if trimmed.len() > 1 => Some("mention"),
            Some('/') if trimmed.len() > 1 => Some("bot_command"),
            _ => None,
        };
        let length = trimmed.encode_utf16().count();
        found.extend(kind.map(|kind| json!({"type": kind, "offset": at, "length": length})));
        at += word.encode_utf16().count();
    }
    Value::Array(found)
}
