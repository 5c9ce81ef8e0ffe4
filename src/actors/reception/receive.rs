//! The way of one thing that came in: recognised, let in or not, paced, its files fetched, offered to the intake.

use crate::{
    actors::{
        db::messages::{AskToPair, DbError, PostNotice, Recognise, RefuseIdentity, SeeIdentity},
        intake::messages::{Offer, Taken},
    },
    domain::{
        access::Role,
        chat::{Event, Incoming, Receipt, RemoteFile},
        command::{self, Command},
        gate::{self, Comer, Decision},
        identity::{self, Recognised},
        ids::{BadName, ConversationId, InboundId, UserId, encode},
        inbound::{NewInbound, Refused},
        journal::WhileBusy,
    },
    ports::platform::NotNow,
};

use super::{
    codes,
    files::{self, Brought},
    kit::{Desk, Guest, Last},
    taps,
    told::{hand_over, turn_away},
};

/// How old the note may be that somebody was seen, in milliseconds.
const SEEN_MS: i64 = 60_000;

/// What somebody said, before their files are there.
struct Words<'a> {
    text: &'a str,
    files: &'a [RemoteFile],
    quote: Option<&'a crate::domain::chat::Quote>,
    while_busy: Option<WhileBusy>,
    /// The message, for when it is corrected.
    message: Option<&'a str>,
}

fn not_now(error: impl ToString) -> NotNow {
    NotNow(error.to_string())
}

/// Takes something that came in.
pub(super) async fn receive(desk: &Desk, incoming: Incoming) -> Result<Receipt, NotNow> {
    let recognise = Recognise {
        channel: desk.channel().to_owned(),
        external: incoming.sender.id.clone(),
        name: incoming.sender.name.clone(),
        chat: incoming.place.chat.clone(),
        incoming: incoming.id.clone(),
    };
    let known = desk.kit.doors.recognise.ask(recognise).await.map_err(|error: DbError| not_now(error))?;
    if known.before {
        return Ok(Receipt::Known);
    }
    let addressed = match &incoming.event {
        Event::Message { addressed, .. } | Event::Edited { addressed, .. } => *addressed,
        Event::Command { .. } | Event::Tap { .. } => true,
    };
    let comer = Comer {
        sender: &incoming.sender,
        chat: &incoming.place.chat,
        parent: known.parent.as_deref().or(incoming.seen_as.as_deref()),
        group: incoming.group,
        addressed,
        identity: known.identity.as_ref(),
    };
    let decision = gate::decide(&desk.kit.settings.rules, comer);
    if let Some(code) = codes::shown(&incoming)
        && decision != Decision::Ignore
    {
        return codes::redeem(desk, &incoming, code).await;
    }
    match decision {
        Decision::LetIn(role) => {
            let guest = guest(desk, &incoming, known, role).await?;
            let_in(desk, &incoming, &guest).await
        }
        _ if matches!(incoming.event, Event::Tap { .. }) => {
            Ok(Receipt::Said("You are not among those who may decide this.".into()))
        }
        Decision::Ignore => Ok(Receipt::Ignored),
        Decision::AskToPair => ask_to_pair(desk, &incoming).await,
        Decision::Refuse => refuse(desk, &incoming).await,
    }
}

async fn ask_to_pair(desk: &Desk, incoming: &Incoming) -> Result<Receipt, NotNow> {
    let pairing = desk.pairing(incoming).map_err(not_now)?;
    let platforms = desk.kit.settings.platforms.clone();
    let asked = desk.kit.doors.ask_to_pair.ask(AskToPair { pairing, platforms }).await;
    hand_over(desk, asked.map_err(|error: DbError| not_now(error))?).await;
    Ok(Receipt::Ignored)
}

