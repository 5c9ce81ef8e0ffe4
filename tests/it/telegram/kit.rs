//! The adapter, somebody who takes what comes in, and the stand-in.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use atoll::{
    app::SystemClock,
    channels::telegram::{Pauses, Telegram, TelegramSettings, Webhook},
    domain::{
        chat::{Content, Event, Incoming, Link, Place, Post, Receipt},
        message::FileRef,
        secret::Secret,
    },
    home::HomeFiles,
    net::install_tls,
    ports::{
        files::Files,
        platform::{NotNow, Platform, Sink},
    },
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::support::{
    telegram::{FakeTelegram, TOKEN},
    until,
};

type Answer = Box<dyn Fn(&Incoming) -> Result<Receipt, NotNow> + Send + Sync>;

/// Takes what comes in, and remembers it.
pub(super) struct Taker {
    taken: Mutex<Vec<Incoming>>,
    /// Ids, also of what was offered and not taken.
    offered: Mutex<Vec<String>>,
    links: Mutex<Vec<Link>>,
    answer: Mutex<Arc<Answer>>,
    /// Chats in which taking does not end.
    stuck: watch::Sender<BTreeSet<String>>,
    /// What was noted last, and whether anything can be.
    noted: Mutex<(Option<String>, bool)>,
}

impl Sink for Taker {
    fn take(&self, incoming: Incoming) -> BoxFuture<'static, Result<Receipt, NotNow>> {
        self.offered.lock().unwrap().push(incoming.id.clone());
        let answer = Arc::clone(&self.answer.lock().unwrap());
        let known = self.taken.lock().unwrap().iter().any(|taken| taken.id == incoming.id);
        let given = if known { Ok(Receipt::Known) } else { answer(&incoming) };
        if given.is_ok() && !known {
            self.taken.lock().unwrap().push(incoming.clone());
        }
        let mut stuck = self.stuck.subscribe();
        Box::pin(async move {
            let _ = stuck.wait_for(|stuck| !stuck.contains(&incoming.place.chat)).await;
            given
        })
    }

    fn reached(&self, position: String) -> BoxFuture<'static, Result<(), NotNow>> {
        let mut noted = self.noted.lock().unwrap();
        if noted.1 {
            noted.0 = Some(position);
            return Box::pin(async { Ok(()) });
        }
        Box::pin(async { Err(NotNow("the store is busy".into())) })
    }

    fn link(&self, link: Link) {
        self.links.lock().unwrap().push(link);
    }
}

impl Taker {
    /// Does this with what comes from now on.
    pub(super) fn does(&self, answer: impl Fn(&Incoming) -> Result<Receipt, NotNow> + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Arc::new(Box::new(answer));
    }

    /// Taking in this chat does not end, or does again.
    pub(super) fn sticks(&self, chat: i64, stuck: bool) {
        self.stuck.send_modify(|all| {
            if stuck {
                all.insert(chat.to_string());
            } else {
                all.remove(&chat.to_string());
            }
        });
    }

    /// From now on something can be noted, or not.
    pub(super) fn notes(&self, can: bool) {
        self.noted.lock().unwrap().1 = can;
    }

    /// How many updates are noted.
    pub(super) fn noted(&self) -> usize {
        let position = self.position();
        let noted = position.map(|position| serde_json::from_str::<Value>(&position).unwrap());
        noted.map_or(0, |noted| noted["open"].as_array().unwrap().len())
    }

    /// What a chat was before, as it is noted.
    pub(super) fn moved(&self, chat: i64) -> Option<i64> {
        serde_json::from_str::<Value>(&self.position()?).unwrap()["moved"][chat.to_string()].as_i64()
    }

    fn position(&self) -> Option<String> {
        self.noted.lock().unwrap().0.clone()
    }

    pub(super) fn taken(&self) -> Vec<Incoming> {
        self.taken.lock().unwrap().clone()
    }

    /// Ids of what was taken, in a chat.
    pub(super) fn taken_in(&self, chat: i64) -> Vec<String> {
        let here = |incoming: &Incoming| incoming.place.chat == chat.to_string();
        self.taken().into_iter().filter(here).map(|incoming| incoming.id).collect()
    }

    pub(super) fn offered(&self) -> Vec<String> {
        self.offered.lock().unwrap().clone()
    }

    pub(super) fn links(&self) -> Vec<Link> {
        self.links.lock().unwrap().clone()
    }

    /// What is taken, as soon as there is so much.
    pub(super) async fn after(&self, count: usize) -> Vec<Incoming> {
        until("so much is taken", async || self.taken().len() >= count).await;
        self.taken()
    }
}

