//! What a stored message looks like at a chat platform: its words in parts, its buttons, its card, its files.

use super::{
    Millis,
    approval::{Approval, Status, Subject},
    chat::{Button, Card, Content, Place, Press, Tone, Way},
    identity::{Pairing, PairingState, is_group},
    ids::{InboundId, short_of},
    markup::{Flavor, Part, parts, verbatim},
    message::FileRef,
    notice::TASK,
    outbound::{Before, Body, NewOutbox, Words},
};

/// Characters of what was asked that stay in a message when it is decided.
const KEPT: usize = 1_500;
/// Stands before what is posted a second time.
const MARK: &str = "(once more, for it may not have arrived)";

/// What long things are about: they have a thread of their own where many people read along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
}

/// Where a topic is told of, and what shows where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlace {
    /// The thread, or the chat itself where there are none.
    pub place: Place,
    /// The platform's id of the message in the chat that shows where it stands.
    pub head: Option<String>,
}

/// The task that a message in a group is about.
pub fn topic(message: &NewOutbox, approval: Option<&Approval>) -> Option<Topic> {
    if !is_group(&message.conversation.user()) {
        return None;
    }
    let id = match &message.body {
        Body::Notice { facts, .. } => {
            facts.iter().find(|(name, _)| name == TASK).map(|(_, id)| id.clone())?
        }
        Body::Approval { .. } => approval?.job()?.to_string(),
        _ => return None,
    };
    Some(Topic { title: format!("Task {id}"), id })
}

/// The message that shows where a task stands: what it is called, and a card.
pub fn standing(title: &str, state: &str, facts: &[(String, String)], flavor: Flavor) -> Content {
    let (words, tone) = match state {
        "queued" => ("Waits for its turn", Tone::Plain),
        "preparing" => ("Gets ready", Tone::Plain),
        "running" => ("At work", Tone::Plain),
        "verifying" => ("Is checked", Tone::Plain),
        "committing" => ("Comes out", Tone::Plain),
        "awaiting_approval" => ("Waits for your answer", Tone::Plain),
        "pushing" | "requesting" => ("Is on its way", Tone::Plain),
        "parked" => ("Waits", Tone::Plain),
        "done" => ("Done", Tone::Good),
        "unchanged" => ("Changed nothing", Tone::Good),
        "rejected" => ("Rejected", Tone::Bad),
        "failed" => ("Failed", Tone::Bad),
        "cancelled" => ("Cancelled", Tone::Bad),
        other => (other, Tone::Plain),
    };
    let said = parts(&format!("**{}**", plain(title)), flavor).into_iter().next();
    let card = Card { title: words.to_owned(), fields: facts.to_vec(), tone };
    Content { card: Some(card), ..said.map(content).unwrap_or_default() }
}

/// The message that a thread is opened under.
pub fn headline(topic: &Topic, flavor: Flavor) -> Content {
    let words = format!("**{}**", plain(&topic.title));
    parts(&words, flavor).into_iter().next().map(content).unwrap_or_default()
}

/// What is posted, one after the other. Nothing for what is shown by changing a message.
pub fn contents(body: &Body, before: &Before, flavor: Flavor) -> Vec<Content> {
    let approval = before.approval.as_ref();
    match body {
        Body::Answer { text, files, words, .. } => {
            let said = match words {
                Words::Markup => parts(text, flavor),
                Words::Plain | Words::Secret => verbatim(text, flavor),
            };
            said.into_iter().map(content).chain(files.iter().map(file)).collect()
        }
        Body::Notice { title, body, facts } => {
            // A platform with cards shows them there.
            let said = if flavor == Flavor::Discord { &[][..] } else { facts };
            let words = notice(title, body, said);
            let mut all: Vec<Content> = parts(&words, flavor).into_iter().map(content).collect();
            if let (Some(first), false) = (all.first_mut(), facts.is_empty()) {
                first.card = Some(Card { title: title.clone(), fields: facts.clone(), tone: Tone::Plain });
            }
            all
        }
        Body::Approval { preview, expires_at, .. } => {
            let open = approval.is_none_or(|approval| approval.status == Status::Pending);
            let end = if open { until(*expires_at) } else { String::new() };
            let words = format!("**May I?**\n\n{}{end}", fenced(preview));
            let mut all: Vec<Content> = parts(&words, flavor).into_iter().map(content).collect();
            if let (Some(last), true, Some(approval)) = (all.last_mut(), open, approval) {
                last.buttons = buttons(approval);
            }
            all
        }
        Body::Pairing { pairing, text } => {
            let waits = before.pairing.as_ref().is_some_and(|pairing| pairing.state == PairingState::Open);
            if let (false, Some(pairing)) = (waits, &before.pairing) {
                return vec![pairing_over(
                    &Stranger::of(pairing),
                    pairing.state,
                    pairing.decided_by.as_deref(),
                    flavor,
                )];
            }
            let mut all: Vec<Content> = verbatim(text, flavor).into_iter().map(content).collect();
            let press = |admit| Press::Pair { pairing: pairing.clone(), admit }.data();
            if let (Some(last), true) = (all.last_mut(), waits) {
                last.buttons = vec![vec![
                    Button { label: "Let in".into(), data: press(true), tone: Tone::Good },
                    Button { label: "Send away".into(), data: press(false), tone: Tone::Bad },
                ]];
            }
            all
        }
        Body::Decided { .. } | Body::PairingOver { .. } | Body::Standing { .. } | Body::Callback { .. } => {
            Vec::new()
        }
    }
}

