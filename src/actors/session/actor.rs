//! The session actor: its state, its mail.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::{
    actors::{
        event_hub::messages::Publish,
        kernel::{Life, Mail, messages::*},
    },
    domain::{
        ids::{ConversationId, InboundId, UserId},
        inbound::{Accepted, Inbound, Refused},
        outbound::{LiveEvent, Progress},
        turn::{Effect, Event, History, Outcome, Phase},
    },
};

use super::{
    facts::Reading,
    kit::SessionKit,
    messages::{Deliver, Order, Tell},
    orders::Done,
    work::{Acceptance, Work},
};

/// A conversation's messages wait in its queue, not here; this bounds what arrives in one moment.
const MAILBOX: usize = 64;

/// What a turn that had to wait for another does when it is its time.
pub(super) enum Ready {
    /// It hears of this.
    Event(Event),
    /// It performs these.
    Effects(Vec<Effect>),
}

/// The actor.
pub struct Session {
    pub(super) life: Life,
    pub(super) id: ConversationId,
    pub(super) user: UserId,
    pub(super) kit: Arc<SessionKit>,
    /// Messages that came before the rows were read; `None` once they were.
    pub(super) arrivals: Option<Vec<(Deliver, Acceptance)>>,
    /// Orders that came before the rows were read.
    pub(super) orders: Vec<(Order, Done)>,
    pub(super) history: History,
    pub(super) last_seq: i64,
    pub(super) cleared_seq: i64,
    pub(super) activated: BTreeSet<String>,
    /// All turns that are not over, by number: at most one runs, the others are parked.
    pub(super) works: BTreeMap<i64, Work>,
    pub(super) current: Option<i64>,
    /// A message is being prepared to become a turn; how that is to end when it was ended meanwhile.
    pub(super) preparing: Option<Option<Outcome>>,
    /// Messages that are being stored to wait.
    pub(super) lining_up: usize,
    /// Parked turns that may go on when the current one is through.
    pub(super) ready: VecDeque<(i64, Ready)>,
    pub(super) queue: VecDeque<Inbound>,
    /// Who cancelled and waits to hear that it is stored.
    pub(super) cancels: Vec<Done>,
    pub(super) draining: Option<oneshot::Sender<Drained>>,
    pub(super) turns_done: u64,
    pub(super) reading: Reading,
}

impl Session {
    /// The session of a conversation; it reads its rows when it starts.
    pub fn new(life: Life, id: ConversationId, kit: Arc<SessionKit>) -> Self {
        kit.metrics.sessions.inc();
        Self {
            life,
            user: id.user(),
            id,
            kit,
            arrivals: Some(Vec::new()),
            orders: Vec::new(),
            history: History::default(),
            last_seq: 0,
            cleared_seq: 0,
            activated: BTreeSet::new(),
            works: BTreeMap::new(),
            current: None,
            preparing: None,
            lining_up: 0,
            ready: VecDeque::new(),
            queue: VecDeque::new(),
            cancels: Vec::new(),
            draining: None,
            turns_done: 0,
            reading: Reading::default(),
        }
    }

    /// True while a message could not be taken up at once.
    pub(super) fn is_busy(&self) -> bool {
        self.current.is_some() || self.preparing.is_some() || self.lining_up > 0 || !self.ready.is_empty()
    }

    /// True when nothing at all is under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy() && self.works.is_empty() && self.queue.is_empty() && self.arrivals.is_none()
    }

    /// Shows what happens to messages, to those who watch. May be lost.
    pub(super) fn show(&self, inbounds: Vec<InboundId>, progress: Progress) {
        let event = Arc::new(LiveEvent::Progress { conversation: self.id.clone(), inbounds, progress });
        let _ = self.kit.doors.publish.try_send(Publish(event));
    }

    /// Gives up: the parent starts a fresh session, which goes on from the rows.
    pub(super) fn fail(&mut self, ctx: &mut Context<Self>, error: impl ToString) {
        self.life.fail(ctx, error);
    }

    /// Ends a drain when nothing runs any more.
    pub(super) fn end_drain_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.current.is_none()
            && self.preparing.is_none()
            && self.lining_up == 0
            && let Some(answer) = self.draining.take()
        {
            let _ = answer.send(Drained);
            self.life.stop(ctx);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kit.metrics.sessions.dec();
        if self.current.is_some() {
            self.kit.metrics.turns_running.dec();
        }
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.load(ctx);
    }
}

impl Handler<Mail<Deliver>> for Session {
    type Result = ResponseFuture<Result<Accepted, Refused>>;

    fn handle(&mut self, mail: Mail<Deliver>, ctx: &mut Self::Context) -> Self::Result {
        let (deliver, _ticket) = mail.open();
        let (acceptance, accepted) = oneshot::channel();
        self.deliver(deliver, acceptance, ctx);
        Box::pin(async move {
            accepted
                .await
                .unwrap_or_else(|_| Err(Refused::Unavailable("the conversation was interrupted".into())))
        })
    }
}

impl Handler<Mail<Tell>> for Session {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, mail: Mail<Tell>, ctx: &mut Self::Context) -> Self::Result {
        let (Tell(order), _ticket) = mail.open();
        let (answer, done) = oneshot::channel();
        self.obey(order, answer, ctx);
        Box::pin(async move { done.await.unwrap_or(false) })
    }
}

impl Handler<Mail<Observe>> for Session {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let phase = self.current.and_then(|seq| self.works.get(&seq)).map(|work| match work.turn.phase() {
            Phase::Asking(_) => "asking",
            Phase::Acting => "acting",
            Phase::OverBudget { .. } => "over_budget",
            Phase::Over(_) => "ending",
        });
        Snapshot(serde_json::json!({
            "phase": phase,
            "queued": self.queue.len(),
            "parked": self.works.len() - usize::from(self.current.is_some()),
            "turnsDone": self.turns_done,
            "history": self.history.past.len(),
        }))
    }
}

impl Handler<Mail<Stop>> for Session {
    type Result = ResponseFuture<Drained>;

    /// Lets the running turn end by the deadline. What is left then is in its journal, and goes on at the
    /// next start.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (Stop { deadline }, _ticket) = mail.open();
        let (answer, drained) = oneshot::channel();
        self.draining = Some(answer);
        let left = (deadline - self.kit.clock.now()).max(0).unsigned_abs();
        ctx.run_later(Duration::from_millis(left), |session, ctx| {
            if let Some(answer) = session.draining.take() {
                tracing::info!(conversation = %session.id, "turn is cut off by shutdown and goes on at the next start");
                let _ = answer.send(Drained);
                session.life.stop(ctx);
            }
        });
        self.end_drain_if_done(ctx);
        Box::pin(async move { drained.await.unwrap_or(Drained) })
    }
}
