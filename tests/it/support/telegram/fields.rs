//! Which methods there are and which fields they take. The real server passes over fields that it does not know; here they
//! are refused, because nobody sends one on purpose.

use serde_json::{Map, Value};

use super::methods::Refusal;

/// A field: its name, its kind, whether it must be there. Kinds: `i`nteger, `s`tring, `b`oolean, `o`bject, `l`ist, `f`ile.
type Field = (&'static str, char, bool);

const CHAT: Field = ("chat_id", 'i', true);
const MESSAGE: Field = ("message_id", 'i', true);
const THREAD: Field = ("message_thread_id", 'i', false);
const MODE: Field = ("parse_mode", 's', false);
const SILENT: Field = ("disable_notification", 'b', false);
const REPLY: Field = ("reply_parameters", 'o', false);
const MARKUP: Field = ("reply_markup", 'o', false);
const CAPTION: Field = ("caption", 's', false);
const PREVIEW: Field = ("link_preview_options", 'o', false);

const fn file(name: &'static str) -> [Field; 8] {
    [CHAT, THREAD, MODE, SILENT, REPLY, MARKUP, CAPTION, (name, 'f', true)]
}

const METHODS: &[(&str, &[Field])] = &[
    ("getMe", &[]),
    (
        "getUpdates",
        &[
            ("offset", 'i', false),
            ("limit", 'i', false),
            ("timeout", 'i', false),
            ("allowed_updates", 'l', false),
        ],
    ),
    (
        "setWebhook",
        &[
            ("url", 's', true),
            ("allowed_updates", 'l', false),
            ("secret_token", 's', false),
            ("max_connections", 'i', false),
            ("drop_pending_updates", 'b', false),
        ],
    ),
    ("deleteWebhook", &[("drop_pending_updates", 'b', false)]),
    ("getWebhookInfo", &[]),
    ("sendMessage", &[CHAT, ("text", 's', true), THREAD, MODE, PREVIEW, SILENT, REPLY, MARKUP]),
    ("sendPhoto", &file("photo")),
    ("sendVideo", &file("video")),
    ("sendAudio", &file("audio")),
    ("sendVoice", &file("voice")),
    ("sendDocument", &file("document")),
    ("editMessageText", &[CHAT, MESSAGE, ("text", 's', true), MODE, PREVIEW, MARKUP]),
    ("editMessageCaption", &[CHAT, MESSAGE, CAPTION, MODE, MARKUP]),
    ("editMessageReplyMarkup", &[CHAT, MESSAGE, MARKUP]),
    ("deleteMessage", &[CHAT, MESSAGE]),
    ("sendChatAction", &[CHAT, THREAD, ("action", 's', true)]),
    (
        "answerCallbackQuery",
        &[("callback_query_id", 's', true), ("text", 's', false), ("show_alert", 'b', false)],
    ),
    ("setMessageReaction", &[CHAT, MESSAGE, ("reaction", 'l', false), ("is_big", 'b', false)]),
    ("getFile", &[("file_id", 's', true)]),
    ("setMyCommands", &[("commands", 'l', true)]),
];

/// The file's field of a method that takes one.
pub(super) fn file_of(method: &str) -> Option<&'static str> {
    let (_, fields) = METHODS.iter().find(|(name, _)| *name == method)?;
    fields.iter().find(|(_, kind, _)| *kind == 'f').map(|(name, ..)| *name)
}

/// The fields of a call, each of its kind. In a form all are texts.
pub(super) fn check(
    method: &str,
    fields: Map<String, Value>,
    form: bool,
) -> Result<Map<String, Value>, Refusal> {
    let (_, known) = METHODS
        .iter()
        .find(|(name, _)| *name == method)
        .ok_or_else(|| Refusal::new(404, "Not Found: method not found"))?;
    let mut checked = Map::new();
    for (name, value) in fields {
        let Some((_, kind, _)) = known.iter().find(|(field, ..)| *field == name) else {
            return Err(Refusal::bad(&format!("unknown field {name} of {method}")));
        };
        let value = match value {
            Value::String(text) if form && *kind != 's' && *kind != 'f' => {
                serde_json::from_str(&text).map_err(|_| Refusal::bad(&format!("field {name} is no JSON")))?
            }
            value => value,
        };
        let fine = match kind {
            'i' => value.is_i64(),
            's' | 'f' => value.is_string(),
            'b' => value.is_boolean(),
            'o' => value.is_object(),
            _ => value.is_array(),
        };
        if !fine {
            return Err(Refusal::bad(&format!("field {name} of {method} has the wrong kind")));
        }
        checked.insert(name, value);
    }
    match known.iter().find(|(name, _, must)| *must && !checked.contains_key(*name)) {
        Some((name, ..)) => Err(Refusal::bad(&format!("field {name} of {method} is missing"))),
        None => Ok(checked),
    }
}

/// Fields of an object inside a call.
pub(super) fn only(value: &Value, what: &str, known: &[&str]) -> Result<(), Refusal> {
    let odd = value.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(&key.as_str())));
    odd.map_or(Ok(()), |odd| Err(Refusal::bad(&format!("unknown field {odd} of {what}"))))
}
