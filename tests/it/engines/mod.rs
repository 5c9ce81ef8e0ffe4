//! Engines: recordings of the real programs, stand-ins for them as real processes, and our own loop.

mod fakes;
mod golden;
pub(crate) mod host;
pub(crate) mod models;
mod native;
mod noise;
#[cfg(feature = "real-clis")]
mod real;
mod tools;

use std::sync::Arc;

use atoll::{
    domain::engine::{Control, End, Ending, EngineEvent, Ledger, Limits},
    ports::{
        engine::{Approvals, Engine, EngineHandle, EngineRun, Session},
        gateway::JobToken,
        sandbox::Sandbox,
    },
};

use crate::support::PATIENCE;

/// What the gateway would know the job by.
fn token() -> JobToken {
    JobToken::new([7; 32])
}

/// A run with this prompt.
fn run(prompt: &str) -> EngineRun {
    EngineRun {
        prompt: prompt.into(),
        system: "Be brief.".into(),
        session: Session::New("0199f3a0-7c11-7000-8000-000000000001".into()),
        model: None,
        limits: Limits { grace_ms: 5_000, ..Limits::default() },
        approvals: Approvals::Ask,
        gateway: "http://127.0.0.1:9/llm".into(),
        token: token(),
    }
}

/// A run that is read to its end.
struct Live {
    handle: EngineHandle,
    events: Vec<EngineEvent>,
}

impl Live {
    fn start(engine: &dyn Engine, run: EngineRun, sandbox: Arc<dyn Sandbox>) -> Self {
        Self { handle: engine.start(run, sandbox), events: Vec::new() }
    }

    /// The next event.
    async fn next(&mut self) -> Option<EngineEvent> {
        let next = tokio::time::timeout(PATIENCE, self.handle.events.recv()).await;
        let event = next.unwrap_or_else(|_| panic!("nothing comes after {:?}", self.events));
        self.events.extend(event.clone());
        event
    }

    /// Reads until such an event comes.
    async fn until(&mut self, what: impl Fn(&EngineEvent) -> bool) -> EngineEvent {
        loop {
            match self.next().await {
                Some(event) if what(&event) => return event,
                Some(_) => {}
                None => panic!("it ended before: {:?}", self.events),
            }
        }
    }

    async fn tell(&self, control: Control) {
        self.handle.control.send(control).await.unwrap();
    }

    /// Reads to the end: the one result, and what to make of it all.
    async fn end(mut self) -> (Ending, Ledger, Vec<EngineEvent>) {
        while self.next().await.is_some() {}
        let mut ledger = Ledger::default();
        self.events.iter().for_each(|event| ledger.note(event));
        let results = self.events.iter().filter(|event| matches!(event, EngineEvent::Result(_))).count();
        assert_eq!(results, 1, "{:?}", self.events);
        let Some(EngineEvent::Result(ending)) = self.events.last().cloned() else {
            panic!("the result is not the last: {:?}", self.events)
        };
        (ending, ledger, self.events)
    }
}

fn is_question(event: &EngineEvent) -> bool {
    matches!(event, EngineEvent::Question(_))
}

fn texts(events: &[EngineEvent]) -> Vec<&str> {
    let texts = events.iter().filter_map(|event| match event {
        EngineEvent::Text { text } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// A run that was done, by its end.
fn is_done(ending: &Ending) -> bool {
    ending.ok && ending.end == End::Completed
}
