//! One time of listening: updates are put on the desk, taken from it chat by chat, and what whoever took them says is shown.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, value::RawValue};
use tokio::{
    sync::{
        Notify,
        oneshot::{self, error::TryRecvError},
    },
    time::{Instant, sleep, sleep_until},
};

use crate::{
    domain::{
        chat::{Incoming, Link, Receipt},
        retry::backoff,
    },
    ports::platform::Sink,
};

use super::{
    Inner,
    desk::Desk,
    notes::Notes,
    read::{self, Me, Reading},
    receipts::{Show, show},
};

/// Most receipts that are being shown at once: more are not shown.
const SHOWN: usize = 64;
/// First and longest pause before something that could not be taken is offered again, in milliseconds.
const AGAIN: u64 = 200;
const LONGEST_AGAIN: u64 = 10_000;
/// Most updates that wait at once of those that are brought, over all and in one chat; more are told to come again.
const MOST: usize = 1_000;
const MOST_IN_CHAT: usize = 100;
/// How long an update that was brought is waited for before it is noted.
const NOTE: Duration = Duration::from_millis(250);

type Waiting = oneshot::Sender<bool>;

/// The round.
pub(super) struct Round {
    inner: Arc<Inner>,
    sink: Arc<dyn Sink>,
    begun: Instant,
    desk: Mutex<Desk>,
    notes: Notes,
    /// Who is told what becomes of updates that were brought.
    waiting: Mutex<HashMap<i64, Vec<Waiting>>>,
    said: Mutex<Option<Link>>,
    came: Notify,
    settled: Notify,
    /// What is noted is not so any more.
    stale: Notify,
    /// A group moved, and that is not noted.
    news: AtomicBool,
    /// Nobody takes from the desk any more.
    closed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Round {
    pub(super) fn new(inner: Arc<Inner>, sink: Arc<dyn Sink>, notes: Notes) -> Self {
        Self {
            inner,
            sink,
            begun: Instant::now(),
            desk: Mutex::default(),
            notes,
            waiting: Mutex::default(),
            said: Mutex::default(),
            came: Notify::new(),
            settled: Notify::new(),
            stale: Notify::new(),
            news: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn hold(&self) -> u64 {
        u64::try_from(self.inner.pauses.album.as_millis()).unwrap_or(u64::MAX)
    }

    /// Puts on the desk what an earlier run noted.
    pub(super) async fn restore(&self, me: &Me) {
        for (number, update) in self.notes.left().await {
            let (now, hold) = (self.now(), self.hold());
            let reading = self.home(read::read(&update, me));
            lock(&self.desk).restore(number, reading, now, hold);
            self.came.notify_one();
        }
    }

    /// Puts an update on the desk. False when it is there already, or cannot be read.
    pub(super) fn offer(&self, update: &RawValue, me: &Me) -> bool {
        let Ok(read) = serde_json::from_str::<Value>(update.get()) else { return false };
        let Some(number) = read::number(&read) else { return false };
        self.put(number, read::read(&read, me), update)
    }

    /// What happens in a group that has another id now happens where it was.
    fn home(&self, mut reading: Reading) -> Reading {
        if let Reading::Heard { incoming, .. } = &mut reading {
            self.inner.moved().bring_home(incoming);
        }
        reading
    }

    fn put(&self, number: i64, reading: Reading, update: &RawValue) -> bool {
        match &reading {
            Reading::Nothing(why) => {
                tracing::debug!(channel = "telegram", update = number, why = %why, "an update is passed over");
            }
            Reading::Moved { from, to } => self.inner.moves(*from, *to),
            Reading::Heard { .. } => self.notes.came(number, update),
        }
        let reading = self.home(reading);
        let (now, hold) = (self.now(), self.hold());
        let (new, open) = {
            let mut desk = lock(&self.desk);
            (desk.offer(number, reading, now, hold), desk.is_open(number))
        };
        if !new && !open {
            self.notes.settled(&[number]);
        }
        self.came.notify_one();
        new
    }

    /// Puts an update on the desk that was brought, and waits until it is taken, or noted. False when it is to be brought
    /// again. The next of its chat is not brought before: so pieces of albums, and what takes long, are noted.
    pub(super) async fn bring(&self, number: i64, reading: Reading, update: &RawValue) -> bool {
        self.link(Link::Up { account: self.inner.account() });
        let patience = match &reading {
            Reading::Nothing(_) => {
                self.put(number, reading, update);
                lock(&self.desk).forget();
                return true;
            }
            Reading::Moved { .. } => {
                self.put(number, reading, update);
                lock(&self.desk).forget();
                return self.note().await.is_some();
            }
            Reading::Heard { incoming, .. } if self.is_full(&incoming.place.chat) => return false,
            Reading::Heard { album: Some(_), .. } => Duration::ZERO,
            Reading::Heard { album: None, .. } => NOTE,
        };
        let (told, mut taken) = oneshot::channel();
        lock(&self.waiting).entry(number).or_default().push(told);
        if !self.put(number, reading, update) && !lock(&self.desk).is_open(number) {
            // It was taken, and the answer got lost on its way.
            self.tell(&[number], true);
        }
        if self.closed.load(Ordering::Acquire) {
            return false;
        }
        tokio::select! {
            biased;
            taken = &mut taken => return taken.unwrap_or(false),
            () = sleep(patience) => {}
        }
        let noted = self.note().await.is_some_and(|noted| noted.contains(&number));
        match taken.try_recv() {
            // It may have been given back meanwhile.
            Ok(taken) => taken,
            Err(TryRecvError::Empty) if noted => true,
            Err(TryRecvError::Empty) => taken.await.unwrap_or(false),
            Err(TryRecvError::Closed) => false,
        }
    }

    /// So much waits, over all or in this chat, that no more is taken.
    fn is_full(&self, chat: &str) -> bool {
        let desk = lock(&self.desk);
        desk.open().count() >= MOST || desk.waiting_in(chat) >= MOST_IN_CHAT
    }

    /// Notes down what is not settled. Gives what is noted now, or nothing when that is not possible.
    pub(super) async fn note(&self) -> Option<BTreeSet<i64>> {
        if self.closed.load(Ordering::Acquire) {
            return None;
        }
        self.news.store(false, Ordering::Release);
        let open = || lock(&self.desk).open().collect();
        let moved = || self.inner.moved().clone();
        let Some(noted) = self.notes.write(&*self.sink, open, moved).await else {
            self.news.store(true, Ordering::Release);
            return None;
        };
        let mut desk = lock(&self.desk);
        desk.note(noted.iter().copied());
        if noted.iter().any(|number| !desk.is_open(*number)) {
            // It was settled meanwhile.
            self.stale.notify_one();
        }
        drop(desk);
        Some(noted)
    }

    /// A group moved.
    pub(super) fn moved(&self) {
        self.news.store(true, Ordering::Release);
        self.stale.notify_one();
    }

    /// Something is to be noted before the server is told to forget anything.
    pub(super) fn is_to_note(&self) -> bool {
        self.waiting() > 0 || self.news.load(Ordering::Acquire)
    }

    /// Listening ends: whoever waits brings it again.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        lock(&self.waiting).clear();
    }

    /// Keeps the notes as things are, for ever: what is settled is taken out of them.
    pub(super) async fn tidy(&self) -> Infallible {
        let mut attempt = 0;
        loop {
            self.stale.notified().await;
            while self.note().await.is_none() {
                attempt += 1;
                let wait = backoff(attempt, AGAIN, LONGEST_AGAIN, self.inner.clock.dice());
                sleep(Duration::from_millis(wait)).await;
            }
            attempt = 0;
        }
    }

    /// How many updates are nowhere but at the server.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.desk).waiting()
    }

    /// See [`Desk::offset`].
    pub(super) fn offset(&self) -> Option<i64> {
        lock(&self.desk).offset()
    }

    /// See [`Desk::acknowledged`].
    pub(super) fn acknowledged(&self, offset: Option<i64>) {
        lock(&self.desk).acknowledged(offset);
    }

    /// Waits until nothing waits at the server, but not longer than this.
    pub(super) async fn settled(&self, most: Duration) {
        let until = Instant::now() + most;
        while self.waiting() > 0 {
            tokio::select! {
                () = self.settled.notified() => {}
                () = sleep_until(until) => return,
            }
        }
    }

    /// Says how it goes. What a person is to know of it is said by whoever hears it.
    pub(super) fn link(&self, link: Link) {
        if lock(&self.said).replace(link.clone()).as_ref() != Some(&link) {
            match &link {
                Link::Up { account } => tracing::debug!(channel = "telegram", account, "listening"),
                Link::Down { why } | Link::Refused { why } => {
                    tracing::debug!(channel = "telegram", why, "not listening, trying again");
                }
            }
        }
        self.sink.link(link);
    }

    /// Takes what is on the desk, for ever.
    pub(super) async fn work(&self) -> Infallible {
        let (mut taking, mut showing) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            let ready = lock(&self.desk).ready(self.now());
            taking.extend(ready.into_iter().map(|(chat, incoming)| self.take(chat, incoming)));
            let due = lock(&self.desk).due().map(|due| self.begun + Duration::from_millis(due));
            tokio::select! {
                Some((chat, shown)) = taking.next(), if !taking.is_empty() => {
                    self.leave(&chat, shown.is_some());
                    if let Some(Some((incoming, show))) = shown && showing.len() < SHOWN {
                        showing.push(async move { self.inner.present(&incoming, show).await });
                    }
                }
                Some(()) = showing.next(), if !showing.is_empty() => {}
                () = self.came.notified() => {}
                () = sleep_until(due.unwrap_or(self.begun)), if due.is_some() => {}
            }
        }
    }

