//! Opening and closing of the one sandbox of a job, with a bound on all that can hang.

use std::{
    cell::RefCell,
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Gate, mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    command,
    egress::JobEgress,
    inside::{Inside, surroundings},
    kit::BenchKit,
    messages::*,
    meter::JobMeter,
    place::{Place, kill},
};
use crate::{
    domain::bundle::{HAND_OVER, is_id},
    ports::{
        gateway::{GatewayFault, GatewaySpec, JobToken, Terminals},
        repo::BundleFile,
        sandbox::{ExecSpec, ExecUser, Mount, Owner, Sandbox, SandboxError, SandboxSpec},
    },
};

/// The kind of owner that a job is.
const KIND: &str = "job";
/// Longest wait for a list of sandboxes, and for taking one up.
const LOOK: Duration = Duration::from_secs(60);
/// Longest wait for a new sandbox: the isolation may have to be shown first.
const CREATE: Duration = Duration::from_secs(10 * 60);
/// Longest wait for the relay, and then for the gateway.
const START: Duration = Duration::from_secs(60);
/// Longest time of handing over, in milliseconds.
const HANDING: u64 = 15 * 60 * 1_000;
/// What is kept of its complaints, in bytes.
const COMPLAINTS: usize = 4 * 1024;
/// The bundle, in the home: there the work tree's own files are not in its way.
const BUNDLE: &str = ".atoll-work.bundle";

/// The bench.
pub(super) struct Bench {
    pub(super) kit: Arc<BenchKit>,
    /// Set when the actor is gone.
    abandoned: CancellationToken,
    /// One opens or closes at a time.
    gate: Gate<()>,
    /// Ends an opening that is under way.
    opening: RefCell<CancellationToken>,
    place: RefCell<Option<Arc<Place>>>,
}

impl Bench {
    pub(super) fn new(kit: Arc<BenchKit>, abandoned: CancellationToken) -> Self {
        let opening = RefCell::new(abandoned.child_token());
        Self { kit, abandoned, gate: Gate::default(), opening, place: RefCell::default() }
    }

    /// What is open and alive.
    pub(super) fn here(&self) -> Result<Arc<Place>, BenchError> {
        let place = self.place.borrow().clone().ok_or(BenchError::NotOpen)?;
        place.why_gone().map_or(Ok(place), |why| Err(BenchError::Gone(why)))
    }

    pub(super) async fn open(
        &self,
        spec: BenchSpec,
        events: mpsc::Sender<BenchEvent>,
    ) -> Result<Opened, BenchError> {
        let cancel = self.abandoned.child_token();
        self.opening.replace(cancel.clone());
        let _alone = self.gate.lock().await;
        let former = self.place.borrow().clone();
        if let Some(former) = former {
            if former.why_gone().is_none() {
                return Err(BenchError::Busy("a sandbox is open: close it first"));
            }
            former.close().await?;
            self.place.take();
        }
        let owner = Owner { kind: KIND.into(), id: spec.job.to_string() };
        let sandbox = tokio::select! {
            made = self.make(&spec, owner) => made?,
            () = cancel.cancelled() => return Err(BenchError::NotOpen),
        };
        let connected = tokio::select! {
            connected = self.connect(Arc::clone(&sandbox), &spec, &events) => connected,
            () = cancel.cancelled() => Err(BenchError::NotOpen),
        };
        let place = match connected {
            Ok(place) => Arc::new(place),
            Err(error) => {
                kill(sandbox.as_ref()).await?;
                return Err(error);
            }
        };
        let opened = Opened { sandbox: sandbox.id().to_owned(), port: place.gateway.port() };
        tokio::spawn(Arc::clone(&place).keep(self.abandoned.clone(), events));
        self.place.replace(Some(place));
        Ok(opened)
    }

    /// A fresh sandbox, when none of the same owner lives any more.
    async fn make(&self, spec: &BenchSpec, owner: Owner) -> Result<Arc<dyn Sandbox>, BenchError> {
        let sandboxes = &self.kit.sandboxes;
        let found = within(LOOK, "listing sandboxes", sandboxes.found()).await?;
        for stray in found.into_iter().filter(|found| found.running && found.owner == owner) {
            tracing::warn!(sandbox = stray.id, job = %spec.job, "ending a sandbox that an earlier life left behind");
            match within(LOOK, "taking up a sandbox", sandboxes.adopt(&stray.id)).await {
                Ok(stray) => kill(stray.as_ref()).await?,
                Err(BenchError::Gone(_)) => {}
                Err(error) => return Err(error),
            }
        }
        within(CREATE, "making a sandbox", sandboxes.create(self.sandbox_spec(spec, owner))).await
    }

    fn sandbox_spec(&self, spec: &BenchSpec, owner: Owner) -> SandboxSpec {
        let places = &self.kit.places;
        let mount = |host: &PathBuf, inside: &str, read_only| Mount {
            host: host.clone(),
            inside: inside.to_owned(),
            read_only,
        };
        let mounts = vec![
            mount(&spec.workspace, &places.workspace, false),
            mount(&spec.home, &places.home, false),
            mount(&places.relay_host, &places.relay, true),
        ];
        let (image, limits, env) = (spec.image.clone(), spec.limits, spec.env.clone());
        let made = SandboxSpec { owner, image, limits, mounts, env };
        match &spec.cache {
            Some(folder) => made.with_cache(folder.clone()),
            None => made,
        }
    }

