//! A chat platform without a network: it tells what the test says, and keeps what it is told.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use atoll::{
    domain::{
        Millis,
        chat::{
            Content, Event, Failure, Incoming, Link, Media, Place, Post, Quote, Receipt, RemoteFile, Sender,
        },
    },
    ports::{
        channel::Resend,
        clock::Clock,
        platform::{Abilities, Download, NotNow, Platform, Sink},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A file at the platform.
#[derive(Clone)]
pub(super) enum Lies {
    /// So many bytes, at once.
    Bytes(usize),
    /// So many bytes, after so many seconds.
    Late(usize, u64),
    /// It never ends.
    Endless,
    /// It is not given out.
    Gone,
    /// It breaks off so often, then it comes.
    Breaks(u32),
}

#[derive(Default)]
struct State {
    sink: Option<Arc<dyn Sink>>,
    files: HashMap<String, Lies>,
    fetched: BTreeMap<String, u32>,
    posts: Vec<Post>,
    listened_from: Vec<Option<String>>,
}

/// The platform.
pub(super) struct Fake {
    name: &'static str,
    state: Mutex<State>,
    falls: Arc<Notify>,
    count: AtomicU64,
    clock: OnceLock<Arc<dyn Clock>>,
}

/// Stands for the time at which something comes.
const NOW: Millis = 0;

impl Fake {
    pub(super) fn new(name: &'static str) -> Arc<Self> {
        let (state, falls, clock) = (Mutex::default(), Arc::default(), OnceLock::new());
        Arc::new(Self { name, state, falls, count: AtomicU64::new(1), clock })
    }

    /// What it is told is told by this clock.
    pub(super) fn live_by(&self, clock: &Arc<dyn Clock>) {
        self.clock.get_or_init(|| Arc::clone(clock));
    }

    fn sink(&self) -> Arc<dyn Sink> {
        self.state.lock().unwrap().sink.clone().unwrap()
    }

    /// Listening falls over.
    pub(super) fn fall(&self) {
        self.falls.notify_one();
    }

    /// Where it was listened from, each time.
    pub(super) fn listened_from(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().listened_from.clone()
    }

    pub(super) async fn reached(&self, position: &str) {
        self.sink().reached(position.to_owned()).await.unwrap();
    }

    pub(super) fn link(&self, link: Link) {
        self.sink().link(link);
    }

    /// Puts a file there.
    pub(super) fn lay(&self, name: &str, file: Lies) {
        self.state.lock().unwrap().files.insert(name.to_owned(), file);
    }

    /// How often a file was asked for.
    pub(super) fn fetched(&self, name: &str) -> u32 {
        self.state.lock().unwrap().fetched.get(name).copied().unwrap_or_default()
    }

    /// Something comes in; what it says is taken on its way when this returns.
    pub(super) fn comes(&self, mut incoming: Incoming) -> BoxFuture<'static, Result<Receipt, NotNow>> {
        if incoming.at == NOW {
            incoming.at = self.clock.get().unwrap().now();
        }
        self.sink().take(incoming)
    }

    /// What was posted in a chat, without markup.
    pub(super) fn posted(&self, chat: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let here = state.posts.iter().filter(|post| post.place.chat == chat);
        here.map(|post| post.content.plain.clone()).collect()
    }

    /// A name for something new.
    pub(super) fn fresh(&self) -> String {
        self.count.fetch_add(1, Ordering::SeqCst).to_string()
    }
}

/// A chat with one person alone, whose ids are the same.
pub(super) fn alone(who: &str) -> Incoming {
    at(who, who, false)
}

/// Somebody in a group.
pub(super) fn in_group(who: &str, chat: &str) -> Incoming {
    at(who, chat, true)
}

fn at(who: &str, chat: &str, group: bool) -> Incoming {
    let event = Event::Message {
        message: String::new(),
        text: String::new(),
        files: Vec::new(),
        addressed: true,
        quote: None,
    };
    Incoming {
        id: String::new(),
        place: Place { chat: chat.into(), thread: None },
        seen_as: None,
        group,
        sender: Sender { id: who.into(), name: format!("Name {who}") },
        at: NOW,
        event,
    }
}

/// Changes what comes in.
pub(super) trait Change: Sized {
    fn called(self, name: &str) -> Self;
    fn says(self, fake: &Fake, text: &str) -> Self;
    fn with(self, name: &str, media: Media, size: Option<u64>) -> Self;
    fn quoting(self, name: &str, words: &str) -> Self;
    fn aside(self) -> Self;
    fn corrects(self, fake: &Fake, message: &str, text: &str) -> Self;
    fn taps(self, fake: &Fake, data: &str) -> Self;
    fn commands(self, fake: &Fake, line: &str, token: Option<&str>) -> Self;
    fn message_id(&self) -> String;
}

