//! Takes what comes: in order within a channel, side by side over channels, and says what is settled.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    answer,
    catch_up::catch_up,
    known::{Seen, Webhook},
    read::{Arrived, Asked, Fact, News, What, read},
    session::Dispatch,
    shared::Shared,
};
use crate::{
    domain::{
        chat::{Incoming, Receipt},
        gate::{self, Haste},
        retry::backoff,
    },
    ports::platform::Sink,
};

/// Most events that wait or are being taken; beyond them nothing more is read from the gateway.
const MOST: usize = 1_000;
/// Most channels whose missed messages are fetched at a time.
const FETCHES: usize = 4;
/// Waits before something is offered again: the first one, and the longest, in milliseconds.
const PAUSE: u64 = 250;
const LONGEST_PAUSE: u64 = 10_000;

/// What the gateway hands over.
pub(super) enum Inbox {
    /// An event, and its ticket in the ledger.
    Event(u64, Dispatch),
    /// A new session began: what came before it was not told.
    Fresh(u64),
}

enum Work {
    Message(u64, Box<Arrived>),
    Incoming(u64, Box<Incoming>, Option<oneshot::Sender<Receipt>>),
    /// Fetches what was missed in a channel; the ticket is settled with the last of them.
    CatchUp(Arc<u64>, Seen),
}

impl Work {
    fn haste(&self) -> Haste {
        let incoming = match self {
            Self::Message(_, arrived) => arrived.incoming.as_ref(),
            Self::Incoming(_, incoming, _) => Some(&**incoming),
            Self::CatchUp(..) => None,
        };
        incoming.map_or(Haste::None, |incoming| gate::haste(&incoming.event))
    }

    fn ticket(&self) -> u64 {
        match self {
            Self::Message(ticket, _) | Self::Incoming(ticket, ..) => *ticket,
            Self::CatchUp(ticket, _) => **ticket,
        }
    }
}

/// The channel whose work is done; none when it was done beside it.
type Done = BoxFuture<'static, Option<u64>>;

struct Desk {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    /// What waits behind the work of a channel that is being done.
    lanes: HashMap<u64, VecDeque<Work>>,
    running: FuturesUnordered<Done>,
    /// Channel and ticket of what waits no more for what came before it.
    hasty: FuturesUnordered<BoxFuture<'static, (u64, u64)>>,
    /// Interactions are answered beside all others: Discord waits three seconds.
    answers: FuturesUnordered<BoxFuture<'static, ()>>,
    fetches: Arc<Semaphore>,
    pending: usize,
}

/// Takes what comes until it is told to stop. What is not settled then comes again.
pub(super) async fn take_all(
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    mut inbox: mpsc::Receiver<Inbox>,
    stop: CancellationToken,
) {
    let mut desk = Desk {
        shared,
        sink,
        lanes: HashMap::new(),
        running: FuturesUnordered::new(),
        hasty: FuturesUnordered::new(),
        answers: FuturesUnordered::new(),
        fetches: Arc::new(Semaphore::new(FETCHES)),
        pending: 0,
    };
    for (id, webhook) in desk.shared.known().open_promises() {
        let shared = Arc::clone(&desk.shared);
        desk.answers.push(Box::pin(async move { answer::keep(&shared, id, &webhook).await }));
    }
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(channel) = desk.running.next() => desk.next(channel),
            Some((channel, ticket)) = desk.hasty.next() => desk.hasten(channel, ticket),
            Some(()) = desk.answers.next() => {}
            item = inbox.recv(), if desk.pending < MOST => match item {
                Some(item) => desk.put(item),
                None => return,
            },
        }
    }
}

impl Desk {
    fn put(&mut self, item: Inbox) {
        let (ticket, event) = match item {
            Inbox::Event(ticket, event) => (ticket, event),
            Inbox::Fresh(ticket) => return self.fresh(ticket),
        };
        let news = read(&event.name, event.data.get(), &self.shared.known(), self.shared.settings.menu);
        match news {
            Ok(News::Nothing) => self.shared.done(ticket),
            Ok(News::Facts(facts)) => {
                self.learn(facts);
                self.shared.done(ticket);
            }
            Ok(News::Message(arrived)) => self.push(arrived.channel, Work::Message(ticket, arrived)),
            Ok(News::Edited { channel, incoming }) => {
                self.push(channel, Work::Incoming(ticket, incoming, None));
            }
            Ok(News::Asked(asked)) => self.asked(ticket, *asked),
            Err(error) => {
                tracing::warn!(event = event.name, %error, "an event of Discord is passed over");
                self.shared.done(ticket);
            }
        }
    }

    fn learn(&self, facts: Vec<Fact>) {
        let mut known = self.shared.known();
        for fact in facts {
            match fact {
                Fact::Role(role) => known.add_role(role),
                Fact::Thread(channel) => known.add_thread(channel),
                Fact::Gone(channel) => known.drop_channel(channel),
            }
        }
    }

