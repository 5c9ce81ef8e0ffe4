//! The delivery of one chat platform: one message at a time for each conversation, and the answers that grow there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        event_hub::messages::{Subscribe, Topic},
        kernel::{Door, Life, Mail, caught, messages::*},
    },
    domain::{
        file_link::FileLinks,
        ids::{ConversationId, InboundId},
        markup::Flavor,
        outbound::{Body, LiveEvent, OutboxRow, Progress, Sent},
        pace::Pace,
    },
    ports::{clock::Clock, platform::Platform},
};

use super::{
    super::messages::Deliver,
    courier::{ChatDoors, Courier},
    draft::{Drafting, Over},
    health::Health,
};

/// The outbox sends a page at a time and waits beyond this.
const MAILBOX: usize = 4_096;
/// Before it is asked again to watch what happens.
const PAUSE: Duration = Duration::from_secs(1);

/// A message in its line.
struct Waiting {
    row: Arc<OutboxRow>,
    cut_off: bool,
    /// Set when it is its turn.
    begun: Arc<AtomicBool>,
    answer: oneshot::Sender<Sent>,
}

/// What a delivery is made of.
pub struct ChatKit {
    /// The platform.
    pub platform: Arc<dyn Platform>,
    /// Its markup.
    pub flavor: Flavor,
    /// Its limits.
    pub pace: Pace,
    /// Links to files that it does not take, when people can reach the server.
    pub links: Option<FileLinks>,
    /// The store.
    pub doors: ChatDoors,
    /// What happens to messages.
    pub subscribe: Door<Subscribe>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// Nobody waits any more for what is not on its way yet.
    pub ending: CancellationToken,
}

/// The actor.
pub struct ChatDelivery {
    life: Life,
    courier: Arc<Courier>,
    subscribe: Door<Subscribe>,
    /// Conversations that are being sent to, with what waits behind it.
    lines: HashMap<ConversationId, VecDeque<Waiting>>,
    /// Answers that grow, by the first message that they answer.
    drafts: HashMap<InboundId, Drafting>,
    over: Over,
    sent: u64,
    failed: u64,
    stopping: Vec<oneshot::Sender<Drained>>,
}

impl ChatDelivery {
    /// The delivery of one platform.
    pub fn new(life: Life, kit: ChatKit) -> Self {
        let ChatKit { platform, flavor, pace, links, doors, subscribe, clock, ending } = kit;
        let courier = Arc::new(Courier {
            platform,
            doors,
            clock,
            flavor,
            links,
            pace: Mutex::new(pace),
            health: Health::default(),
            stop: ending,
        });
        Self {
            life,
            courier,
            subscribe,
            lines: HashMap::new(),
            drafts: HashMap::new(),
            over: Over::default(),
            sent: 0,
            failed: 0,
            stopping: Vec::new(),
        }
    }

    fn send(&mut self, Waiting { row, cut_off, begun, answer }: Waiting, ctx: &mut Context<Self>) {
        begun.store(true, Ordering::Relaxed);
        let conversation = row.message.conversation.clone();
        let drafts = match &row.message.body {
            Body::Answer { .. } => self.end_drafts(&row.message.answers),
            _ => Vec::new(),
        };
        let (courier, vitals) = (Arc::clone(&self.courier), Arc::clone(self.life.vitals()));
        let sending = async move {
            let mut shown = None;
            for draft in drafts {
                shown = shown.or(draft.finish().await);
            }
            courier.deliver(&row, cut_off, shown).await
        };
        // One that falls takes no other with it.
        let sending = async move {
            let sent = caught(&vitals, sending).await;
            sent.unwrap_or_else(|panicked| Sent::Unknown(panicked.to_string()))
        };
        ctx.spawn(sending.into_actor(self).map(move |sent, delivery, ctx| {
            if sent == Sent::Done {
                delivery.sent += 1;
            } else {
                delivery.failed += 1;
            }
            let _ = answer.send(sent);
            delivery.next(&conversation, ctx);
        }));
    }

    fn next(&mut self, conversation: &ConversationId, ctx: &mut Context<Self>) {
        // Another message of this conversation cannot have been begun by an earlier run.
        let next = self.lines.get_mut(conversation).and_then(VecDeque::pop_front);
        match next {
            Some(next) => self.send(Waiting { cut_off: false, ..next }, ctx),
            None => drop(self.lines.remove(conversation)),
        }
        if self.lines.is_empty() && !self.stopping.is_empty() {
            self.end(ctx);
        }
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        for waiting in self.stopping.drain(..) {
            let _ = waiting.send(Drained);
        }
        self.life.stop(ctx);
    }

