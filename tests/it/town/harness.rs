//! The whole runtime in one thread and in virtual time, on a real store, with scripted models and tools. What a
//! test leaves behind fails it.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use atoll::{
    actors::{
        event_hub::messages::{Subscribe, Topic},
        intake::messages::{Offer, Taken},
        kernel::{Placement, Registry, VitalSigns, install_panic_hook},
        root::{
            Root,
            messages::{Close, Drain, Inspect, Restart},
        },
        scheduler::messages::Tick,
    },
    app::{Assembled, Base, Coding, Doors, Parts, assemble},
    channels::CallbackChannel,
    config::{self, Secret},
    domain::{
        Millis,
        access::Role,
        ids::{ConversationId, InboundId, UserId},
        inbound::{NewInbound, Refused},
        message::{FileRef, ToolCall},
        model::{ModelError, ModelRequest, Reply, Stop, Usage},
        outbound::{Body, LiveEvent},
        price::Price,
        skill::{EffectClass, SkillInfo, ToolBook, ToolSpec},
    },
    home::{Home, HomeFiles},
    ports::{
        clock::{Clock, NoRandom},
        files::Files,
        metrics::Metrics,
        model::{Model, ProgressSink, Takes},
        persona::Personas,
        platform::Platform,
        tool::{Skills, ToolContext, ToolOutput},
        transcriber::Transcriber,
    },
    store::{schema, upkeep},
    telemetry,
};
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::{sync::mpsc, time::Instant};

/// Writes down what is said, slowly.
struct Scribe;

impl Transcriber for Scribe {
    fn transcribe(&self, _: &FileRef) -> BoxFuture<'static, Result<String, String>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(600)).await;
            Ok("what was said".into())
        })
    }
}

/// What a scripted model does when it is asked.
pub(super) enum Act {
    Say(&'static str),
    Call(&'static str),
    Facts(&'static [&'static str]),
    Fail(ModelError),
    Hang,
    Panic,
}

type Script = dyn Fn(u64, &ModelRequest) -> Act + Send + Sync;

/// A model of this name that plays a script; the number counts its own calls from 1.
pub(super) struct Scripted {
    name: &'static str,
    script: Box<Script>,
    calls: AtomicU64,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    pub(super) fn new(
        name: &'static str,
        script: impl Fn(u64, &ModelRequest) -> Act + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { name, script: Box::new(script), calls: AtomicU64::new(0), asked: Mutex::default() })
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// The messages of each call, as text.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Model for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn model(&self) -> &str {
        "script"
    }

    fn takes(&self) -> Takes {
        Takes { tools: true, ..Takes::default() }
    }

    fn price(&self) -> Option<Price> {
        None
    }

    fn concurrency(&self) -> u32 {
        64
    }

    fn max_output(&self) -> u32 {
        1_000
    }

    fn ask(
        &self,
        request: Arc<ModelRequest>,
        _: ProgressSink,
    ) -> BoxFuture<'static, Result<Reply, ModelError>> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.asked.lock().unwrap().push(format!("{:?}", request.messages));
        let act = (self.script)(number, &request);
        let reply = |text: &str, calls: Vec<ToolCall>| Reply {
            text: text.to_owned(),
            stop: if calls.is_empty() { Stop::End } else { Stop::Tools },
            calls,
            usage: Usage { input: 10, output: 5, ..Usage::default() },
            provider: self.name.to_owned(),
            model: "script".to_owned(),
        };
        let said = match act {
            Act::Say(text) => Ok(reply(text, Vec::new())),
            Act::Call(tool) => {
                let call =
                    ToolCall { id: format!("call-{number}"), name: tool.into(), args: serde_json::json!({}) };
                Ok(reply("", vec![call]))
            }
            Act::Facts(facts) => {
                let fact = |content| serde_json::json!({"content": content, "category": "personal", "importance": 0.7});
                let args = serde_json::json!({"facts": facts.iter().map(fact).collect::<Vec<_>>()});
                Ok(reply("", vec![ToolCall { id: "facts".into(), name: "store_facts".into(), args }]))
            }
            Act::Fail(error) => Err(error),
            Act::Hang => return Box::pin(std::future::pending()),
            Act::Panic => panic!("the script says so"),
        };
        Box::pin(async move { said })
    }
}

