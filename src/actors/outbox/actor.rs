//! The outbox: sends what is fresh at once, looks for what is due now and then, settles in batches.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::{ClaimOutbox, SettleOutbox},
        delivery::messages::Deliver,
        kernel::{Door, Life, Mail, fault, messages::*},
    },
    domain::{
        Millis,
        outbound::{OutboxRow, Sent},
    },
    ports::{channel::Resend, clock::Clock, metrics::Metrics},
};

use super::messages::Fresh;

/// Sessions hand over a few rows a turn; beyond this they wait.
const MAILBOX: usize = 4_096;
/// How often the store is asked for what is due.
const LOOK: Duration = Duration::from_secs(2);
/// How long the end waits for messages that wait for their platform: those go out at the next start.
const FAREWELL: Duration = Duration::from_secs(5);
/// Rows of one look.
const PAGE: usize = 200;

/// Whom the outbox talks to.
#[derive(Clone)]
pub struct OutboxDoors {
    /// Claims what is due.
    pub claim: Door<ClaimOutbox>,
    /// Stores what came of sending.
    pub settle: Door<SettleOutbox>,
    /// The deliveries, by channel, and whether a cut-off send may be repeated there.
    pub deliveries: HashMap<&'static str, (Door<Deliver>, Resend)>,
    /// Tells deliveries that nobody waits any more for what is not on its way yet.
    pub ending: CancellationToken,
}

/// The actor.
pub struct Outbox {
    life: Life,
    doors: OutboxDoors,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Rows that are being sent, and since when they wait.
    sending: BTreeMap<i64, Millis>,
    outcomes: Vec<(i64, Sent)>,
    looking: bool,
    /// What was stored by this run before everything was found that earlier runs left: that goes out first.
    early: Option<Vec<OutboxRow>>,
    stopping: Option<oneshot::Sender<Drained>>,
}

impl Outbox {
    /// An outbox behind these doors.
    pub fn new(life: Life, doors: OutboxDoors, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self {
            life,
            doors,
            clock,
            metrics,
            sending: BTreeMap::new(),
            outcomes: Vec::new(),
            looking: false,
            early: Some(Vec::new()),
            stopping: None,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.stopping.is_some() {
            return;
        }
        self.looking = true;
        let claim = self.doors.claim.ask(ClaimOutbox { now: self.clock.now(), limit: PAGE });
        ctx.spawn(claim.into_actor(self).map(|claimed, outbox, ctx| {
            outbox.looking = false;
            match claimed {
                Ok(rows) => {
                    let full = rows.len() == PAGE;
                    rows.into_iter().for_each(|(row, cut_off)| outbox.send(row, cut_off, ctx));
                    if full {
                        return outbox.look(ctx);
                    }
                    let early = outbox.early.take().unwrap_or_default();
                    early.into_iter().for_each(|row| outbox.send(row, false, ctx));
                }
                Err(error) => outbox.life.vitals().note_error(error.to_string()),
            }
        }));
    }

    fn send(&mut self, row: OutboxRow, cut_off: bool, ctx: &mut Context<Self>) {
        let id = row.id;
        let channel = row.message.conversation.channel().to_owned();
        let Some((delivery, resend)) = self.doors.deliveries.get(channel.as_str()) else {
            let why = format!("the channel `{channel}` is not there; its messages wait");
            return self.settle(id, Sent::Later { after_ms: 60_000, why }, ctx);
        };
        let resend = *resend;
        self.sending.insert(id, self.clock.now());
        self.count();
        let sent = delivery.send(Deliver { row: Arc::new(row), cut_off });
        ctx.spawn(sent.into_actor(self).map(move |sent, outbox, ctx| {
            if resend == Resend::Never {
                return outbox.forget(id, ctx);
            }
            let sent = sent.unwrap_or_else(|error| Sent::Later { after_ms: 1_000, why: error.to_string() });
            outbox.settle(id, sent, ctx);
        }));
    }

    fn forget(&mut self, id: i64, ctx: &mut Context<Self>) {
        self.sending.remove(&id);
        self.count();
        self.end_if_done(ctx);
    }

    fn settle(&mut self, id: i64, sent: Sent, ctx: &mut Context<Self>) {
        self.sending.remove(&id);
        self.count();
        if let Sent::Refused(why) | Sent::Unknown(why) = &sent {
            tracing::warn!(outbox = id, why, "message not delivered");
            self.life.vitals().note_error(format!("message {id}: {why}"));
        }
        if let Sent::Parked(why) = &sent {
            tracing::info!(outbox = id, why, "message parked until its chat can be reached");
        }
        self.outcomes.push((id, sent));
        self.store(ctx);
    }

    fn store(&mut self, ctx: &mut Context<Self>) {
        let sent = std::mem::take(&mut self.outcomes);
        if sent.is_empty() {
            return self.end_if_done(ctx);
        }
        fault::point("before_settle", "outbox");
        let settle = self.doors.settle.ask(SettleOutbox { sent: sent.clone(), now: self.clock.now() });
        ctx.spawn(settle.into_actor(self).map(|settled, outbox, ctx| {
            if let Err(error) = settled {
                // The rows stay held by this run; the next run takes them over.
                tracing::error!(%error, "outcomes of sending cannot be stored");
                outbox.life.vitals().note_error(error.to_string());
                outbox.outcomes.extend(sent);
                ctx.run_later(LOOK, |outbox, ctx| outbox.store(ctx));
            }
            outbox.end_if_done(ctx);
        }));
    }

    fn count(&self) {
        self.metrics.outbox_depth.set(i64::try_from(self.sending.len()).unwrap_or(i64::MAX));
        let oldest = self.sending.values().next().map_or(0, |since| self.clock.now() - since);
        self.metrics.outbox_age_ms.set(oldest);
    }

    fn end_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.sending.is_empty()
            && self.outcomes.is_empty()
            && let Some(answer) = self.stopping.take()
        {
            let _ = answer.send(Drained);
            self.life.stop(ctx);
        }
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.look(ctx);
        ctx.run_interval(LOOK, |outbox, ctx| outbox.look(ctx));
    }
}

impl Handler<Mail<Fresh>> for Outbox {
    type Result = ();

    fn handle(&mut self, mail: Mail<Fresh>, ctx: &mut Self::Context) {
        let (Fresh(rows), _ticket) = mail.open();
        match &mut self.early {
            Some(early) => early.extend(rows),
            None => rows.into_iter().for_each(|row| self.send(row, false, ctx)),
        }
    }
}

impl Handler<Mail<Observe>> for Outbox {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({"sending": self.sending.len(), "unsettled": self.outcomes.len()}))
    }
}

impl Handler<Mail<Stop>> for Outbox {
    type Result = ResponseFuture<Drained>;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        self.stopping = Some(answer);
        ctx.run_later(FAREWELL, |outbox, _| outbox.doors.ending.cancel());
        self.store(ctx);
        Box::pin(async move { answered.await.unwrap_or(Drained) })
    }
}
