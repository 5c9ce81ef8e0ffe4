//! Sends: messages, corrections, removals, the sign that somebody writes. It never counts or splits words: whoever posts
//! has done that.

use std::time::Duration;

use serde_json::Value;
use teloxide::{
    payloads::{
        DeleteMessage, EditMessageCaption, EditMessageCaptionSetters, EditMessageReplyMarkup,
        EditMessageText, EditMessageTextSetters, SendChatAction, SendMessage, SendMessageSetters,
    },
    types::{
        ChatAction, ChatId, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageId,
        ParseMode, ReplyMarkup, ReplyParameters, ThreadId,
    },
};

use crate::domain::chat::{Button, Content, Failure, Place, Post};

use super::{
    Inner,
    errors::{Asked, CallError},
    upload,
};

/// Longest words under a file, in UTF-16 code units after the markup is read.
const CAPTION: usize = 1_024;
/// How often a file is tried whose words have arrived.
const TRIES: u32 = 3;
/// Longest wait between those.
const LONGEST_WAIT: u64 = 30_000;

/// A place in the API's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) chat: ChatId,
    pub(super) thread: Option<ThreadId>,
}

impl Target {
    /// `None` when it is no place of Telegram.
    pub(super) fn of(place: &Place) -> Option<Self> {
        let thread = place.thread.as_deref().map(str::parse).transpose().ok()?;
        let thread = thread.map(|thread| ThreadId(MessageId(thread)));
        Some(Self { chat: ChatId(place.chat.parse().ok()?), thread })
    }
}

/// The words of a content and whether they have markup.
pub(super) fn words(content: &Content) -> (String, Option<ParseMode>) {
    if content.markup.is_empty() {
        (content.plain.clone(), None)
    } else {
        (content.markup.clone(), Some(ParseMode::Html))
    }
}

/// Buttons under a message.
pub(super) fn keyboard(rows: &[Vec<Button>]) -> Option<InlineKeyboardMarkup> {
    let button = |button: &Button| InlineKeyboardButton::callback(button.label.clone(), button.data.clone());
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(button).collect()).collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

impl Inner {
    /// A place in the API's terms, and with its id of today.
    pub(super) fn target(&self, place: &Place) -> Result<Target, Failure> {
        let found =
            Target::of(place).ok_or_else(|| Failure::Refused("this is no place of Telegram".into()))?;
        Ok(Target { chat: ChatId(self.moved().now(found.chat.0)), ..found })
    }

    /// A message there in the API's terms.
    pub(super) fn message_id(&self, target: Target, name: &str) -> Option<MessageId> {
        self.moved().number(target.chat.0, name).map(MessageId)
    }

    pub(super) fn reply_to(&self, target: Target, post: &Post) -> Option<ReplyParameters> {
        let message = self.message_id(target, post.reply_to.as_deref()?)?;
        Some(ReplyParameters::new(message).allow_sending_without_reply())
    }

    /// The name of the message that was made. It was made: without an id nobody can tell which.
    pub(super) fn made(&self, target: Target, message: &Value) -> Result<String, Failure> {
        let number = message["message_id"].as_i64();
        number
            .map(|number| self.moved().name(target.chat.0, number))
            .ok_or_else(|| Failure::Unknown("Telegram took it and did not say as what".into()))
    }

    /// Posts a message; words that are too long for a file go before it.
    pub(super) async fn post(&self, post: Post) -> Result<String, Failure> {
        let target = self.target(&post.place)?;
        let Some(file) = post.content.file.clone() else { return self.message(target, &post).await };
        let sent = upload::open(self.files.as_ref(), &file).await?;
        if post.content.plain.encode_utf16().count() <= CAPTION {
            return self.upload(target, &post, &sent).await;
        }
        let id = self.message(target, &post).await?;
        let content = Content { file: Some(file), ..Content::default() };
        let rest = Post { content, reply_to: None, ..post };
        self.insist(target, &rest, &sent).await?;
        Ok(id)
    }

    async fn message(&self, target: Target, post: &Post) -> Result<String, Failure> {
        let (text, mode) = words(&post.content);
        let mut call = SendMessage::new(target.chat, text).link_preview_options(no_preview());
        call.message_thread_id = target.thread;
        call.parse_mode = mode;
        call.reply_parameters = self.reply_to(target, post);
        call.reply_markup = keyboard(&post.content.buttons).map(ReplyMarkup::InlineKeyboard);
        call.disable_notification = post.silent.then_some(true);
        let made_of = self.api.call(&call, self.pauses.patience).await;
        self.made(target, &made_of.map_err(|error| self.failure(error, Asked::Post, target))?)
    }

