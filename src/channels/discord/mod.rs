//! Discord: its gateway and its REST interface, version 10 (<https://docs.discord.com/developers>).
//!
//! `session` decides what the gateway is answered, `gateway` has the socket. Events go to `desk`, which has them taken in
//! order per channel; the `ledger` says how far all is settled, and that far the session is taken up after a restart.
//! `post` and `answer` call `rest`.

mod answer;
mod asked;
mod catch_up;
mod commands;
mod desk;
mod fault;
mod fetch;
mod gateway;
pub mod known;
mod ledger;
mod limits;
mod post;
pub mod read;
mod rest;
mod send;
mod session;
mod shared;
mod upload;
mod wire;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serenity::model::id::{ApplicationId, UserId};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{
    gateway::Listener,
    known::Life,
    ledger::{Ledger, LifeName, Mark},
    rest::Call,
    shared::Shared,
};
use crate::{
    domain::{
        chat::{Content, DISCORD, Failure, Link, Place, Post, RemoteFile},
        menu::CommandSpec,
        retry::backoff,
        secret::Secret,
    },
    ports::{
        channel::Resend,
        clock::Clock,
        files::Files,
        platform::{Abilities, Completer, Download, Platform, Sink},
    },
};

/// Events between the socket and those who take them.
const INBOX: usize = 64;
/// Positions are told at most this often, in milliseconds.
const TELL: u64 = 100;
/// The wait when one was not stored, in milliseconds.
const TELL_AGAIN: u64 = 1_000;
/// Waits before Discord is asked again who the bot is: the first one, the longest, and that after a refusal.
const ASK: u64 = 1_000;
const LONGEST_ASK: u64 = 60_000;
const REFUSED: u64 = 600_000;
/// Longest wait for the last position when listening ends.
const LAST: Duration = Duration::from_secs(2);

/// The usual patience.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How Discord is reached.
#[derive(Clone)]
pub struct DiscordSettings {
    /// The bot's token.
    pub token: Secret,
    /// Another REST interface than Discord's own, with its version; files may then come from its host as well.
    pub api_url: Option<String>,
    /// Another gateway than the one that the REST interface names.
    pub gateway_url: Option<String>,
    /// The commands that are registered; none are when it is empty.
    pub menu: &'static [CommandSpec],
    /// Knows what may be typed behind them.
    pub completer: Option<Arc<dyn Completer>>,
    /// How long a command that was taken may wait for its answer before a word stands in its place.
    pub patience: Duration,
}

/// The adapter.
pub struct Discord {
    shared: Arc<Shared>,
}

#[derive(Deserialize)]
struct Me {
    id: UserId,
    #[serde(default)]
    username: String,
}

#[derive(Deserialize)]
struct Application {
    id: ApplicationId,
}

impl Discord {
    /// An adapter that does nothing yet.
    pub fn new(settings: DiscordSettings, files: Arc<dyn Files>, clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared::new(settings, files, clock)) }
    }

    /// Takes up what a position says, and gives the session that it names.
    fn restore(&self, position: Option<&str>) -> Option<Life> {
        let life = self.shared.known().read(position?).unwrap_or_else(|_| {
            tracing::warn!("the stored position at Discord cannot be read: listening begins anew");
            None
        })?;
        let name = LifeName { id: life.id.clone(), url: life.url.clone() };
        *self.shared.ledger() = Ledger::from(Some(Mark { life: Arc::new(name), seq: life.seq }));
        Some(life)
    }
}