/// A tool that needs an approval, one that hangs until it is told to end, one that panics, and one that does its work.
#[derive(Default)]
struct Shed {
    runs: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Skills for Shed {
    fn tools(&self) -> ToolBook {
        let tool = |name: &str, approval: bool| ToolSpec {
            name: name.into(),
            description: "a tool".into(),
            input_schema: serde_json::json!({"type": "object"}),
            effect: EffectClass::Once,
            approval,
            skill: None,
        };
        ToolBook::new([
            tool("guarded", true),
            tool("endless", false),
            tool("falling", false),
            tool("plain", false),
        ])
    }

    fn list(&self) -> Vec<SkillInfo> {
        Vec::new()
    }

    fn instructions(&self, _: &str) -> Option<String> {
        None
    }

    fn run(&self, call: ToolCall, context: ToolContext) -> BoxFuture<'static, ToolOutput> {
        *self.runs.lock().unwrap().entry(call.name.clone()).or_default() += 1;
        Box::pin(async move {
            match call.name.as_str() {
                "endless" => context.cancel.cancelled().await,
                "falling" => panic!("the tool says so"),
                _ => {}
            }
            ToolOutput::ok(format!("{} did it", call.name))
        })
    }
}

/// Composes a prompt, or trips: sessions ask it within their handlers, so that they fall.
#[derive(Default)]
struct Stage {
    /// Steps that go well, then steps that do not.
    trips: Arc<Mutex<(u64, u64)>>,
}

impl Personas for Stage {
    fn system_prompt(&self, _: &UserId) -> Arc<str> {
        let trips = match &mut *self.trips.lock().unwrap() {
            (0, 0) => false,
            (0, bad) => {
                *bad -= 1;
                true
            }
            (good, _) => {
                *good -= 1;
                false
            }
        };
        assert!(!trips, "tripped, as the test says");
        Arc::from("a script")
    }
}

/// The runtime's own clock: it stands still while anything can go on.
struct VirtualClock {
    began: Instant,
    count: AtomicU64,
}

/// 2026-01-01 00:00 UTC.
const EPOCH: Millis = 1_767_225_600_000;

impl Clock for VirtualClock {
    fn now(&self) -> Millis {
        EPOCH + i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn fresh(&self) -> u128 {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        (u128::from(self.now().unsigned_abs()) << 80) | u128::from(count)
    }

    fn secret(&self) -> Result<[u8; 32], NoRandom> {
        let mut secret = [7; 32];
        secret[..16].copy_from_slice(&self.fresh().to_be_bytes());
        Ok(secret)
    }
}

/// A running town.
pub(super) struct Town {
    pub(super) doors: Doors,
    registry: Registry,
    root: Addr<Root>,
    pub(super) clock: Arc<dyn Clock>,
    runs: Arc<Mutex<BTreeMap<String, u32>>>,
    trips: Arc<Mutex<(u64, u64)>>,
    folder: TempDir,
    parked: Cell<bool>,
    ended: Cell<bool>,
}

impl Town {
    /// Lives through a test in a town of its own. It must leave nothing behind.
    pub(super) fn live(config: &str, models: Vec<Arc<Scripted>>, test: impl AsyncFnOnce(&Town)) {
        Self::live_with(config, models, Vec::new(), test);
    }

