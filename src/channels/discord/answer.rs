//! Answers interactions in time (<https://docs.discord.com/developers/interactions/receiving-and-responding>).
//!
//! Discord waits three seconds. What was taken or refused by then is said at once; else a promise is made, which says
//! nothing of whether it is taken.

use std::{sync::Arc, time::Duration};

use serenity::builder::CreateInteractionResponse;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    commands,
    known::Webhook,
    rest::{Call, Fault},
    send,
    shared::Shared,
};
use crate::{
    domain::chat::{Content, Failure, Receipt},
    ports::platform::Typing,
};

/// How long it may take to take something before Discord is told that an answer follows.
const SOON: Duration = Duration::from_secs(2);
/// How long what is typed may be looked up.
const OFFER: Duration = Duration::from_millis(2_000);
/// Discord's number for an interaction that has its answer.
const ANSWERED: u64 = 40_060;
/// What is said to a command that came before.
const KNOWN: &str = "I have this already.";
/// What is said to a command that is not taken: where many people read along no more than that, and else what holds for
/// strangers as well, who may be told by a message.
const NOT_HERE: &str = "You cannot use this here now.";
const NOT_TAKEN: &str = "I cannot do this for you now. If there is more to say, it comes as a message.";
/// What stands in the place of an answer that does not come soon.
const LATER: &str = "This takes a while. The answer comes by itself.";

/// Answers a command. `group`: more than one person reads along where it was given.
pub(super) async fn command(
    shared: Arc<Shared>,
    id: u64,
    webhook: Webhook,
    group: bool,
    mut receipt: oneshot::Receiver<Receipt>,
) {
    let early = timeout_at(Instant::now() + SOON, &mut receipt).await;
    let is_early = early.is_ok();
    let first = match &early {
        Err(_) | Ok(Ok(Receipt::Taken)) => Some(send::promise()),
        // Its answer was promised before, or is given by itself: nothing would keep another promise.
        Ok(Ok(Receipt::Known)) => Some(send::said(KNOWN)),
        Ok(_) => None,
    };
    if let Some(first) = first {
        match respond(&shared, id, &webhook, &first).await {
            Ok(()) if matches!(early, Ok(Ok(Receipt::Known))) => return settle(&shared, id),
            Ok(()) => {}
            Err(fault) if fault.code == ANSWERED => {}
            Err(fault) => {
                // Too late, perhaps: what is posted goes out by itself.
                tracing::debug!(failure = %fault.failure, "a command's answer could not be promised");
                return settle(&shared, id);
            }
        }
    }
    let receipt = match early {
        Ok(receipt) => receipt,
        Err(_) => receipt.await,
    };
    match receipt {
        Ok(Receipt::Taken | Receipt::Known) => {
            shared.known().promised(id);
            shared.promises.notify_waiters();
            shared.moved.notify_one();
            return keep(&shared, id, &webhook).await;
        }
        Ok(Receipt::Said(words)) => tell(&shared, id, &webhook, &words, is_early).await,
        Ok(Receipt::Ignored) => {
            let words = if group { NOT_HERE } else { NOT_TAKEN };
            tell(&shared, id, &webhook, words, is_early).await;
        }
        Err(_) => {}
    }
    settle(&shared, id);
}

/// Tells whoever gave a command, and nobody else; in the place of a promise when it is not early any more.
async fn tell(shared: &Shared, id: u64, webhook: &Webhook, words: &str, is_early: bool) {
    if is_early {
        return log(respond(shared, id, webhook, &send::said(words)).await);
    }
    log(withdraw(shared, webhook).await);
    log(follow_up(shared, webhook, words).await);
}

/// Waits for the post that gives a promised answer. When none comes, a word takes its place, so that nobody sees the bot
/// think for a quarter of an hour; the answer is then posted by itself.
pub(super) async fn keep(shared: &Shared, id: u64, webhook: &Webhook) {
    tokio::time::sleep(shared.settings.patience).await;
    if !shared.known().give_up(id) {
        return;
    }
    shared.moved.notify_one();
    let words = send::answer(&Content { markup: LATER.into(), ..Content::default() }, None);
    let Ok(words) = words else { return };
    let call = Call::new("PATCH /webhooks/messages/@original", original(webhook), webhook.application);
    let call = call.bare().json(&words);
    // To give it twice changes nothing.
    match shared.rest.text(&call).await {
        Err(Fault { failure: Failure::Later(_) | Failure::Unknown(_), .. }) => {
            log(shared.rest.text(&call).await.map(drop));
        }
        other => log(other.map(drop)),
    }
}

/// Answers a pressed button: with words for one person, or so that nothing is shown.
pub(super) async fn tap(
    shared: Arc<Shared>,
    id: u64,
    webhook: Webhook,
    mut receipt: oneshot::Receiver<Receipt>,
) {
    let early = timeout_at(Instant::now() + SOON, &mut receipt).await;
    if let Ok(Ok(Receipt::Said(words))) = &early {
        return log(respond(&shared, id, &webhook, &send::said(words)).await);
    }
    log(respond(&shared, id, &webhook, &CreateInteractionResponse::Acknowledge).await);
    if early.is_err()
        && let Ok(Receipt::Said(words)) = receipt.await
    {
        log(follow_up(&shared, &webhook, &words).await);
    }
}

/// Offers what may be typed.
pub(super) async fn offer(shared: Arc<Shared>, id: u64, webhook: Webhook, typing: Typing) {
    let words = match &shared.settings.completer {
        Some(completer) => {
            timeout_at(Instant::now() + OFFER, completer.complete(typing)).await.unwrap_or_default()
        }
        None => Vec::new(),
    };
    log(respond(&shared, id, &webhook, &commands::offer(words)).await);
}

/// No answer follows.
fn settle(shared: &Shared, id: u64) {
    shared.known().settle(id);
    shared.promises.notify_waiters();
}

async fn respond(
    shared: &Shared,
    id: u64,
    webhook: &Webhook,
    response: &CreateInteractionResponse,
) -> Result<(), Fault> {
    let path = format!("/interactions/{id}/{}/callback", webhook.token.reveal());
    let call = Call::new("POST /interactions/callback", path, id).bare().json(response);
    match shared.rest.text(&call).await {
        // It may have arrived; then the second time says so.
        Err(Fault { failure: Failure::Later(_) | Failure::Unknown(_), .. }) => {}
        other => return other.map(drop),
    }
    match shared.rest.text(&call).await {
        Err(fault) if fault.code == ANSWERED => Ok(()),
        other => other.map(drop),
    }
}

/// Takes a promise back.
async fn withdraw(shared: &Shared, webhook: &Webhook) -> Result<(), Fault> {
    let call = Call::new("DELETE /webhooks/messages/@original", original(webhook), webhook.application);
    shared.rest.text(&call.bare()).await.map(drop)
}

async fn follow_up(shared: &Shared, webhook: &Webhook, words: &str) -> Result<(), Fault> {
    let path = format!("/webhooks/{}/{}", webhook.application, webhook.token.reveal());
    let call = Call::new("POST /webhooks", path, webhook.application).bare().json(&send::said_after(words));
    shared.rest.text(&call).await.map(drop)
}

/// The path of an interaction's first answer.
pub(super) fn original(webhook: &Webhook) -> String {
    format!("/webhooks/{}/{}/messages/@original", webhook.application, webhook.token.reveal())
}

fn log(done: Result<(), Fault>) {
    if let Err(fault) = done {
        tracing::debug!(failure = %fault.failure, "an interaction of Discord could not be answered");
    }
}
