//! The bench with stand-ins for everything, in virtual time.

mod account;
mod doubles;

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::mpsc;

use super::{SandboxActor, messages::*};
use crate::{
    actors::kernel::{
        Mail, Vitals,
        messages::{Drained, Observe, Stop},
        testing::{TestClock, orphan},
    },
    domain::{
        bot,
        engine::{Control, End, Ending, EngineEvent, Limits},
        gateway::{EgressLimits, EgressPolicy},
        ids::JobId,
    },
    ports::{
        engine::{Approvals, EngineHandle, Session},
        sandbox::{FoundSandbox, Owner, SandboxError, SandboxLimits},
    },
};
use doubles::{Fake, World};

/// A bench and everything around it.
struct Bench {
    world: World,
    addr: Addr<SandboxActor>,
    vitals: Arc<Vitals>,
}

fn spec() -> BenchSpec {
    BenchSpec {
        job: JobId::new("j1"),
        image: None,
        limits: SandboxLimits {
            memory_bytes: 1,
            cpus: 1.0,
            processes: 1,
            open_files: 1,
            file_bytes: 1,
            tmp_bytes: 1,
        },
        workspace: "/home/atoll/work".into(),
        home: "/home/atoll/agent".into(),
        cache: None,
        env: Default::default(),
        policy: EgressPolicy::default(),
        egress: EgressLimits::default(),
    }
}

impl Bench {
    fn new() -> Self {
        let clock = TestClock::start();
        let world = World::new(&clock);
        let (life, vitals) = orphan("bench", &clock);
        let addr = SandboxActor::new(life, world.kit.clone()).start();
        Self { world, addr, vitals }
    }

    async fn send<M>(&self, message: M) -> M::Result
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SandboxActor: Handler<Mail<M>>,
        <SandboxActor as Actor>::Context: actix::dev::ToEnvelope<SandboxActor, Mail<M>>,
    {
        self.addr.send(Mail::new(message, &self.vitals)).await.unwrap()
    }

    /// Opens with this sandbox; what it tells.
    async fn open(&self, id: &str) -> (Arc<Fake>, mpsc::Receiver<BenchEvent>) {
        let fake = self.world.next(id);
        let (events, told) = mpsc::channel(64);
        let opened = self.send(Open { spec: spec(), events }).await.unwrap();
        assert_eq!(opened, Opened { sandbox: id.into(), port: 3128 });
        // The relay is the first program.
        let relay = fake.program().await;
        assert_eq!(relay.spec.argv, ["/opt/atoll/relay", "127.0.0.1:3128"]);
        (fake, told)
    }

    async fn try_open(&self) -> Result<Opened, BenchError> {
        self.send(Open { spec: spec(), events: mpsc::channel(1).0 }).await
    }

    fn run(&self, line: &str) -> impl Future<Output = Result<RunOutput, BenchError>> + use<> {
        let run = Run {
            program: Program::Shell(line.into()),
            timeout_ms: 2_000,
            max_output: 10,
            env: Default::default(),
        };
        let sent = self.addr.send(Mail::new(run, &self.vitals));
        async move { sent.await.unwrap() }
    }

    /// Starts an engine whose end the test holds.
    async fn engine(
        &self,
    ) -> (mpsc::Sender<EngineEvent>, mpsc::Receiver<Control>, mpsc::Receiver<EngineEvent>) {
        let (say, events) = mpsc::channel(4);
        let (control, orders) = mpsc::channel(4);
        *self.world.engine.next.lock().unwrap() = Some(EngineHandle { events, control });
        let (to, heard) = mpsc::channel(64);
        self.send(StartEngine { run: start(), events: to }).await.unwrap();
        (say, orders, heard)
    }
}

fn start() -> EngineStart {
    EngineStart {
        engine: bot::Engine::Native,
        prompt: "do it".into(),
        system: String::new(),
        session: None,
        model: None,
        limits: Limits::default(),
        approvals: Approvals::Auto,
    }
}

fn result(end: End) -> EngineEvent {
    let ok = end == End::Completed;
    EngineEvent::Result(Ending {
        ok,
        text: "over".into(),
        end,
        exit: None,
        sandbox_gone: end == End::SandboxDied,
    })
}

fn found(id: &str, job: &str, running: bool) -> FoundSandbox {
    FoundSandbox { id: id.into(), owner: Owner { kind: "job".into(), id: job.into() }, running }
}

async fn rest<T>(mut from: mpsc::Receiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(one) = from.recv().await {
        all.push(one);
    }
    all
}

