//! The delivery of one channel: one message at a time for each conversation, so that their order is kept.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::{
    actors::kernel::{Life, Mail, fault, messages::*},
    domain::{
        ids::ConversationId,
        outbound::{OutboxRow, Sent},
    },
    ports::channel::Channel,
};

use super::messages::Deliver;

/// The outbox sends a page at a time and waits beyond this.
const MAILBOX: usize = 1_024;

type Waiting = (Arc<OutboxRow>, oneshot::Sender<Sent>);

/// The actor.
pub struct Delivery {
    life: Life,
    channel: Arc<dyn Channel>,
    /// Conversations that are being sent to, with what waits behind it.
    lines: HashMap<ConversationId, VecDeque<Waiting>>,
    sent: u64,
    failed: u64,
    stopping: Vec<oneshot::Sender<Drained>>,
}

impl Delivery {
    /// A delivery through this adapter.
    pub fn new(life: Life, channel: Arc<dyn Channel>) -> Self {
        Self { life, channel, lines: HashMap::new(), sent: 0, failed: 0, stopping: Vec::new() }
    }

    fn send(&mut self, (row, answer): Waiting, ctx: &mut Context<Self>) {
        let conversation = row.message.conversation.clone();
        fault::point("before_send", self.channel.name());
        let sending = self.channel.send(row);
        ctx.spawn(sending.into_actor(self).map(move |sent, delivery, ctx| {
            fault::point("after_send", delivery.channel.name());
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
        let next = self.lines.get_mut(conversation).and_then(VecDeque::pop_front);
        match next {
            Some(next) => self.send(next, ctx),
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
}

impl Actor for Delivery {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<Deliver>> for Delivery {
    type Result = ResponseFuture<Sent>;

    fn handle(&mut self, mail: Mail<Deliver>, ctx: &mut Self::Context) -> Self::Result {
        let (Deliver { row, .. }, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        let conversation = row.message.conversation.clone();
        match self.lines.get_mut(&conversation) {
            Some(line) => line.push_back((row, answer)),
            None => {
                self.lines.insert(conversation, VecDeque::new());
                self.send((row, answer), ctx);
            }
        }
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Sent::Unknown("the delivery fell while it was sending".into()))
        })
    }
}

impl Handler<Mail<Observe>> for Delivery {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({
            "conversations": self.lines.len(),
            "sent": self.sent,
            "failed": self.failed,
        }))
    }
}

impl Handler<Mail<Stop>> for Delivery {
    type Result = ResponseFuture<Drained>;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        self.stopping.push(answer);
        if self.lines.is_empty() {
            self.end(ctx);
        }
        Box::pin(async move { answered.await.unwrap_or(Drained) })
    }
}
