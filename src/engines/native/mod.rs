//! Our own coding engine: any configured model, with tools that run in the sandbox.

mod desk;
mod exec;
mod files;
mod history;
mod specs;
mod toolbox;
mod work;

use std::sync::Arc;

use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

pub use specs::specs;
pub use toolbox::{Done, Toolbox};

use self::{desk::Desk, work::Work};
use crate::{
    domain::{
        Millis,
        engine::{Control, End, Ending, EngineEvent, Order, Watch},
    },
    ports::{
        clock::Clock,
        engine::{Engine, EngineHandle, EngineRun},
        model::Model,
        sandbox::Sandbox,
    },
};

/// Events that may wait for whoever reads them; more, and the engine waits.
const EVENTS: usize = 256;
/// Orders that may wait.
const CONTROLS: usize = 16;
/// A moment that is never waited for.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// Folders inside the sandbox.
#[derive(Debug, Clone)]
pub struct Places {
    /// The work tree; tools do not reach outside of it, except by commands.
    pub workspace: String,
    /// The home folder, where sessions are kept; it has to outlive the sandbox.
    pub home: String,
}

/// The engine.
pub struct Native {
    model: Arc<dyn Model>,
    clock: Arc<dyn Clock>,
    places: Places,
}

impl Native {
    /// With this model. Budgets and failover are the model's own matter: hand in one that has them.
    pub fn new(model: Arc<dyn Model>, clock: Arc<dyn Clock>, places: Places) -> Self {
        Self { model, clock, places }
    }
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn start(&self, run: EngineRun, sandbox: Arc<dyn Sandbox>) -> EngineHandle {
        let (to_reader, events) = mpsc::channel(EVENTS);
        let (control, orders) = mpsc::channel(CONTROLS);
        let limits = run.limits;
        let (to_keeper, from_work) = mpsc::channel(EVENTS);
        let desk = Desk::new(to_keeper);
        let work = Work::new(
            run,
            Arc::clone(&self.model),
            Arc::clone(&self.clock),
            Toolbox::new(Arc::clone(&sandbox), &self.places.workspace),
            history::History::new(Arc::clone(&sandbox), &self.places.home),
            desk.clone(),
        );
        let began = Instant::now();
        let keeper = Keeper { watch: Watch::new(limits, 0), began, desk, to_reader };
        tokio::spawn(keeper.keep(work, from_work, orders, sandbox));
        EngineHandle { events, control }
    }
}

/// Keeps an eye on the work, tells its events on, and takes orders for it.
struct Keeper {
    watch: Watch,
    began: Instant,
    desk: Desk,
    to_reader: mpsc::Sender<EngineEvent>,
}

impl Keeper {
    async fn keep(
        mut self,
        work: Work,
        mut from_work: mpsc::Receiver<EngineEvent>,
        mut orders: mpsc::Receiver<Control>,
        sandbox: Arc<dyn Sandbox>,
    ) {
        let mut work = Box::pin(work.run());
        let mut died = sandbox.died();
        let mut listens = true;
        let ending = loop {
            let wake = self.wake();
            let order = tokio::select! {
                biased;
                order = orders.recv(), if listens => match order {
                    Some(order) => self.order(order),
                    None => {
                        listens = false;
                        Order::Wait
                    }
                },
                Some(event) = from_work.recv() => {
                    let order = self.watch.step(self.now(), Some(&event));
                    if self.to_reader.send(event).await.is_err() {
                        return;
                    }
                    order
                }
                ending = &mut work => break ending,
                why = &mut died => break ended(End::SandboxDied, format!("the sandbox died: {why}")),
                () = tokio::time::sleep_until(wake) => self.watch.step(self.now(), None),
            };
            match order {
                Order::Wait => {}
                Order::Interrupt(_) => self.desk.stop.cancel(),
                Order::Kill(end) => {
                    let killed = sandbox.kill().await;
                    let said = killed.err().map(|error| format!("; killing its sandbox failed: {error}"));
                    let mut ending = ended(end, format!("the work was cut off{}", said.unwrap_or_default()));
                    ending.sandbox_gone = true;
                    break ending;
                }
            }
        };
        self.last(ending, from_work).await;
    }

    fn order(&mut self, order: Control) -> Order {
        match order {
            Control::Answer { question, answer } => {
                self.watch.answered(self.now(), &question);
                self.desk.answer(&question, answer);
                Order::Wait
            }
            Control::Steer { text } => {
                self.desk.steer(text);
                Order::Wait
            }
            Control::Interrupt => self.watch.interrupt(self.now()),
        }
    }

    async fn last(self, mut ending: Ending, mut from_work: mpsc::Receiver<EngineEvent>) {
        while let Ok(event) = from_work.try_recv() {
            if self.to_reader.send(event).await.is_err() {
                return;
            }
        }
        if let (End::Interrupted, Some(why)) = (ending.end, self.watch.reason()) {
            ending.end = why;
        }
        let _ = self.to_reader.send(EngineEvent::Result(ending)).await;
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn wake(&self) -> Instant {
        let at = self.watch.next_at().and_then(|at| u64::try_from(at).ok());
        at.map_or_else(|| Instant::now() + FAR, |at| self.began + Duration::from_millis(at).min(FAR * 365))
    }
}

fn ended(end: End, text: String) -> Ending {
    Ending { ok: false, text, end, exit: None, sandbox_gone: end == End::SandboxDied }
}

/// A token that is set when the work is to stop.
type Stop = CancellationToken;
