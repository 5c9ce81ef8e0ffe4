//! A bench, the books that it keeps its account in, and a parent for both.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use actix::prelude::*;
use atoll::{
    actors::{
        db::messages::{AddEgress, DbError, PrepayJob, SettleJob},
        kernel::{Door, Life, Mail, Nursery, Registry, Vitals, messages::ChildDown},
        llm_pool::LlmPool,
        sandbox::{
            BenchCaps, BenchDoors, BenchKit, BenchPlaces, SandboxActor,
            messages::{
                BenchError, BenchEvent, BenchSpec, EngineStart, Open, Opened, Program, Run, RunOutput,
                StartEngine,
            },
        },
    },
    app::{SandboxEngines, SystemClock, gateway_providers, model_facts, price_of},
    config,
    domain::{
        bot,
        budget::{Amount, Exceeded},
        engine::{EngineEvent, Limits},
        gateway::{EgressLimits, EgressPolicy, EgressRecord},
        ids::JobId,
        job::{Prepayment, Settlement},
        restart::Policy,
        retry::Bounds,
    },
    home::HomeFiles,
    llm,
    net::{Clients, install_tls},
    ports::{
        clock::Clock,
        engine::{Approvals, Engine, EngineHandle, EngineRun, Engines},
        files::Files,
        metrics::Metrics,
        model::Model,
        sandbox::{Evidence, FoundSandbox, Sandbox, SandboxError, SandboxLimits, SandboxSpec, Sandboxes},
    },
    sandbox::{gateway::HostGateways, install_relay},
};
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{engines::host::Host, gateway::kit::Internet, support::*};

/// The store, as far as a bench knows it.
#[derive(Default)]
pub(super) struct Books {
    pub(super) prepaid: Mutex<Vec<Prepayment>>,
    pub(super) settled: Mutex<Vec<Settlement>>,
    pub(super) egress: Mutex<Vec<EgressRecord>>,
    /// The budget has no room.
    pub(super) over: Mutex<Option<Exceeded>>,
}

struct Clerk(Arc<Books>);

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Handler<Mail<PrepayJob>> for Clerk {
    type Result = Result<Result<Amount, Exceeded>, DbError>;
    fn handle(&mut self, mail: Mail<PrepayJob>, _: &mut Self::Context) -> Self::Result {
        let (PrepayJob { call }, _ticket) = mail.open();
        if let Some(over) = *self.0.over.lock().unwrap() {
            return Ok(Err(over));
        }
        let worst = call.worst;
        self.0.prepaid.lock().unwrap().push(call);
        Ok(Ok(worst))
    }
}

impl Handler<Mail<SettleJob>> for Clerk {
    type Result = Result<(), DbError>;
    fn handle(&mut self, mail: Mail<SettleJob>, _: &mut Self::Context) -> Self::Result {
        let (SettleJob { call }, _ticket) = mail.open();
        self.0.settled.lock().unwrap().push(call);
        Ok(())
    }
}

impl Handler<Mail<AddEgress>> for Clerk {
    type Result = Result<(), DbError>;
    fn handle(&mut self, mail: Mail<AddEgress>, _: &mut Self::Context) -> Self::Result {
        let (AddEgress { records, .. }, _ticket) = mail.open();
        self.0.egress.lock().unwrap().extend(records);
        Ok(())
    }
}

/// Hears of falls.
struct Parent;

impl Actor for Parent {
    type Context = Context<Self>;
}

impl Handler<ChildDown> for Parent {
    type Result = ();
    fn handle(&mut self, _: ChildDown, _: &mut Self::Context) {}
}

/// The one host as the sandbox that is made.
struct OneHost(Arc<Host>);

impl Sandboxes for OneHost {
    fn create(&self, _: SandboxSpec) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0) as _)))
    }
    fn found(&self) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    fn adopt(&self, id: &str) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        Box::pin(std::future::ready(Err(SandboxError::Gone(id.into()))))
    }
    fn self_test(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>> {
        Box::pin(std::future::ready(Err(SandboxError::NoIsolation("these are processes".into()))))
    }
}

