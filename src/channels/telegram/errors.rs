//! What a call that failed means. The Bot API tells its errors in words, which are not specified: those here are what the
//! server says (<https://github.com/tdlib/telegram-bot-api>).

use crate::domain::{chat::Failure, secret::Secret};

use super::read::cut;

/// Longest words of the server that are passed on, in characters.
const WORDS: usize = 300;
/// Longest wait that is taken from the server, in seconds.
const LONGEST_WAIT: u64 = 3_600;

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    /// The server answered, and not with a success.
    Said {
        /// As in HTTP.
        code: u16,
        /// Its words.
        words: String,
        /// Seconds to wait.
        wait: Option<u64>,
    },
    /// The chat has another id now.
    Moved {
        /// Which.
        to: i64,
        /// The server's words.
        words: String,
    },
    /// The call did not leave this machine.
    Unsent(String),
    /// It left; what came of it cannot be known.
    Lost(String),
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A message: asking twice posts two.
    Post,
    /// Something that may be asked for again.
    Again,
}

/// The token stands in each address: it is cut out of whatever is said, as a whole and its secret part.
pub(super) fn clean(token: &Secret, words: &str) -> String {
    let words = token.cut_from(words);
    match token.reveal().split_once(':') {
        Some((_, part)) if part.len() >= 8 => Secret::new(part).cut_from(&words),
        _ => words,
    }
}

impl CallError {
    /// Without the token.
    pub(super) fn without(self, token: &Secret) -> Self {
        let tidy = |words: String| cut(&clean(token, &words), WORDS);
        match self {
            Self::Said { code, words, wait } => Self::Said { code, words: tidy(words), wait },
            Self::Moved { to, words } => Self::Moved { to, words: tidy(words) },
            Self::Unsent(words) => Self::Unsent(tidy(words)),
            Self::Lost(words) => Self::Lost(tidy(words)),
        }
    }

    /// How long to wait at least, in milliseconds, when the server says so.
    pub(super) fn wait_ms(&self) -> Option<u64> {
        match self {
            Self::Said { code: 429, wait, .. } => Some(wait.unwrap_or(1).clamp(1, LONGEST_WAIT) * 1_000),
            _ => None,
        }
    }

    /// What a person reads.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Said { code, words, .. } => format!("Telegram answered {code}: {words}"),
            Self::Moved { words, .. } | Self::Unsent(words) | Self::Lost(words) => words.clone(),
        }
    }

    /// What whoever asked does about it.
    pub(super) fn failure(self, asked: Asked) -> Failure {
        let after_ms = self.wait_ms();
        match self {
            Self::Moved { words, .. } | Self::Unsent(words) => Failure::Later(words),
            Self::Lost(words) if asked == Asked::Post => Failure::Unknown(words),
            Self::Lost(words) => Failure::Later(words),
            Self::Said { code: 429, .. } => {
                Failure::Slow { after_ms: after_ms.unwrap_or(1_000), chat_only: false }
            }
            Self::Said { code, words, .. } => said(code, words),
        }
    }
}

/// The words are compared in small letters.
const MARKUP: &[&str] = &["can't parse entities", "can't parse message text"];
const UNCHANGED: &[&str] = &["message is not modified"];
const NO_MESSAGE: &[&str] = &[
    "message to edit not found",
    "message can't be edited",
    "message to delete not found",
    "message can't be deleted",
    "message_id_invalid",
    "message_author_required",
];
const NO_CHAT: &[&str] = &[
    "chat not found",
    "bot was blocked",
    "deactivated",
    "kicked",
    "not a member",
    "can't initiate conversation",
    "upgraded to a supergroup",
    "chat_write_forbidden",
    "have no rights to send",
    "not enough rights to send",
    "need administrator rights",
    "peer_id_invalid",
    "user_is_blocked",
    "message thread not found",
    "topic_deleted",
    "topic_closed",
];
/// The bot may write in the chat, and not send this kind of file: by a group's rules, or by a person's wish.
const NO_FILES: &[&str] = &[
    "not enough rights to send photos",
    "not enough rights to send documents",
    "not enough rights to send videos",
    "not enough rights to send video notes",
    "not enough rights to send audios",
    "not enough rights to send voice notes",
    "not enough rights to send animations",
    "chat_send_media_forbidden",
    "chat_send_photos_forbidden",
    "chat_send_docs_forbidden",
    "chat_send_videos_forbidden",
    "chat_send_audios_forbidden",
    "chat_send_voices_forbidden",
    "voice_messages_forbidden",
];
const TOO_LARGE: &[&str] = &["file is too big", "request entity too large", "too large"];