    /// Has the first of a chat taken. `None` when it was not and is to be brought again.
    async fn take(&self, chat: String, incoming: Incoming) -> (String, Option<Option<(Incoming, Show)>>) {
        let mut attempt = 0;
        let receipt: Receipt = loop {
            match self.sink.take(incoming.clone()).await {
                Ok(receipt) => break receipt,
                Err(why) => {
                    tracing::debug!(channel = "telegram", why = %why, "an update is not taken yet");
                    if self.inner.webhook.is_some() && !lock(&self.desk).is_first_noted(&chat) {
                        return (chat, None);
                    }
                    attempt += 1;
                    let wait = backoff(attempt, AGAIN, LONGEST_AGAIN, self.inner.clock.dice());
                    sleep(Duration::from_millis(wait)).await;
                }
            }
        };
        let shown = show(&incoming, receipt, self.inner.acknowledge);
        (chat, Some(shown.map(|show| (incoming, show))))
    }

    fn leave(&self, chat: &str, taken: bool) {
        let (numbers, was_noted) = {
            let mut desk = lock(&self.desk);
            let was_noted = desk.is_first_noted(chat);
            let numbers = if taken { desk.done(chat) } else { desk.given_back(chat) };
            if self.inner.webhook.is_some() {
                desk.forget();
            }
            (numbers, was_noted)
        };
        self.notes.settled(&numbers);
        if was_noted {
            self.stale.notify_one();
        }
        self.tell(&numbers, taken);
        self.settled.notify_one();
    }

    fn tell(&self, numbers: &[i64], taken: bool) {
        let mut waiting = lock(&self.waiting);
        for told in numbers.iter().filter_map(|number| waiting.remove(number)).flatten() {
            // Whoever brought it may be gone.
            let _ = told.send(taken);
        }
    }
}