/// An engine that hands its run to the test and stays.
struct Caller(mpsc::Sender<EngineRun>, Mutex<Option<EngineHandle>>);

impl Engine for Caller {
    fn name(&self) -> &'static str {
        "caller"
    }
    fn start(&self, run: EngineRun, _: Arc<dyn Sandbox>) -> EngineHandle {
        self.0.try_send(run).unwrap();
        self.1.lock().unwrap().take().unwrap()
    }
}

/// Codex is played by the test, all others are themselves.
struct Cast(SandboxEngines, mpsc::Sender<EngineRun>, Mutex<Vec<mpsc::Sender<EngineEvent>>>);

impl Engines for Cast {
    fn engine(&self, kind: bot::Engine, model: Arc<dyn Model>) -> Arc<dyn Engine> {
        if kind != bot::Engine::Codex {
            return self.0.engine(kind, model);
        }
        let (say, events) = mpsc::channel(1);
        self.2.lock().unwrap().push(say);
        let control = mpsc::channel(1).0;
        Arc::new(Caller(self.1.clone(), Mutex::new(Some(EngineHandle { events, control }))))
    }
}

/// A bench with all around it.
pub(super) struct Desk {
    pub(super) host: Arc<Host>,
    pub(super) books: Arc<Books>,
    pub(super) internet: Arc<Internet>,
    pub(super) told: mpsc::Receiver<BenchEvent>,
    pub(super) opened: Opened,
    /// The runs of the engine that is played.
    pub(super) calls: mpsc::Receiver<EngineRun>,
    pub(super) addr: Addr<SandboxActor>,
    vitals: Arc<Vitals>,
    _nursery: Nursery<()>,
    _relay: TempDir,
}

fn life<A>(
    nursery: &mut Nursery<()>,
    name: &'static str,
    start: impl FnOnce(Life) -> Addr<A>,
) -> (Addr<A>, Arc<Vitals>)
where
    A: Actor<Context = Context<A>>,
{
    let (mut addr, key) = (None, Arc::from(name));
    nursery.start(&key, name, |life| addr = Some(start(life)));
    (addr.unwrap(), nursery.vitals(name).unwrap().clone())
}

impl Desk {
    /// Opens a bench on a work tree, or on an empty one, with the provider of this configuration.
    pub(super) async fn open(tree: Option<PathBuf>, text: &str) -> Self {
        install_tls();
        let config = config::parse(text, "config.yaml", &|_: &str| None).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let host = Host::over(tree, Path::new("/nowhere"), &[]);
        let metrics = Metrics::new().unwrap();
        let policy = Policy { max_falls: 1, window_ms: 1, backoff_ms: 1, max_backoff_ms: 1 };
        let parent = Parent.start().recipient();
        let mut nursery =
            Nursery::new("parent", parent, policy, clock.clone(), Registry::default(), metrics.clone());
        let prices = llm::with_overrides(&config.prices).unwrap();
        let files: Arc<dyn Files> = Arc::new(HomeFiles::new("/nowhere".into(), clock.clone()));
        let models = llm::build(&config.llm, &prices, &Clients::default(), &files).unwrap();
        let facts = model_facts(&models);
        let bounds = Bounds { total_ms: 60_000, attempts: 2 };
        let (pool, pool_vitals) = life(&mut nursery, "pool", |life| {
            LlmPool::new(life, models, bounds, clock.clone(), metrics).start()
        });
        let (books, internet) = (Arc::<Books>::default(), Arc::<Internet>::default());
        let relay = tempfile::tempdir().unwrap();
        let program = install_relay(relay.path()).unwrap();
        let places = BenchPlaces {
            workspace: host.workspace().display().to_string(),
            home: host.home().display().to_string(),
            relay: program.display().to_string(),
            address: "127.0.0.1:0".into(),
            ..BenchPlaces::usual(program)
        };
        let clerk = Clerk(books.clone()).start();
        let to_store = Vitals::new("store".into(), "", "store", clock.clone());
        let providers = gateway_providers(&config, &|_: &str| None);
        let (called, calls) = mpsc::channel(4);
        let cast = Cast(SandboxEngines::new(&places, clock.clone()), called, Mutex::default());
        let kit = BenchKit {
            sandboxes: Arc::new(OneHost(host.clone())),
            gateways: Arc::new(HostGateways::new(
                providers,
                internet.clone(),
                clock.clone(),
                Arc::new(Clients::default()),
            )),
            engines: Arc::new(cast),
            doors: BenchDoors {
                complete: Door::to("pool", pool.recipient(), pool_vitals),
                prepay: Door::to("store", clerk.clone().recipient(), to_store.clone()),
                settle: Door::to("store", clerk.clone().recipient(), to_store.clone()),
                egress: Door::to("store", clerk.recipient(), to_store),
            },
            places,
            price_of: price_of(prices),
            caps: BenchCaps::default(),
            models: facts,
            clock,
        };
        let (addr, vitals) =
            life(&mut nursery, "bench", |life| SandboxActor::new(life, Arc::new(kit)).start());
        let (events, told) = mpsc::channel(256);
        let mut desk = Self {
            host,
            books,
            internet,
            told,
            opened: Opened { sandbox: String::new(), port: 0 },
            calls,
            addr,
            vitals,
            _nursery: nursery,
            _relay: relay,
        };
        desk.opened = desk.send(Open { spec: desk.spec(), events }).await.unwrap();
        desk
    }

