//! Messages going out: posted once, changed, removed; the sign that the bot writes; threads.

use std::time::Duration;

use serde::Deserialize;
use serenity::{
    builder::CreateThread,
    model::{
        channel::AutoArchiveDuration,
        id::{ChannelId, MessageId},
    },
};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::original,
    fault::is_of_reply,
    known::{Claim, Webhook},
    read::place,
    rest::{Call, Fault},
    send,
    shared::Shared,
    upload::Upload,
};
use crate::domain::chat::{Content, Failure, Place, Post};

/// Longest wait for a promise that is being made.
const PROMISE: Duration = Duration::from_secs(5);
/// Discord's numbers: no permission; a thread cannot be in such a channel; the message has its thread.
const NO_PERMISSION: u64 = 50_013;
const NO_THREADS_HERE: u64 = 50_024;
const HAS_THREAD: u64 = 160_004;

#[derive(Deserialize)]
struct Posted {
    id: MessageId,
}

#[derive(Deserialize)]
struct Created {
    id: MessageId,
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Opened {
    id: ChannelId,
}

/// Posts a message: as the answer that a command was promised here, or by itself.
pub(super) async fn post(shared: &Shared, post: &Post) -> Result<String, Failure> {
    let channel = channel(&post.place)?;
    let upload = post.content.file.as_ref().map(|file| Upload::new(file, &shared.files)).transpose()?;
    if let Some((interaction, webhook)) = claim(shared, channel, post).await {
        match answer(shared, &webhook, &post.content, upload.clone()).await {
            Ok(id) => return Ok(id),
            // Another time it goes the same way.
            Err(
                failure @ (Failure::Slow { .. }
                | Failure::Later(_)
                | Failure::Unknown(_)
                | Failure::NoToken(_)
                | Failure::Markup(_)
                | Failure::TooLarge(_)),
            ) => return Err(failure),
            Err(failure) => {
                tracing::debug!(%failure, "a command's answer is posted by itself");
                shared.known().settle(interaction);
                shared.moved.notify_one();
            }
        }
    }
    let mut posted = create(shared, channel, post, upload.clone()).await;
    if let Err(fault) = &posted
        && post.reply_to.is_some()
        && is_of_reply(fault.code, &fault.failure)
    {
        tracing::debug!(failure = %fault.failure, "what cannot be a reply is posted by itself");
        posted = create(shared, channel, &Post { reply_to: None, ..post.clone() }, upload).await;
    }
    match posted {
        Ok(created) => bring_up(shared, post, created).await,
        // Whether it may write there is seen when words take the file's place.
        Err(fault) if fault.code == NO_PERMISSION && post.content.file.is_some() => {
            Err(Failure::NoFiles("give the bot the permission Attach Files in that channel".into()))
        }
        Err(fault) if fault.code == NO_PERMISSION => {
            Err(Failure::NoChat("the bot may not write there: give it the permission Send Messages".into()))
        }
        Err(fault) => Err(fault.into()),
    }
}

async fn create(
    shared: &Shared,
    channel: u64,
    post: &Post,
    upload: Option<Upload>,
) -> Result<Created, Fault> {
    let message = send::message(post, channel, upload.as_ref().map(Upload::name))?;
    let path = format!("/channels/{channel}/messages");
    let call = Call::new("POST /channels/messages", path, channel).json(&message).file(upload);
    shared.rest.call(call).await
}

/// Discord gives the message back that it knows under a key, with the words that it had then: those that it shall have
/// now are put into it.
async fn bring_up(shared: &Shared, post: &Post, created: Created) -> Result<String, Failure> {
    let message = created.id.to_string();
    let is_other = created.content.is_some_and(|words| !send::says(&post.content, &words));
    if is_other && !post.draft {
        let edited = edit(shared, &post.place, &message, &post.content).await;
        edited.map_err(|failure| match failure {
            // The message stands: what is not known is what it says.
            Failure::Slow { .. } | Failure::Later(_) => Failure::Unknown(failure.to_string()),
            failure => failure,
        })?;
    }
    Ok(message)
}

/// The answer that is owed here, when this post is the one to give it. That it is must be stored before it is given:
/// after a fall it is given the same way again, which changes nothing, instead of being posted a second time.
async fn claim(shared: &Shared, channel: u64, post: &Post) -> Option<(u64, Webhook)> {
    let answers = post.answers.as_deref().and_then(|came| came.strip_prefix('i')).and_then(send::number);
    let until = Instant::now() + PROMISE;
    loop {
        let news = shared.promises.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let claim = shared.known().claim(channel, &post.key, answers, shared.clock.now());
        match claim {
            Claim::None => return None,
            Claim::Answer { interaction, webhook, fresh: false } => return Some((interaction, webhook)),
            Claim::Answer { interaction, webhook, fresh: true } => {
                if shared.tell_position().await.is_ok() {
                    return Some((interaction, webhook));
                }
                shared.known().disclaim(interaction);
                return None;
            }
            Claim::Soon => timeout_at(until, news).await.ok()?,
        }
    }
}

async fn answer(
    shared: &Shared,
    webhook: &Webhook,
    content: &Content,
    upload: Option<Upload>,
) -> Result<String, Failure> {
    let answer = send::answer(content, upload.as_ref().map(Upload::name))?;
    let call = Call::new("PATCH /webhooks/messages/@original", original(webhook), webhook.application);
    let posted: Posted = shared.rest.call(call.bare().json(&answer).file(upload)).await?;
    Ok(posted.id.to_string())
}

/// Changes a message.
pub(super) async fn edit(
    shared: &Shared,
    place: &Place,
    message: &str,
    content: &Content,
) -> Result<(), Failure> {
    let (channel, message) = (channel(place)?, message_id(message)?);
    let path = format!("/channels/{channel}/messages/{message}");
    let call = Call::new("PATCH /channels/messages/id", path, channel).json(&send::edit(content)?);
    shared.rest.call::<Posted>(call).await?;
    Ok(())
}

/// Removes a message.
pub(super) async fn remove(shared: &Shared, place: &Place, message: &str) -> Result<(), Failure> {
    let (channel, message) = (channel(place)?, message_id(message)?);
    let path = format!("/channels/{channel}/messages/{message}");
    shared.rest.text(&Call::new("DELETE /channels/messages/id", path, channel)).await?;
    Ok(())
}

/// Shows that the bot writes.
pub(super) async fn typing(shared: &Shared, place: &Place) -> Result<(), Failure> {
    let channel = channel(place)?;
    let path = format!("/channels/{channel}/typing");
    shared.rest.text(&Call::new("POST /channels/typing", path, channel)).await?;
    Ok(())
}

/// Opens a thread under a message. Where there are none, in direct messages and in threads, it is the same place.
pub(super) async fn thread(
    shared: &Shared,
    at: &Place,
    message: &str,
    title: &str,
) -> Result<Place, Failure> {
    let (channel, message) = (channel(at)?, message_id(message)?);
    let path = format!("/channels/{channel}/messages/{message}/threads");
    let thread =
        CreateThread::new(send::thread_name(title)).auto_archive_duration(AutoArchiveDuration::OneWeek);
    let call = Call::new("POST /channels/messages/threads", path, channel).json(&thread);
    let opened = match shared.rest.call::<Opened>(call).await {
        Ok(opened) => opened.id.get(),
        // A thread has the id of the message that it is under.
        Err(Fault { code: HAS_THREAD, .. }) => message,
        Err(Fault { code: NO_THREADS_HERE, .. }) => return Ok(at.clone()),
        Err(Fault { code: NO_PERMISSION, .. }) => {
            let why = "the bot may not open threads there: give it the permission Create Public Threads";
            return Err(Failure::Refused(why.into()));
        }
        Err(fault) => return Err(fault.into()),
    };
    shared.known().add_thread(opened);
    shared.moved.notify_one();
    Ok(place(opened))
}

fn channel(place: &Place) -> Result<u64, Failure> {
    send::number(&place.chat).ok_or_else(|| Failure::NoChat("this is no channel of Discord".into()))
}

fn message_id(message: &str) -> Result<u64, Failure> {
    send::number(message).ok_or_else(|| Failure::NoMessage("this is no message of Discord".into()))
}
