//! A Discord of our own: REST and gateway over real sockets, as strict as the real one. What it refuses it notes.

mod gateway;
mod people;
mod rest;
mod strict;
mod webhooks;
mod world;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;

pub(crate) use self::world::{APPLICATION, ME, Right, Shown, Trouble};
use self::{gateway::Gateway, world::World};
use super::http::HttpServer;

/// The bot's token.
pub(crate) const TOKEN: &str = "MTIz.discord.bot-token-of-the-tests";

/// What the servers and the tests share.
type Shared = Arc<Mutex<World>>;

/// The stand-in; it ends when it is dropped.
pub(crate) struct FakeDiscord {
    world: Shared,
    server: HttpServer,
    gateway: Gateway,
}

impl FakeDiscord {
    /// Starts it. Heartbeats are wanted as rarely as the real Discord wants them.
    pub(crate) fn start() -> Self {
        Self::with_heartbeats(Duration::from_millis(41_250))
    }

    /// Starts it with heartbeats this far apart.
    pub(crate) fn with_heartbeats(every: Duration) -> Self {
        let world = Arc::new(Mutex::new(World::new(every)));
        let gateway = Gateway::start(Arc::clone(&world));
        let shared = Arc::clone(&world);
        let server = HttpServer::start(move |asked| rest::answer(&shared, &asked));
        {
            let mut world = world.lock().unwrap();
            world.api = server.url();
            world.gateway = gateway.url();
        }
        Self { world, server, gateway }
    }

    /// What `channels.discord.api_url` is set to.
    pub(crate) fn api_url(&self) -> String {
        format!("{}/api/v10", self.server.url())
    }

    /// What `channels.discord.gateway_url` may be set to.
    pub(crate) fn gateway_url(&self) -> String {
        self.gateway.url()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// All calls and all commands at the gateway, in order; tokens are not shown.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.world().log.clone()
    }

    /// Those of them whose name begins so: `POST /channels`, `gateway identify`.
    pub(crate) fn calls(&self, name: &str) -> Vec<Value> {
        let begins = |entry: &Value| entry["call"].as_str().unwrap_or_default().starts_with(name);
        self.world().log.iter().filter(|entry| begins(entry)).cloned().collect()
    }

    /// What was done that the real Discord does not take.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.world().faults.clone()
    }

    /// The next so many calls with this method, whose path has this in it, meet this.
    pub(crate) fn trouble(&self, method: &str, path: &str, trouble: Trouble, times: u32) {
        self.world().troubles.push((method.into(), path.into(), trouble, times));
    }

    /// No call meets trouble any more.
    pub(crate) fn end_troubles(&self) {
        self.world().troubles.clear();
    }

    /// So many messages a channel in such a time.
    pub(crate) fn limit(&self, posts: u64, window: Duration) {
        self.world().limit = (posts, window);
    }

    /// The token is not valid any more.
    pub(crate) fn revoke_token(&self) {
        let mut world = self.world();
        world.token = "another".into();
        world.close_all(4_004);
    }

    /// The token is valid (again).
    pub(crate) fn restore_token(&self) {
        self.world().token = TOKEN.into();
    }

    /// Whether the bot may read what is said.
    pub(crate) fn message_content(&self, may: bool) {
        self.world().message_content = may;
    }

    /// All sockets break off without a word.
    pub(crate) fn drop_sockets(&self) {
        self.world().drop_all();
    }

    /// All sockets are closed with this code.
    pub(crate) fn close(&self, code: u16) {
        self.world().close_all(code);
    }

    /// Whether the gateway can be reached at all.
    pub(crate) fn gateway_up(&self, up: bool) {
        let mut world = self.world();
        world.gateway_up = up;
        if !up {
            world.drop_all();
        }
    }

    /// Asks for a new connection (opcode 7).
    pub(crate) fn ask_reconnect(&self) {
        self.world().send_all(&serde_json::json!({"op": 7, "d": null}));
    }

    /// Says that the session is not valid (opcode 9).
    pub(crate) fn invalidate(&self, can_resume: bool) {
        let mut world = self.world();
        if !can_resume {
            world.forget_session();
        }
        world.send_all(&serde_json::json!({"op": 9, "d": can_resume}));
    }

    /// The session is forgotten: it cannot be taken up.
    pub(crate) fn forget_session(&self) {
        self.world().forget_session();
    }

    /// Whether heartbeats are left without an answer.
    pub(crate) fn zombie(&self, is_one: bool) {
        self.world().zombie = is_one;
    }

    /// How many sessions may be opened today.
    pub(crate) fn sessions_left(&self, left: u64) {
        self.world().sessions_left = left;
    }

    /// Somebody listens.
    pub(crate) fn is_listened_to(&self) -> bool {
        self.world().is_up()
    }
}
