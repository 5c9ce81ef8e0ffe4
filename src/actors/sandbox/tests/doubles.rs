//! Stand-ins for what a bench works with: sandboxes, ways out, engines, the store and the pool. All in memory, so that time
//! can be virtual.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    actors::{
        db::messages::{AddEgress, DbError, PrepayJob, SettleJob},
        kernel::{Door, Mail, testing::orphan},
        llm_pool::messages::Complete,
    },
    domain::{
        bot,
        budget::{Amount, Exceeded},
        gateway::{EgressPolicy, EgressRecord},
        job::{Prepayment, Settlement},
        model::{Answer, ModelError},
        price::Price,
    },
    ports::{
        clock::Clock,
        engine::{Engine, EngineHandle, EngineRun, Engines},
        gateway::{Gateway, GatewayFault, GatewaySpec, Gateways, Terminals},
        model::Model,
        sandbox::{Evidence, Exec, ExecSpec, FoundSandbox, Sandbox, SandboxError, SandboxSpec, Sandboxes},
    },
};

use super::super::{BenchCaps, BenchDoors, BenchKit, BenchPlaces, ModelFacts};

/// The other end of an [`Exec`].
pub(super) struct Running {
    pub(super) spec: ExecSpec,
    pub(super) stdout: mpsc::Sender<Bytes>,
    pub(super) exit: oneshot::Sender<i64>,
    _stderr: mpsc::Sender<Bytes>,
    _stdin: mpsc::Receiver<Bytes>,
}

/// A sandbox whose programs are played by the test.
pub(super) struct Fake {
    id: String,
    pub(super) dead: watch::Sender<Option<String>>,
    pub(super) kills: Mutex<u32>,
    /// It is not to be killed.
    pub(super) immortal: Mutex<bool>,
    pub(super) programs: Mutex<VecDeque<Running>>,
}

impl Fake {
    pub(super) fn new(id: &str) -> Arc<Self> {
        Arc::new(Self {
            id: id.into(),
            dead: watch::Sender::new(None),
            kills: Mutex::default(),
            immortal: Mutex::default(),
            programs: Mutex::default(),
        })
    }

    pub(super) fn dies(&self, why: &str) {
        self.programs.lock().unwrap().clear();
        self.dead.send_if_modified(|dead| dead.replace(why.to_owned()).is_none());
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.borrow().is_some()
    }

    /// The oldest program that nobody took, as soon as there is one.
    pub(super) async fn program(&self) -> Running {
        loop {
            if let Some(running) = self.programs.lock().unwrap().pop_front() {
                return running;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl Sandbox for Fake {
    fn id(&self) -> &str {
        &self.id
    }

    fn exec(&self, spec: ExecSpec) -> BoxFuture<'static, Result<Exec, SandboxError>> {
        if self.is_dead() {
            return Box::pin(std::future::ready(Err(SandboxError::Gone("dead".into()))));
        }
        let (stdin, _stdin) = mpsc::channel(4);
        let (stdout, out) = mpsc::channel(4);
        let (_stderr, stderr) = mpsc::channel(4);
        let (exit, ended) = oneshot::channel();
        self.programs.lock().unwrap().push_back(Running { spec, stdout, exit, _stderr, _stdin });
        Box::pin(std::future::ready(Ok(Exec { stdin, stdout: out, stderr, exit: ended })))
    }

    fn kill(&self) -> BoxFuture<'static, Result<(), SandboxError>> {
        *self.kills.lock().unwrap() += 1;
        if *self.immortal.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        self.dies("it was ended");
        Box::pin(std::future::ready(Ok(())))
    }

    fn died(&self) -> BoxFuture<'static, String> {
        let mut dead = self.dead.subscribe();
        Box::pin(async move {
            let why = dead.wait_for(Option::is_some).await.unwrap().clone();
            why.unwrap_or_default()
        })
    }
}

/// Makes such sandboxes.
#[derive(Default)]
pub(super) struct Fakes {
    /// What is to be made next; `Err` for none.
    pub(super) next: Mutex<VecDeque<Result<Arc<Fake>, SandboxError>>>,
    pub(super) found: Mutex<Vec<(FoundSandbox, Arc<Fake>)>>,
    pub(super) specs: Mutex<Vec<SandboxSpec>>,
}

impl Sandboxes for Fakes {
    fn create(&self, spec: SandboxSpec) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        self.specs.lock().unwrap().push(spec);
        let Some(next) = self.next.lock().unwrap().pop_front() else {
            return Box::pin(std::future::pending());
        };
        Box::pin(std::future::ready(next.map(|fake| fake as _)))
    }