    /// Starts the relay and opens the way out.
    async fn connect(
        &self,
        sandbox: Arc<dyn Sandbox>,
        spec: &BenchSpec,
        events: &mpsc::Sender<BenchEvent>,
    ) -> Result<Place, BenchError> {
        let kit = &self.kit;
        let secret = kit.clock.secret().map_err(|error| BenchError::Failed(error.to_string()))?;
        let token = JobToken::new(secret);
        let argv = vec![kit.places.relay.clone(), kit.places.address.clone()];
        let spec_of_relay =
            ExecSpec { argv, user: ExecUser::Relay, folder: Some("/".to_owned()), ..ExecSpec::default() };
        let exec = sandbox.exec(spec_of_relay);
        let exec = within(START, "starting the relay", exec).await?;
        let meter = JobMeter::new(kit, spec.job.clone(), events.clone());
        let store = kit.doors.egress.clone();
        let egress = Arc::new(JobEgress::start(spec.job.clone(), store, events.clone()));
        let gateway = GatewaySpec {
            token: token.clone(),
            policy: spec.policy.clone(),
            limits: spec.egress,
            meter: Arc::new(meter.clone()),
            egress: Arc::clone(&egress) as _,
        };
        let gateway = within(START, "opening the gateway", kit.gateways.serve(exec, gateway)).await?;
        let env = surroundings(gateway.port());
        Ok(Place {
            sandbox: Arc::new(Inside { sandbox, env }),
            gateway,
            token,
            meter,
            egress,
            home: spec.home.clone(),
            engine: Mutex::default(),
            gone: watch::Sender::new(None),
            closing: AtomicBool::new(false),
        })
    }

    pub(super) async fn close(&self) -> Result<(), BenchError> {
        self.opening.borrow().cancel();
        let _alone = self.gate.lock().await;
        let place = self.place.borrow().clone();
        if let Some(place) = place {
            place.close().await?;
            self.place.take();
        }
        Ok(())
    }

    pub(super) async fn run(&self, run: Run) -> Result<RunOutput, BenchError> {
        let place = self.here()?;
        command::run(&place, run.program, run.timeout_ms, run.max_output, run.env).await
    }

    pub(super) async fn hand_over(&self, base: &str) -> Result<BundleFile, BenchError> {
        if !is_id(base) {
            return Err(BenchError::Failed("the base of the work is not the id of a commit".into()));
        }
        let place = self.here()?;
        let (workspace, home) = (&self.kit.places.workspace, &self.kit.places.home);
        let bundle = format!("{home}/{BUNDLE}");
        let argv = ["sh", "-c", HAND_OVER, "sh", workspace, &bundle, base].map(str::to_owned).to_vec();
        let ran = command::run(&place, Program::Argv(argv), HANDING, COMPLAINTS, Default::default()).await?;
        match ran.exit {
            Some(0) => {
                Ok(BundleFile { folder: place.home.clone(), file: BUNDLE.into(), reference: "HEAD".into() })
            }
            Some(_) => {
                let why = ran.tail.trim();
                Err(BenchError::Failed(format!("git in the sandbox cannot hand the work over: {why}")))
            }
            None => Err(BenchError::Failed("git in the sandbox takes too long to hand the work over".into())),
        }
    }

    /// The way in for terminals, which are the agent's.
    pub(super) async fn terminals(&self) -> Result<Arc<dyn Terminals>, BenchError> {
        let place = self.here()?;
        let argv = vec![self.kit.places.relay.clone(), "-".to_owned()];
        let exec = place.sandbox.exec(ExecSpec { argv, ..ExecSpec::terminals() });
        let exec = within(START, "starting the relay of terminals", exec).await?;
        within(START, "opening terminals", self.kit.gateways.terminals(exec)).await
    }

    /// What it is doing, for those who observe the actor.
    pub(super) fn snapshot(&self) -> serde_json::Value {
        let place = self.place.borrow().clone();
        let busy = self.gate.try_lock().is_err();
        let Some(place) = place else {
            return serde_json::json!({"state": if busy { "opening" } else { "closed" }});
        };
        let gone = place.why_gone();
        let state = match (&gone, busy) {
            (_, true) => "closing",
            (Some(_), false) => "gone",
            (None, false) => "open",
        };
        let engine = place.engine().is_some();
        serde_json::json!({"state": state, "sandbox": place.sandbox.id(), "engine": engine, "why": gone})
    }
}

impl From<GatewayFault> for BenchError {
    fn from(fault: GatewayFault) -> Self {
        Self::Failed(fault.to_string())
    }
}

/// Does something of the container engine's within a bound.
async fn within<T, E: Into<BenchError>>(
    bound: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, BenchError> {
    match timeout(bound, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(SandboxError::Engine(format!("{doing} takes too long")).into()),
    }
}
