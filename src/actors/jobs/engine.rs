//! The run of an engine, as its job follows it.

use std::time::Duration;

use actix::{
    fut::{wrap_future, wrap_stream},
    prelude::*,
};
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use crate::{
    actors::sandbox::messages::{
        BenchError, BenchEvent, Close, EngineStart, SetPolicy, StartEngine, TellEngine,
    },
    domain::{
        engine::{Control, End, Ending, EngineEvent, Limits},
        job::{Event, Phase, words},
    },
    ports::{job_files::LogEvent, job_places::ATTACHMENTS},
};

use super::{
    bench::Bench,
    job::JobActor,
    prepare,
    work::{self, Work},
};

/// Events that may wait for the actor.
const EVENTS: usize = 256;
/// How long a refused model call is waited for when an engine ended for the lack of money: the two come separate ways.
const REASON: Duration = Duration::from_millis(500);

impl JobActor {
    /// What work is done with; `None` before the rows were read.
    pub(super) fn work(&mut self, ctx: &mut Context<Self>) -> Option<Work> {
        let (events, told) = mpsc::channel(EVENTS);
        let bench = self.bench()?;
        let live = self.live.as_ref()?;
        let work = Work {
            kit: std::sync::Arc::clone(&self.kit),
            id: self.id.clone(),
            task: live.task.asked.clone(),
            job: live.job.clone(),
            project: live.project.clone(),
            bench,
            events,
            hosts: live.hosts.clone(),
        };
        let told = wrap_stream::<_, Self>(stream(told));
        ctx.spawn(told.map(|event, actor, ctx| actor.bench_event(event, ctx)).finish());
        Some(work)
    }

    pub(super) fn prepare(&mut self, ctx: &mut Context<Self>) {
        self.begin(ctx, prepare::prepare);
    }

    fn bench_event(&mut self, event: BenchEvent, ctx: &mut Context<Self>) {
        match event {
            // Whoever works there hears of it by its own answer.
            BenchEvent::Died { why } => {
                let text = format!("the sandbox is gone: {why}");
                self.kit.files.log(&self.id, self.kit.clock.now(), LogEvent::Note { text });
            }
            BenchEvent::Egress(record) => {
                self.outside(&record, ctx);
                self.kit.files.log(&self.id, self.kit.clock.now(), LogEvent::Egress(record));
            }
            BenchEvent::OverBudget(exceeded) => self.over_budget(exceeded, ctx),
        }
    }

    pub(super) fn start_engine(
        &mut self,
        instruction: String,
        session: Option<String>,
        ctx: &mut Context<Self>,
    ) {
        self.drop_work(ctx);
        let Some(bench) = self.bench() else { return };
        let settings = &self.kit.settings;
        let Some(live) = &mut self.live else { return };
        let (asked, project) = (&live.task.asked, &live.project.settings);
        let attachments = (!asked.attachments.is_empty()).then_some(ATTACHMENTS);
        let run = EngineStart {
            engine: asked.engine,
            prompt: instruction,
            system: words::system(asked, &project.verify_commands, attachments),
            session,
            model: asked.model.clone(),
            limits: Limits { total_ms: u64::from(project.limits.job_minutes) * 60_000, ..settings.engine },
            approvals: project.engine_approvals,
        };
        let again = run.prompt.clone();
        let (round, (events, told)) = (live.round, mpsc::channel(EVENTS));
        let started = bench.start_engine.ask(StartEngine { run, events });
        let told = wrap_stream::<_, Self>(stream(told));
        let follows =
            wrap_future::<_, Self>(started).then(move |started: Result<(), BenchError>, actor, ctx| {
                if let Err(error) = started {
                    actor.engine_event(round, &again, lost(&error), ctx);
                }
                told.map(move |event, actor, ctx| actor.engine_event(round, &again, event, ctx)).finish()
            });
        live.work = Some(ctx.spawn(follows));
    }