/// All of it.
pub(super) struct Rig {
    pub(super) fake: FakeTelegram,
    pub(super) taker: Arc<Taker>,
    pub(super) telegram: Arc<Telegram>,
    settings: TelegramSettings,
    files: Arc<HomeFiles>,
    _folder: tempfile::TempDir,
    listening: Mutex<Option<(CancellationToken, JoinHandle<()>)>>,
}

/// Short pauses; questions for updates are held for a second.
pub(super) fn pauses() -> Pauses {
    Pauses {
        poll: Duration::from_secs(1),
        patience: Duration::from_secs(20),
        album: Duration::from_millis(300),
        refused: Duration::from_millis(50),
        conflict: Duration::from_millis(50),
        watch: Duration::from_millis(50),
    }
}

fn adapter(settings: &TelegramSettings, files: &Arc<HomeFiles>) -> Arc<Telegram> {
    let files = Arc::clone(files) as Arc<dyn Files>;
    Arc::new(Telegram::new(settings.clone(), files, Arc::new(SystemClock)).unwrap())
}

impl Rig {
    /// The adapter with short pauses, not listening yet.
    pub(super) fn new() -> Self {
        Self::with(pauses(), None)
    }

    pub(super) fn with(pauses: Pauses, webhook: Option<Webhook>) -> Self {
        install_tls();
        let (fake, folder) = (FakeTelegram::start(), tempfile::tempdir().unwrap());
        let files = Arc::new(HomeFiles::new(folder.path().to_owned(), Arc::new(SystemClock)));
        let settings = TelegramSettings {
            menu: Vec::new(),
            token: Secret::new(TOKEN),
            api_url: Some(fake.url()),
            webhook,
            acknowledge: true,
            pauses,
        };
        let telegram = adapter(&settings, &files);
        let taker = Arc::new(Taker {
            taken: Mutex::default(),
            offered: Mutex::default(),
            links: Mutex::default(),
            answer: Mutex::new(Arc::new(Box::new(|_| Ok(Receipt::Taken)))),
            stuck: watch::Sender::default(),
            noted: Mutex::new((None, true)),
        });
        Self { fake, taker, telegram, settings, files, _folder: folder, listening: Mutex::default() }
    }

    /// From here on the adapter is one that knows only what is noted.
    pub(super) fn forget(&mut self) {
        self.telegram = adapter(&self.settings, &self.files);
    }

    /// The adapter, and it listens.
    pub(super) async fn listening() -> Self {
        let rig = Self::new();
        rig.listen();
        rig.up().await;
        rig
    }

    /// Begins to listen.
    pub(super) fn listen(&self) {
        let stop = CancellationToken::new();
        let sink = Arc::clone(&self.taker) as Arc<dyn Sink>;
        let task = tokio::spawn(self.telegram.listen(sink, self.taker.position(), stop.clone()));
        *self.listening.lock().unwrap() = Some((stop, task));
    }

    /// Stops listening, and waits until it has ended.
    pub(super) async fn stop(&self) {
        let (stop, task) = self.listening.lock().unwrap().take().unwrap();
        stop.cancel();
        task.await.unwrap();
    }

    /// Waits until it is up.
    pub(super) async fn up(&self) {
        let account = "@AtollBot".to_owned();
        let up = Link::Up { account };
        until("it listens", async || self.taker.links().last() == Some(&up)).await;
    }

    /// A file of ours.
    pub(super) async fn file(&self, name: &str, media_type: &str, bytes: &[u8]) -> FileRef {
        let bytes = Bytes::copy_from_slice(bytes);
        self.files.put(name.to_owned(), media_type.to_owned(), bytes).await.unwrap()
    }

    /// Posts these words with their markup.
    pub(super) async fn say(&self, chat: i64, markup: &str) -> String {
        self.telegram.post(post(chat, words(markup))).await.unwrap()
    }
}

pub(super) fn place(chat: i64) -> Place {
    Place { chat: chat.to_string(), thread: None }
}

/// Words with markup; without it they are the same here.
pub(super) fn words(markup: &str) -> Content {
    Content { markup: markup.to_owned(), plain: markup.to_owned(), ..Content::default() }
}

pub(super) fn post(chat: i64, content: Content) -> Post {
    Post {
        place: place(chat),
        content,
        key: "k1".into(),
        answers: None,
        reply_to: None,
        silent: false,
        draft: false,
    }
}

/// The words of a message or an edit.
pub(super) fn text_of(incoming: &Incoming) -> &str {
    match &incoming.event {
        Event::Message { text, .. } | Event::Edited { text, .. } => text,
        other => panic!("{other:?}"),
    }
}
