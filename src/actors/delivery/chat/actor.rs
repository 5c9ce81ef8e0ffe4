//! The delivery of one chat platform: one message at a time for each conversation, and the answers that grow there.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        event_hub::messages::{Subscribe, Topic},
        kernel::{Door, Life, Mail, messages::*},
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
    draft::Drafting,
    health::Health,
};

/// The outbox sends a page at a time and waits beyond this.
const MAILBOX: usize = 4_096;
/// Before it is asked again to watch what happens.
const PAUSE: Duration = Duration::from_secs(1);

type Waiting = (Arc<OutboxRow>, bool, oneshot::Sender<Sent>);

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
    sent: u64,
    failed: u64,
    stopping: Vec<oneshot::Sender<Drained>>,
}

impl ChatDelivery {
    /// The delivery of one platform.
    pub fn new(life: Life, kit: ChatKit) -> Self {
        let ChatKit { platform, flavor, pace, links, doors, subscribe, clock } = kit;
        let courier = Arc::new(Courier {
            platform,
            doors,
            clock,
            flavor,
            links,
            pace: Mutex::new(pace),
            health: Health::default(),
            stop: CancellationToken::new(),
        });
        Self {
            life,
            courier,
            subscribe,
            lines: HashMap::new(),
            drafts: HashMap::new(),
            sent: 0,
            failed: 0,
            stopping: Vec::new(),
        }
    }

    fn send(&mut self, (row, cut_off, answer): Waiting, ctx: &mut Context<Self>) {
        let conversation = row.message.conversation.clone();
        let draft = match &row.message.body {
            Body::Answer { .. } => row.message.answers.iter().find_map(|inbound| self.drafts.remove(inbound)),
            _ => None,
        };
        let courier = Arc::clone(&self.courier);
        let sending = async move {
            let draft = match draft {
                Some(draft) => draft.finish().await,
                None => None,
            };
            courier.deliver(&row, cut_off, draft).await
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
            Some((row, _, answer)) => self.send((row, false, answer), ctx),
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

    /// Watches what happens to messages of this platform. The hub may fall and be made anew.
    fn watch(&self, ctx: &mut Context<Self>) {
        let topic = Topic::Channel(self.courier.platform.name().to_owned());
        let subscribed = self.subscribe.send(Subscribe(topic));
        ctx.spawn(subscribed.into_actor(self).map(|events, _, ctx| match events {
            Ok(events) => Self::follow(events, ctx),
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
        let Some(inbound) = inbounds.first() else { return };
        let known = inbounds.iter().find(|inbound| self.drafts.contains_key(inbound)).cloned();
        let is_over = matches!(progress, Progress::Withdrawn { .. });
        if known.is_none() && (is_over || !self.stopping.is_empty()) {
            return;
        }
        let key = known.unwrap_or_else(|| inbound.clone());
        let drafting = self.drafts.entry(key.clone()).or_insert_with(|| {
            Drafting::begin(Arc::clone(&self.courier), inbound.clone(), conversation.clone())
        });
        drafting.hear(progress.clone());
        if is_over {
            self.drafts.remove(&key);
        }
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
        self.sweep(ctx);
    }
}

impl Handler<Mail<Deliver>> for ChatDelivery {
    type Result = ResponseFuture<Sent>;

    fn handle(&mut self, mail: Mail<Deliver>, ctx: &mut Self::Context) -> Self::Result {
        let (Deliver { row, cut_off }, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        let conversation = row.message.conversation.clone();
        match self.lines.get_mut(&conversation) {
            Some(line) => line.push_back((row, cut_off, answer)),
            None => {
                self.lines.insert(conversation, VecDeque::new());
                self.send((row, cut_off, answer), ctx);
            }
        }
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Sent::Unknown("the delivery fell while it was sending".into()))
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
