//! The outbox: sends what is fresh at once, looks for what is due now and then, settles in batches.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::{ClaimOutbox, HeldOutbox, SettleOutbox},
        delivery::messages::Deliver,
        kernel::{Door, Life, Mail, Vitals, fault, messages::*},
    },
    domain::outbound::{OutboxRow, Sent},
    ports::{channel::Resend, clock::Clock, metrics::Metrics},
};

use super::{hand::Hand, messages::Fresh};

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
    /// Finds what this run holds.
    pub held: Door<HeldOutbox>,
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
    hand: Arc<Hand>,
    looking: bool,
    storing: bool,
    /// As soon as that is stored.
    wants_look: bool,
    /// What came before everything was found that earlier runs left, and an outbox of this run that fell: that goes out
    /// first.
    early: Option<Vec<OutboxRow>>,
    /// What was found in the store before it came from whom it was stored by.
    found: HashSet<i64>,
    stopping: Option<oneshot::Sender<Drained>>,
}

impl Outbox {
    /// An outbox behind these doors. What the one before it had in hand goes on.
    pub fn new(
        life: Life,
        doors: OutboxDoors,
        hand: Arc<Hand>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self {
            life,
            doors,
            clock,
            metrics,
            hand,
            looking: false,
            storing: false,
            wants_look: false,
            early: Some(Vec::new()),
            found: HashSet::new(),
            stopping: None,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.stopping.is_some() {
            return;
        }
        // What came of sending is stored first: it says what is due.
        self.wants_look = self.storing;
        if self.storing {
            return;
        }
        self.looking = true;
        let claim = self.doors.claim.ask(ClaimOutbox { now: self.clock.now(), limit: PAGE });
        ctx.spawn(claim.into_actor(self).map(|claimed, outbox, ctx| {
            outbox.looking = false;
            match claimed {
                Ok(rows) => {
                    let full = rows.len() == PAGE;
                    for (row, cut_off) in rows {
                        outbox.send(row, cut_off, ctx);
                    }
                    if full {
                        outbox.look(ctx);
                    } else if outbox.early.is_some() {
                        outbox.take_up(0, ctx);
                    }
                }
                Err(error) => {
                    outbox.life.vitals().note_error(error.to_string());
                    // They may be claimed, and the answer lost.
                    outbox.early.get_or_insert_default();
                }
            }
        }));
    }

    /// Takes up what this run holds and nobody has in hand: it was on its way to an outbox that fell, or was claimed by it
    /// and not sent.
    fn take_up(&mut self, after: i64, ctx: &mut Context<Self>) {
        self.looking = true;
        let held = self.doors.held.ask(HeldOutbox { after, limit: PAGE });
        ctx.spawn(held.into_actor(self).map(|held, outbox, ctx| {
            outbox.looking = false;
            match held {
                Ok(rows) => {
                    let next = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.id);
                    for row in rows {
                        let (id, cut_off) = (row.id, row.attempts > 0);
                        if outbox.send(row, cut_off, ctx) {
                            outbox.found.insert(id);
                        }
                    }
                    if let Some(after) = next {
                        return outbox.take_up(after, ctx);
                    }
                    let early = outbox.early.take().unwrap_or_default();
                    outbox.fresh(early, ctx);
                }
                // The next look comes here again.
                Err(error) => outbox.life.vitals().note_error(error.to_string()),
            }
        }));
    }

    fn fresh(&mut self, rows: Vec<OutboxRow>, ctx: &mut Context<Self>) {
        for row in rows {
            if !self.found.remove(&row.id) {
                self.send(row, false, ctx);
            }
        }
    }