fn said(code: u16, words: String) -> Failure {
    let small = words.to_lowercase();
    let any = |list: &[&str]| list.iter().any(|known| small.contains(known));
    match code {
        401 => Failure::NoToken(words),
        // An address without a fitting token is not found; a method that an older server does not know neither.
        404 if !small.contains("method") => Failure::NoToken(words),
        400 | 403 if any(NO_FILES) => Failure::NoFiles(words),
        403 => Failure::NoChat(words),
        413 => Failure::TooLarge(words),
        500.. => Failure::Later(format!("Telegram answered {code}: {words}")),
        400 if any(MARKUP) => Failure::Markup(words),
        400 if any(UNCHANGED) => Failure::Unchanged,
        400 if any(NO_MESSAGE) => Failure::NoMessage(words),
        400 if any(NO_CHAT) => Failure::NoChat(words),
        400 if any(TOO_LARGE) => Failure::TooLarge(words),
        _ => Failure::Refused(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, words: &str) -> Failure {
        CallError::Said { code, words: words.into(), wait: None }.failure(Asked::Post)
    }

    #[test]
    fn what_the_server_says_is_understood() {
        for (code, words, is) in [
            (
                400,
                "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0",
                "the markup",
            ),
            (
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly the \
                 same as a current content and reply markup of the message",
                "nothing",
            ),
            (400, "Bad Request: message to edit not found", "the message is gone"),
            (400, "Bad Request: message can't be edited", "the message is gone"),
            (400, "Bad Request: message to delete not found", "the message is gone"),
            (400, "Bad Request: chat not found", "the chat"),
            (403, "Forbidden: bot was blocked by the user", "the chat"),
            (403, "Forbidden: user is deactivated", "the chat"),
            (403, "Forbidden: bot was kicked from the supergroup chat", "the chat"),
            (400, "Bad Request: group chat was upgraded to a supergroup chat", "the chat"),
            (400, "Bad Request: message thread not found", "the chat"),
            (400, "Bad Request: not enough rights to send text messages to the chat", "the chat"),
            (400, "Bad Request: have no rights to send a message", "the chat"),
            (400, "Bad Request: not enough rights to send photos to the chat", "such a file may not"),
            (400, "Bad Request: not enough rights to send documents to the chat", "such a file may not"),
            (400, "Bad Request: not enough rights to send voice notes to the chat", "such a file may not"),
            (400, "Bad Request: CHAT_SEND_DOCS_FORBIDDEN", "such a file may not"),
            (400, "Bad Request: VOICE_MESSAGES_FORBIDDEN", "such a file may not"),
            (401, "Unauthorized", "the token"),
            (404, "Not Found", "the token"),
            (404, "Not Found: method not found", "refused"),
            (413, "Request Entity Too Large", "the file is too large"),
            (400, "Bad Request: file is too big", "the file is too large"),
            (500, "Internal Server Error", "not now"),
            (502, "Bad Gateway", "not now"),
            (400, "Bad Request: message is too long", "refused"),
            (302, "", "refused"),
        ] {
            let failure = of(code, words);
            assert!(failure.to_string().starts_with(is), "{code} {words}: {failure}");
        }
    }

    #[test]
    fn a_wait_is_honoured_and_bounded() {
        let slow = |wait| {
            CallError::Said { code: 429, words: "Too Many Requests".into(), wait }.failure(Asked::Post)
        };
        for (wait, after_ms) in
            [(Some(7), 7_000), (None, 1_000), (Some(0), 1_000), (Some(u64::MAX), 3_600_000)]
        {
            assert_eq!(slow(wait), Failure::Slow { after_ms, chat_only: false });
        }
    }

    #[test]
    fn only_a_post_whose_answer_was_lost_is_unknown() {
        let lost = CallError::Lost("the connection broke".into());
        assert!(matches!(lost.clone().failure(Asked::Post), Failure::Unknown(_)));
        assert!(matches!(lost.failure(Asked::Again), Failure::Later(_)));
        assert!(matches!(CallError::Unsent("refused".into()).failure(Asked::Post), Failure::Later(_)));
    }

    #[test]
    fn the_token_is_cut_out_of_all_words() {
        let token = Secret::new("12345:AAsecretsecret");
        let words = "error for url (http://x/bot12345:AAsecretsecret/getMe), AAsecretsecret";
        for error in [
            CallError::Said { code: 400, words: words.into(), wait: None },
            CallError::Unsent(words.into()),
            CallError::Lost(words.into()),
        ] {
            let said = format!("{:?}", error.without(&token));
            assert!(!said.contains("AAsecret") && said.contains("(secret)"), "{said}");
        }
    }
}
