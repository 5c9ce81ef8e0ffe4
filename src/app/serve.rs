//! The server from its start to its end: everything found and checked before the port answers, everything
//! drained in order before the process ends.

use std::{io, path::Path, sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::Audit,
        jobs::messages::JobsTick,
        kernel::{Placement, Registry, install_panic_hook},
        root::{
            Root, RootKit,
            messages::{Close, Drain, Inspect},
        },
        scheduler::messages::Tick,
    },
    channels::{CallbackChannel, telegram::BadSettings},
    config::{Config, Env, open_warning},
    domain::{
        access::{hash_key, key_text},
        audit::Act,
        chat::PLATFORMS,
        file_link::FileLinks,
        skill::hex,
    },
    home::{Home, HomeFiles, HomeJobFiles, HomePersonas, Lock, LockFault},
    net::{BuildError, Clients, install_tls},
    ports::{
        clock::{Clock, NoRandom},
        files::Files,
        metrics::Metrics,
        sandbox_care::SandboxCare,
        tool::SharedSkills,
    },
    skills::{FolderSkills, SkillPlaces, end_strays},
    store::{StoreError, schema, upkeep},
    web::{self, HttpServer, LocalKey, TelegramHook, WebDoors, WebKit, WebSettings},
};

use super::{
    actors::{Assembled, STORE_THREADS, assemble},
    clock::SystemClock,
    jobs::Coding,
    models::{Found, ModelsFault, find_models},
    parts::{Base, Doors, Parts},
    platforms::{self, Platforms},
    receptions, report,
};