    /// False when it is in hand already.
    fn send(&mut self, row: OutboxRow, cut_off: bool, ctx: &mut Context<Self>) -> bool {
        let id = row.id;
        if !self.hand.take(id, self.clock.now()) {
            return false;
        }
        self.count();
        let channel = row.message.conversation.channel();
        let sent = self.doors.deliveries.get(channel).map(|(delivery, resend)| {
            (delivery.send(Deliver { row: Arc::new(row.clone()), cut_off }), *resend)
        });
        let why = format!("the channel `{channel}` is not there; its messages wait");
        let (hand, vitals) = (Arc::clone(&self.hand), Arc::clone(self.life.vitals()));
        // It goes on when this actor falls.
        let sending = actix::spawn(async move {
            let sent = match sent {
                Some((sending, Resend::Never)) => {
                    let _ = sending.await;
                    return hand.release(id);
                }
                Some((sending, _)) => sending
                    .await
                    .unwrap_or_else(|error| Sent::Later { after_ms: 1_000, why: error.to_string() }),
                None => Sent::Later { after_ms: 60_000, why },
            };
            say(&vitals, id, &sent);
            hand.note(id, sent);
        });
        ctx.spawn(sending.into_actor(self).map(|_, outbox, ctx| {
            outbox.count();
            outbox.store(ctx);
        }));
        true
    }

    /// Stores what came of sending.
    fn store(&mut self, ctx: &mut Context<Self>) {
        if self.storing {
            return;
        }
        let sent = self.hand.over();
        if sent.is_empty() {
            return self.end_if_done(ctx);
        }
        self.storing = true;
        fault::point("before_settle", "outbox");
        let settle = self.doors.settle.ask(SettleOutbox { sent: sent.clone(), now: self.clock.now() });
        ctx.spawn(settle.into_actor(self).map(move |settled, outbox, ctx| {
            outbox.storing = false;
            match settled {
                Ok(()) => {
                    sent.iter().for_each(|(id, _)| outbox.hand.release(*id));
                    if outbox.wants_look {
                        outbox.look(ctx);
                    }
                    outbox.store(ctx);
                }
                // They stay in hand; the next look tries again, and when this run ends the next one finds them.
                Err(error) => {
                    tracing::error!(%error, "outcomes of sending cannot be stored");
                    outbox.life.vitals().note_error(error.to_string());
                }
            }
        }));
    }

    fn count(&self) {
        let (sending, _, first) = self.hand.look();
        self.metrics.outbox_depth.set(i64::try_from(sending).unwrap_or(i64::MAX));
        self.metrics.outbox_age_ms.set(first.map_or(0, |since| self.clock.now() - since));
    }

    fn end_if_done(&mut self, ctx: &mut Context<Self>) {
        let (sending, over, _) = self.hand.look();
        if sending + over == 0
            && let Some(answer) = self.stopping.take()
        {
            let _ = answer.send(Drained);
            self.life.stop(ctx);
        }
    }
}

/// Says of a message that it did not arrive.
fn say(vitals: &Vitals, id: i64, sent: &Sent) {
    match sent {
        Sent::Refused(why) | Sent::Unknown(why) => {
            tracing::warn!(outbox = id, why, "message not delivered");
            vitals.note_error(format!("message {id}: {why}"));
        }
        Sent::Parked(why) => {
            tracing::info!(outbox = id, why, "message parked until its chat can be reached");
        }
        Sent::Done | Sent::Later { .. } => {}
    }
}

impl Actor for Outbox {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.store(ctx);
        self.look(ctx);
        ctx.run_interval(LOOK, |outbox, ctx| {
            outbox.store(ctx);
            outbox.look(ctx);
        });
    }
}

impl Handler<Mail<Fresh>> for Outbox {
    type Result = ();

    fn handle(&mut self, mail: Mail<Fresh>, ctx: &mut Self::Context) {
        let (Fresh(rows), _ticket) = mail.open();
        match &mut self.early {
            Some(early) => early.extend(rows),
            None => self.fresh(rows, ctx),
        }
    }
}

impl Handler<Mail<Observe>> for Outbox {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let (sending, unsettled, _) = self.hand.look();
        Snapshot(serde_json::json!({"sending": sending, "unsettled": unsettled}))
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