    fn found(&self) -> BoxFuture<'static, Result<Vec<FoundSandbox>, SandboxError>> {
        let found = self.found.lock().unwrap().iter().map(|(found, _)| found.clone()).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn adopt(&self, id: &str) -> BoxFuture<'static, Result<Arc<dyn Sandbox>, SandboxError>> {
        let found = self.found.lock().unwrap();
        let fake = found.iter().find(|(found, _)| found.id == id).map(|(_, fake)| Arc::clone(fake) as _);
        Box::pin(std::future::ready(fake.ok_or(SandboxError::Gone("it is not there".into()))))
    }

    fn self_test(&self) -> BoxFuture<'static, Result<Evidence, SandboxError>> {
        Box::pin(std::future::pending())
    }
}

/// A way out that leads nowhere.
pub(super) struct Way {
    pub(super) spec: GatewaySpec,
    pub(super) policies: Mutex<Vec<EgressPolicy>>,
    pub(super) over: watch::Sender<bool>,
    _relay: Exec,
}

impl Gateway for Way {
    fn port(&self) -> u16 {
        3128
    }
    fn set_policy(&self, policy: EgressPolicy) {
        self.policies.lock().unwrap().push(policy);
    }
    fn ended(&self) -> BoxFuture<'static, String> {
        let mut over = self.over.subscribe();
        Box::pin(async move {
            let _ = over.wait_for(|over| *over).await;
            "the relay ended".into()
        })
    }
    fn close(&self) {
        self.over.send_replace(true);
    }
}

/// Makes them; when told so, it never does.
#[derive(Default)]
pub(super) struct Ways {
    pub(super) open: Mutex<Vec<Arc<Way>>>,
    pub(super) hangs: Mutex<bool>,
}

impl Gateways for Ways {
    fn serve(
        &self,
        exec: Exec,
        spec: GatewaySpec,
    ) -> BoxFuture<'static, Result<Arc<dyn Gateway>, GatewayFault>> {
        if *self.hangs.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        let over = watch::Sender::new(false);
        let way = Arc::new(Way { spec, policies: Mutex::default(), over, _relay: exec });
        self.open.lock().unwrap().push(Arc::clone(&way));
        Box::pin(std::future::ready(Ok(way as _)))
    }

    fn terminals(&self, _: Exec) -> BoxFuture<'static, Result<Arc<dyn Terminals>, GatewayFault>> {
        Box::pin(std::future::ready(Err(GatewayFault::BadTerminal("there are none here".into()))))
    }
}

/// An engine that is played by the test.
#[derive(Default)]
pub(super) struct Played {
    pub(super) runs: Mutex<Vec<EngineRun>>,
    pub(super) next: Mutex<Option<EngineHandle>>,
    pub(super) model: Mutex<Option<Arc<dyn Model>>>,
}

impl Engine for Arc<Played> {
    fn name(&self) -> &'static str {
        "played"
    }
    fn start(&self, run: EngineRun, _: Arc<dyn Sandbox>) -> EngineHandle {
        self.runs.lock().unwrap().push(run);
        self.next.lock().unwrap().take().unwrap()
    }
}

struct Players(Arc<Played>);

impl Engines for Players {
    fn engine(&self, _: bot::Engine, model: Arc<dyn Model>) -> Arc<dyn Engine> {
        *self.0.model.lock().unwrap() = Some(model);
        Arc::new(Arc::clone(&self.0))
    }
}

/// The store and the pool.
#[derive(Default)]
pub(super) struct Books {
    pub(super) prepaid: Mutex<Vec<Prepayment>>,
    pub(super) settled: Mutex<Vec<Settlement>>,
    pub(super) egress: Mutex<Vec<Vec<EgressRecord>>>,
    /// What is in the way of each kind of message, as long as there is something.
    pub(super) over: Mutex<Option<Exceeded>>,
    pub(super) faults: Mutex<VecDeque<DbError>>,
    /// How long prepaying takes, in milliseconds.
    pub(super) slow: Mutex<u64>,
    /// What models answer; without an answer they think for ever.
    pub(super) answers: Mutex<VecDeque<Result<Answer, ModelError>>>,
}

