//! Telegram: its Bot API (<https://core.telegram.org/bots/api>) as a platform.
//!
//! - `api`, `errors`: calls, and what their failures mean
//! - `listen`, `hook`: the two ways in; `read`, `words`, `media`: updates as what happened
//! - `desk`, `round`, `notes`: order, albums, what may be acknowledged; `receipts`: what is shown at once
//! - `send`, `upload`: the way out; `moved`: groups that have another id now

mod api;
mod desk;
mod errors;
mod hook;
mod listen;
mod media;
mod moved;
mod notes;
pub mod read;
mod receipts;
mod round;
mod send;
mod upload;
mod words;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use reqwest::Url;
use teloxide::{
    payloads::{GetFile, SetMyCommands},
    types::BotCommand,
};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        chat::{Content, Failure, Place, Post, RemoteFile, TELEGRAM},
        secret::Secret,
    },
    ports::{
        channel::Resend,
        clock::Clock,
        files::Files,
        platform::{Abilities, Download, Platform, Sink},
    },
};

use self::{
    api::Api,
    errors::{Asked, CallError},
    moved::Moved,
    notes::Notes,
    read::Me,
    round::Round,
    send::Slowed,
};

pub use hook::HookRefused;

/// Largest file that the Bot API gives out, in bytes.
const LARGEST_DOWNLOAD: u64 = 20 * 1024 * 1024;
/// Longest description of a command, in characters.
const DESCRIPTION: usize = 255;

/// How Telegram is reached.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// The bot's token, from @BotFather.
    pub token: Secret,
    /// Where the Bot API is, when not at Telegram's own place.
    pub api_url: Option<String>,
    /// Updates are brought there; else they are asked for.
    pub webhook: Option<Webhook>,
    /// A message that was taken gets a light mark.
    pub acknowledge: bool,
    /// The commands that people are shown when they type one: names without a slash, and what they do.
    pub menu: Vec<(String, String)>,
    /// How long things are waited for.
    pub pauses: Pauses,
}

/// Where updates are brought.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The address, with `https`.
    pub url: String,
    /// What Telegram shows to prove itself: 1 to 256 letters, digits, `_` and `-`.
    pub secret: Secret,
}

/// How long things are waited for.
#[derive(Debug, Clone)]
pub struct Pauses {
    /// How long the server holds a question for updates, in whole seconds.
    pub poll: Duration,
    /// How long an answer is waited for, beyond that.
    pub patience: Duration,
    /// How long an album waits for its next piece.
    pub album: Duration,
    /// Before a token that was refused is tried again.
    pub refused: Duration,
    /// Before updates are asked for again which somebody else receives.
    pub conflict: Duration,
    /// Between looks whether updates are still brought.
    pub watch: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(50),
            patience: Duration::from_secs(30),
            album: Duration::from_secs(1),
            refused: Duration::from_secs(300),
            conflict: Duration::from_secs(30),
            watch: Duration::from_secs(300),
        }
    }
}

/// Settings with which Telegram can never be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// The address or the token.
    #[error("telegram needs a token as @BotFather gives it, and an api_url with http or https")]
    Api,
    /// The webhook.
    #[error(
        "telegram's webhook needs an https address, and a secret of 1 to 256 letters, digits, `_` and `-`"
    )]
    Webhook,
}

/// A webhook that was looked at.
struct Hook {
    url: Url,
    secret: Secret,
}

/// The platform.
pub struct Telegram {
    inner: Arc<Inner>,
}

struct Inner {
    api: Api,
    webhook: Option<Hook>,
    acknowledge: bool,
    menu: Vec<(String, String)>,
    pauses: Pauses,
    files: Arc<dyn Files>,
    clock: Arc<dyn Clock>,
    me: Mutex<Option<Me>>,
    /// The one that listens owns it.
    round: Mutex<Weak<Round>>,
    slowed: Mutex<Slowed>,
    moved: Mutex<Moved>,
}

impl Telegram {
    /// The platform with these settings. Files that are sent are read from `files`.
    ///
    /// # Errors
    /// [`BadSettings`] when no call could ever be made with them.
    pub fn new(
        settings: TelegramSettings,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadSettings> {
        let TelegramSettings { token, api_url, webhook, acknowledge, menu, pauses } = settings;
        let api = Api::new(api_url.as_deref(), token).ok_or(BadSettings::Api)?;
        let webhook = webhook.map(Hook::new).transpose()?;
        let (me, round) = (Mutex::default(), Mutex::default());
        let (slowed, moved) = (Mutex::default(), Mutex::default());
        let inner = Inner { api, webhook, acknowledge, menu, pauses, files, clock, me, round, slowed, moved };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Tells Telegram the commands, as names without a slash and what they do: it shows them to people who type one. Those
    /// of the settings are told whenever listening begins.
    pub fn register(&self, commands: &[(String, String)]) -> BoxFuture<'static, Result<(), Failure>> {
        let (inner, commands) = (Arc::clone(&self.inner), commands.to_owned());
        Box::pin(async move {
            let told = inner.register(&commands).await;
            told.map_err(|error| error.failure(Asked::Again))
        })
    }

    /// Whether Telegram brings updates with this secret. False for any when they are asked for.
    pub fn knows(&self, secret: &str) -> bool {
        self.inner.knows(secret)
    }

    /// Takes an update that Telegram brought: `secret` is the header `X-Telegram-Bot-Api-Secret-Token`. It answers when the
    /// update was taken or noted; an error makes Telegram bring it again, so answer that with any status but 2xx.
    ///
    /// # Errors
    /// [`HookRefused`], as the future's result.
    pub fn hook(&self, secret: &str, body: &[u8]) -> BoxFuture<'static, Result<(), HookRefused>> {
        self.inner.hook(secret, body)
    }
}

