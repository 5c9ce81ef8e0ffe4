//! One call from its first attempt to its answer: choose, ask, fail over, wait, within bounds.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    actors::kernel::{Vitals, caught},
    domain::{
        Millis,
        budget::Amount,
        lane::{Choice, Lane, fails_over},
        message::Message,
        model::{Answer, ModelError, Reply},
        outbound::Progress,
        retry::{Bounds, backoff, may_try},
    },
    ports::{
        clock::Clock,
        metrics::Metrics,
        model::{Model, ProgressSink},
    },
};

use super::messages::Complete;

/// First wait between rounds over all providers, in milliseconds.
const FIRST_WAIT: u64 = 500;
/// Longest wait between rounds.
const LONGEST_WAIT: u64 = 20_000;

/// What all calls share.
pub(super) struct Pool {
    pub(super) lane: RefCell<Lane>,
    pub(super) models: Vec<Arc<dyn Model>>,
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    vitals: Arc<Vitals>,
    freed: Notify,
}

impl Pool {
    pub(super) fn new(
        lane: Lane,
        models: Vec<Arc<dyn Model>>,
        bounds: Bounds,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        vitals: Arc<Vitals>,
    ) -> Self {
        let (lane, freed) = (RefCell::new(lane), Notify::new());
        Self { lane, models, bounds, clock, metrics, vitals, freed }
    }

    /// Providers that may answer: of those that were asked for the ones that take all files of the request, if any
    /// does; else all of them: the codec says in words what it cannot send.
    fn fitting(&self, call: &Complete) -> Result<Vec<bool>, ModelError> {
        let is_wanted = |model: &Arc<dyn Model>| {
            call.only.as_deref().is_none_or(|only| model.model() == only || model.name() == only)
        };
        let wanted: Vec<bool> = self.models.iter().map(is_wanted).collect();
        if let (Some(only), false) = (&call.only, wanted.contains(&true)) {
            let known: Vec<&str> = self.models.iter().map(|model| model.model()).collect();
            let known = known.join(", ");
            return Err(ModelError::BadRequest(format!(
                "no provider is configured for `{only}`; there is {known}"
            )));
        }
        let request = &call.request;
        let types: Vec<&str> = request
            .messages
            .iter()
            .flat_map(|message| match message.as_ref() {
                Message::User { attachments, .. } => attachments.as_slice(),
                Message::Assistant { .. } | Message::Tool { .. } => &[],
            })
            .map(|file| file.media_type.as_str())
            .collect();
        let does_fit = |(model, wanted): (&Arc<dyn Model>, &bool)| {
            let takes = model.takes();
            let takes_all = types.iter().all(|media_type| takes.media(media_type));
            *wanted && takes_all && (request.tools.is_empty() || takes.tools)
        };
        let fits: Vec<bool> = self.models.iter().zip(&wanted).map(does_fit).collect();
        Ok(if fits.contains(&true) { fits } else { wanted })
    }

    fn ended(&self, at: usize, outcome: Result<(), &ModelError>) {
        let name = self.models[at].name();
        let word = match outcome {
            Ok(()) => "ok",
            Err(ModelError::BadRequest(_) | ModelError::TooLong(_)) => "refused",
            Err(ModelError::Auth(_)) => "auth",
            Err(ModelError::RateLimited { .. }) => "limited",
            Err(ModelError::TimedOut) => "timeout",
            Err(ModelError::Cancelled) => "cancelled",
            Err(ModelError::Unavailable(_) | ModelError::Exhausted(_)) => "failed",
        };
        self.metrics.model_calls.with_label_values(&[name, word]).inc();
        if self.lane.borrow_mut().ended(self.clock.now(), at, outcome) {
            let why = outcome.err().map(ToString::to_string).unwrap_or_default();
            tracing::error!(
                provider = name,
                why,
                "provider is out until its key is mended and atoll restarted"
            );
            self.vitals.note_error(format!("{name} is out: {why}"));
        }
        self.freed.notify_waiters();
    }

    fn paid(&self, at: usize, reply: Reply, took_ms: u64) -> Answer {
        let model = &self.models[at];
        let usage = reply.usage;
        let micros = model.price().map_or(0, |price| price.cost(&usage));
        let count = |direction: &str, tokens: u64| {
            self.metrics.tokens.with_label_values(&[model.name(), direction]).inc_by(tokens);
        };
        count("input", usage.input);
        count("cached", usage.cached);
        count("output", usage.output);
        self.metrics.money.with_label_values(&[model.name()]).inc_by(micros);
        let cost = Amount { tokens: usage.input + usage.output, micros, tool_calls: 0, time_ms: took_ms };
        Answer { reply, cost }
    }
}