    fn asked(&mut self, ticket: u64, asked: Asked) {
        let Asked { id, token, application, channel, what } = asked;
        let webhook = Webhook { application, token };
        let shared = Arc::clone(&self.shared);
        let (told, receipt) = oneshot::channel();
        match what {
            What::Typing(typing) => {
                self.shared.done(ticket);
                self.answers.push(Box::pin(answer::offer(shared, id, webhook, typing)));
            }
            What::Tap(incoming) => {
                self.answers.push(Box::pin(answer::tap(shared, id, webhook, receipt)));
                self.push(channel, Work::Incoming(ticket, Box::new(incoming), Some(told)));
            }
            What::Command(incoming) => {
                // Before it is taken: the answer may be posted before Discord knows that one follows.
                let is_new = self.shared.known().owe(id, &webhook, channel, self.shared.clock.now());
                if is_new {
                    let group = incoming.group;
                    self.answers.push(Box::pin(answer::command(shared, id, webhook, group, receipt)));
                }
                self.push(channel, Work::Incoming(ticket, Box::new(incoming), Some(told)));
            }
        }
    }

    fn fresh(&mut self, ticket: u64) {
        let channels: Vec<Seen> = self.shared.known().seen().to_vec();
        if channels.is_empty() {
            return self.shared.done(ticket);
        }
        let ticket = Arc::new(ticket);
        for seen in channels {
            self.push(seen.channel, Work::CatchUp(Arc::clone(&ticket), seen));
        }
    }

    fn push(&mut self, channel: u64, work: Work) {
        self.pending += 1;
        let (haste, ticket) = (work.haste(), work.ticket());
        match self.lanes.get_mut(&channel) {
            Some(_) if haste == Haste::Beside => self.start(None, work),
            Some(waiting) => {
                waiting.push_back(work);
                if haste == Haste::Ends {
                    let soon = tokio::time::sleep(Duration::from_millis(gate::SOON_MS));
                    self.hasty.push(Box::pin(async move {
                        soon.await;
                        (channel, ticket)
                    }));
                }
            }
            None => {
                self.lanes.insert(channel, VecDeque::new());
                self.start(Some(channel), work);
            }
        }
    }

    /// What ends work has waited long enough for what came before it.
    fn hasten(&mut self, channel: u64, ticket: u64) {
        let Some(waiting) = self.lanes.get_mut(&channel) else { return };
        let at = waiting.iter().position(|work| work.ticket() == ticket);
        if let Some(work) = at.and_then(|at| waiting.remove(at)) {
            self.start(None, work);
        }
    }

    fn next(&mut self, channel: Option<u64>) {
        self.pending = self.pending.saturating_sub(1);
        let Some(channel) = channel else { return };
        match self.lanes.get_mut(&channel).and_then(VecDeque::pop_front) {
            Some(work) => self.start(Some(channel), work),
            None => drop(self.lanes.remove(&channel)),
        }
    }

    /// Does something: in a channel, or beside what is done there.
    fn start(&mut self, channel: Option<u64>, work: Work) {
        let (shared, sink) = (Arc::clone(&self.shared), Arc::clone(&self.sink));
        self.running.push(match work {
            Work::Message(ticket, arrived) => Box::pin(async move {
                match (channel, arrived.incoming) {
                    // That it was seen must not be noted before what came earlier is.
                    (None, Some(incoming)) => drop(take(&shared, &sink, incoming).await),
                    (_, incoming) => message(&shared, &sink, Arrived { incoming, ..*arrived }).await,
                }
                shared.done(ticket);
                channel
            }),
            Work::Incoming(ticket, incoming, told) => Box::pin(async move {
                let (group, asked) = (incoming.group, interaction(&incoming));
                let receipt = take(&shared, &sink, *incoming).await;
                if let (Some(channel), Some(message), true) = (channel, asked, receipt != Receipt::Ignored) {
                    shared.known().saw(&Seen { channel, message, group }, true);
                }
                if let Some(told) = told {
                    // Whoever wanted to know may be gone.
                    let _ = told.send(receipt);
                }
                shared.done(ticket);
                channel
            }),
            Work::CatchUp(ticket, seen) => {
                let fetches = Arc::clone(&self.fetches);
                Box::pin(async move {
                    catch_up(&shared, &sink, seen, &fetches).await;
                    if let Some(ticket) = Arc::into_inner(ticket) {
                        shared.done(ticket);
                    }
                    channel
                })
            }
        });
    }
}

/// The id of a command or a pressed button. Like a message's it says when it was: later messages are after it.
fn interaction(incoming: &Incoming) -> Option<u64> {
    incoming.id.strip_prefix('i')?.parse().ok()
}

/// Takes a message, and notes that it was.
pub(super) async fn message(shared: &Shared, sink: &Arc<dyn Sink>, arrived: Arrived) {
    let Arrived { channel, message, own, group, incoming } = arrived;
    let matters = match incoming {
        Some(incoming) => take(shared, sink, incoming).await != Receipt::Ignored,
        None => false,
    };
    let mut known = shared.known();
    if own {
        known.said(channel, message);
    }
    // Where the bot speaks it may be answered.
    known.saw(&Seen { channel, message, group }, matters || own);
}

/// Offers something until it is taken.
async fn take(shared: &Shared, sink: &Arc<dyn Sink>, incoming: Incoming) -> Receipt {
    let mut attempt = 0;
    loop {
        match sink.take(incoming.clone()).await {
            Ok(receipt) => return receipt,
            Err(error) => {
                attempt += 1;
                let pause = backoff(attempt, PAUSE, LONGEST_PAUSE, shared.clock.dice());
                tracing::debug!(id = incoming.id, pause, %error, "an event of Discord is offered again");
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }
}