#[actix::test]
async fn a_stray_of_the_same_job_is_dead_before_a_new_sandbox_is_made() {
    let bench = Bench::new();
    let (own, other, dead) = (Fake::new("own"), Fake::new("other"), Fake::new("dead"));
    *bench.world.sandboxes.found.lock().unwrap() = vec![
        (found("own", "j1", true), own.clone()),
        (found("other", "j2", true), other.clone()),
        (found("dead", "j1", false), dead.clone()),
    ];
    let (fake, _told) = bench.open("new").await;
    assert_eq!((own.is_dead(), other.is_dead(), *dead.kills.lock().unwrap()), (true, false, 0));
    let specs = bench.world.sandboxes.specs.lock().unwrap().clone();
    let mounts: Vec<_> =
        specs[0].mounts.iter().map(|mount| (mount.inside.as_str(), mount.read_only)).collect();
    assert_eq!(mounts, [("/workspace", false), ("/home/agent", false), ("/opt/atoll/relay", true)]);
    let token = bench.world.way().spec.token.clone();
    assert!(!format!("{specs:?}").contains(token.reveal()), "the token is in the sandbox's environment");
    assert_eq!(bench.try_open().await, Err(BenchError::Busy("a sandbox is open: close it first")));
    bench.send(Close).await.unwrap();
    assert!(fake.is_dead());
}

#[actix::test]
async fn work_does_not_begin_while_an_earlier_sandbox_may_live() {
    let bench = Bench::new();
    let own = Fake::new("own");
    *own.immortal.lock().unwrap() = true;
    *bench.world.sandboxes.found.lock().unwrap() = vec![(found("own", "j1", true), own)];
    let Err(BenchError::Failed(why)) = bench.try_open().await else { panic!() };
    assert!(why.contains("does not end"), "{why}");
    assert!(bench.world.sandboxes.specs.lock().unwrap().is_empty());
}

#[actix::test]
async fn want_of_isolation_is_told_from_other_failures() {
    let bench = Bench::new();
    let errors = [SandboxError::NoIsolation("install gVisor".into()), SandboxError::Engine("no".into())];
    bench.world.sandboxes.next.lock().unwrap().extend(errors.map(Err));
    assert_eq!(bench.try_open().await, Err(BenchError::NoIsolation("install gVisor".into())));
    assert!(matches!(bench.try_open().await, Err(BenchError::Failed(_))));
    assert_eq!(bench.run("true").await, Err(BenchError::NotOpen));
    assert_eq!(bench.send(TellEngine { control: Control::Interrupt }).await, Err(BenchError::NotOpen));
    assert_eq!(bench.send(Close).await, Ok(()));
}

#[actix::test]
async fn an_opening_that_hangs_has_a_bound_and_leaves_nothing() {
    let bench = Bench::new();
    *bench.world.ways.hangs.lock().unwrap() = true;
    let fake = bench.world.next("half");
    let Err(BenchError::Failed(why)) = bench.try_open().await else { panic!() };
    assert!(why.contains("the gateway takes too long") && fake.is_dead(), "{why}");
    // One that never comes at all.
    let Err(BenchError::Failed(why)) = bench.try_open().await else { panic!() };
    assert!(why.contains("making a sandbox takes too long"), "{why}");
}

#[actix::test]
async fn closing_breaks_off_an_opening() {
    let bench = Bench::new();
    *bench.world.ways.hangs.lock().unwrap() = true;
    let fake = bench.world.next("half");
    let open = Open { spec: spec(), events: mpsc::channel(1).0 };
    let opening = actix::spawn(bench.addr.send(Mail::new(open, &bench.vitals)));
    fake.program().await;
    let before = tokio::time::Instant::now();
    assert_eq!(bench.send(Close).await, Ok(()));
    assert_eq!(opening.await.unwrap().unwrap(), Err(BenchError::NotOpen));
    assert!(fake.is_dead() && before.elapsed() < Duration::from_secs(1));
}

