//! Messages as Discord takes them (<https://docs.discord.com/developers/resources/message>). Pure.

use serenity::{
    builder::{
        CreateActionRow, CreateAllowedMentions, CreateAttachment, CreateButton, CreateEmbed,
        CreateInteractionResponse, CreateInteractionResponseFollowup, CreateInteractionResponseMessage,
        CreateMessage, EditInteractionResponse, EditMessage,
    },
    model::{
        application::ButtonStyle,
        channel::{MessageFlags, MessageReference, MessageReferenceKind, Nonce},
        id::{ChannelId, MessageId},
    },
};

use crate::domain::chat::{Button, Card, Content, Failure, Post, Tone};

/// Longest nonce, in characters.
const NONCE: usize = 25;
/// Most buttons in a row, most rows, and the longest words on one, in characters.
const ROW: usize = 5;
const ROWS: usize = 5;
const LABEL: usize = 80;
/// Bounds of a card: title, fields, name and value of a field, all together, in characters.
const TITLE: usize = 256;
const FIELDS: usize = 25;
const NAME: usize = 256;
const VALUE: usize = 1_024;
const CARD: usize = 6_000;
/// Longest words of a message, in characters.
const WORDS: usize = 2_000;
/// Longest name of a thread, in characters.
const THREAD: usize = 100;

/// A message to be posted. Nobody is pinged by what a model writes.
pub(super) fn message(post: &Post, channel: u64, file: Option<&str>) -> Result<CreateMessage, Failure> {
    let content = &post.content;
    let mut message = CreateMessage::new()
        .allowed_mentions(CreateAllowedMentions::new())
        .nonce(Nonce::String(nonce(&post.key)?))
        .enforce_nonce(true);
    let (words, card) = words(content);
    if !words.is_empty() {
        message = message.content(words);
    }
    if let Some(card) = card {
        message = message.embed(embed(card));
    }
    let rows = rows(&content.buttons)?;
    if !rows.is_empty() {
        message = message.components(rows);
    }
    if let Some(name) = file {
        message = message.add_file(CreateAttachment::bytes(Vec::new(), name));
    }
    if let (Some(channel), Some(answered)) = (id(channel), post.reply_to.as_deref().and_then(number)) {
        let reference = MessageReference::new(MessageReferenceKind::Default, ChannelId::new(channel));
        let reference = reference.message_id(MessageId::new(answered)).fail_if_not_exists(false);
        message = message.reference_message(reference);
    }
    if post.silent {
        message = message.flags(MessageFlags::SUPPRESS_NOTIFICATIONS);
    }
    Ok(message)
}

/// A message as it shall be now. Files stay as they are.
pub(super) fn edit(content: &Content) -> Result<EditMessage, Failure> {
    let (words, card) = words(content);
    Ok(EditMessage::new()
        .allowed_mentions(CreateAllowedMentions::new())
        .content(words)
        .embeds(card.into_iter().map(embed).collect())
        .components(rows(&content.buttons)?))
}

/// A message as the answer that an interaction was promised.
pub(super) fn answer(content: &Content, file: Option<&str>) -> Result<EditInteractionResponse, Failure> {
    let (words, card) = words(content);
    let mut answer = EditInteractionResponse::new()
        .allowed_mentions(CreateAllowedMentions::new())
        .content(words)
        .embeds(card.into_iter().map(embed).collect())
        .components(rows(&content.buttons)?);
    if let Some(name) = file {
        answer = answer.new_attachment(CreateAttachment::bytes(Vec::new(), name));
    }
    Ok(answer)
}

/// Only who did it sees this.
pub(super) fn said(words: &str) -> CreateInteractionResponse {
    let words = clipped(words, WORDS);
    let response = CreateInteractionResponseMessage::new().content(words).ephemeral(true);
    CreateInteractionResponse::Message(response.allowed_mentions(CreateAllowedMentions::new()))
}

/// The same, when something was promised before.
pub(super) fn said_after(words: &str) -> CreateInteractionResponseFollowup {
    let response = CreateInteractionResponseFollowup::new().content(clipped(words, WORDS)).ephemeral(true);
    response.allowed_mentions(CreateAllowedMentions::new())
}

