//! The hub: a list of watchers by topic.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    actors::kernel::{Life, Mail, messages::*},
    domain::{
        chat::PLATFORMS,
        outbound::{LiveEvent, Progress},
    },
};

use super::messages::{Publish, Subscribe, Topic};

/// Pieces of answers come fast; a full mailbox drops them, never the answer.
const MAILBOX: usize = 8_192;
/// Events that one watcher may be behind.
const BEHIND: usize = 256;
/// The same for whoever watches all messages of a platform.
const FAR_BEHIND: usize = 4_096;
/// How often watchers who left are forgotten.
const SWEEP: Duration = Duration::from_secs(30);

/// The actor.
pub struct EventHub {
    life: Life,
    watchers: HashMap<Topic, Vec<mpsc::Sender<Arc<LiveEvent>>>>,
    published: u64,
    dropped: u64,
}

impl EventHub {
    /// A hub that nobody watches yet.
    pub fn new(life: Life) -> Self {
        Self { life, watchers: HashMap::new(), published: 0, dropped: 0 }
    }

    fn publish(&mut self, event: &Arc<LiveEvent>) {
        self.published += 1;
        match event.as_ref() {
            LiveEvent::Progress { conversation, inbounds, progress } => {
                let may_miss = matches!(progress, Progress::Delta { .. });
                if PLATFORMS.contains(&conversation.channel()) {
                    self.tell(Topic::Channel(conversation.channel().to_owned()), event, may_miss);
                }
                for inbound in inbounds {
                    self.tell(Topic::Inbound(inbound.clone()), event, may_miss);
                }
            }
            LiveEvent::Sent(row) => {
                for inbound in &row.message.answers {
                    self.tell(Topic::Inbound(inbound.clone()), event, false);
                }
                self.tell(Topic::User(row.message.user.clone()), event, false);
            }
        }
    }

    fn tell(&mut self, topic: Topic, event: &Arc<LiveEvent>, may_miss: bool) {
        let Some(watchers) = self.watchers.get_mut(&topic) else { return };
        let dropped = &mut self.dropped;
        watchers.retain(|watcher| match watcher.try_send(Arc::clone(event)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                *dropped += 1;
                may_miss
            }
            Err(TrySendError::Closed(_)) => false,
        });
        if watchers.is_empty() {
            self.watchers.remove(&topic);
        }
    }

    fn sweep(&mut self) {
        self.watchers.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
    }
}

impl Actor for EventHub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        ctx.run_interval(SWEEP, |hub, _| hub.sweep());
    }
}

impl Handler<Mail<Publish>> for EventHub {
    type Result = ();

    fn handle(&mut self, mail: Mail<Publish>, _: &mut Self::Context) {
        let (Publish(event), _ticket) = mail.open();
        self.publish(&event);
    }
}

impl Handler<Mail<Subscribe>> for EventHub {
    type Result = MessageResult<Mail<Subscribe>>;

    fn handle(&mut self, mail: Mail<Subscribe>, _: &mut Self::Context) -> Self::Result {
        let (Subscribe(topic), _ticket) = mail.open();
        let behind = if matches!(topic, Topic::Channel(_)) { FAR_BEHIND } else { BEHIND };
        let (watcher, events) = mpsc::channel(behind);
        self.watchers.entry(topic).or_default().push(watcher);
        MessageResult(events)
    }
}

impl Handler<Mail<Observe>> for EventHub {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({
            "topics": self.watchers.len(),
            "watchers": self.watchers.values().map(Vec::len).sum::<usize>(),
            "published": self.published,
            "dropped": self.dropped,
        }))
    }
}

impl Handler<Mail<Stop>> for EventHub {
    type Result = Drained;

    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.watchers.clear();
        self.life.stop(ctx);
        Drained
    }
}
