//! The account of a job's model calls: its worst case is charged before each, what it came to after it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::{
    kit::{BenchKit, PriceOf},
    messages::BenchEvent,
};
use crate::{
    actors::{
        db::messages::{DbError, PrepayJob, SettleJob},
        kernel::{Door, Unreachable},
    },
    domain::{
        Millis,
        budget::{Amount, Caps, Exceeded},
        gateway::usage::Metered,
        ids::JobId,
        job::{Prepayment, Settlement},
        journal,
        model::Usage,
    },
    ports::{
        clock::Clock,
        gateway::{Meter, ModelCall, NoBudget, Ticket},
    },
};

/// Attempts to settle while the store is not there.
const ATTEMPTS: u32 = 8;
/// Pause before the second; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Longest wait for a job that does not read what it is told.
const TELL: Duration = Duration::from_secs(5);

/// The account of one job.
#[derive(Clone)]
pub struct JobMeter {
    inner: Arc<Inner>,
}

struct Inner {
    job: JobId,
    caps: (Caps, Caps),
    prepay: Door<PrepayJob>,
    settle: Door<SettleJob>,
    price_of: PriceOf,
    clock: Arc<dyn Clock>,
    events: mpsc::Sender<BenchEvent>,
    /// The job knows that a budget has no room.
    told: AtomicBool,
    next: AtomicU64,
    /// Calls of the gateway that are under way.
    open: Mutex<HashMap<u64, (ModelCall, Charged)>>,
}

/// What was charged, and when.
type Charged = (Amount, Millis);

/// A call that is paid for in advance. Dropped unsettled, it was never made.
pub struct Paid {
    inner: Arc<Inner>,
    charged: Option<Charged>,
}

impl JobMeter {
    /// The account of this job; `events` hears of a budget without room.
    pub fn new(kit: &BenchKit, job: JobId, events: mpsc::Sender<BenchEvent>) -> Self {
        Self {
            inner: Arc::new(Inner {
                job,
                caps: (kit.caps.job, kit.caps.user),
                prepay: kit.doors.prepay.clone(),
                settle: kit.doors.settle.clone(),
                price_of: Arc::clone(&kit.price_of),
                clock: Arc::clone(&kit.clock),
                events,
                told: AtomicBool::new(false),
                next: AtomicU64::new(1),
                open: Mutex::default(),
            }),
        }
    }

    /// From now on the job is told again, once, when a budget has no room.
    pub fn tell_again(&self) {
        self.inner.told.store(false, Ordering::Relaxed);
    }

    /// Charges what a call may cost at worst. Whoever asked may go away meanwhile: then nothing stays charged. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// [`NoBudget`].
    pub fn prepay(&self, worst: Amount) -> BoxFuture<'static, Result<Paid, NoBudget>> {
        let inner = Arc::clone(&self.inner);
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = charge(&inner, worst).await;
            let outcome = outcome.map(|charged| Paid { inner, charged: Some(charged) });
            // What nobody waits for any more is given back by being dropped.
            drop(answer.send(outcome));
        });
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Err(NoBudget::Unknown("asking broke off".into())))
        })
    }
}

impl Paid {
    /// Puts what the call came to in the place of what was charged.
    pub async fn settle(mut self, call: Option<journal::ModelCall>) {
        if let Some(charged) = self.charged.take() {
            put(Arc::clone(&self.inner), charged, call).await;
        }
    }

    /// How long ago it was paid, in milliseconds.
    pub fn age_ms(&self) -> u64 {
        self.charged.map_or(0, |(_, at)| (self.inner.clock.now() - at).max(0).unsigned_abs())
    }

    /// It goes on to be settled by its number.
    fn keep(mut self) -> Option<Charged> {
        self.charged.take()
    }
}

impl Drop for Paid {
    fn drop(&mut self) {
        // Without a runtime the process ends, and it stays charged.
        if let (Some(charged), Ok(runtime)) = (self.charged.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(settle(Arc::clone(&self.inner), charged, None));
        }
    }
}