impl Change for Incoming {
    fn called(mut self, name: &str) -> Self {
        self.sender.name = name.into();
        self
    }

    fn says(mut self, fake: &Fake, words: &str) -> Self {
        self.id = format!("u{}", fake.fresh());
        if let Event::Message { message, text, .. } = &mut self.event {
            (*message, *text) = (format!("m{}", fake.fresh()), words.into());
        }
        self
    }

    fn with(mut self, name: &str, media: Media, size: Option<u64>) -> Self {
        if let Event::Message { files, .. } = &mut self.event {
            files.push(RemoteFile {
                media,
                name: name.into(),
                media_type: "image/png".into(),
                size,
                reference: name.into(),
            });
        }
        self
    }

    fn quoting(mut self, who: &str, words: &str) -> Self {
        if let Event::Message { quote, .. } = &mut self.event {
            *quote = Some(Quote { name: who.into(), text: words.into() });
        }
        self
    }

    fn aside(mut self) -> Self {
        if let Event::Message { addressed, .. } = &mut self.event {
            *addressed = false;
        }
        self
    }

    fn corrects(mut self, fake: &Fake, message: &str, text: &str) -> Self {
        self.id = format!("u{}", fake.fresh());
        self.event = Event::Edited { message: message.into(), text: text.into(), addressed: true };
        self
    }

    fn taps(mut self, fake: &Fake, data: &str) -> Self {
        self.id = format!("u{}", fake.fresh());
        self.event = Event::Tap { message: "m".into(), data: data.into(), token: "t".into() };
        self
    }

    fn commands(mut self, fake: &Fake, line: &str, token: Option<&str>) -> Self {
        self.id = format!("u{}", fake.fresh());
        self.event = Event::Command { line: line.into(), files: Vec::new(), token: token.map(str::to_owned) };
        self
    }

    fn message_id(&self) -> String {
        match &self.event {
            Event::Message { message, .. } => message.clone(),
            other => panic!("{other:?} is no message"),
        }
    }
}

impl Platform for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn abilities(&self) -> Abilities {
        Abilities { resend: Resend::Safe, max_download: 8 << 20, threads: false }
    }

    fn listen(
        &self,
        sink: Arc<dyn Sink>,
        position: Option<String>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        let mut state = self.state.lock().unwrap();
        state.listened_from.push(position);
        state.sink = Some(Arc::clone(&sink));
        drop(state);
        sink.link(Link::Up { account: "atoll_bot".into() });
        let falls = Arc::clone(&self.falls);
        Box::pin(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = falls.notified() => {}
            }
        })
    }

    fn fetch(&self, file: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>> {
        let mut state = self.state.lock().unwrap();
        let times = state.fetched.entry(file.reference.clone()).or_default();
        *times += 1;
        let times = *times;
        let lies = state.files.get(&file.reference).cloned();
        let piece = || Ok(Bytes::from(vec![7; 1 << 16]));
        let bytes = |size: usize| stream::iter([Ok(Bytes::from(vec![7; size]))]).boxed();
        Box::pin(async move {
            match lies {
                Some(Lies::Bytes(size)) => Ok(bytes(size)),
                Some(Lies::Late(size, seconds)) => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(bytes(size))
                }
                Some(Lies::Endless) => Ok(stream::repeat_with(piece).boxed()),
                Some(Lies::Breaks(often)) if times <= often => {
                    let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
                    Ok(stream::iter([Ok(Bytes::from_static(b"half")), broken]).boxed())
                }
                Some(Lies::Breaks(_)) => Ok(bytes(4)),
                Some(Lies::Gone) => Err(Failure::Refused("no such file".into())),
                None => panic!("the test laid no such file there"),
            }
        })
    }

    fn post(&self, post: Post) -> BoxFuture<'static, Result<String, Failure>> {
        self.state.lock().unwrap().posts.push(post);
        let id = self.fresh();
        Box::pin(async move { Ok(id) })
    }

    fn edit(&self, _: &Place, _: &str, _: Content) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn remove(&self, _: &Place, _: &str) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn typing(&self, _: &Place) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn thread(&self, place: &Place, _: &str, _: &str) -> BoxFuture<'static, Result<Place, Failure>> {
        let place = place.clone();
        Box::pin(async move { Ok(place) })
    }
}