#[actix::test]
async fn a_command_has_its_output_its_end_and_its_time() {
    let bench = Bench::new();
    let (fake, _told) = bench.open("s").await;
    let ran = actix::spawn(bench.run("make"));
    let program = fake.program().await;
    assert_eq!(program.spec.argv[4..], ["2", "make"]);
    assert_eq!(program.spec.env["HTTPS_PROXY"], "http://127.0.0.1:3128");
    program.stdout.send("1234567".into()).await.unwrap();
    program.stdout.send("89ä\n".into()).await.unwrap();
    program.exit.send(3).unwrap();
    let expected = RunOutput { exit: Some(3), tail: "56789ä\n".into(), truncated: true };
    let got = ran.await.unwrap().unwrap();
    assert_eq!((got.exit, got.truncated), (expected.exit, expected.truncated));
    assert!(got.tail.ends_with("89ä\n") && got.tail.len() <= 10, "{got:?}");
    for (code, after, exit) in
        [(124, 1_000, Some(124)), (124, 2_000, None), (137, 7_000, None), (137, 100, Some(137))]
    {
        let ran = actix::spawn(bench.run("sleep 9"));
        let program = fake.program().await;
        tokio::time::sleep(Duration::from_millis(after)).await;
        program.exit.send(code).unwrap();
        assert_eq!(ran.await.unwrap().unwrap().exit, exit, "{code} after {after} ms");
    }
}

