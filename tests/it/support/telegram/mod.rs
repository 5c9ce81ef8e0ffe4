//! A stand-in for Telegram's Bot API over real sockets, as strict as the real one: what that refuses it refuses, in its
//! words. Tests act as the people in its chats, and see the chats as those do.

mod fields;
mod html;
mod methods;
mod people;
mod server;
mod world;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use self::{
    server::{Planned, Shared, accept},
    world::World,
};

pub(crate) use server::Trouble;
pub(crate) use world::{Call, Limits, Shown};

/// The token that it knows.
pub(crate) const TOKEN: &str = "7000:AAF-c4n4ry_0f-a-telegram-t0ken";

/// The stand-in; it lives on a thread of its own until it is dropped.
pub(crate) struct FakeTelegram {
    shared: Arc<Shared>,
    address: SocketAddr,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl FakeTelegram {
    /// Starts it on a free port of this machine, with nobody in it.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(TOKEN)),
            planned: Mutex::default(),
            moved: watch::Sender::new(0),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let inner = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    never = accept(listener, inner) => match never {},
                    _ = stopped => {}
                }
            });
        });
        Self { shared, address: told.recv().unwrap(), _stop: stop }
    }

    /// The address for `api_url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world.lock().unwrap()
    }

    /// Changes the world, and wakes who waits for that.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.world());
        self.shared.touch();
        changed
    }

    /// The next calls of this method (`*`: of any) go wrong so.
    pub(crate) fn next(&self, method: &str, times: usize, trouble: Trouble) {
        self.shared.planned.lock().unwrap().push(Planned { method: method.into(), times, trouble });
    }

    /// No trouble is planned any more.
    pub(crate) fn calm(&self) {
        self.shared.planned.lock().unwrap().clear();
    }

    /// How much may be posted; by default anything.
    pub(crate) fn limit(&self, limits: Limits) {
        self.world().limits = Some(limits);
    }

    /// The token is not valid any more, or is again.
    pub(crate) fn revoke(&self, revoked: bool) {
        self.change(|world| world.revoked = revoked);
    }

    /// Questions for updates are not answered while this is so.
    pub(crate) fn hold(&self, held: bool) {
        self.change(|world| world.held = held);
    }

    /// The last updates come again, as if nobody had acknowledged them.
    pub(crate) fn redeliver(&self, last: usize) {
        self.change(|world| {
            let from = world.history.len().saturating_sub(last);
            world.updates = world.history[from..].iter().cloned().collect();
        });
    }

    /// All calls so far, in their order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    /// Calls of a method, in their order.
    pub(crate) fn calls_of(&self, method: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.method == method).collect()
    }

    /// Calls that were refused, in words.
    pub(crate) fn refused(&self) -> Vec<String> {
        let said = |call: Call| call.error.map(|error| format!("{}: {error}", call.method));
        self.calls().into_iter().filter_map(said).collect()
    }

    /// Numbers of the updates that were not acknowledged.
    pub(crate) fn waiting(&self) -> Vec<i64> {
        self.world().updates.iter().filter_map(|update| update["update_id"].as_i64()).collect()
    }

    /// The commands that people are shown.
    pub(crate) fn commands(&self) -> Vec<(String, String)> {
        self.world().commands.clone()
    }

    /// Taps that were answered, with what was said.
    pub(crate) fn answers(&self) -> Vec<(String, Option<String>)> {
        self.world().answers.clone()
    }

    /// Where updates are to be brought, and the secret that goes with them.
    pub(crate) fn webhook(&self) -> Option<(String, String)> {
        self.world().webhook.clone()
    }

    /// Somebody else sets the webhook, or takes it away.
    pub(crate) fn set_webhook(&self, webhook: Option<(&str, &str)>) {
        let webhook = webhook.map(|(url, secret)| (url.to_owned(), secret.to_owned()));
        self.change(|world| world.webhook = webhook);
    }

    /// The first update that waits, as it would be brought; it waits until it is [`brought`](Self::brought).
    pub(crate) fn to_bring(&self) -> Option<Value> {
        self.world().updates.front().cloned()
    }

    /// The first update was brought.
    pub(crate) fn brought(&self) {
        self.change(|world| world.updates.pop_front());
    }
}