async fn refuse(desk: &Desk, incoming: &Incoming) -> Result<Receipt, NotNow> {
    let (channel, external) = (desk.channel(), &incoming.sender.id);
    let user = identity::own_user(channel, external).map_err(not_now)?;
    let (title, body) = gate::REFUSED;
    let refuse = RefuseIdentity {
        channel: channel.to_owned(),
        external: external.clone(),
        name: incoming.sender.name.clone(),
        notice: identity::notice(channel, &incoming.place, &user, title, body).map_err(not_now)?,
        now: desk.kit.clock.now(),
    };
    let told = desk.kit.doors.refuse.ask(refuse).await.map_err(|error: DbError| not_now(error))?;
    hand_over(desk, told.into_iter().collect()).await;
    Ok(Receipt::Ignored)
}

/// Who it is; noted when that is new, or a minute old.
async fn guest(desk: &Desk, incoming: &Incoming, known: Recognised, role: Role) -> Result<Guest, NotNow> {
    let sender = &incoming.sender;
    let direct = (!incoming.group).then(|| incoming.place.clone());
    let now = desk.kit.clock.now();
    let label = identity::label(&sender.name, &sender.id, known.namesake);
    let fresh = known.identity.filter(|identity| {
        identity.name == identity::clean_name(&sender.name)
            && (direct.is_none() || identity.direct == direct)
            && identity.seen_at > now - SEEN_MS
    });
    if let Some(identity) = fresh {
        return Ok(Guest { identity, role, label });
    }
    let see = SeeIdentity {
        channel: desk.channel().to_owned(),
        external: sender.id.clone(),
        name: sender.name.clone(),
        direct,
        now,
    };
    let identity = desk.kit.doors.see.ask(see).await.map_err(|error: DbError| not_now(error))?;
    Ok(Guest { identity, role, label })
}

async fn let_in(desk: &Desk, incoming: &Incoming, guest: &Guest) -> Result<Receipt, NotNow> {
    let plain = Words { text: "", files: &[], quote: None, while_busy: None, message: None };
    match &incoming.event {
        Event::Tap { data, .. } => taps::tap(desk, guest, data).await,
        Event::Command { line, files, .. } => {
            said(desk, incoming, guest, Words { text: line, files, ..plain }).await
        }
        Event::Message { message, text, files, quote, .. } => {
            let words =
                Words { text, files, quote: quote.as_ref(), message: Some(message), while_busy: None };
            said(desk, incoming, guest, words).await
        }
        Event::Edited { message, text, .. } => {
            let last = last(incoming, message, text);
            if !desk.corrects(&incoming.place.name(), &last) {
                return Ok(Receipt::Ignored);
            }
            let corrected = match command::parse(text) {
                Some(_) => text.clone(),
                None => format!("(correction) {text}"),
            };
            let words = Words { text: &corrected, while_busy: Some(WhileBusy::Steer), ..plain };
            let receipt = said(desk, incoming, guest, words).await?;
            if receipt == Receipt::Taken {
                desk.remember(incoming.place.name(), last);
            }
            Ok(receipt)
        }
    }
}

/// The platform's id of what was written, when it was written as a message.
fn written(event: &Event) -> Option<&str> {
    match event {
        Event::Message { message, .. } | Event::Edited { message, .. } => Some(message),
        Event::Command { .. } | Event::Tap { .. } => None,
    }
}

fn last(incoming: &Incoming, message: &str, text: &str) -> Last {
    Last { message: message.to_owned(), sender: incoming.sender.id.clone(), text: text.to_owned() }
}

/// Whose conversation it is, which it is, and who says it where that is not the same.
fn whose(
    desk: &Desk,
    incoming: &Incoming,
    guest: &Guest,
) -> Result<(UserId, ConversationId, Option<UserId>), BadName> {
    let channel = desk.channel();
    let person = guest.identity.user.clone();
    let (user, speaker) = if incoming.group {
        (identity::group_user(channel, &incoming.place.chat)?, Some(person))
    } else {
        (person, None)
    };
    let conversation = incoming.place.conversation(channel, &user)?;
    Ok((user, conversation, speaker))
}