impl Platform for Discord {
    fn name(&self) -> &'static str {
        DISCORD
    }

    fn abilities(&self) -> Abilities {
        Abilities { resend: Resend::Safe, max_download: fetch::LARGEST, threads: true }
    }

    fn listen(
        &self,
        sink: Arc<dyn Sink>,
        position: Option<String>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let life = self.restore(position.as_deref());
        self.shared.set_sink(Arc::clone(&sink));
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            listen(&shared, sink, life, &stop).await;
            // What was settled last need not come again.
            let _ = timeout(LAST, shared.tell_position()).await;
        })
    }

    fn fetch(&self, file: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>> {
        let (shared, url) = (Arc::clone(&self.shared), file.reference.clone());
        Box::pin(async move { fetch::fetch(&shared, &url).await })
    }

    fn post(&self, post: Post) -> BoxFuture<'static, Result<String, Failure>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared.listened().await;
            post::post(&shared, &post).await
        })
    }

    fn edit(
        &self,
        place: &Place,
        message: &str,
        content: Content,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        let (shared, place, message) = (Arc::clone(&self.shared), place.clone(), message.to_owned());
        Box::pin(async move { post::edit(&shared, &place, &message, &content).await })
    }

    fn remove(&self, place: &Place, message: &str) -> BoxFuture<'static, Result<(), Failure>> {
        let (shared, place, message) = (Arc::clone(&self.shared), place.clone(), message.to_owned());
        Box::pin(async move { post::remove(&shared, &place, &message).await })
    }

    fn typing(&self, place: &Place) -> BoxFuture<'static, Result<(), Failure>> {
        let (shared, place) = (Arc::clone(&self.shared), place.clone());
        Box::pin(async move { post::typing(&shared, &place).await })
    }

    fn thread(
        &self,
        place: &Place,
        message: &str,
        title: &str,
    ) -> BoxFuture<'static, Result<Place, Failure>> {
        let (shared, place) = (Arc::clone(&self.shared), place.clone());
        let (message, title) = (message.to_owned(), title.to_owned());
        Box::pin(async move { post::thread(&shared, &place, &message, &title).await })
    }
}

async fn listen(shared: &Arc<Shared>, sink: Arc<dyn Sink>, life: Option<Life>, stop: &CancellationToken) {
    let me = tokio::select! {
        () = stop.cancelled() => return,
        me = who_am_i(shared, &sink) => me,
    };
    shared.known().set_me(me.id.get());
    let (to_desk, inbox) = mpsc::channel(INBOX);
    let listener =
        Listener::new(Arc::clone(shared), Arc::clone(&sink), to_desk, stop.clone(), me.username.clone());
    tokio::join!(
        listener.listen(life),
        desk::take_all(Arc::clone(shared), sink, inbox, stop.clone()),
        tell_positions(shared, stop),
        register(shared, stop),
    );
}

/// Asks Discord who the bot is, until it says so.
async fn who_am_i(shared: &Shared, sink: &Arc<dyn Sink>) -> Me {
    let (mut attempt, mut refused) = (0, None);
    loop {
        let failure = match shared.rest.call(Call::new("GET /users/@me", "/users/@me".into(), "")).await {
            Ok(me) => return me,
            Err(fault) => fault.failure,
        };
        attempt += 1;
        let mut pause = backoff(attempt, ASK, LONGEST_ASK, shared.clock.dice());
        match failure {
            Failure::NoToken(why) => {
                pause = REFUSED;
                if refused.as_ref() != Some(&why) {
                    sink.link(Link::Refused { why: why.clone() });
                    refused = Some(why);
                }
            }
            Failure::Slow { after_ms, .. } => pause = pause.max(after_ms),
            other => sink.link(Link::Down { why: other.to_string() }),
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

async fn tell_positions(shared: &Shared, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.moved.notified() => {}
        }
        let pause = match shared.tell_position().await {
            Ok(()) => TELL,
            Err(error) => {
                tracing::debug!(%error, "the position at Discord was not stored");
                shared.moved.notify_one();
                TELL_AGAIN
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }
}

/// Puts the menu in the place of the commands that are registered.
async fn register(shared: &Shared, stop: &CancellationToken) {
    if shared.settings.menu.is_empty() {
        return;
    }
    let mut attempt = 0;
    loop {
        let failure = match register_once(shared).await {
            Ok(()) => return,
            Err(failure) => failure,
        };
        attempt += 1;
        let pause = match failure {
            Failure::Slow { after_ms, .. } => after_ms,
            Failure::Later(_) | Failure::Unknown(_) => {
                backoff(attempt, ASK, LONGEST_ASK, shared.clock.dice())
            }
            failure => {
                tracing::warn!(%failure, "Discord does not take the list of commands");
                return;
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(pause)) => {}
        }
    }
}

async fn register_once(shared: &Shared) -> Result<(), Failure> {
    let call = Call::new("GET /applications/@me", "/applications/@me".into(), "");
    let application: Application = shared.rest.call(call).await?;
    let path = format!("/applications/{}/commands", application.id);
    let call = Call::new("PUT /applications/commands", path, application.id);
    shared.rest.text(&call.json(&commands::commands(shared.settings.menu))).await?;
    Ok(())
}
