//! What all handlers share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use actix::Recipient;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        bots::messages::{BotChanged, LookAtBot},
        db::messages::DbDoors,
        event_hub::messages::Subscribe,
        intake::messages::{Answers, Offer, Order},
        jobs::messages::{Submit, TellJob},
        kernel::{Door, Registry},
        llm_pool::messages::Providers,
        outbox::messages::Fresh,
        reception::messages::Report,
        root::messages::{Inspect, Restart},
        skill_host::messages::ListSkills,
    },
    config,
    domain::{
        access::Principal,
        file_link::FileLinks,
        rate::{Buckets, Lockout},
    },
    ports::{clock::Clock, files::Files, job_files::JobFiles, metrics::Metrics, sandbox_care::SandboxCare},
};

/// What became of an update that was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// It is stored, or nothing for us.
    Taken,
    /// Whoever brought it does not know the secret.
    Unknown,
    /// It has to come again.
    NotNow,
}

/// Takes what Telegram brings.
pub trait TelegramHook: Send + Sync {
    /// Whether this is the secret, so that nothing else of a request is read when it is not.
    fn knows(&self, secret: &str) -> bool;

    /// Takes an update, with the secret that was shown. It answers when the update is stored.
    fn bring(&self, secret: &str, body: &[u8]) -> BoxFuture<'static, Brought>;
}

/// Whom handlers talk to.
#[derive(Clone)]
pub struct WebDoors {
    /// The ways in, by channel.
    pub offer: HashMap<&'static str, Door<Offer>>,
    /// Orders, by channel.
    pub order: HashMap<&'static str, Door<Order>>,
    /// Where answers to questions go.
    pub answers: Answers,
    /// How chat platforms are doing, by channel.
    pub reports: HashMap<&'static str, Door<Report>>,
    /// Sends what was stored.
    pub fresh: Door<Fresh>,
    /// Takes what Telegram brings, when it was told to bring it.
    pub telegram_hook: Option<Arc<dyn TelegramHook>>,
    /// To watch.
    pub subscribe: Door<Subscribe>,
    /// The skills.
    pub skills: Door<ListSkills>,
    /// The models.
    pub providers: Door<Providers>,
    /// To the jobs.
    pub submit: Door<Submit>,
    /// To the jobs.
    pub tell_job: Door<TellJob>,
    /// To the bots.
    pub bot_changed: Door<BotChanged>,
    /// To the bots.
    pub look_at_bot: Door<LookAtBot>,
    /// The store.
    pub db: DbDoors,
    /// Start an actor again.
    pub restart: Recipient<Restart>,
    /// Look into an actor.
    pub inspect: Recipient<Inspect>,
}

/// The key of the local command line, and the channel that its messages come in on.
#[derive(Clone)]
pub struct LocalKey {
    /// SHA-256 of the key.
    pub hash: [u8; 32],
}

/// What handlers need of the configuration.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// The server's part.
    pub server: config::Server,
    /// Links to files, when people can reach the server.
    pub links: Option<FileLinks>,
    /// Callbacks of tasks may go to addresses that are not public.
    pub private_callbacks: bool,
    /// There is a secret to sign them with.
    pub signs_callbacks: bool,
    /// Keys that are given and have no effect yet.
    pub planned: Vec<String>,
    /// Chat platforms, and whether they are listened to.
    pub platforms: Vec<(&'static str, bool)>,
    /// What is to be said about who may write.
    pub open_warning: Option<String>,
}

/// All of it.
pub struct WebKit {
    /// Whom handlers talk to.
    pub doors: WebDoors,
    /// All actors.
    pub registry: Registry,
    /// Files.
    pub files: Arc<dyn Files>,
    /// Logs and artefacts of jobs.
    pub job_files: Arc<dyn JobFiles>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
    /// Settings.
    pub settings: WebSettings,
    /// The local command line's key.
    pub local: LocalKey,
    /// Who looks after sandboxes.
    pub sandboxes: Arc<dyn SandboxCare>,
    /// Set when streams are to end.
    pub closing: CancellationToken,
    pub(super) guards: Mutex<Guards>,
}

/// Who was seen lately, and who must wait.
pub(super) struct Guards {
    /// Valid keys by their hash, with the time they were looked up and last noted as used.
    pub(super) known: HashMap<[u8; 32], (Principal, i64, i64)>,
    pub(super) pace: Buckets,
    pub(super) lockout: Lockout,
}

impl WebKit {
    /// A kit with empty guards.
    #[expect(clippy::too_many_arguments, reason = "it is built once, in the composition root")]
    pub fn new(
        doors: WebDoors,
        registry: Registry,
        files: Arc<dyn Files>,
        job_files: Arc<dyn JobFiles>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        settings: WebSettings,
        local: LocalKey,
        sandboxes: Arc<dyn SandboxCare>,
        closing: CancellationToken,
    ) -> Self {
        let server = &settings.server;
        let guards = Mutex::new(Guards {
            known: HashMap::new(),
            pace: Buckets::new(server.requests_per_minute),
            lockout: Lockout::new(server.lockout_failures, server.lockout_ms),
        });
        Self {
            doors,
            registry,
            files,
            job_files,
            clock,
            metrics,
            settings,
            local,
            sandboxes,
            closing,
            guards,
        }
    }
}
