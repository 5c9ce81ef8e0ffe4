//! Talking to models and tools, and coming back with what they said as an event.

use std::sync::Arc;

use actix::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        event_hub::messages::Publish,
        kernel::{Unreachable, fault},
        llm_pool::messages::Complete,
        skill_host::messages::RunTool,
    },
    domain::{
        budget::Amount,
        journal::ModelCall,
        message::ToolResult,
        model::{Answer, ModelError, ModelRequest},
        outbound::{LiveEvent, Progress},
        skill::sounds_failed,
        turn::{CallKey, Event, ToolRun},
    },
    ports::{
        model::ProgressSink,
        tool::{ToolContext, ToolOutput},
    },
};

use super::actor::Session;

/// Longest output of a tool that is kept, in characters.
const OUTPUT: usize = 50_000;

impl From<Unreachable> for ModelError {
    fn from(error: Unreachable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Session {
    pub(super) fn ask(
        &mut self,
        seq: i64,
        ask: u32,
        request: Arc<ModelRequest>,
        input: Amount,
        ctx: &mut Context<Self>,
    ) {
        let progress = self.progress_sink(seq);
        let Some(work) = self.works.get_mut(&seq) else { return };
        let cancel = CancellationToken::new();
        work.asking = Some((cancel.clone(), input, self.kit.clock.now()));
        let (only, span) = (work.model.clone(), work.span.clone());
        let answer = self.kit.doors.complete.ask(Complete { request, only, progress, cancel, span });
        ctx.spawn(answer.into_actor(self).map(move |outcome, session, ctx| {
            session.answered(seq, ask, outcome, ctx);
        }));
    }

    fn answered(&mut self, seq: i64, ask: u32, outcome: Result<Answer, ModelError>, ctx: &mut Context<Self>) {
        let Some(work) = self.works.get_mut(&seq) else { return };
        let asked = if work.turn.last_ask() == ask { work.asking.take() } else { None };
        fault::point("answered", "model");
        let event = match outcome {
            Ok(answer) => {
                if work.turn.last_ask() == ask {
                    work.calls.push(ModelCall {
                        provider: answer.reply.provider.clone(),
                        model: answer.reply.model.clone(),
                        usage: answer.reply.usage,
                        cost: answer.cost,
                    });
                }
                Event::ModelAnswered { ask, answer }
            }
            Err(ModelError::Cancelled) => return,
            Err(error) => {
                if let Some((_, _, since)) = asked {
                    work.lose_time(since, self.kit.clock.now());
                }
                Event::ModelFailed { ask, error }
            }
        };
        self.step(seq, event, ctx);
    }

    /// Shows the pieces of an answer to those who watch the messages that it answers.
    fn progress_sink(&self, seq: i64) -> ProgressSink {
        let inbounds = self.works.get(&seq).map(|work| work.turn.serves().to_vec()).unwrap_or_default();
        let (publish, conversation) = (self.kit.doors.publish.clone(), self.id.clone());
        Arc::new(move |progress| {
            let (conversation, inbounds) = (conversation.clone(), inbounds.clone());
            let event = LiveEvent::Progress { conversation, inbounds, progress };
            let _ = publish.try_send(Publish(Arc::new(event)));
        })
    }

    pub(super) fn run(&mut self, seq: i64, run: ToolRun, ctx: &mut Context<Self>) {
        let Some(work) = self.works.get_mut(&seq) else { return };
        let cancel = CancellationToken::new();
        let began = self.kit.clock.now();
        work.tools.insert(run.key, (cancel.clone(), began));
        let span = work.span.clone();
        let context = ToolContext {
            user: self.user.clone(),
            conversation: self.id.clone(),
            key: format!("{}-{}-{}", work.turn.id(), run.key.answer, run.key.index),
            timeout_ms: self.kit.settings.tool_timeout_ms,
            cancel,
        };
        let (id, name) = (run.call.id.clone(), run.call.name.clone());
        let inbounds = work.turn.serves().to_vec();
        self.show(inbounds, Progress::Tool { name: name.clone(), phase: "started" });
        let output = self.kit.doors.tool.send(RunTool { call: run.call, context, span });
        ctx.spawn(output.into_actor(self).map(move |output, session, ctx| {
            let output = output.unwrap_or_else(|error| ToolOutput::failed(format!("Error: {error}.")));
            let took_ms = (session.kit.clock.now() - began).max(0).unsigned_abs();
            session.returned(seq, run.key, (id, name), output, took_ms, ctx);
        }));
    }

    fn returned(
        &mut self,
        seq: i64,
        key: CallKey,
        (id, name): (String, String),
        output: ToolOutput,
        took_ms: u64,
        ctx: &mut Context<Self>,
    ) {
        let Some(work) = self.works.get_mut(&seq) else { return };
        if work.tools.remove(&key).is_none() {
            return; // It was stopped, and the turn has gone on.
        }
        fault::point("returned", "tool");
        let failed = output.failed || sounds_failed(&output.text);
        let phase = if failed { "failed" } else { "finished" };
        let inbounds = work.turn.serves().to_vec();
        self.show(inbounds, Progress::Tool { name: name.clone(), phase });
        let result = ToolResult { id, name, output: bounded(output.text), failed, files: output.files };
        self.step(seq, Event::ToolReturned { key, result, activated: output.activated, took_ms }, ctx);
    }
}

fn bounded(text: String) -> String {
    match text.char_indices().nth(OUTPUT) {
        Some((at, _)) => {
            let rest = text[at..].chars().count();
            format!("{}\n[… {rest} characters left out …]", &text[..at])
        }
        None => text,
    }
}
