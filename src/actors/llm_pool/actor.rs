//! The pool: holds the lane, starts an attempt for each call, and answers at once to everything else.

use std::{rc::Rc, sync::Arc};

use actix::prelude::*;
use tracing::Instrument as _;

use crate::{
    actors::kernel::{Life, Mail, messages::*},
    domain::{
        lane::{Health, Lane},
        model::{Answer, ModelError},
        retry::Bounds,
    },
    ports::{clock::Clock, metrics::Metrics, model::Model},
};

use super::{
    attempt::{Pool, complete},
    messages::{Complete, ProviderStatus, Providers},
};

/// A call is taken at once and waits in its own task; this bounds what arrives in one moment.
const MAILBOX: usize = 1_024;

/// The actor.
pub struct LlmPool {
    life: Life,
    pool: Rc<Pool>,
}

impl LlmPool {
    /// A pool of these providers, in the order of the configuration.
    pub fn new(
        life: Life,
        models: Vec<Arc<dyn Model>>,
        bounds: Bounds,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let lane = Lane::new(models.iter().map(|model| model.concurrency()));
        let vitals = Arc::clone(life.vitals());
        Self { life, pool: Rc::new(Pool::new(lane, models, bounds, clock, metrics, vitals)) }
    }

    fn providers(&self) -> Vec<ProviderStatus> {
        let lane = self.pool.lane.borrow();
        let status = lane.report().zip(&self.pool.models).map(|((health, in_flight, calls), model)| {
            let (state, why) = match health {
                Health::Up => ("up", None),
                Health::Paused { why, .. } => ("paused", Some(why.clone())),
                Health::Limited { .. } => ("limited", Some("it asked to slow down".into())),
                Health::Out { why } => ("out", Some(why.clone())),
            };
            ProviderStatus {
                name: model.name().to_owned(),
                model: model.model().to_owned(),
                state,
                why,
                in_flight,
                calls,
                priced: model.price().is_some(),
            }
        });
        status.collect()
    }
}

impl Actor for LlmPool {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<Complete>> for LlmPool {
    type Result = ResponseFuture<Result<Answer, ModelError>>;

    fn handle(&mut self, mail: Mail<Complete>, _: &mut Self::Context) -> Self::Result {
        let (call, _ticket) = mail.open();
        let span = call.span.clone();
        Box::pin(complete(Rc::clone(&self.pool), call).instrument(span))
    }
}

impl Handler<Mail<Providers>> for LlmPool {
    type Result = MessageResult<Mail<Providers>>;

    fn handle(&mut self, mail: Mail<Providers>, _: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        MessageResult(self.providers())
    }
}

impl Handler<Mail<Observe>> for LlmPool {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"providers": self.providers()}))
    }
}

impl Handler<Mail<Stop>> for LlmPool {
    type Result = Drained;

    /// Sessions end before the pool does, and cancel their calls.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.life.stop(ctx);
        Drained
    }
}
