//! The models of our own engine: the pool, with the job's account before and after each call.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::{
    kit::ModelFacts,
    meter::{JobMeter, Paid},
};
use crate::{
    actors::{kernel::Door, llm_pool::messages::Complete},
    domain::{
        budget::Amount,
        journal::ModelCall,
        model::{ModelError, ModelRequest, Reply, Usage},
        outbound::Progress,
        price::Price,
        tokens,
    },
    ports::{
        gateway::NoBudget,
        model::{Model, ProgressSink, Takes},
    },
};

/// What a call that broke off is booked under.
const NAME: &str = "pool";

/// The configured models, on a job's account. A budget without room is a refused request, as it is for the engines that
/// come through the gateway.
pub struct MeteredModel {
    meter: JobMeter,
    complete: Door<Complete>,
    facts: ModelFacts,
    only: Option<Arc<str>>,
    span: tracing::Span,
}

impl MeteredModel {
    /// On this account, through this door; `only` names the one model that may answer.
    pub fn new(
        meter: JobMeter,
        complete: Door<Complete>,
        facts: ModelFacts,
        only: Option<&str>,
        span: tracing::Span,
    ) -> Self {
        Self { meter, complete, facts, only: only.map(Arc::from), span }
    }
}

impl Model for MeteredModel {
    fn name(&self) -> &str {
        NAME
    }

    fn model(&self) -> &str {
        self.only.as_deref().unwrap_or(&self.facts.names)
    }

    fn takes(&self) -> Takes {
        Takes { tools: true, ..Takes::default() }
    }

    /// Not known before one has answered; the account has it.
    fn price(&self) -> Option<Price> {
        None
    }

    fn concurrency(&self) -> u32 {
        1
    }

    fn max_output(&self) -> u32 {
        self.facts.max_output
    }

    fn ask(
        &self,
        request: Arc<ModelRequest>,
        progress: ProgressSink,
    ) -> BoxFuture<'static, Result<Reply, ModelError>> {
        let tools: u64 = request.tools.iter().map(|tool| tool.tokens()).sum();
        let input = tokens::of_text(&request.system) + tokens::of_messages(&request.messages) + tools;
        let output = u64::from(request.max_tokens.unwrap_or(self.facts.max_output));
        let worst = Amount {
            tokens: input.saturating_add(output),
            micros: self.facts.worst_price.worst(input, output),
            tool_calls: 0,
            time_ms: 1,
        };
        let (paid, complete, span) = (self.meter.prepay(worst), self.complete.clone(), self.span.clone());
        let (facts, only) = (self.facts.clone(), self.only.clone());
        Box::pin(async move {
            let paid = paid.await.map_err(refused)?;
            let written = Arc::<AtomicU64>::default();
            let call = Call { paid: Some(paid), facts, input, written: Arc::clone(&written) };
            let shown: ProgressSink = Arc::new(move |piece| {
                if let Progress::Delta { text } = &piece {
                    written.fetch_add(text.len() as u64, Ordering::Relaxed);
                }
                progress(piece);
            });
            let cancel = CancellationToken::new();
            let _hang_up = cancel.clone().drop_guard();
            let answer = complete.ask(Complete { request, only, progress: shown, cancel, span }).await;
            let booked = answer.as_ref().ok().map(|answer| ModelCall {
                provider: answer.reply.provider.clone(),
                model: answer.reply.model.clone(),
                usage: answer.reply.usage,
                cost: answer.cost,
            });
            call.settle(booked).await;
            answer.map(|answer| answer.reply)
        })
    }
}

fn refused(no: NoBudget) -> ModelError {
    match no {
        NoBudget::Spent(why) => ModelError::BadRequest(why),
        NoBudget::Unknown(_) => ModelError::Unavailable(no.to_string()),
    }
}

/// A call that is under way. Dropped in the middle, it is booked by what was seen of it, at the highest price.
struct Call {
    paid: Option<Paid>,
    facts: ModelFacts,
    input: u64,
    /// Bytes of the answer so far.
    written: Arc<AtomicU64>,
}

impl Call {
    async fn settle(mut self, call: Option<ModelCall>) {
        if let Some(paid) = self.paid.take() {
            paid.settle(call).await;
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (Some(paid), Ok(runtime)) = (self.paid.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let output = tokens::of_bytes(self.written.load(Ordering::Relaxed));
        let usage = Usage { input: self.input, output, ..Usage::default() };
        let cost = Amount {
            tokens: usage.input.saturating_add(usage.output),
            micros: self.facts.worst_price.cost(&usage),
            tool_calls: 0,
            time_ms: paid.age_ms(),
        };
        let (provider, model) = (NAME.to_owned(), self.facts.names.clone());
        runtime.spawn(paid.settle(Some(ModelCall { provider, model, usage, cost })));
    }
}