    fn spec(&self) -> BenchSpec {
        BenchSpec {
            job: JobId::new("j1"),
            image: None,
            limits: SandboxLimits {
                memory_bytes: 1 << 30,
                cpus: 1.0,
                processes: 100,
                open_files: 1_000,
                file_bytes: 1 << 30,
                tmp_bytes: 1 << 20,
            },
            workspace: self.host.workspace(),
            home: self.host.home(),
            cache: None,
            env: BTreeMap::new(),
            policy: EgressPolicy::default(),
            egress: EgressLimits::default(),
        }
    }

    pub(super) async fn send<M>(&self, message: M) -> M::Result
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SandboxActor: Handler<Mail<M>>,
    {
        self.addr.send(Mail::new(message, &self.vitals)).await.unwrap()
    }

    /// Runs a line for at most so many seconds.
    pub(super) async fn run(&self, line: &str, seconds: u64) -> Result<RunOutput, BenchError> {
        let program = Program::Shell(line.into());
        self.send(Run { program, timeout_ms: seconds * 1_000, max_output: 1_000, env: BTreeMap::new() }).await
    }

    /// Starts an engine.
    pub(super) async fn engine(&self, engine: bot::Engine, prompt: &str) -> mpsc::Receiver<EngineEvent> {
        self.engine_with(engine, prompt, None).await
    }

    /// Starts an engine with this model.
    pub(super) async fn engine_with(
        &self,
        engine: bot::Engine,
        prompt: &str,
        model: Option<&str>,
    ) -> mpsc::Receiver<EngineEvent> {
        let run = EngineStart {
            engine,
            prompt: prompt.into(),
            system: String::new(),
            session: None,
            model: model.map(str::to_owned),
            limits: Limits { grace_ms: 5_000, ..Limits::default() },
            approvals: Approvals::Auto,
        };
        let (events, heard) = mpsc::channel(64);
        self.send(StartEngine { run, events }).await.unwrap();
        heard
    }

    /// The next event that this is true of.
    pub(super) async fn hears(&mut self, what: impl Fn(&BenchEvent) -> bool) -> BenchEvent {
        loop {
            let told = tokio::time::timeout(PATIENCE, self.told.recv()).await;
            match told.unwrap().unwrap() {
                event if what(&event) => return event,
                _ => {}
            }
        }
    }
}

/// All events up to the end.
pub(super) async fn all(mut from: mpsc::Receiver<EngineEvent>) -> Vec<EngineEvent> {
    let mut events = Vec::new();
    while let Some(event) = tokio::time::timeout(PATIENCE, from.recv()).await.unwrap() {
        events.push(event);
    }
    events
}
