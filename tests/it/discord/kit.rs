//! The adapter with somebody who takes what comes.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use atoll::{
    app::SystemClock,
    channels::discord::{Discord, DiscordSettings},
    domain::{
        chat::{Button, Content, Event, Incoming, Link, Place, Post, Receipt, Tone},
        menu::MENU,
        message::FileRef,
        offer::{Offered, fitting},
        secret::Secret,
    },
    home::HomeFiles,
    ports::{
        files::Files,
        platform::{Completer, NotNow, Platform, Sink, Typing},
    },
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{
    discord::{FakeDiscord, TOKEN},
    until,
};

/// What is said to something that came in, and after which time.
type Answer = Box<dyn Fn(&Incoming) -> (Duration, Result<Receipt, NotNow>) + Send + Sync>;

/// How long a command waits for its answer here.
const PATIENCE: Duration = Duration::from_secs(4);

/// Takes what comes, and remembers it.
pub(super) struct Taker {
    answer: Answer,
    ids: Mutex<HashSet<String>>,
    taken: Mutex<Vec<Incoming>>,
    positions: Mutex<Vec<String>>,
    links: Mutex<Vec<Link>>,
    keeps: Mutex<bool>,
}

impl Taker {
    /// Takes everything at once.
    pub(super) fn willing() -> Arc<Self> {
        Self::with(|_| (Duration::ZERO, Ok(Receipt::Taken)))
    }

    /// Says this.
    pub(super) fn with(
        answer: impl Fn(&Incoming) -> (Duration, Result<Receipt, NotNow>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            ids: Mutex::default(),
            taken: Mutex::default(),
            positions: Mutex::default(),
            links: Mutex::default(),
            keeps: Mutex::new(true),
        })
    }

    /// What was taken, each once.
    pub(super) fn taken(&self) -> Vec<Incoming> {
        self.taken.lock().unwrap().clone()
    }

    /// The words of it: messages, corrections, command lines, buttons.
    pub(super) fn words(&self) -> Vec<String> {
        self.taken().iter().map(words).collect()
    }

    pub(super) fn links(&self) -> Vec<Link> {
        self.links.lock().unwrap().clone()
    }

    /// The last position.
    pub(super) fn position(&self) -> Option<String> {
        self.positions.lock().unwrap().last().cloned()
    }

    /// Whether positions are stored.
    pub(super) fn keep_positions(&self, keeps: bool) {
        *self.keeps.lock().unwrap() = keeps;
    }
}

/// The words of something that came in.
pub(super) fn words(incoming: &Incoming) -> String {
    match &incoming.event {
        Event::Message { text, .. } => text.clone(),
        Event::Edited { text, .. } => format!("(now) {text}"),
        Event::Command { line, .. } => line.clone(),
        Event::Tap { data, .. } => format!("(tap) {data}"),
    }
}

/// A taker for one life of the adapter.
pub(super) struct Door(pub(super) Arc<Taker>);

impl Sink for Door {
    fn take(&self, incoming: Incoming) -> BoxFuture<'static, Result<Receipt, NotNow>> {
        let taker = Arc::clone(&self.0);
        Box::pin(async move {
            let (pause, answer) = (taker.answer)(&incoming);
            tokio::time::sleep(pause).await;
            let receipt = answer?;
            if receipt != Receipt::Ignored && !taker.ids.lock().unwrap().insert(incoming.id.clone()) {
                return Ok(Receipt::Known);
            }
            if receipt != Receipt::Ignored {
                taker.taken.lock().unwrap().push(incoming);
            }
            Ok(receipt)
        })
    }

    fn reached(&self, position: String) -> BoxFuture<'static, Result<(), NotNow>> {
        let taker = Arc::clone(&self.0);
        Box::pin(async move {
            if !*taker.keeps.lock().unwrap() {
                return Err(NotNow("the disk is full".into()));
            }
            taker.positions.lock().unwrap().push(position);
            Ok(())
        })
    }

    fn link(&self, link: Link) {
        self.0.links.lock().unwrap().push(link);
    }
}

