//! Coding jobs, put together: what they are worked on with, and their actors.

use std::{io, sync::Arc};

use actix::prelude::*;

use crate::{
    actors::{
        jobs::{
            Bench, JobActor, JobDoors, JobHandle, JobKit, JobSettings, Jobs, JobsKit, StartBench, StartJob,
        },
        kernel::{Door, Mail, Registry, Role, Vitals},
        root::ChildSpec,
        sandbox::{BenchCaps, BenchDoors, BenchKit, BenchPlaces, ModelFacts, PriceOf, SandboxActor},
    },
    config::{Config, Env},
    domain::{engine, review::ReviewLimits},
    forge::{GitRepos, RepoLimits},
    home::{Home, HomeJobFiles, HomeJobPlaces},
    llm,
    net::Clients,
    ports::{
        clock::Clock, engine::Engines, files::Files, gateway::Gateways, job_places::JobPlaces, model::Model,
        origin::Origins, repo::Repos, sandbox::SandboxLimits, sandbox_care::SandboxCare,
    },
    sandbox::install_relay,
};

use super::{
    actors::{STAGE_WORK, handle, spec},
    coding::{SandboxEngines, gateways, model_facts, price_of},
    origins::HostOrigins,
    parts::{Doors, Parts},
    sandbox::{sandbox_limits, sandboxes},
};

/// How long a claim on a story holds when nobody renews it, in milliseconds.
pub(super) const LEASE_MS: i64 = 10 * 60_000;

/// What coding jobs are worked on with.
#[derive(Clone)]
pub struct Coding {
    /// Who looks after sandboxes.
    pub sandboxes: Arc<dyn SandboxCare>,
    /// What a sandbox may use when nobody says otherwise.
    pub limits: SandboxLimits,
    /// Ways out of sandboxes.
    pub gateways: Arc<dyn Gateways>,
    /// Engines.
    pub engines: Arc<dyn Engines>,
    /// Repositories of the host.
    pub repos: Arc<dyn Repos>,
    /// What opens the places that projects come from.
    pub origins: Arc<dyn Origins>,
    /// Logs and artefacts.
    pub files: Arc<HomeJobFiles>,
    /// Files that come with jobs.
    pub attachments: Arc<dyn Files>,
    /// Where everything of a job lies.
    pub places: Arc<dyn JobPlaces>,
    /// Where things are inside sandboxes.
    pub inside: BenchPlaces,
    /// What calls through the gateway cost.
    pub price_of: PriceOf,
    /// The models of our own engine.
    pub models: ModelFacts,
}

impl Coding {
    /// Everything for the jobs of a home. Neither Docker nor a remote is asked for anything yet.
    ///
    /// # Errors
    /// When the home cannot be written.
    pub fn open(
        home: &Home,
        config: &Config,
        env: Arc<dyn Env + Send + Sync>,
        clock: &Arc<dyn Clock>,
        files: &Arc<dyn Files>,
        models: &[Arc<dyn Model>],
    ) -> io::Result<Self> {
        let key = |name: &str| home.ssh().join(name);
        let ssh_key = config.git.ssh_key.clone().unwrap_or_else(|| key("id_ed25519"));
        let known_hosts = config.git.known_hosts.clone().unwrap_or_else(|| key("known_hosts"));
        let inside = BenchPlaces::usual(install_relay(&home.run())?);
        let prices = llm::with_overrides(&config.prices).map_err(io::Error::other)?;
        Ok(Self {
            sandboxes: sandboxes(home, &config.sandbox),
            limits: sandbox_limits(home, &config.sandbox),
            gateways: gateways(config, env.as_ref(), Arc::clone(clock)),
            engines: Arc::new(SandboxEngines::new(&inside, Arc::clone(clock))),
            repos: Arc::new(GitRepos::open(&home.repos(), RepoLimits::default())?),
            origins: Arc::new(HostOrigins::new(env, ssh_key, known_hosts, Arc::new(Clients::default()))),
            files: Arc::new(HomeJobFiles::start(home.jobs(), config.jobs.log_bytes)?),
            attachments: Arc::clone(files),
            places: Arc::new(HomeJobPlaces::new(home.clone())),
            inside,
            price_of: price_of(prices),
            models: model_facts(models),
        })
    }
}

/// The actors of coding jobs.
pub(super) fn children(parts: &Arc<Parts>, doors: &Doors, registry: &Registry) -> Vec<ChildSpec> {
    let jobs = JobsKit {
        start: start_job(parts, doors, registry),
        kit: job_kit(parts, doors),
        registry: registry.clone(),
    };
    let (kit, doors) = (Arc::clone(parts), doors.clone());
    vec![spec("jobs", "jobs", STAGE_WORK, move |life| {
        let vitals = Arc::clone(life.vitals());
        let jobs = jobs.clone();
        let addr = kit.base.placement.start(Role::Here, move |_| Jobs::new(life, jobs));
        doors.submit.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.tell_job.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.jobs_tick.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.want_slot.open(addr.clone().recipient(), Arc::clone(&vitals));
        doors.free_slot.open(addr.clone().recipient(), vitals);
        handle(addr)
    })]
}

