//! What listening and sending have in common: the interface, what is known, and how far it is stored.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    DiscordSettings,
    known::{Known, Life},
    ledger::Ledger,
    rest::{API, Rest},
};
use crate::ports::{
    clock::Clock,
    files::Files,
    platform::{NotNow, Sink},
};

/// How long posts wait for the position of the run before.
const LISTENS: Duration = Duration::from_secs(20);

/// What the parts of the adapter share.
pub(super) struct Shared {
    pub(super) settings: DiscordSettings,
    pub(super) rest: Rest,
    pub(super) files: Arc<dyn Files>,
    pub(super) clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    ledger: Mutex<Ledger>,
    sink: Mutex<Option<Arc<dyn Sink>>>,
    listens: watch::Sender<bool>,
    /// Positions are told one after the other, so that an older one never comes last.
    telling: tokio::sync::Mutex<String>,
    kept: Mutex<Option<Life>>,
    /// The position is another one.
    pub(super) moved: Notify,
    /// An answer is promised, or is not owed any more.
    pub(super) promises: Notify,
}

impl Shared {
    pub(super) fn new(settings: DiscordSettings, files: Arc<dyn Files>, clock: Arc<dyn Clock>) -> Self {
        let base = settings.api_url.as_deref().unwrap_or(API);
        Self {
            rest: Rest::new(base, settings.token.clone()),
            settings,
            files,
            clock,
            known: Mutex::default(),
            ledger: Mutex::default(),
            sink: Mutex::default(),
            listens: watch::Sender::new(false),
            telling: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
            moved: Notify::new(),
            promises: Notify::new(),
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// What comes in is taken by this.
    pub(super) fn set_sink(&self, sink: Arc<dyn Sink>) {
        *lock(&self.sink) = Some(sink);
        self.listens.send_replace(true);
    }

    /// Waits until it was listened to: then it is known which answers are owed, and which posts give them.
    pub(super) async fn listened(&self) {
        let mut listens = self.listens.subscribe();
        let _ = timeout(LISTENS, listens.wait_for(|listens| *listens)).await;
    }

    /// Something is settled.
    pub(super) fn done(&self, ticket: u64) {
        self.ledger().done(ticket);
        self.moved.notify_one();
    }

    /// How far the session is stored.
    pub(super) fn kept(&self) -> Option<Life> {
        lock(&self.kept).clone()
    }

    /// Tells the position, and comes back when it is stored.
    ///
    /// # Errors
    /// [`NotNow`] when it is not, or nobody listens.
    pub(super) async fn tell_position(&self) -> Result<(), NotNow> {
        let mut told = self.telling.lock().await;
        let Some(sink) = lock(&self.sink).clone() else { return Err(NotNow("nobody listens".into())) };
        let life = self.ledger().reached().map(super::ledger::Mark::life);
        let position = self.known().position(life.clone(), self.clock.now());
        if *told == position {
            return Ok(());
        }
        sink.reached(position.clone()).await?;
        *told = position;
        *lock(&self.kept) = life;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