    /// Sends a file whose words have arrived: those must not go out again because of it.
    async fn insist(&self, target: Target, post: &Post, file: &upload::Opened) -> Result<(), Failure> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failure = match self.upload(target, post, file).await {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            let wait = match &failure {
                Failure::Slow { after_ms, .. } => *after_ms,
                Failure::Later(_) => u64::from(attempt) * 1_000,
                Failure::Unknown(_) => LONGEST_WAIT + 1,
                _ => return Err(failure),
            };
            if attempt == TRIES || wait > LONGEST_WAIT {
                return Err(Failure::Unknown(format!("the words arrived, their file did not: {failure}")));
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }

    /// Changes the words or the caption of a message, and its buttons; without words only its buttons.
    pub(super) async fn edit(&self, place: Place, message: String, content: Content) -> Result<(), Failure> {
        let target = self.target(&place)?;
        let message = self.message_id(target, &message).ok_or_else(no_message)?;
        let (text, mode) = words(&content);
        let buttons = keyboard(&content.buttons);
        let patience = self.pauses.patience;
        let done = if text.is_empty() {
            let mut call = EditMessageReplyMarkup::new(target.chat, message);
            call.reply_markup = buttons;
            self.api.call(&call, patience).await
        } else {
            let mut call =
                EditMessageText::new(target.chat, message, text.clone()).link_preview_options(no_preview());
            call.parse_mode = mode;
            call.reply_markup = buttons.clone();
            match self.api.call(&call, patience).await {
                Err(error) if has_caption(&error) => {
                    let mut call = EditMessageCaption::new(target.chat, message).caption(text);
                    call.parse_mode = mode;
                    call.reply_markup = buttons;
                    self.api.call(&call, patience).await
                }
                done => done,
            }
        };
        done.map(|_| ()).map_err(|error| self.failure(error, Asked::Again, target))
    }

    /// Removes a message.
    pub(super) async fn remove(&self, place: Place, message: String) -> Result<(), Failure> {
        let target = self.target(&place)?;
        let message = self.message_id(target, &message).ok_or_else(no_message)?;
        let call = DeleteMessage::new(target.chat, message);
        let done = self.api.call(&call, self.pauses.patience).await;
        done.map(|_| ()).map_err(|error| self.failure(error, Asked::Again, target))
    }

    /// Shows that somebody writes.
    pub(super) async fn typing(&self, place: Place) -> Result<(), Failure> {
        let target = self.target(&place)?;
        let mut call = SendChatAction::new(target.chat, ChatAction::Typing);
        call.message_thread_id = target.thread;
        let done = self.api.call(&call, self.pauses.patience).await;
        done.map(|_| ()).map_err(|error| self.failure(error, Asked::Again, target))
    }

    /// What a call that failed means. The server does not say whom it finds too fast: while one chat is slowed down and
    /// another is too, it is all of them.
    pub(super) fn failure(&self, error: CallError, asked: Asked, target: Target) -> Failure {
        if let CallError::Moved { to, .. } = &error {
            self.moves(target.chat.0, *to);
        }
        match error.failure(asked) {
            Failure::Slow { after_ms, .. } => {
                let now = self.clock.now();
                let until = now.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
                let chat_only = self.slowed().only(target.chat.0, now, until);
                Failure::Slow { after_ms, chat_only }
            }
            failure => failure,
        }
    }
}

fn no_message() -> Failure {
    Failure::NoMessage("this is no message of Telegram".into())
}

/// The message is a file, and its words are a caption.
fn has_caption(error: &CallError) -> bool {
    matches!(error, CallError::Said { code: 400, words, .. } if words.contains("no text in the message to edit"))
}

/// Which chat was slowed down last, and until when.
#[derive(Debug, Default)]
pub(super) struct Slowed(Option<(i64, i64)>);

impl Slowed {
    /// This chat is slowed down: true when it is, as far as can be seen, the only one.
    fn only(&mut self, chat: i64, now: i64, until: i64) -> bool {
        let other = self.0.is_some_and(|(other, until)| other != chat && now < until);
        self.0 = Some((chat, until));
        !other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_chats_that_are_slowed_down_at_once_are_all_of_them() {
        let mut slowed = Slowed::default();
        assert!(slowed.only(1, 0, 1_000));
        assert!(slowed.only(1, 500, 1_500));
        assert!(!slowed.only(2, 1_000, 3_000));
        assert!(slowed.only(1, 3_000, 4_000));
    }

    #[test]
    fn only_numbers_are_places() {
        let of = |chat: &str, thread: Option<&str>| {
            Target::of(&Place { chat: chat.into(), thread: thread.map(str::to_owned) })
        };
        assert_eq!(
            of("-100123", Some("7")).map(|to| (to.chat.0, to.thread.is_some())),
            Some((-100_123, true))
        );
        for odd in [of("@news", None), of("", None), of("1", Some("x")), of("1", Some(""))] {
            assert_eq!(odd, None);
        }
    }
}