fn start_job(parts: &Arc<Parts>, doors: &Doors, registry: &Registry) -> StartJob {
    let (kit, registry) = (job_kit(parts, doors), registry.clone());
    let placement = parts.base.placement.clone();
    Arc::new(move |id, thread, life| {
        let (kit, registry) = (Arc::clone(&kit), registry.clone());
        let addr = placement.start(Role::Session(thread), move |_| JobActor::new(life, id, kit, registry));
        JobHandle {
            tell: addr.clone().recipient(),
            observe: addr.clone().recipient(),
            stop: addr.recipient(),
        }
    })
}

fn job_kit(parts: &Arc<Parts>, doors: &Doors) -> Arc<JobKit> {
    let (config, coding) = (&parts.config, &parts.coding);
    let (read, write) = (&doors.db.read, &doors.db.write);
    Arc::new(JobKit {
        doors: JobDoors {
            create: write.create_job.clone(),
            load: read.load_job.clone(),
            open: read.open_jobs.clone(),
            task: read.get_task.clone(),
            write: write.write_job.clone(),
            expire: write.expire_jobs.clone(),
            project: read.find_project.clone(),
            bot: read.get_bot.clone(),
            add_entry: write.add_entry.clone(),
            fresh: doors.fresh.clone(),
            want_slot: doors.want_slot.clone(),
            free_slot: doors.free_slot.clone(),
        },
        settings: JobSettings {
            parallel: config.jobs.parallel,
            restarts: config.jobs.restarts,
            approval_ms: config.jobs.approval_ms,
            lease_ms: LEASE_MS,
            command_ms: config.jobs.command_ms,
            keep_ms: config.jobs.keep_ms,
            sandbox: coding.limits,
            engine: engine::Limits {
                turns: config.jobs.turns,
                quiet_ms: config.jobs.quiet_ms,
                tool_ms: config.jobs.command_ms,
                ..engine::Limits::default()
            },
            review: ReviewLimits::default(),
            author_email: config.jobs.author_email.clone(),
        },
        sandboxes: Arc::clone(&coding.sandboxes),
        repos: Arc::clone(&coding.repos),
        origins: Arc::clone(&coding.origins),
        files: Arc::clone(&coding.files) as _,
        attachments: Arc::clone(&coding.attachments),
        places: Arc::clone(&coding.places),
        start_bench: start_bench(parts, doors),
        clock: Arc::clone(&parts.base.clock),
        metrics: parts.base.metrics.clone(),
    })
}

fn start_bench(parts: &Arc<Parts>, doors: &Doors) -> StartBench {
    let coding = &parts.coding;
    let kit = Arc::new(BenchKit {
        sandboxes: Arc::clone(&coding.sandboxes) as _,
        gateways: Arc::clone(&coding.gateways),
        engines: Arc::clone(&coding.engines),
        doors: BenchDoors {
            complete: doors.complete.clone(),
            prepay: doors.db.write.prepay_job.clone(),
            settle: doors.db.write.settle_job.clone(),
            egress: doors.db.write.add_egress.clone(),
        },
        places: coding.inside.clone(),
        price_of: Arc::clone(&coding.price_of),
        caps: BenchCaps { job: parts.config.jobs.caps, user: parts.config.user_caps },
        models: coding.models.clone(),
        clock: Arc::clone(&parts.base.clock),
    });
    let placement = parts.base.placement.clone();
    // On the thread of its job.
    Arc::new(move |life| {
        let kit = Arc::clone(&kit);
        let vitals = Arc::clone(life.vitals());
        let addr = placement.start(Role::Here, move |_| SandboxActor::new(life, kit));
        fn door<M>(addr: &Addr<SandboxActor>, vitals: &Arc<Vitals>) -> Door<M>
        where
            M: Message + Send + 'static,
            M::Result: Send,
            SandboxActor: Handler<Mail<M>>,
        {
            Door::to("the sandbox", addr.clone().recipient(), Arc::clone(vitals))
        }
        Bench {
            open: door(&addr, &vitals),
            run: door(&addr, &vitals),
            set_policy: door(&addr, &vitals),
            start_engine: door(&addr, &vitals),
            tell_engine: door(&addr, &vitals),
            hand_over: door(&addr, &vitals),
            close: door(&addr, &vitals),
        }
    })
}
