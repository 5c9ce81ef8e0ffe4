//! What is shown at once for something that was taken: a tap is answered, a message gets a light mark, a word goes to
//! whoever wrote. All of it may fail: what matters goes out as a stored message.

use teloxide::{
    payloads::{
        AnswerCallbackQuery, AnswerCallbackQuerySetters, SendMessage, SendMessageSetters, SetMessageReaction,
        SetMessageReactionSetters,
    },
    types::{ReactionType, ReplyParameters},
};

use crate::domain::chat::{Event, Incoming, Receipt};

use super::{Inner, errors::CallError, read::cut};

/// Longest answer to a tap, in characters.
const ANSWER: usize = 199;
/// Shown at a message that was taken.
const SEEN: &str = "👀";

/// What is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Show {
    /// The answer to a tap, without which its button seems to hang.
    Answer {
        /// The tap's.
        token: String,
        /// What it says, if anything.
        text: Option<String>,
    },
    /// A mark at the message.
    Mark(String),
    /// A short reply to the message.
    Word {
        /// Which.
        message: String,
        /// What.
        text: String,
    },
}

/// What is shown for this. With `marks`, a message that was taken is marked.
pub(super) fn show(incoming: &Incoming, receipt: Receipt, marks: bool) -> Option<Show> {
    match (&incoming.event, receipt) {
        (Event::Tap { token, .. }, receipt) => {
            let text = if let Receipt::Said(text) = receipt { Some(cut(&text, ANSWER)) } else { None };
            Some(Show::Answer { token: token.clone(), text })
        }
        (Event::Message { message, .. } | Event::Edited { message, .. }, Receipt::Said(text)) => {
            Some(Show::Word { message: message.clone(), text })
        }
        (Event::Message { message, .. }, Receipt::Taken) => marks.then(|| Show::Mark(message.clone())),
        _ => None,
    }
}

impl Inner {
    /// Shows it, once, without insisting.
    pub(super) async fn present(&self, incoming: &Incoming, show: Show) {
        if let Err(error) = self.try_present(incoming, show).await {
            tracing::debug!(channel = "telegram", error = error.words(), "a receipt was not shown");
        }
    }

    async fn try_present(&self, incoming: &Incoming, show: Show) -> Result<(), CallError> {
        let patience = self.pauses.patience;
        let Ok(target) = self.target(&incoming.place) else { return Ok(()) };
        match show {
            Show::Answer { token, text } => {
                let mut call = AnswerCallbackQuery::new(token.into());
                if let Some(text) = text {
                    call = call.text(text);
                }
                self.api.call(&call, patience).await?;
            }
            Show::Mark(message) => {
                let Some(message) = self.message_id(target, &message) else { return Ok(()) };
                let mark = ReactionType::Emoji { emoji: SEEN.into() };
                let call = SetMessageReaction::new(target.chat, message).reaction([mark]);
                self.api.call(&call, patience).await?;
            }
            Show::Word { message, text } => {
                let mut call = SendMessage::new(target.chat, text).disable_notification(true);
                if let Some(message) = self.message_id(target, &message) {
                    call = call.reply_parameters(ReplyParameters::new(message).allow_sending_without_reply());
                }
                call.message_thread_id = target.thread;
                self.api.call(&call, patience).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::chat::{Place, Sender};

    fn of(event: Event, receipt: Receipt, marks: bool) -> Option<Show> {
        let incoming = Incoming {
            id: "1:2".into(),
            place: Place { chat: "1".into(), thread: None },
            seen_as: None,
            group: false,
            sender: Sender { id: "1".into(), name: "Ann".into() },
            at: 0,
            event,
        };
        show(&incoming, receipt, marks)
    }

    #[test]
    fn each_receipt_is_shown_in_the_lightest_way() {
        let tap = || Event::Tap { message: "2".into(), data: "d:y:1".into(), token: "t".into() };
        let edit = || Event::Edited { message: "2".into(), text: "x".into(), addressed: true };
        let message = || Event::Message {
            message: "2".into(),
            text: "x".into(),
            files: vec![],
            addressed: true,
            quote: None,
        };
        let answer = |text: Option<String>| Some(Show::Answer { token: "t".into(), text });
        for silent in [Receipt::Taken, Receipt::Known, Receipt::Ignored] {
            assert_eq!(of(tap(), silent.clone(), true), answer(None), "a tap is always answered");
            assert_eq!(of(edit(), silent, true), None);
        }
        let long = "é".repeat(300);
        let Some(Show::Answer { text: Some(text), .. }) = of(tap(), Receipt::Said(long), true) else {
            panic!()
        };
        assert_eq!(text.chars().count(), 200);
        assert_eq!(of(message(), Receipt::Taken, true), Some(Show::Mark("2".into())));
        assert_eq!(of(message(), Receipt::Taken, false), None);
        assert_eq!(of(message(), Receipt::Known, true), None);
        let word = Some(Show::Word { message: "2".into(), text: "slower".into() });
        assert_eq!(of(message(), Receipt::Said("slower".into()), false), word);
        assert_eq!(of(edit(), Receipt::Said("slower".into()), false), word);
    }
}