    /// Takes the drafts of answers to these messages, and begins none for them any more.
    fn end_drafts(&mut self, inbounds: &[InboundId]) -> Vec<Drafting> {
        inbounds.iter().for_each(|inbound| self.over.note(inbound));
        inbounds.iter().filter_map(|inbound| self.drafts.remove(inbound)).collect()
    }

    /// Watches what happens to messages of this platform. The hub may fall and be made anew, and drops whoever is too slow.
    fn watch(&self, ctx: &mut Context<Self>) {
        let topic = Topic::Channel(self.courier.platform.name().to_owned());
        let subscribed = self.subscribe.send(Subscribe(topic));
        ctx.spawn(subscribed.into_actor(self).map(|events, delivery, ctx| match events {
            Ok(events) => {
                // Of what was missed an end may have been: what goes on is taken up at its next piece, what was withdrawn
                // is taken away.
                delivery.drafts.clear();
                delivery.sweep(ctx);
                Self::follow(events, ctx);
            }
            Err(_) => drop(ctx.run_later(PAUSE, |delivery, ctx| delivery.watch(ctx))),
        }));
    }

    fn follow(events: mpsc::Receiver<Arc<LiveEvent>>, ctx: &mut Context<Self>) {
        let next = async move {
            let mut events = events;
            let event = events.recv().await;
            (events, event)
        };
        ctx.spawn(actix::fut::wrap_future(next).map(
            |(events, event), delivery: &mut Self, ctx| match event {
                Some(event) => {
                    delivery.hear(&event);
                    Self::follow(events, ctx);
                }
                None => delivery.watch(ctx),
            },
        ));
    }

    fn hear(&mut self, event: &LiveEvent) {
        let LiveEvent::Progress { conversation, inbounds, progress } = event else { return };
        if let Progress::Withdrawn { .. } = progress {
            self.end_drafts(inbounds).iter().for_each(|drafting| drafting.hear(progress.clone()));
            return;
        }
        // Pieces come by another way than answers, and may come after them.
        let Some(inbound) = inbounds.first().filter(|_| !inbounds.iter().any(|one| self.over.has(one)))
        else {
            return;
        };
        let known = inbounds.iter().find(|inbound| self.drafts.contains_key(inbound));
        let waits = matches!(progress, Progress::Status { status, .. } if *status != "processing");
        if known.is_none() && (waits || !self.stopping.is_empty()) {
            return;
        }
        let key = known.unwrap_or(inbound).clone();
        let drafting = self.drafts.entry(key).or_insert_with(|| {
            Drafting::begin(Arc::clone(&self.courier), inbound.clone(), conversation.clone())
        });
        drafting.hear(progress.clone());
    }

    /// Takes away what was shown of answers that will not come: their messages were withdrawn while nobody watched.
    fn sweep(&self, ctx: &mut Context<Self>) {
        let courier = Arc::clone(&self.courier);
        ctx.spawn(async move { super::draft::sweep(&courier).await }.into_actor(self));
    }
}

impl Actor for ChatDelivery {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.watch(ctx);
    }
}

impl Handler<Mail<Deliver>> for ChatDelivery {
    type Result = ResponseFuture<Sent>;

    fn handle(&mut self, mail: Mail<Deliver>, ctx: &mut Self::Context) -> Self::Result {
        let (Deliver { row, cut_off }, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        let conversation = row.message.conversation.clone();
        let begun = Arc::new(AtomicBool::new(false));
        let waiting = Waiting { row, cut_off, begun: Arc::clone(&begun), answer };
        match self.lines.get_mut(&conversation) {
            Some(line) => line.push_back(waiting),
            None => {
                self.lines.insert(conversation, VecDeque::new());
                self.send(waiting, ctx);
            }
        }
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| match begun.load(Ordering::Relaxed) {
                true => Sent::Unknown("the delivery fell while it was sending".into()),
                false => Sent::Later { after_ms: 1_000, why: "the delivery fell before it was sent".into() },
            })
        })
    }
}

impl Handler<Mail<Observe>> for ChatDelivery {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({
            "conversations": self.lines.len(),
            "waiting": self.lines.values().map(VecDeque::len).sum::<usize>(),
            "drafts": self.drafts.len(),
            "sent": self.sent,
            "failed": self.failed,
            "sending": self.courier.health.look(),
        }))
    }
}

impl Handler<Mail<Stop>> for ChatDelivery {
    type Result = ResponseFuture<Drained>;

    /// What is on its way is brought to its end; what waits for the platform is left for the next start.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        self.stopping.push(answer);
        self.courier.stop.cancel();
        self.drafts.clear();
        if self.lines.is_empty() {
            self.end(ctx);
        }
        Box::pin(async move { answered.await.unwrap_or(Drained) })
    }
}