/// However listening ends, nothing is brought to its round any more.
struct End(Arc<Round>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Hook {
    fn new(webhook: Webhook) -> Result<Self, BadSettings> {
        let url = Url::parse(&webhook.url).ok().filter(|url| url.scheme() == "https" && url.has_host());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let secret = webhook.secret;
        let fine = (1..=256).contains(&secret.reveal().len()) && secret.reveal().chars().all(plain);
        url.filter(|_| fine).map(|url| Self { url, secret }).ok_or(BadSettings::Webhook)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Who the bot is, once Telegram has said so.
    fn me(&self) -> Option<Me> {
        lock(&self.me).clone()
    }

    fn is(&self, me: Me) {
        *lock(&self.me) = Some(me);
    }

    fn account(&self) -> String {
        self.me().map_or_else(String::new, |me| format!("@{}", me.name))
    }

    async fn register(&self, commands: &[(String, String)]) -> Result<(), CallError> {
        let named = |(name, help): &(String, String)| BotCommand::new(name, read::cut(help, DESCRIPTION));
        let call = SetMyCommands::new(commands.iter().map(named).collect::<Vec<_>>());
        self.api.call(&call, self.pauses.patience).await.map(drop)
    }

    /// The round that listens now.
    fn round(&self) -> Option<Arc<Round>> {
        lock(&self.round).upgrade()
    }

    fn slowed(&self) -> MutexGuard<'_, Slowed> {
        lock(&self.slowed)
    }

    /// The groups that have another id now.
    fn moved(&self) -> MutexGuard<'_, Moved> {
        lock(&self.moved)
    }

    /// A group has another id now; whoever listens writes that down.
    fn moves(&self, from: i64, to: i64) {
        if self.moved().note(from, to) {
            tracing::info!(channel = "telegram", from, to, "a group became a supergroup");
            self.round().inspect(|round| round.moved());
        }
    }

    async fn fetch(&self, file: RemoteFile) -> Result<Download, Failure> {
        let large = || Failure::TooLarge("Telegram gives bots no file of more than 20 MB".into());
        if file.size.is_some_and(|size| size > LARGEST_DOWNLOAD) {
            return Err(large());
        }
        let patience = self.pauses.patience;
        let call = GetFile::new(file.reference.into());
        let told = self.api.call(&call, patience).await.map_err(|error| error.failure(Asked::Again))?;
        let path =
            told["file_path"].as_str().ok_or_else(|| Failure::Refused("the file has no path".into()))?;
        let got = self.api.download(path, patience).await;
        got.map_err(|error| match error {
            // Here it is the file that is not found.
            CallError::Said { code: 404, words, .. } => Failure::Refused(words),
            error => error.failure(Asked::Again),
        })
    }
}

impl Platform for Telegram {
    fn name(&self) -> &'static str {
        TELEGRAM
    }

    fn abilities(&self) -> Abilities {
        Abilities { resend: Resend::Marked, max_download: LARGEST_DOWNLOAD, threads: false }
    }

    fn listen(
        &self,
        sink: Arc<dyn Sink>,
        position: Option<String>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let (notes, moved) = Notes::read(position.as_deref());
            inner.moved().extend(moved);
            let round = Arc::new(Round::new(Arc::clone(&inner), sink, notes));
            *lock(&inner.round) = Arc::downgrade(&round);
            let _end = End(Arc::clone(&round));
            tokio::select! {
                () = stop.cancelled() => {}
                never = inner.hear(&round) => match never {},
                never = round.work() => match never {},
                never = round.tidy() => match never {},
            }
        })
    }

    fn fetch(&self, file: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>> {
        let (inner, file) = (Arc::clone(&self.inner), file.clone());
        Box::pin(async move { inner.fetch(file).await })
    }

    fn post(&self, post: Post) -> BoxFuture<'static, Result<String, Failure>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.post(post).await })
    }

    fn edit(
        &self,
        place: &Place,
        message: &str,
        content: Content,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        let (inner, place, message) = (Arc::clone(&self.inner), place.clone(), message.to_owned());
        Box::pin(async move { inner.edit(place, message, content).await })
    }

    fn remove(&self, place: &Place, message: &str) -> BoxFuture<'static, Result<(), Failure>> {
        let (inner, place, message) = (Arc::clone(&self.inner), place.clone(), message.to_owned());
        Box::pin(async move { inner.remove(place, message).await })
    }

    fn typing(&self, place: &Place) -> BoxFuture<'static, Result<(), Failure>> {
        let (inner, place) = (Arc::clone(&self.inner), place.clone());
        Box::pin(async move { inner.typing(place).await })
    }

    fn thread(
        &self,
        place: &Place,
        _message: &str,
        _title: &str,
    ) -> BoxFuture<'static, Result<Place, Failure>> {
        // Threads of Telegram are topics, which whoever runs a group makes.
        let place = place.clone();
        Box::pin(async move { Ok(place) })
    }
}