/// Frees the provider's place also when the call is dropped in the middle.
struct InFlight<'p> {
    pool: &'p Pool,
    at: usize,
    open: Cell<bool>,
}

impl InFlight<'_> {
    fn end(&self, outcome: Result<(), &ModelError>) {
        if self.open.replace(false) {
            self.pool.ended(self.at, outcome);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.end(Err(&ModelError::Cancelled));
    }
}

/// Gets one answer, or the error that is worth telling.
pub(super) async fn complete(pool: Rc<Pool>, call: Complete) -> Result<Answer, ModelError> {
    let cancel = call.cancel.clone();
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ModelError::Cancelled),
        answer = rounds(&pool, &call) => answer,
    }
}

async fn rounds(pool: &Pool, call: &Complete) -> Result<Answer, ModelError> {
    let started = pool.clock.now();
    let fits = pool.fitting(call)?;
    let (mut attempts, mut round) = (0, 1);
    let mut tried: Vec<usize> = Vec::new();
    let mut last: Option<ModelError> = None;
    loop {
        let choice = pool.lane.borrow_mut().choose(pool.clock.now(), &tried, |at| fits[at]);
        let wait_until = match choice {
            Choice::Use(at) => {
                attempts += 1;
                match attempt(pool, call, at, started).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if !fails_over(&error) => return Err(error),
                    Err(error) => last = Some(error),
                }
                tried.push(at);
                if !may_try(pool.bounds, started, attempts, pool.clock.now()) {
                    return Err(exhausted(last, ""));
                }
                continue;
            }
            Choice::Busy => {
                let freed = pool.freed.notified();
                let left = remaining(pool, started);
                if tokio::time::timeout(left, freed).await.is_err() {
                    return Err(exhausted(last, "all providers are busy"));
                }
                continue;
            }
            Choice::WaitUntil(until) => until,
            // The last error is among the reasons already, when there was one.
            Choice::None(why) if tried.is_empty() => {
                return Err(exhausted(last.clone(), if last.is_none() { &why } else { "" }));
            }
            Choice::None(_) => {
                let wait = backoff(round, FIRST_WAIT, LONGEST_WAIT, pool.clock.dice());
                pool.clock.now() + i64::try_from(wait).unwrap_or(0)
            }
        };
        if !may_try(pool.bounds, started, attempts, wait_until) {
            return Err(exhausted(last, "no provider can answer in time"));
        }
        sleep_until(pool, wait_until).await;
        tried.clear();
        round += 1;
    }
}

async fn attempt(pool: &Pool, call: &Complete, at: usize, started: Millis) -> Result<Answer, ModelError> {
    let in_flight = InFlight { pool, at, open: Cell::new(true) };
    let shown = Arc::new(AtomicBool::new(false));
    let progress: ProgressSink = {
        let (shown, sink) = (Arc::clone(&shown), Arc::clone(&call.progress));
        Arc::new(move |piece| {
            shown.store(true, Ordering::Relaxed);
            sink(piece);
        })
    };
    let began = pool.clock.now();
    let asking =
        caught(&pool.vitals, async { pool.models[at].ask(Arc::clone(&call.request), progress).await });
    let outcome = match tokio::time::timeout(remaining(pool, started), asking).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panicked)) => Err(ModelError::Unavailable(panicked.to_string())),
        Err(_) => Err(ModelError::TimedOut),
    };
    in_flight.end(outcome.as_ref().map(|_| ()));
    match outcome {
        Ok(reply) => {
            let took = (pool.clock.now() - began).max(0).unsigned_abs();
            Ok(pool.paid(at, reply, took))
        }
        Err(error) => {
            tracing::warn!(provider = pool.models[at].name(), %error, "model call failed");
            if shown.load(Ordering::Relaxed) && fails_over(&error) {
                (call.progress)(Progress::Restart);
            }
            Err(error)
        }
    }
}

fn remaining(pool: &Pool, started: Millis) -> Duration {
    let left = started + pool.bounds.total_ms - pool.clock.now();
    Duration::from_millis(left.max(0).unsigned_abs())
}

async fn sleep_until(pool: &Pool, until: Millis) {
    let wait = (until - pool.clock.now()).max(0).unsigned_abs();
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

fn exhausted(last: Option<ModelError>, why: &str) -> ModelError {
    let reasons: Vec<String> = last
        .map(|error| error.to_string())
        .into_iter()
        .chain((!why.is_empty()).then(|| why.to_owned()))
        .collect();
    ModelError::Exhausted(reasons.join("; "))
}