/// An answer follows; Discord shows that the bot thinks.
pub(super) fn promise() -> CreateInteractionResponse {
    CreateInteractionResponse::Defer(CreateInteractionResponseMessage::new())
}

/// A thread's name: one line, not empty.
pub(super) fn thread_name(title: &str) -> String {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "Thread".into() } else { clipped(&line, THREAD) }
}

/// The platform's number behind an id.
pub(super) fn number(id: &str) -> Option<u64> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|number| plain && *number > 0)
}

fn id(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

fn nonce(key: &str) -> Result<String, Failure> {
    if key.is_empty() || key.chars().count() > NONCE {
        return Err(Failure::Refused(format!("a message's key has 1 to {NONCE} characters")));
    }
    Ok(key.to_owned())
}

/// Rows that are too long are continued below.
fn rows(buttons: &[Vec<Button>]) -> Result<Vec<CreateActionRow>, Failure> {
    let mut rows = Vec::new();
    for row in buttons.iter().flat_map(|row| row.chunks(ROW)) {
        let mut made = Vec::new();
        for button in row {
            if button.data.is_empty() || button.data.chars().count() > 100 {
                return Err(Failure::Refused("what a button stands for has 1 to 100 characters".into()));
            }
            let style = match button.tone {
                Tone::Good => ButtonStyle::Success,
                Tone::Bad => ButtonStyle::Danger,
                Tone::Plain => ButtonStyle::Secondary,
            };
            made.push(CreateButton::new(&button.data).label(filled(&button.label, LABEL)).style(style));
        }
        rows.push(CreateActionRow::Buttons(made));
    }
    if rows.len() > ROWS {
        return Err(Failure::Refused(format!("a message has at most {ROWS} rows of {ROW} buttons")));
    }
    Ok(rows)
}

/// A card within the bounds: what is too long is cut, and says so with an ellipsis. Its words stand in the text as well.
fn embed(card: &Card) -> CreateEmbed {
    let colour = match card.tone {
        Tone::Good => 0x2e_a0_43,
        Tone::Bad => 0xd1_24_2f,
        Tone::Plain => 0x54_6e_ac,
    };
    let title = filled(&card.title, TITLE);
    let mut left = CARD - title.chars().count();
    let mut embed = CreateEmbed::new().title(title).colour(colour);
    for (name, value) in card.fields.iter().take(FIELDS) {
        let name = filled(name, NAME);
        let rest = left.saturating_sub(name.chars().count());
        if rest < 2 {
            break;
        }
        let value = filled(value, VALUE.min(rest));
        left = rest - value.chars().count();
        let is_short = value.chars().count() <= 40;
        embed = embed.field(name, value, is_short);
    }
    embed
}

/// The words of a message and its card. Without markup the plain words go out, and the card among them: one of them was
/// refused.
fn words(content: &Content) -> (String, Option<&Card>) {
    if !content.markup.is_empty() || content.plain.is_empty() {
        return (content.markup.clone(), content.card.as_ref());
    }
    let mut words = content.plain.clone();
    if let Some(card) = &content.card {
        words.push_str(&format!("\n\n{}", card.title));
        card.fields.iter().for_each(|(name, value)| words.push_str(&format!("\n{name}: {value}")));
    }
    (clipped(&words, WORDS), None)
}

/// Whether a message with these words says what it shall; Discord cuts off what is blank around them.
pub(super) fn says(content: &Content, said: &str) -> bool {
    words(content).0.trim() == said.trim()
}

/// Words where there must be some.
fn filled(words: &str, most: usize) -> String {
    if words.trim().is_empty() { "–".into() } else { clipped(words, most) }
}

fn clipped(words: &str, most: usize) -> String {
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::chat::Place;

    fn post(content: Content) -> Post {
        let place = Place { chat: "42".into(), thread: None };
        Post {
            place,
            content,
            key: "k1".into(),
            answers: None,
            reply_to: Some("9".into()),
            silent: true,
            draft: false,
        }
    }

    fn button(data: &str) -> Button {
        Button { label: "Approve".into(), data: data.into(), tone: Tone::Good }
    }

    #[test]
    fn a_message_pings_nobody_and_is_posted_once() {
        let content = Content {
            markup: "**hi** @everyone".into(),
            buttons: vec![vec![button("d:y:1"), button("d:n:1")]],
            ..Content::default()
        };
        let value = serde_json::to_value(message(&post(content), 42, Some("a.txt")).unwrap()).unwrap();
        assert_eq!(value["content"], "**hi** @everyone");
        assert_eq!(value["allowed_mentions"]["parse"], json!([]));
        assert_eq!((&value["nonce"], &value["enforce_nonce"]), (&json!("k1"), &json!(true)));
        assert_eq!(value["flags"], 1 << 12);
        let reference = &value["message_reference"];
        assert_eq!(
            (&reference["message_id"], &reference["fail_if_not_exists"]),
            (&json!("9"), &json!(false))
        );
        let row = &value["components"][0];
        assert_eq!((row["type"].as_u64(), row["components"].as_array().unwrap().len()), (Some(1), 2));
        assert_eq!(
            (&row["components"][0]["custom_id"], &row["components"][0]["style"]),
            (&json!("d:y:1"), &json!(3))
        );
        assert_eq!(value["attachments"][0]["filename"], "a.txt");
    }

    #[test]
    fn what_discord_would_not_take_is_not_sent() {
        for key in ["", "12345678901234567890123456"] {
            assert!(message(&Post { key: key.into(), ..post(Content::default()) }, 42, None).is_err());
        }
        let many = |n: usize| vec![vec![button("x"); n]];
        assert_eq!(rows(&many(25)).unwrap().len(), 5);
        assert!(rows(&many(26)).is_err());
        assert!(rows(&[vec![button(&"x".repeat(101))]]).is_err());
        assert_eq!(thread_name("  a\n b "), "a b");
        assert_eq!(thread_name(&"é".repeat(200)).chars().count(), 100);
        assert_eq!((number("12"), number("+12"), number("0"), number("")), (Some(12), None, None, None));
    }

    #[test]
    fn an_edit_takes_away_what_is_not_there_any_more() {
        let value =
            serde_json::to_value(edit(&Content { markup: "x".into(), ..Content::default() }).unwrap())
                .unwrap();
        assert_eq!((&value["embeds"], &value["components"]), (&json!([]), &json!([])));
    }

    proptest! {
        #[test]
        fn a_card_keeps_within_the_bounds(
            title in "\\PC{0,300}", fields in proptest::collection::vec(("\\PC{0,300}", "\\PC{0,1200}"), 0..30),
        ) {
            let value: Value = serde_json::to_value(embed(&Card { title, fields, tone: Tone::Bad })).unwrap();
            let count = |value: &Value| value.as_str().unwrap().chars().count();
            let fields = value["fields"].as_array().cloned().unwrap_or_default();
            let parts = fields.iter().map(|field| (count(&field["name"]), count(&field["value"])));
            prop_assert!(parts.clone().all(|(name, value)| (1..=256).contains(&name) && (1..=1_024).contains(&value)));
            let total = count(&value["title"]) + parts.map(|(name, value)| name + value).sum::<usize>();
            prop_assert!(total <= 6_000 && fields.len() <= 25);
        }
    }

    #[test]
    fn without_markup_the_plain_words_go_out_with_what_the_card_says() {
        let card =
            Card { title: "Done".into(), fields: vec![("Task".into(), "7x3".into())], tone: Tone::Good };
        let content = Content { plain: "It is *done*".into(), card: Some(card), ..Content::default() };
        let value = serde_json::to_value(message(&post(content.clone()), 42, None).unwrap()).unwrap();
        assert_eq!(value["content"], "It is *done*\n\nDone\nTask: 7x3");
        assert_eq!(value["embeds"], json!([]));
        for value in [
            serde_json::to_value(edit(&content).unwrap()).unwrap(),
            serde_json::to_value(answer(&content, None).unwrap()).unwrap(),
        ] {
            assert_eq!(value["content"], "It is *done*\n\nDone\nTask: 7x3");
            assert_eq!(value["embeds"], json!([]));
        }
        let marked = Content { markup: "**x**".into(), ..content };
        let value = serde_json::to_value(edit(&marked).unwrap()).unwrap();
        assert_eq!((&value["content"], value["embeds"].as_array().unwrap().len()), (&json!("**x**"), 1));
    }
}