async fn said(desk: &Desk, incoming: &Incoming, guest: &Guest, words: Words<'_>) -> Result<Receipt, NotNow> {
    let command = command::parse(words.text);
    let ends = matches!(command, Some(Ok(Command::Cancel(_) | Command::Stop)));
    // Whoever writes too much must still be able to end what that began.
    if !ends && let Err((wait_ms, tell)) = desk.paced(&guest.identity.user, incoming.at) {
        if !tell {
            return Ok(Receipt::Ignored);
        }
        return turn_away(desk, incoming, &Refused::TooFast { retry_after_ms: wait_ms }.to_string()).await;
    }
    let needed = match &command {
        Some(Ok(command)) => command.needs(),
        Some(Err(_)) => Role::Viewer,
        None => Role::Developer,
    };
    if guest.role < needed {
        let why = "you may look here, and not give work; /help shows how to look";
        return turn_away(desk, incoming, why).await;
    }
    if matches!(command, Some(Ok(Command::Cancel(None)))) {
        desk.give_up(&incoming.place.name());
    }
    let Ok((user, conversation, speaker)) = whose(desk, incoming, guest) else { return Ok(Receipt::Ignored) };
    // Of the commands only a task has use for files.
    let takes_files = command.is_none() || matches!(command, Some(Ok(Command::Task { .. })));
    let wanted = if takes_files { words.files } else { &[] };
    let brought = match files::fetch(desk, incoming, &user, wanted).await? {
        Some(brought) => brought,
        None => return turn_away(desk, incoming, "what came with it was not wanted any more").await,
    };
    let text = brought.words(words.text);
    if text.trim().is_empty() && brought.files.is_empty() && words.quote.is_none() {
        return turn_away(desk, incoming, "there is nothing in it that I can read").await;
    }
    let message = NewInbound {
        id: InboundId::new(encode(desk.kit.clock.fresh())),
        channel: desk.channel().to_owned(),
        external_id: Some(incoming.id.clone()),
        text: gate::words(&text, words.quote, speaker.as_ref().map(|_| guest.label.as_str())),
        attachments: brought.files.clone(),
        message: written(&incoming.event).map(str::to_owned),
        received_at: incoming.at,
        user,
        speaker,
        conversation,
    };
    let offer = Offer { message, while_busy: words.while_busy, role: guest.role };
    let receipt = offered(desk, incoming, offer, &brought).await?;
    if let (Receipt::Taken, Some(message)) = (&receipt, words.message) {
        desk.remember(incoming.place.name(), last(incoming, message, words.text));
    }
    Ok(receipt)
}

async fn offered(
    desk: &Desk,
    incoming: &Incoming,
    offer: Offer,
    brought: &Brought,
) -> Result<Receipt, NotNow> {
    let conversation = offer.message.conversation.clone();
    match desk.kit.doors.offer.send(offer).await.map_err(not_now)? {
        Ok(Taken::New) => {
            desk.taken.set(desk.taken.get() + 1);
            if !brought.left_out.is_empty() {
                let notice = identity::at(conversation, brought.notice());
                let post = PostNotice { notices: vec![notice], once: None, now: desk.kit.clock.now() };
                // The message is taken; that a file was left out stands in it too.
                if let Ok(rows) = desk.kit.doors.post.ask(post).await {
                    hand_over(desk, rows).await;
                }
            }
            Ok(Receipt::Taken)
        }
        // The platform's names of what comes in are its own: a name change between two deliveries is no other message.
        Ok(Taken::Duplicate(_)) | Err(Refused::KeyReused) => Ok(Receipt::Known),
        Err(
            refused @ (Refused::Busy { .. }
            | Refused::TooLong { .. }
            | Refused::Empty
            | Refused::TooFast { .. }),
        ) => turn_away(desk, incoming, &refused.to_string()).await,
        Err(refused @ (Refused::Draining | Refused::Unavailable(_))) => Err(not_now(refused)),
    }
}
