//! What Discord's errors mean (<https://docs.discord.com/developers/topics/opcodes-and-status-codes>). Pure.

use serde_json::Value;

use crate::domain::{chat::Failure, review::shown};

/// Longest words of Discord that are passed on, in characters.
const WORDS: usize = 300;

/// What Discord said to a call that it did not do; 429 is read elsewhere.
pub(super) fn failure(status: u16, body: &Value) -> Failure {
    let code = body["code"].as_u64().unwrap_or(0);
    let said = said(status, body);
    match (status, code) {
        // Of an interaction, not of the bot: it is too late to answer it.
        (_, 50_027) => Failure::NoMessage(said),
        (401, _) => Failure::NoToken(
            "Discord does not take the bot's token: make a new one in the developer portal, set channels.discord.token \
             and restart"
                .into(),
        ),
        (_, 10_003 | 50_001 | 50_007 | 50_278) => Failure::NoChat(said),
        (_, 10_008 | 10_015 | 10_062 | 50_083) => Failure::NoMessage(said),
        // A form that Discord does not take: the words, or the card.
        (400, 50_035) => Failure::Markup(said),
        (413, _) | (_, 40_005) => Failure::TooLarge(said),
        // Too many edits of an old message; busy.
        (_, 30_046 | 130_000) | (408 | 500.., _) => Failure::Later(said),
        _ => Failure::Refused(said),
    }
}

/// Whether it was refused only for what it is a reply to: the bot may not read what was said before, or the message is
/// gone. A post alone can mean that: nothing else in it names a message.
pub(super) fn is_of_reply(code: u64, failure: &Failure) -> bool {
    match (code, failure) {
        (10_008 | 160_002 | 160_009 | 160_010, _) => true,
        (50_035, Failure::Markup(words)) => words.contains(": message_reference"),
        _ => false,
    }
}

/// Discord's own words with its number, and the field that it does not take.
fn said(status: u16, body: &Value) -> String {
    let mut words = match (body["code"].as_u64(), body["message"].as_str()) {
        (Some(code), Some(message)) if code > 0 => format!("{message} (Discord's error {code})"),
        (_, Some(message)) => format!("{message} (status {status})"),
        _ => format!("Discord answers with status {status}"),
    };
    let mut path = Vec::new();
    if let Some(what) = field(&body["errors"], &mut path, 0) {
        words.push_str(&format!(": {}: {what}", path.join(".")));
    }
    shown(&words.chars().take(WORDS).collect::<String>())
}

/// The first field that is not taken, and why not: errors stand in a tree that is built as what was sent.
fn field<'a>(errors: &'a Value, path: &mut Vec<&'a str>, depth: usize) -> Option<&'a str> {
    let fields = errors.as_object().filter(|_| depth < 16)?;
    if let Some(list) = fields.get("_errors") {
        return list[0]["message"].as_str();
    }
    for (name, inner) in fields {
        path.push(name);
        if let Some(what) = field(inner, path, depth + 1) {
            return Some(what);
        }
        path.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_what_they_mean() {
        let of = |status: u16, code: u64| failure(status, &json!({"code": code, "message": "Because"}));
        assert!(matches!(of(401, 0), Failure::NoToken(_)));
        assert_eq!(of(403, 50_007), Failure::NoChat("Because (Discord's error 50007)".into()));
        for (status, code) in [(404, 10_003), (403, 50_001)] {
            assert!(matches!(of(status, code), Failure::NoChat(_)), "{code}");
        }
        for (status, code) in [(404, 10_008), (404, 10_015), (404, 10_062), (401, 50_027), (400, 50_083)] {
            assert!(matches!(of(status, code), Failure::NoMessage(_)), "{code}");
        }
        for (status, code) in [(413, 0), (400, 40_005)] {
            assert!(matches!(of(status, code), Failure::TooLarge(_)), "{code}");
        }
        for (status, code) in [(500, 0), (502, 0), (503, 130_000), (400, 30_046), (408, 0)] {
            assert!(matches!(of(status, code), Failure::Later(_)), "{status} {code}");
        }
        for (status, code) in [(400, 50_006), (403, 50_013), (404, 0), (302, 0), (405, 0)] {
            assert!(matches!(of(status, code), Failure::Refused(_)), "{status} {code}");
        }
    }

    #[test]
    fn what_is_refused_only_as_a_reply_is_known() {
        let of =
            |status: u16, body: Value| is_of_reply(body["code"].as_u64().unwrap(), &failure(status, &body));
        let field = |name: &str| {
            json!({"code": 50035, "message": "Invalid Form Body", "errors": {
                name: {"_errors": [{"code": "X", "message": "Unknown message"}]}
            }})
        };
        assert!(of(400, field("message_reference")));
        assert!(!of(400, field("content")));
        for (code, is_one) in [(160_002, true), (10_008, true), (50_013, false), (50_001, false)] {
            assert_eq!(of(403, json!({"code": code, "message": "Because"})), is_one, "{code}");
        }
    }

    #[test]
    fn the_field_that_is_not_taken_is_named() {
        let body = json!({"code": 50035, "message": "Invalid Form Body", "errors": {
            "embeds": {"0": {"fields": {"2": {"value": {"_errors": [{"code": "X", "message": "Must be 1024 or fewer."}]}}}}}
        }});
        let Failure::Markup(words) = failure(400, &body) else { panic!("not refused") };
        let wanted =
            "Invalid Form Body (Discord's error 50035): embeds.0.fields.2.value: Must be 1024 or fewer.";
        assert_eq!(words, wanted);
        let Failure::Refused(words) = failure(404, &Value::Null) else { panic!("not refused") };
        assert_eq!(words, "Discord answers with status 404");
    }
}