    fn engine_event(&mut self, round: u64, prompt: &str, event: EngineEvent, ctx: &mut Context<Self>) {
        let Some(live) = &self.live else { return };
        if live.round != round || *live.job.phase() != Phase::Running {
            return;
        }
        let known = live.job.session().map(str::to_owned);
        if !event.is_live_only() {
            self.kit.files.log(&self.id, self.kit.clock.now(), LogEvent::Engine(event.clone()));
        }
        match event {
            EngineEvent::Session { id, .. } if known.as_deref() != Some(id.as_str()) => {
                self.hear(Event::Session { id }, ctx);
            }
            EngineEvent::Question(question) => {
                self.engine_asks(&question.id, &question.tool, &question.input, &question.preview);
                self.pump(ctx);
            }
            EngineEvent::Withdrawn { question } => self.engine_asks_no_more(&question, ctx),
            EngineEvent::Result(ending) => self.engine_over(round, prompt, ending, ctx),
            _ => {}
        }
    }

    fn engine_over(&mut self, round: u64, prompt: &str, ending: Ending, ctx: &mut Context<Self>) {
        let Ending { ok, text, end, .. } = ending;
        self.withdraw_tools();
        match end {
            _ if ok => {
                if let Some(live) = &mut self.live {
                    live.notes = words::notes(&text);
                }
                self.hear(Event::EngineEnded { claim: text }, ctx);
            }
            // What it knew is gone; the work is where it was.
            End::NoSession => self.start_engine(prompt.to_owned(), None, ctx),
            End::Budget | End::Api { status: Some(400) } => {
                ctx.run_later(REASON, move |actor, ctx| {
                    if actor.live.as_ref().is_some_and(|live| live.round == round) {
                        actor.hear(Event::EngineFailed { why: format!("the engine failed: {text}") }, ctx);
                    }
                });
            }
            End::Time => {
                let why =
                    "the engine did not end in the time that the project gives a job (limits.jobMinutes)";
                self.hear(Event::EngineFailed { why: why.into() }, ctx);
            }
            End::Hung => {
                let why = "the engine was silent for too long (jobs.quiet_minutes, or jobs.command_minutes in a tool)";
                self.hear(Event::EngineLost { why: why.into() }, ctx);
            }
            end if end.may_resume() => self.hear(Event::EngineLost { why: text }, ctx),
            _ => self.hear(Event::EngineFailed { why: format!("the engine failed: {text}") }, ctx),
        }
    }

    /// Tells the engine something; false when none is at work. What does not arrive is of no use to a run that is over.
    pub(super) fn control(&mut self, control: Control) -> bool {
        if !self.live.as_ref().is_some_and(|live| *live.job.phase() == Phase::Running) {
            return false;
        }
        let Some(bench) = self.known_bench() else { return false };
        let (told, id) = (bench.tell_engine.ask(TellEngine { control }), self.id.clone());
        actix::spawn(async move {
            if let Err(error) = told.await {
                tracing::debug!(job = %id, %error, "the engine was not told");
            }
        });
        true
    }

    /// Puts what people allowed into force.
    pub(super) fn apply_policy(&mut self) {
        let Some(live) = &self.live else { return };
        let hosts = live.hosts.union(&live.hosts_now).cloned().collect();
        let Ok(policy) = work::policy(&live.project, &hosts, false) else { return };
        let Some(bench) = self.known_bench() else { return };
        let (set, id) = (bench.set_policy.ask(SetPolicy { policy }), self.id.clone());
        actix::spawn(async move {
            if let Err(error) = set.await {
                tracing::debug!(job = %id, %error, "what may be reached cannot be changed now");
            }
        });
    }

    /// Ends the sandbox, if there is one; answers when that is confirmed.
    pub(super) fn close_bench(&mut self) -> impl Future<Output = Result<(), String>> + use<> {
        let closing = self.known_bench().map(|bench: Bench| bench.close.ask(Close));
        async move {
            match closing {
                Some(closing) => closing.await.map_err(|error| error.to_string()),
                None => Ok(()),
            }
        }
    }
}

/// The last event of a run that could not begin.
fn lost(error: &BenchError) -> EngineEvent {
    EngineEvent::Result(Ending {
        ok: false,
        text: error.to_string(),
        end: End::SandboxDied,
        exit: None,
        sandbox_gone: true,
    })
}

fn stream<T: 'static>(receiver: mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> {
    unfold(receiver, async |mut receiver| receiver.recv().await.map(|item| (item, receiver)))
}