/// What a question's message says when the question is not open any more.
pub fn decided(
    preview: &str,
    status: Status,
    by: Option<&str>,
    reason: Option<&str>,
    flavor: Flavor,
) -> Content {
    let kept: String = preview.chars().take(KEPT).collect();
    let more = if kept.len() < preview.len() { "\n…" } else { "" };
    let by = by.map(|by| format!(" by {}", plain(by))).unwrap_or_default();
    let reason = reason.map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    let how = match status {
        Status::Approved | Status::Consumed => format!("✅ Approved{by}"),
        Status::Rejected => format!("❌ Rejected{by}{reason}"),
        Status::Expired => "⌛ Nobody answered in time".to_owned(),
        Status::Void => "Withdrawn: the work that asked has ended".to_owned(),
        Status::Pending => "Still open".to_owned(),
    };
    let words = format!("{}\n**{how}**", fenced(&format!("{kept}{more}")));
    parts(&words, flavor).into_iter().next().map(content).unwrap_or_default()
}

/// Somebody who asked to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger<'a> {
    /// What they call themselves.
    pub name: &'a str,
    /// The platform's id of them.
    pub external: &'a str,
    /// The platform.
    pub channel: &'a str,
}

impl<'a> Stranger<'a> {
    fn of(pairing: &'a Pairing) -> Self {
        Self { name: &pairing.name, external: &pairing.external, channel: &pairing.channel }
    }
}

/// What the message about somebody who asked to be let in says when they do not wait any more.
pub fn pairing_over(
    stranger: &Stranger<'_>,
    state: PairingState,
    by: Option<&str>,
    flavor: Flavor,
) -> Content {
    let by = by.map(|by| format!(" by {}", plain(by))).unwrap_or_default();
    let how = match state {
        PairingState::Paired => format!("✅ Let in{by}"),
        PairingState::Refused => format!("❌ Sent away{by}"),
        PairingState::Expired => "⌛ Nobody answered in time".to_owned(),
        PairingState::Void => "Over: they showed other codes meanwhile".to_owned(),
        PairingState::Open => "Still open".to_owned(),
    };
    let Stranger { name, external, channel } = stranger;
    let who = plain(&format!("{name} ({external} on {channel})"));
    let words = format!("{who} wanted to write to me.\n\n**{how}**");
    parts(&words, flavor).into_iter().next().map(content).unwrap_or_default()
}

/// Why a file does not go out itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// It is too large for the platform.
    TooLarge,
    /// The bot may not send such files there.
    NotAllowed,
}

/// The words that stand for a file that does not go out itself, with a link to it where there is one.
pub fn in_place_of(file: &FileRef, why: LeftOut, link: Option<&str>, flavor: Flavor) -> Content {
    let (name, mib) = (plain(&file.name), file.size.div_ceil(1 << 20));
    let way = match link {
        Some(link) => format!("for a day it is at {link}"),
        None => format!("`GET /api/files/{}` gives it.", file.id),
    };
    let why = match why {
        LeftOut::TooLarge => "is too large to be sent here",
        LeftOut::NotAllowed => "is not sent here, for the bot lacks the right to attach such files",
    };
    let words = format!("{name} ({mib} MiB) {why}; {way}");
    parts(&words, flavor).into_iter().next().map(content).unwrap_or_default()
}

/// True for what is posted as a reply to the message that it answers: where many people write, it is to be seen whom it
/// answers.
pub fn replies(message: &NewOutbox) -> bool {
    is_group(&message.conversation.user()) && matches!(message.body, Body::Answer { .. })
}

/// The key of the message that shows the answer to this one while it grows: always the same, so that a platform that knows
/// keys again gives that message back, also to whoever does not know that it was posted.
pub fn draft_key(inbound: &InboundId) -> String {
    format!("d-{}", short_of(inbound.as_str()))
}

/// Marks something that is posted a second time, because nobody knows whether it arrived. Parts leave room for that.
pub fn marked(mut content: Content) -> Content {
    if !content.markup.is_empty() {
        content.markup = format!("{MARK}\n{}", content.markup);
    }
    content.plain = format!("{MARK}\n{}", content.plain);
    content
}

fn content(part: Part) -> Content {
    Content { markup: part.markup, plain: part.plain, ..Content::default() }
}

fn file(file: &FileRef) -> Content {
    Content { file: Some(file.clone()), ..Content::default() }
}