/// How long the last lines of jobs' logs may take at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The home is in use.
    #[error(transparent)]
    Lock(#[from] LockFault),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port cannot be used.
    #[error(
        "cannot listen on {address}: {source}; is another program there? `server.port` names another one"
    )]
    Bind {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It would be open to the network with no key.
    #[error(
        "{0} can be reached from other machines, and there is no API key yet. Make one first: \
         atoll keys create --name me --role owner"
    )]
    Open(String),
    /// A chat platform cannot be used.
    #[error("config.yaml: channels: {0}")]
    Platform(#[from] BadSettings),
    /// Models cannot be used.
    #[error(transparent)]
    Models(#[from] ModelsFault),
    /// No random numbers.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The scheduler cannot tick.
    #[error("the scheduler cannot tick: {0}")]
    Ticks(#[from] JobSchedulerError),
    /// The way to the service that writes down recordings cannot be made.
    #[error("`transcription` cannot be used: {0}")]
    Transcription(#[from] BuildError),
    /// Counters cannot be made.
    #[error("counters cannot be made: {0}")]
    Metrics(String),
    /// The home cannot be written.
    #[error("the home cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// Runs the server until it is told to end.
///
/// # Errors
/// [`ServeError`] when it cannot start.
pub fn serve(home: &Home, config: Config, config_from: &str, env: &dyn Env) -> Result<(), ServeError> {
    install_panic_hook();
    install_tls();
    let _lock = Lock::take(&home.lock_file())?;
    // From now on this process can be found and ended; where it listens is not known yet.
    home.write(&home.pid_file(), &std::process::id().to_string())?;
    let _ = std::fs::remove_file(home.address_file());
    let (boot, keys) = open_store(&home.store())?;
    if keys == 0 && !is_loopback(&config.server.host) {
        return Err(ServeError::Open(config.server.host));
    }
    let strays = end_strays(&home.processes());
    if strays > 0 {
        tracing::warn!(strays, "ended scripts that an earlier run left behind");
    }
    actix::System::new().block_on(run(home, config, config_from, env, boot, keys))
}

/// Brings the schema up to date; gives the number of this run and how many keys there are.
fn open_store(path: &Path) -> Result<(i64, u64), StoreError> {
    let db = schema::open_writer(path)?;
    Ok((upkeep::next_boot(&db)?, upkeep::health(&db)?.keys))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn run(
    home: &Home,
    config: Config,
    config_from: &str,
    env: &dyn Env,
    boot: i64,
    keys: u64,
) -> Result<(), ServeError> {
    let (host, port) = (config.server.host.clone(), config.server.port);
    let listener = web::bind(&host, port)
        .map_err(|source| ServeError::Bind { address: format!("{host}:{port}"), source })?;
    // Heard from here on: a signal that comes while all this starts must not cut it off undrained.
    let signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let files = HomeFiles::new(home.files(), Arc::clone(&clock));
    files.sweep()?;
    let files: Arc<dyn Files> = Arc::new(files);
    let models = find_models(&config, env, &Clients::default(), &files).await?;
    report::say(&report::found(home, config_from, &config, &models, keys));
    let drain_ms = config.server.drain_ms;
    let (town, tree) = Town::build(home, config, models, boot, clock, files)?;
    let local = town.local_key(home)?;
    let root = Root::new(tree).start();
    // The root starts its children in its own time: wait until the store answers.
    let _ = root.send(Inspect("db".into())).await;
    let http = HttpServer::start(listener, Arc::new(town.web(&root, local)), cores())?;
    let address = format!("http://{}", http.address);
    home.write(&home.address_file(), &address)?;
    town.note("server.started", &address).await;
    // Somebody waits for exactly this line.
    report::say(&format!("ready {address}\n"));
    report::say(&report::how_to_talk(&address, home));
    let ticks = start_ticks(&town.doors).await?;
    wait_and_end(&town, &root, &http, signals, drain_ms).await;
    drop(ticks);
    for file in [home.pid_file(), home.address_file(), home.local_key_file()] {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

/// Links to files, when people can reach this server. What signs them is made once.
fn file_links(home: &Home, config: &Config, clock: &dyn Clock) -> Result<Option<FileLinks>, ServeError> {
    let Some(base) = &config.server.public_url else { return Ok(None) };
    let path = home.link_key_file();
    if !path.exists() {
        home.write(&path, &hex(&clock.secret()?))?;
    }
    let key = hash_key(std::fs::read_to_string(&path)?.trim());
    Ok(Some(FileLinks::new(base, key)))
}

/// What the server holds beside its actors.
struct Town {
    doors: Doors,
    registry: Registry,
    files: Arc<dyn Files>,
    job_files: Arc<HomeJobFiles>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    settings: WebSettings,
    sandboxes: Arc<dyn SandboxCare>,
    telegram_hook: Option<Arc<dyn TelegramHook>>,
    closing: CancellationToken,
}

impl Town {
    /// Builds everything, and starts nothing.
    fn build(
        home: &Home,
        config: Config,
        models: Found,
        boot: i64,
        clock: Arc<dyn Clock>,
        files: Arc<dyn Files>,
    ) -> Result<(Self, RootKit), ServeError> {
        let metrics = Metrics::new().map_err(|error| ServeError::Metrics(error.to_string()))?;
        let places = SkillPlaces {
            folder: home.skills(),
            workspace: config.agent.workspace.clone().unwrap_or_else(|| home.workspace()),
            notes: home.processes(),
        };
        let skills: SharedSkills = Arc::new(FolderSkills::load(places, &config.skills, Arc::clone(&files)));
        let personas =
            Arc::new(HomePersonas::new(home.root().to_owned(), Arc::clone(&skills), Arc::clone(&clock)));
        let env = Arc::new(|name: &str| std::env::var(name).ok());
        let coding = Coding::open(home, &config, env, &clock, &files, &models.models)?;
        let (job_files, sandboxes) = (Arc::clone(&coding.files), Arc::clone(&coding.sandboxes));
        let links = file_links(home, &config, &*clock)?;
        let settings = WebSettings {
            server: config.server.clone(),
            links: links.clone(),
            private_callbacks: config.jobs.private_callbacks,
            signs_callbacks: !config.webhook_secret.is_empty(),
            planned: config.planned.clone(),
            platforms: PLATFORMS
                .map(|name| (name, config.chats.get(name).is_some_and(|chat| chat.enabled)))
                .into(),
            open_warning: open_warning(&config.chats),
        };
        let (secret, private) = (config.webhook_secret.clone(), config.jobs.private_callbacks);
        let webhook = config.webhook.clone();
        let told = webhook.as_ref().map(|webhook| webhook.events.clone());
        let callbacks = Arc::new(CallbackChannel::new(secret, private, webhook, Arc::clone(&clock)));
        let base = Base {
            store: home.store(),
            boot,
            clock: Arc::clone(&clock),
            metrics: metrics.clone(),
            placement: Placement::threads(STORE_THREADS, cores()),
            links,
            told,
        };
        let transcriber = receptions::transcriber(&config, &files)?;
        let doors = Doors::closed();
        let (models, platforms) = (models.models, platforms::of(&config, &files, &clock, &doors)?);
        let Platforms { all: platforms, hook: telegram_hook } = platforms;
        let parts =
            Parts { base, config, models, skills, personas, coding, callbacks, platforms, transcriber };
        let Assembled { root, doors, registry } = assemble(parts, doors);
        let town = Self {
            doors,
            registry,
            files,
            job_files,
            clock,
            metrics,
            settings,
            sandboxes,
            telegram_hook,
            closing: CancellationToken::new(),
        };
        Ok((town, root))
    }

    /// A fresh key for the command line of this machine, for its owner's eyes only.
    fn local_key(&self, home: &Home) -> Result<LocalKey, ServeError> {
        let key = key_text(&self.clock.secret()?);
        home.write(&home.local_key_file(), &key)?;
        Ok(LocalKey { hash: hash_key(&key) })
    }

    /// What the web handlers share.
    fn web(&self, root: &Addr<Root>, local: LocalKey) -> WebKit {
        let doors = &self.doors;
        WebKit::new(
            WebDoors {
                offer: doors.offer.clone(),
                order: doors.order.clone(),
                answers: doors.answers(),
                reports: doors.reports.clone(),
                fresh: doors.fresh.clone(),
                telegram_hook: self.telegram_hook.clone(),
                subscribe: doors.subscribe.clone(),
                skills: doors.skills.clone(),
                providers: doors.providers.clone(),
                submit: doors.submit.clone(),
                tell_job: doors.tell_job.clone(),
                bot_changed: doors.bot_changed.clone(),
                look_at_bot: doors.look_at_bot.clone(),
                db: doors.db.clone(),
                restart: root.clone().recipient(),
                inspect: root.clone().recipient(),
            },
            self.registry.clone(),
            Arc::clone(&self.files),
            self.job_files.clone(),
            Arc::clone(&self.clock),
            self.metrics.clone(),
            self.settings.clone(),
            local,
            Arc::clone(&self.sandboxes),
            self.closing.clone(),
        )
    }

    async fn note(&self, action: &str, details: &str) {
        let act = Act {
            at: self.clock.now(),
            actor: "system".into(),
            action: action.into(),
            subject: format!("pid {}", std::process::id()),
            details: details.into(),
        };
        if let Err(error) = self.doors.db.write.audit.ask(Audit { act }).await {
            tracing::warn!(%error, "the audit log cannot be written");
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}

async fn start_ticks(doors: &Doors) -> Result<JobScheduler, ServeError> {
    let ticks = JobScheduler::new().await?;
    let (scheduler, jobs) = (doors.tick.clone(), doors.jobs_tick.clone());
    // A tick that finds somebody busy is not missed: the next one looks at the same rows.
    let job = Job::new("* * * * * *", move |_, _| {
        let _ = scheduler.try_send(Tick);
        let _ = jobs.try_send(JobsTick);
    })?;
    ticks.add(job).await?;
    ticks.start().await?;
    Ok(ticks)
}

/// Waits for the first signal, drains; a second one skips to the end.
async fn wait_and_end(
    town: &Town,
    root: &Addr<Root>,
    http: &HttpServer,
    mut signals: Signals,
    drain_ms: u64,
) {
    signals.next().await;
    tracing::info!(deadline_ms = drain_ms, "shutting down; once more to skip to the end");
    let deadline = town.clock.now() + i64::try_from(drain_ms).unwrap_or(i64::MAX);
    let drain = async {
        town.note("server.stopping", "").await;
        let _ = root.send(Drain { deadline }).await;
        town.closing.cancel();
        http.stop().await;
    };
    tokio::select! {
        () = drain => {}
        () = signals.next() => {
            tracing::warn!("skipping to the end; what runs goes on at the next start");
            town.closing.cancel();
        }
    }
    let close = tokio::time::timeout(Duration::from_secs(10), root.send(Close));
    if close.await.is_err() {
        tracing::error!("the store did not close in time; nothing that was committed is lost");
    }
    if tokio::time::timeout(LAST_LINES, town.job_files.settle()).await.is_err() {
        tracing::warn!("logs of jobs could not be written to their end");
    }
    tracing::info!("stopped");
}

/// What tells the server to end.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