struct Clerk(Arc<Books>);

impl Actor for Clerk {
    type Context = Context<Self>;
}

impl Handler<Mail<PrepayJob>> for Clerk {
    type Result = ResponseFuture<Result<Result<Amount, Exceeded>, DbError>>;
    fn handle(&mut self, mail: Mail<PrepayJob>, _: &mut Self::Context) -> Self::Result {
        let (PrepayJob { call }, _ticket) = mail.open();
        let books = Arc::clone(&self.0);
        Box::pin(async move {
            let slow = *books.slow.lock().unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(slow)).await;
            if let Some(over) = *books.over.lock().unwrap() {
                return Ok(Err(over));
            }
            let worst = call.worst;
            books.prepaid.lock().unwrap().push(call);
            Ok(Ok(worst))
        })
    }
}

impl Handler<Mail<SettleJob>> for Clerk {
    type Result = Result<(), DbError>;
    fn handle(&mut self, mail: Mail<SettleJob>, _: &mut Self::Context) -> Self::Result {
        let (SettleJob { call }, _ticket) = mail.open();
        if let Some(fault) = self.0.faults.lock().unwrap().pop_front() {
            return Err(fault);
        }
        self.0.settled.lock().unwrap().push(call);
        Ok(())
    }
}

impl Handler<Mail<AddEgress>> for Clerk {
    type Result = Result<(), DbError>;
    fn handle(&mut self, mail: Mail<AddEgress>, _: &mut Self::Context) -> Self::Result {
        let (AddEgress { records, .. }, _ticket) = mail.open();
        if let Some(fault) = self.0.faults.lock().unwrap().pop_front() {
            return Err(fault);
        }
        self.0.egress.lock().unwrap().push(records);
        Ok(())
    }
}

impl Handler<Mail<Complete>> for Clerk {
    type Result = ResponseFuture<Result<Answer, ModelError>>;
    fn handle(&mut self, mail: Mail<Complete>, _: &mut Self::Context) -> Self::Result {
        let (call, _ticket) = mail.open();
        let answer = self.0.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            (call.progress)(crate::domain::outbound::Progress::Delta { text: "nine byte".into() });
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

/// Everything together.
pub(super) struct World {
    pub(super) sandboxes: Arc<Fakes>,
    pub(super) ways: Arc<Ways>,
    pub(super) engine: Arc<Played>,
    pub(super) books: Arc<Books>,
    pub(super) kit: Arc<BenchKit>,
}

impl World {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        let (sandboxes, ways) = (Arc::<Fakes>::default(), Arc::<Ways>::default());
        let (engine, books) = (Arc::<Played>::default(), Arc::<Books>::default());
        let clerk = Clerk(Arc::clone(&books)).start();
        let (_, vitals) = orphan("clerk", clock);
        let price = Price { input: 1.0, output: 10.0, ..Price::default() };
        let kit = BenchKit {
            sandboxes: sandboxes.clone(),
            gateways: ways.clone(),
            engines: Arc::new(Players(engine.clone())),
            doors: BenchDoors {
                complete: Door::to("pool", clerk.clone().recipient(), vitals.clone()),
                prepay: Door::to("store", clerk.clone().recipient(), vitals.clone()),
                settle: Door::to("store", clerk.clone().recipient(), vitals.clone()),
                egress: Door::to("store", clerk.recipient(), vitals),
            },
            places: BenchPlaces::usual("/home/atoll/run/relay".into()),
            price_of: Arc::new(move |_| price),
            caps: BenchCaps::default(),
            models: ModelFacts { names: "m".into(), worst_price: price, max_output: 100 },
            clock: Arc::clone(clock),
        };
        Self { sandboxes, ways, engine, books, kit: Arc::new(kit) }
    }

    /// The sandbox that is made next.
    pub(super) fn next(&self, id: &str) -> Arc<Fake> {
        let fake = Fake::new(id);
        self.sandboxes.next.lock().unwrap().push_back(Ok(fake.clone()));
        fake
    }

    /// The gateway that was opened last.
    pub(super) fn way(&self) -> Arc<Way> {
        self.ways.open.lock().unwrap().last().unwrap().clone()
    }
}