/// Offers words that begin as what is typed.
struct Offers;

impl Completer for Offers {
    fn complete(&self, typing: Typing) -> BoxFuture<'static, Vec<Offered>> {
        let fitting = fitting(&typing.typed, ["app", "apple", "web"].map(Offered::word));
        Box::pin(async move { fitting })
    }
}

/// The adapter, as long as it lives.
pub(super) struct Bot {
    pub(super) discord: Discord,
    pub(super) taker: Arc<Taker>,
    pub(super) files: Arc<dyn Files>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Bot {
    /// Begins to listen where it was left.
    pub(super) fn start(fake: &FakeDiscord, taker: &Arc<Taker>) -> Self {
        Self::at_gateway(fake, taker, None)
    }

    /// Does not listen yet.
    pub(super) fn deaf(fake: &FakeDiscord, taker: &Arc<Taker>) -> Self {
        Self::made(fake, taker, None)
    }

    /// The same, with a gateway that is set.
    pub(super) fn at_gateway(fake: &FakeDiscord, taker: &Arc<Taker>, gateway_url: Option<String>) -> Self {
        let mut bot = Self::made(fake, taker, gateway_url);
        bot.listen();
        bot
    }

    fn made(fake: &FakeDiscord, taker: &Arc<Taker>, gateway_url: Option<String>) -> Self {
        atoll::net::install_tls();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let files: Arc<dyn Files> = Arc::new(HomeFiles::new(folder.path().into(), clock.clone()));
        let settings = DiscordSettings {
            token: Secret::new(TOKEN),
            api_url: Some(fake.api_url()),
            gateway_url,
            menu: MENU,
            completer: Some(Arc::new(Offers)),
            patience: PATIENCE,
        };
        let discord = Discord::new(settings, Arc::clone(&files), clock);
        let stop = CancellationToken::new();
        let task = tokio::spawn(async {});
        Self { discord, taker: Arc::clone(taker), files, stop, task, _folder: folder }
    }

    /// Begins to listen where it was left.
    pub(super) fn listen(&mut self) {
        let door = Arc::new(Door(Arc::clone(&self.taker)));
        self.task = tokio::spawn(self.discord.listen(door, self.taker.position(), self.stop.clone()));
    }

    /// Starts it, and waits until it listens.
    pub(super) async fn up(fake: &FakeDiscord, taker: &Arc<Taker>) -> Self {
        let bot = Self::start(fake, taker);
        until("the bot listens", async || fake.is_listened_to()).await;
        bot
    }

    /// Ends it in the midst of whatever it does.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Ends it as it ends itself.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Waits until this was taken.
    pub(super) async fn hears(&self, expected: &[&str]) {
        let taker = &self.taker;
        until(&format!("{expected:?} was taken"), async || taker.words().len() >= expected.len()).await;
        assert_eq!(taker.words(), expected);
    }

    /// A stored file.
    pub(super) async fn file(&self, name: &str, media_type: &str, bytes: Vec<u8>) -> FileRef {
        self.files.put(name.into(), media_type.into(), Bytes::from(bytes)).await.unwrap()
    }
}

/// A place.
pub(super) fn at(channel: u64) -> Place {
    Place { chat: channel.to_string(), thread: None }
}

/// Words to be posted.
pub(super) fn post(channel: u64, key: &str, text: &str) -> Post {
    let content = Content { markup: text.into(), plain: text.into(), ..Content::default() };
    Post {
        place: at(channel),
        content,
        key: key.into(),
        answers: None,
        reply_to: None,
        silent: false,
        draft: false,
    }
}

/// Words that answer an interaction.
pub(super) fn answer(channel: u64, key: &str, text: &str, interaction: u64) -> Post {
    Post { answers: Some(format!("i{interaction}")), ..post(channel, key, text) }
}

/// A button.
pub(super) fn button(label: &str, data: &str) -> Button {
    Button { label: label.into(), data: data.into(), tone: Tone::Good }
}
