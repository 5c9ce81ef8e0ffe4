//! Estimates of token counts, on the safe side: budgets reserve by them and are reconciled with real usage.

use super::message::Message;

/// What a message costs beside its text.
const PER_MESSAGE: u64 = 8;
/// What an attached picture or document is taken to cost.
const PER_ATTACHMENT: u64 = 1_600;

/// At most this many tokens: one for three bytes of text, which is above what the common tokenizers
/// need for English, code and most scripts (about four bytes a token; CJK about three).
pub fn of_text(text: &str) -> u64 {
    of_bytes(text.len() as u64)
}

/// As [`of_text`], for a text of so many bytes.
pub fn of_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(3)
}

/// Estimate for one message.
pub fn of_message(message: &Message) -> u64 {
    PER_MESSAGE
        + match message {
            Message::User { text, attachments } => of_text(text) + PER_ATTACHMENT * attachments.len() as u64,
            Message::Assistant { text, calls } => {
                let calls: u64 = calls
                    .iter()
                    .map(|call| PER_MESSAGE + of_text(&call.name) + of_text(&call.args.to_string()))
                    .sum();
                of_text(text) + calls
            }
            Message::Tool { results } => {
                results.iter().map(|result| PER_MESSAGE + of_text(&result.output)).sum()
            }
        }
}

/// Estimate for a list of messages.
pub fn of_messages<M: AsRef<Message>>(messages: &[M]) -> u64 {
    messages.iter().map(|message| of_message(message.as_ref())).sum()
}