fn notice(title: &str, body: &str, facts: &[(String, String)]) -> String {
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let facts: String =
        facts.iter().map(|(name, value)| format!("\n{}: {}", plain(name), plain(value))).collect();
    let more = if facts.is_empty() { "" } else { "\n" };
    format!("**{}**{gap}{body}{more}{facts}", plain(title))
}

/// Words that mean nothing in CommonMark.
fn plain(words: &str) -> String {
    let mut plain = String::with_capacity(words.len());
    for c in words.chars() {
        if c.is_ascii_punctuation() {
            plain.push('\\');
        }
        plain.push(if c.is_control() { ' ' } else { c });
    }
    plain
}

/// A block of words as they are, with a fence that is longer than any in them.
fn fenced(words: &str) -> String {
    let longest = words.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{words}\n{fence}\n")
}

fn until(at: Millis) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at).map(|at| at.format("%F %H:%M UTC").to_string());
    at.map(|at| format!("\nOpen until {at}.")).unwrap_or_default()
}

fn buttons(approval: &Approval) -> Vec<Vec<Button>> {
    let button = |label: &str, way, tone| {
        let data = Press::Decide { approval: approval.id.to_string(), way }.data();
        Button { label: label.to_owned(), data, tone }
    };
    let reject = button("Reject", Way::Reject, Tone::Bad);
    match &approval.subject {
        Subject::Commit { .. } => vec![
            vec![button("Approve", Way::Approve, Tone::Good), reject],
            vec![button("Approve, no pull request", Way::NoRequest, Tone::Plain)],
        ],
        Subject::Host { .. } => vec![
            vec![button("Once", Way::Approve, Tone::Good), button("This task", Way::ForJob, Tone::Plain)],
            vec![button("Whole project", Way::ForProject, Tone::Plain), reject],
        ],
        Subject::Tool { .. } | Subject::Budget { .. } => {
            vec![vec![button("Approve", Way::Approve, Tone::Good), reject]]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        ids::{ConversationId, UserId},
        markup::visible,
        turn::Outcome,
    };

    fn answer(text: &str) -> Body {
        Body::Answer {
            text: text.to_owned(),
            files: Vec::new(),
            outcome: Outcome::Answered,
            words: Words::Markup,
        }
    }

    /// The most that a platform takes, of what is sent with markup and without.
    fn fits(content: &Content, flavor: Flavor) -> bool {
        if flavor == Flavor::Discord {
            return [&content.markup, &content.plain].iter().all(|words| words.chars().count() <= 2_000);
        }
        let seen = visible(&content.markup).unwrap();
        seen.encode_utf16().count() <= 4_096 && content.plain.encode_utf16().count() <= 4_096
    }

    #[test]
    fn a_full_part_still_fits_when_it_is_marked() {
        for (flavor, limit) in [(Flavor::Telegram, 4_096), (Flavor::Discord, 2_000)] {
            for one in ["a", "é", "<", "😀", "word ", "**b** ", "`c` ", "a\n\n", "[x](https://y.z/) "] {
                let parts = contents(&answer(&one.repeat(5_000)), &Before::default(), flavor);
                assert!(parts.len() > 1, "{one}");
                for part in parts {
                    let marked = marked(part.clone());
                    assert!(marked.plain.starts_with(MARK) && marked.plain.ends_with(&part.plain));
                    assert!(marked.markup.ends_with(&part.markup) && fits(&marked, flavor), "{one}");
                }
            }
            let full = contents(&answer(&"a".repeat(5_000)), &Before::default(), flavor).remove(0);
            assert!(full.plain.len() + MARK.len() + 1 > limit - 16, "hardly anything is given away");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_posted_a_second_time_fits(
            pieces in prop::collection::vec("[a-zé😀<&* `#>\\n-]{1,900}", 1..14),
        ) {
            for flavor in [Flavor::Telegram, Flavor::Discord] {
                for part in contents(&answer(&pieces.concat()), &Before::default(), flavor) {
                    prop_assert!(fits(&marked(part), flavor));
                }
            }
        }
    }

    #[test]
    fn the_key_of_a_draft_is_that_of_its_message_and_short() {
        let key = |id: &str| draft_key(&InboundId::new(id));
        let id = "01k5abcdefghjkmnpqrstvwxyz";
        assert_eq!(key(id), key(id));
        assert_ne!(key(id), key("01k5abcdefghjkmnpqrstvwxy0"));
        assert!(key(id).len() <= 25 && key(&id.repeat(9)).len() <= 25);
    }

    #[test]
    fn only_answers_where_many_people_write_are_replies() {
        let said = |user: &str, body: Body| NewOutbox {
            user: UserId::new(user),
            conversation: ConversationId::of("telegram", &UserId::new(user), "-100:7").unwrap(),
            turn: None,
            answers: Vec::new(),
            body,
        };
        let notice = Body::Notice { title: "t".into(), body: String::new(), facts: Vec::new() };
        assert!(replies(&said("telegram:group:-100", answer("yes"))));
        assert!(!replies(&said("telegram:group:-100", notice)));
        assert!(!replies(&said("ann", answer("yes"))));
    }
}