    /// The same, with these chat platforms.
    pub(super) fn live_with(
        config: &str,
        models: Vec<Arc<Scripted>>,
        platforms: Vec<Arc<dyn Platform>>,
        test: impl AsyncFnOnce(&Town),
    ) {
        actix::System::new().block_on(async {
            let log = config::Log { level: "info".into(), json: false };
            telemetry::start(&log).unwrap();
            install_panic_hook();
            tokio::time::pause();
            let town = Self::found(config, models, platforms);
            // The root starts its children in its own time.
            let _ = town.root.send(Inspect("db".into())).await;
            let tick = town.doors.tick.clone();
            let ticks = actix::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    let _ = tick.try_send(Tick);
                }
            });
            test(&town).await;
            ticks.abort();
            town.end().await;
        });
    }

    fn found(config: &str, models: Vec<Arc<Scripted>>, platforms: Vec<Arc<dyn Platform>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("atoll.db");
        let boot = upkeep::next_boot(&schema::open_writer(&store).unwrap()).unwrap();
        let clock: Arc<dyn Clock> =
            Arc::new(VirtualClock { began: Instant::now(), count: AtomicU64::new(1) });
        let shed = Shed::default();
        let runs = Arc::clone(&shed.runs);
        let stage = Stage::default();
        let trips = Arc::clone(&stage.trips);
        let no_env = |_: &str| None;
        let base = Base {
            store,
            boot,
            clock: Arc::clone(&clock),
            metrics: Metrics::new().unwrap(),
            placement: Placement::here(),
            links: None,
            told: None,
        };
        let config = config::parse(config, "town.yaml", &no_env).unwrap();
        let models: Vec<_> = models.into_iter().map(|model| model as Arc<dyn Model>).collect();
        let home = Home::open(folder.path()).unwrap();
        let files: Arc<dyn Files> = Arc::new(HomeFiles::new(home.files(), Arc::clone(&base.clock)));
        let env = Arc::new(|_: &str| None);
        let coding = Coding::open(&home, &config, env, &base.clock, &files, &models).unwrap();
        let scribe = config.transcription.is_some().then(|| Arc::new(Scribe) as Arc<dyn Transcriber>);
        let Assembled { root, doors, registry } = assemble(
            Parts {
                base,
                config,
                models,
                coding,
                callbacks: Arc::new(CallbackChannel::new(Secret::default(), false, None, clock.clone())),
                skills: Arc::new(shed),
                personas: Arc::new(stage),
                platforms,
                transcriber: scribe,
            },
            Doors::closed(),
        );
        let root = Root::new(root).start();
        Self {
            doors,
            registry,
            root,
            clock,
            runs,
            trips,
            folder,
            parked: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    /// Offers a message of a user and gives what is shown of it.
    pub(super) async fn offer(
        &self,
        user: &str,
        text: &str,
    ) -> Result<mpsc::Receiver<Arc<LiveEvent>>, Refused> {
        self.offer_in(user, "main", text).await
    }

    /// The same in a conversation of this name.
    pub(super) async fn offer_in(
        &self,
        user: &str,
        name: &str,
        text: &str,
    ) -> Result<mpsc::Receiver<Arc<LiveEvent>>, Refused> {
        let user = UserId::parse(user).unwrap();
        let id = InboundId::new(atoll::domain::ids::encode(self.clock.fresh()));
        let live = self.doors.subscribe.send(Subscribe(Topic::Inbound(id.clone()))).await.unwrap();
        let message = NewInbound {
            id,
            channel: "api".into(),
            external_id: None,
            conversation: ConversationId::of("api", &user, name).unwrap(),
            user,
            speaker: None,
            text: text.into(),
            attachments: Vec::new(),
            message: None,
            received_at: self.clock.now(),
        };
        let taken = self.doors.offer["api"]
            .send(Offer { message, while_busy: None, role: Role::Owner })
            .await
            .unwrap()?;
        assert_eq!(taken, Taken::New);
        Ok(live)
    }

    /// Says something and waits for its answer.
    pub(super) async fn ask(&self, user: &str, text: &str) -> String {
        let live = self.offer(user, text).await.unwrap();
        Self::answer(live).await
    }

    /// The answer that comes here.
    pub(super) async fn answer(mut live: mpsc::Receiver<Arc<LiveEvent>>) -> String {
        while let Some(event) = live.recv().await {
            if let LiveEvent::Sent(row) = event.as_ref()
                && let Body::Answer { text, .. } = &row.message.body
            {
                return text.clone();
            }
        }
        panic!("the hub hung up before the answer came");
    }

    /// Lets time pass.
    pub(super) async fn pass(&self, minutes: u64) {
        tokio::time::sleep(Duration::from_secs(minutes * 60)).await;
    }

    /// Milliseconds since the town was founded.
    pub(super) fn age(&self) -> i64 {
        self.clock.now() - EPOCH
    }

    /// How often a tool was run.
    pub(super) fn runs(&self, tool: &str) -> u32 {
        self.runs.lock().unwrap().get(tool).copied().unwrap_or_default()
    }

    /// After so many steps of sessions that go well, so many panic.
    pub(super) fn trip(&self, good: u64, bad: u64) {
        *self.trips.lock().unwrap() = (good, bad);
    }

    /// One actor's vital signs.
    pub(super) fn signs(&self, name: &str) -> Option<VitalSigns> {
        self.registry.tree().into_iter().find(|signs| signs.name == name)
    }

    /// How many actors of a kind there are.
    pub(super) fn living(&self, kind: &str) -> usize {
        self.registry.tree().iter().filter(|signs| signs.kind == kind).count()
    }

    /// Starts a parked actor again, as an owner does.
    pub(super) async fn restart(&self, name: &str) {
        self.root.send(Restart(name.into())).await.unwrap().unwrap();
    }

    /// This town may end with turns that wait for a person.
    pub(super) fn may_end_parked(&self) {
        self.parked.set(true);
    }

    /// Texts from the store.
    pub(super) fn column(&self, sql: &str) -> Vec<String> {
        let db = rusqlite::Connection::open(self.folder.path().join("atoll.db")).unwrap();
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// A number from the store.
    pub(super) fn count(&self, sql: &str) -> i64 {
        let db = rusqlite::Connection::open(self.folder.path().join("atoll.db")).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Changes the store from outside.
    pub(super) fn change(&self, sql: &str) {
        let db = rusqlite::Connection::open(self.folder.path().join("atoll.db")).unwrap();
        db.execute(sql, []).unwrap();
    }

    /// Ends what takes work in and what works.
    pub(super) async fn drain(&self) {
        let deadline = self.clock.now() + 20_000;
        self.root.send(Drain { deadline }).await.unwrap();
    }

    async fn end(self) {
        self.drain().await;
        self.root.send(Close).await.unwrap();
        let busy: Vec<_> = self
            .registry
            .tree()
            .into_iter()
            .filter(|signs| signs.mailbox_depth > 0)
            .map(|signs| signs.name)
            .collect();
        assert!(busy.is_empty(), "messages were left with: {busy:?}");
        let parked = if self.parked.get() { "'over', 'parked'" } else { "'over'" };
        for (what, sql) in [
            ("open turns", format!("SELECT count(*) FROM turns WHERE state NOT IN ({parked})")),
            ("waiting messages", "SELECT count(*) FROM inbound WHERE state = 'queued'".to_owned()),
            ("unsent messages", "SELECT count(*) FROM outbox WHERE state IN ('due', 'claimed')".to_owned()),
            (
                "reserved budgets",
                "SELECT coalesce(sum(reserved_tokens + reserved_micros + reserved_tool_calls + reserved_time_ms), 0)
                 FROM spend"
                    .to_owned(),
            ),
        ] {
            assert_eq!(self.count(&sql), 0, "the town leaves {what} behind");
        }
        self.ended.set(true);
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let ended = self.ended.get() || std::thread::panicking();
        assert!(ended, "a town was left without being ended: nobody looked at what it leaves behind");
    }
}