#[actix::test]
async fn a_command_that_cannot_be_ended_takes_the_sandbox_with_it() {
    let bench = Bench::new();
    let (fake, mut told) = bench.open("s").await;
    let ran = actix::spawn(bench.run("x"));
    let program = fake.program().await;
    // It says something for ever: nothing of it is kept beyond the bound, and nobody waits for its end.
    let flood = actix::spawn(async move {
        while program.stdout.send(vec![b'x'; 1_000].into()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(matches!(ran.await.unwrap(), Err(BenchError::Gone(why)) if why.contains("could not be ended")));
    assert!(
        matches!(told.recv().await, Some(BenchEvent::Died { why }) if why.contains("could not be ended"))
    );
    assert!(fake.is_dead());
    flood.await.unwrap();
}

#[actix::test]
async fn a_death_is_told_once_to_all_who_work_there_and_a_new_one_can_be_opened() {
    let bench = Bench::new();
    let (fake, mut told) = bench.open("s").await;
    let (say, _orders, mut heard) = bench.engine().await;
    let ran = actix::spawn(bench.run("make"));
    fake.program().await;
    say.send(EngineEvent::Turn { number: 1 }).await.unwrap();
    fake.dies("out of memory");
    assert_eq!(told.recv().await, Some(BenchEvent::Died { why: "out of memory".into() }));
    assert_eq!(ran.await.unwrap(), Err(BenchError::Gone("out of memory".into())));
    say.send(result(End::SandboxDied)).await.unwrap();
    assert_eq!(heard.recv().await, Some(EngineEvent::Turn { number: 1 }));
    let Some(EngineEvent::Result(ending)) = heard.recv().await else { panic!() };
    assert_eq!((ending.sandbox_gone, ending.text.contains("out of memory")), (true, true), "{ending:?}");
    assert_eq!(rest(heard).await, []);
    assert_eq!(bench.run("x").await, Err(BenchError::Gone("out of memory".into())));
    let (next, _told) = bench.open("s2").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(told.try_recv().is_err(), "told again");
    assert!(!next.is_dead() && bench.send(Close).await.is_ok() && bench.send(Close).await.is_ok());
}

#[actix::test]
async fn the_end_of_the_way_out_is_the_end_of_the_sandbox() {
    let bench = Bench::new();
    let (fake, mut told) = bench.open("s").await;
    bench.world.way().over.send_replace(true);
    let why = "its way out ended: the relay ended".to_owned();
    assert_eq!(told.recv().await, Some(BenchEvent::Died { why }));
    assert!(fake.is_dead());
    // When both end together, it is the sandbox's reason that counts.
    let (fake, mut told) = bench.open("s2").await;
    bench.world.way().over.send_replace(true);
    tokio::time::sleep(Duration::from_millis(500)).await;
    fake.dies("out of memory");
    assert_eq!(told.recv().await, Some(BenchEvent::Died { why: "out of memory".into() }));
}

#[actix::test]
async fn an_engine_has_one_end_whatever_it_does_and_the_next_may_start_then() {
    let bench = Bench::new();
    let (_fake, _told) = bench.open("s").await;
    let (say, mut orders, mut heard) = bench.engine().await;
    let second = StartEngine { run: start(), events: mpsc::channel(1).0 };
    assert!(matches!(bench.send(second).await, Err(BenchError::Busy(_))));
    bench.send(TellEngine { control: Control::Interrupt }).await.unwrap();
    assert_eq!(orders.recv().await, Some(Control::Interrupt));
    say.send(EngineEvent::Text { text: "one".into() }).await.unwrap();
    say.send(result(End::Completed)).await.unwrap();
    say.send(result(End::Failed)).await.unwrap();
    assert_eq!(heard.recv().await, Some(EngineEvent::Text { text: "one".into() }));
    assert_eq!(heard.recv().await, Some(result(End::Completed)));
    assert_eq!(rest(heard).await, []);
    assert_eq!(bench.send(TellEngine { control: Control::Interrupt }).await, Err(BenchError::NoEngine));
    // One that falls silent for ever.
    let (say, _orders, heard) = bench.engine().await;
    drop(say);
    let events = rest(heard).await;
    assert!(
        matches!(events.as_slice(), [EngineEvent::Result(ending)] if ending.end == End::Crashed),
        "{events:?}"
    );
    let runs = bench.world.engine.runs.lock().unwrap();
    assert_eq!((runs.len(), runs[0].gateway.as_str()), (2, "http://127.0.0.1:3128/llm"));
    assert!(matches!(&runs[0].session, Session::New(id) if uuid::Uuid::parse_str(id).is_ok()));
    assert!(bench.world.way().spec.token.is(runs[0].token.reveal().as_bytes()));
}

#[actix::test]
async fn an_engine_that_nobody_reads_ends_with_its_sandbox() {
    let bench = Bench::new();
    let (fake, mut told) = bench.open("s").await;
    let (say, _orders, heard) = bench.engine().await;
    drop(heard);
    say.send(EngineEvent::Turn { number: 1 }).await.unwrap();
    assert!(matches!(told.recv().await, Some(BenchEvent::Died { why }) if why.contains("nobody reads")));
    assert!(fake.is_dead());
}

#[actix::test]
async fn a_bench_that_is_dropped_leaves_no_sandbox() {
    let bench = Bench::new();
    let (fake, _told) = bench.open("s").await;
    let policy = EgressPolicy { hosted_tools: true, ..EgressPolicy::default() };
    bench.send(SetPolicy { policy: policy.clone() }).await.unwrap();
    assert_eq!(*bench.world.way().policies.lock().unwrap(), [policy]);
    assert_eq!(bench.send(Observe).await.0["state"], "open");
    let Bench { addr, .. } = bench;
    drop(addr);
    fake.dead.subscribe().wait_for(Option::is_some).await.unwrap();
}

#[actix::test]
async fn a_bench_that_is_stopped_leaves_no_sandbox() {
    let bench = Bench::new();
    let (fake, mut told) = bench.open("s").await;
    assert_eq!(bench.send(Stop { deadline: 10_000 }).await, Drained);
    assert!(fake.is_dead() && !bench.addr.connected());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(told.try_recv().is_err(), "a death that was wanted is told");
}

#[actix::test]
async fn a_kill_that_is_not_confirmed_is_an_error_and_can_be_asked_for_again() {
    let bench = Bench::new();
    let (fake, _told) = bench.open("s").await;
    *fake.immortal.lock().unwrap() = true;
    assert!(matches!(bench.send(Close).await, Err(BenchError::Failed(_))));
    assert_eq!(bench.run("x").await, Err(BenchError::Gone("it was closed".into())));
    *fake.immortal.lock().unwrap() = false;
    assert_eq!(bench.send(Close).await, Ok(()));
    assert_eq!(bench.run("x").await, Err(BenchError::NotOpen));
}

#[actix::test]
async fn work_is_handed_over_from_a_base_that_is_a_commit() {
    let bench = Bench::new();
    let (fake, _told) = bench.open("s").await;
    assert!(matches!(bench.send(HandOver { base: "main; rm".into() }).await, Err(BenchError::Failed(_))));
    for (code, fine) in [(0, true), (128, false)] {
        let hand_over = HandOver { base: "a".repeat(40) };
        let handed = actix::spawn(bench.addr.send(Mail::new(hand_over, &bench.vitals)));
        let program = fake.program().await;
        let argv = &program.spec.argv[program.spec.argv.len() - 3..];
        assert_eq!(argv[..2], ["/workspace", "/home/agent/.atoll-work.bundle"]);
        program.stdout.send("fatal: no".into()).await.unwrap();
        program.exit.send(code).unwrap();
        match handed.await.unwrap().unwrap() {
            Ok(bundle) => {
                assert!(fine);
                assert_eq!(
                    bundle.folder.join(&bundle.file),
                    std::path::Path::new("/home/atoll/agent/.atoll-work.bundle")
                );
            }
            Err(BenchError::Failed(why)) => assert!(!fine && why.contains("fatal: no"), "{why}"),
            Err(other) => panic!("{other}"),
        }
    }
}