async fn charge(inner: &Inner, worst: Amount) -> Result<Charged, NoBudget> {
    let now = inner.clock.now();
    let (job_caps, user_caps) = inner.caps;
    let call = Prepayment { job: inner.job.clone(), worst, job_caps, user_caps, now };
    match inner.prepay.ask(PrepayJob { call }).await {
        Ok(Ok(prepaid)) => Ok((prepaid, now)),
        Ok(Err(exceeded)) => {
            tell(inner, exceeded).await;
            Err(NoBudget::Spent(words(&exceeded)))
        }
        Err(error) => Err(NoBudget::Unknown(error.to_string())),
    }
}

async fn tell(inner: &Inner, exceeded: Exceeded) {
    if inner.told.swap(true, Ordering::Relaxed) {
        return;
    }
    let told = tokio::time::timeout(TELL, inner.events.send(BenchEvent::OverBudget(exceeded))).await;
    if told.is_err() {
        inner.told.store(false, Ordering::Relaxed);
    }
}

/// What whoever works in the sandbox is told.
fn words(over: &Exceeded) -> String {
    let show = |quantity| over.dimension.show(quantity);
    format!(
        "the {} budget has no room for another model call: {} of {} are used or reserved, and this one may take {}. \
         Stop here; a person decides whether there is more",
        over.scope.as_words(),
        show(over.used),
        show(over.cap),
        show(over.asked)
    )
}

/// Settles to the end, also when whoever waits for it goes away.
async fn put(inner: Arc<Inner>, charged: Charged, call: Option<journal::ModelCall>) {
    let _ = tokio::spawn(settle(inner, charged, call)).await;
}

async fn settle(inner: Arc<Inner>, (prepaid, prepaid_at): Charged, call: Option<journal::ModelCall>) {
    let job = inner.job.clone();
    let call = Settlement { job, prepaid, prepaid_at, call, now: inner.clock.now() };
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        let error = match inner.settle.ask(SettleJob { call: call.clone() }).await {
            Ok(()) => return,
            Err(error) => error,
        };
        // Only what was surely not stored is tried again: twice would give back too much.
        let again = matches!(error, DbError::Failed(_) | DbError::Unreachable(Unreachable::Down(_)));
        if !again || attempt == ATTEMPTS {
            tracing::warn!(job = %inner.job, %error, "a model call cannot be settled and stays charged at its worst");
            return;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

impl Meter for JobMeter {
    fn reserve(&self, call: ModelCall) -> BoxFuture<'static, Result<Ticket, NoBudget>> {
        let worst = Amount {
            tokens: call.input.saturating_add(call.output),
            micros: (self.inner.price_of)(&call).worst(call.input, call.output),
            tool_calls: 0,
            // Nobody knows it before; a budget of time that is used up lets no call begin.
            time_ms: 1,
        };
        let (inner, paid) = (Arc::clone(&self.inner), self.prepay(worst));
        Box::pin(async move {
            let number = inner.next.fetch_add(1, Ordering::Relaxed);
            if let Some(charged) = paid.await?.keep() {
                let mut open = inner.open.lock().unwrap_or_else(PoisonError::into_inner);
                open.insert(number, (call, charged));
            }
            Ok(Ticket(number))
        })
    }

    fn settle(&self, ticket: Ticket, used: Metered) -> BoxFuture<'static, ()> {
        let found = self.inner.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket.0);
        let Some((call, charged)) = found else { return Box::pin(std::future::ready(())) };
        let inner = Arc::clone(&self.inner);
        // What the gateway gives for a call that the provider did not take.
        let free = used.told && used.usage == Usage::default();
        let paid = (!free).then(|| journal::ModelCall {
            cost: Amount {
                tokens: used.usage.input.saturating_add(used.usage.output),
                micros: (inner.price_of)(&call).cost(&used.usage),
                tool_calls: 0,
                time_ms: (inner.clock.now() - charged.1).max(0).unsigned_abs(),
            },
            provider: call.provider,
            model: call.model,
            usage: used.usage,
        });
        Box::pin(put(inner, charged, paid))
    }
}
