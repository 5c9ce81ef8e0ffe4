//! The router: keeps the live sessions, starts them on demand, lets idle ones go, restarts fallen ones.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::{
    actors::{
        db::messages::Unfinished,
        kernel::{Door, Fallen, Life, Mail, Nursery, Registry, Standing, messages::*},
        session::messages::{Deliver, Order, Tell},
    },
    domain::{
        Millis,
        ids::ConversationId,
        inbound::{Accepted, Refused},
        restart::Policy,
    },
    ports::{clock::Clock, metrics::Metrics},
};

use super::messages::{Command, RestartSession, Route, To};

/// Messages are handed on at once; this bounds what arrives in one moment.
const MAILBOX: usize = 4_096;

/// The ways to one live session.
pub struct SessionHandle {
    /// For messages.
    pub deliver: Recipient<Mail<Deliver>>,
    /// For orders.
    pub tell: Recipient<Mail<Tell>>,
    /// For a look.
    pub observe: Recipient<Mail<Observe>>,
    /// For the end.
    pub stop: Recipient<Mail<Stop>>,
}

/// Starts the session of a conversation on the thread with this number.
pub type StartSession = Arc<dyn Fn(ConversationId, usize, Life) -> SessionHandle + Send + Sync>;

/// What the router is made of.
#[derive(Clone)]
pub struct RouterKit {
    /// Starts sessions.
    pub start: StartSession,
    /// Where something is to be done.
    pub unfinished: Door<Unfinished>,
    /// Idle time after which a session leaves memory, in milliseconds.
    pub idle_ms: i64,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// All actors.
    pub registry: Registry,
    /// Counters.
    pub metrics: Metrics,
}

type Waiting = (Deliver, oneshot::Sender<Result<Accepted, Refused>>);

/// The actor.
pub struct Router {
    pub(super) life: Life,
    pub(super) kit: RouterKit,
    pub(super) sessions: Option<Nursery<SessionHandle>>,
    /// When a session was last asked for something.
    pub(super) used: HashMap<Arc<str>, Millis>,
    /// Sessions that were told to leave memory, with messages that came since.
    pub(super) leaving: HashMap<Arc<str>, Vec<Waiting>>,
    pub(super) draining: bool,
    /// Orders to all conversations of a user, until it is known where something is to be done; then `None`.
    early: Option<Vec<(Command, oneshot::Sender<usize>)>>,
}

impl Router {
    /// A router without sessions; it starts those that have something to do.
    pub fn new(life: Life, kit: RouterKit) -> Self {
        Self {
            life,
            kit,
            sessions: None,
            used: HashMap::new(),
            leaving: HashMap::new(),
            draining: false,
            early: Some(Vec::new()),
        }
    }

    /// The live session of a conversation, started when it is not there. `None` when it is parked.
    pub(super) fn session(&mut self, id: &ConversationId) -> Option<(&SessionHandle, Arc<str>)> {
        let name: Arc<str> = Arc::from(id.as_str());
        self.used.insert(Arc::clone(&name), self.kit.clock.now());
        let known = self.sessions.as_ref()?.vitals(&name).is_some();
        let alive = self.sessions.as_ref()?.get(&name).is_some();
        if !known {
            self.start(&name);
        } else if !alive {
            return None;
        }
        self.sessions.as_ref()?.get(&name).map(|handle| (handle, name))
    }

    pub(super) fn start(&mut self, name: &Arc<str>) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let thread = (hasher.finish() % 1_024) as usize;
        let (start, id) = (Arc::clone(&self.kit.start), ConversationId::new(Arc::clone(name)));
        if let Some(sessions) = &mut self.sessions {
            sessions.start(name, "session", |life| start(id, thread, life));
        }
    }

    fn deliver(&mut self, deliver: Deliver, answer: oneshot::Sender<Result<Accepted, Refused>>) {
        if self.draining {
            let _ = answer.send(Err(Refused::Draining));
            return;
        }
        let id = deliver.message.conversation.clone();
        if let Some(waiting) = self.leaving.get_mut(id.as_str()) {
            waiting.push((deliver, answer));
            return;
        }
        let Some((handle, name)) = self.session(&id) else {
            let parked = self.sessions.as_ref().and_then(|sessions| sessions.vitals(id.as_str()));
            let why = match parked.map(|vitals| vitals.state()) {
                Some(Standing::Parked) => "this conversation fell too often: an owner must restart it",
                _ => "this conversation is being restarted",
            };
            let _ = answer.send(Err(Refused::Unavailable(why.into())));
            return;
        };
        let recipient = handle.deliver.clone();
        let Some(vitals) = self.sessions.as_ref().and_then(|sessions| sessions.vitals(&name)).cloned() else {
            return;
        };
        let sending = recipient.send(Mail::new(deliver, &vitals));
        actix::spawn(async move {
            let outcome = sending
                .await
                .unwrap_or_else(|_| Err(Refused::Unavailable("the conversation was interrupted".into())));
            let _ = answer.send(outcome);
        });
    }

    /// A session that was asked to leave has something to do: what came meanwhile goes to it.
    pub(super) fn stays(&mut self, name: &str) {
        for (deliver, answer) in self.leaving.remove(name).unwrap_or_default() {
            self.deliver(deliver, answer);
        }
    }

    /// Sends an order to a live session.
    pub(super) fn tell(&self, name: &Arc<str>, order: Order) -> Option<impl Future<Output = bool> + use<>> {
        let sessions = self.sessions.as_ref()?;
        let (handle, vitals) = (sessions.get(name)?, sessions.vitals(name)?);
        let told = handle.tell.send(Mail::new(Tell(order), vitals));
        Some(async move { told.await.unwrap_or(false) })
    }

    fn resume_unfinished(&mut self, ctx: &mut Context<Self>) {
        let unfinished = self.kit.unfinished.ask(Unfinished {});
        ctx.spawn(unfinished.into_actor(self).map(|found, router, ctx| match found {
            Ok(ids) => {
                if !ids.is_empty() {
                    tracing::info!(conversations = ids.len(), "going on where the last run stopped");
                }
                for id in ids {
                    router.session(&id);
                }
                for (command, answer) in router.early.take().unwrap_or_default() {
                    let told = router.command(&command);
                    actix::spawn(async move {
                        let _ = answer.send(told.await);
                    });
                }
            }
            Err(error) => router.life.fail(ctx, error),
        }));
    }

    /// Tells sessions to do something; says how many had something to do.
    fn command(&mut self, command: &Command) -> impl Future<Output = usize> + use<> {
        if let To::One(id) = &command.to {
            self.session(id);
        }
        let names = self.names_of(&command.to);
        let told: Vec<_> = names.iter().filter_map(|name| self.tell(name, command.order.clone())).collect();
        async move { join_all(told).await.into_iter().filter(|done| *done).count() }
    }

    fn names_of(&self, to: &To) -> Vec<Arc<str>> {
        match to {
            To::One(id) => vec![Arc::from(id.as_str())],
            To::AllOf { channel, user } => {
                let prefix = ConversationId::prefix(channel, user);
                let living = self.sessions.iter().flat_map(Nursery::living);
                living.map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).cloned().collect()
            }
        }
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.sessions = Some(Nursery::new(
            "router",
            ctx.address().recipient(),
            Policy::default(),
            Arc::clone(&self.kit.clock),
            self.kit.registry.clone(),
            self.kit.metrics.clone(),
        ));
        self.resume_unfinished(ctx);
        self.keep_lookout(ctx);
    }
}

impl Handler<Mail<Route>> for Router {
    type Result = ResponseFuture<Result<Accepted, Refused>>;

    fn handle(&mut self, mail: Mail<Route>, _: &mut Self::Context) -> Self::Result {
        let (Route(deliver), _ticket) = mail.open();
        let (answer, accepted) = oneshot::channel();
        self.deliver(deliver, answer);
        Box::pin(async move {
            accepted.await.unwrap_or_else(|_| Err(Refused::Unavailable("the router was interrupted".into())))
        })
    }
}

impl Handler<Mail<Command>> for Router {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, mail: Mail<Command>, _: &mut Self::Context) -> Self::Result {
        let (command, _ticket) = mail.open();
        if let (Some(early), To::AllOf { .. }) = (&mut self.early, &command.to) {
            let (answer, told) = oneshot::channel();
            early.push((command, answer));
            return Box::pin(async move { told.await.unwrap_or(0) });
        }
        Box::pin(self.command(&command))
    }
}

impl Handler<Mail<RestartSession>> for Router {
    type Result = bool;

    fn handle(&mut self, mail: Mail<RestartSession>, _: &mut Self::Context) -> bool {
        let (RestartSession(name), _ticket) = mail.open();
        let name: Arc<str> = Arc::from(name);
        let parked = self.sessions.as_mut().is_some_and(|sessions| sessions.forgive(&name));
        if parked {
            self.start(&name);
        }
        parked
    }
}

impl Handler<ChildDown> for Router {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let name = Arc::clone(&down.name);
        match self.sessions.as_mut().map(|sessions| sessions.fell(down)) {
            Some(Fallen::Stopped) => {
                if let Some(sessions) = &mut self.sessions {
                    sessions.retire(&name);
                }
                self.used.remove(&name);
                for (deliver, answer) in self.leaving.remove(&name).unwrap_or_default() {
                    self.deliver(deliver, answer);
                }
            }
            Some(Fallen::RestartAt(at)) if !self.draining => {
                let wait = (at - self.kit.clock.now()).max(0).unsigned_abs();
                ctx.run_later(Duration::from_millis(wait), move |router, _| router.start(&name));
            }
            _ => {}
        }
    }
}

impl Handler<Mail<Observe>> for Router {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let live = self.sessions.iter().flat_map(Nursery::living).count();
        let known = self.sessions.as_ref().map_or(0, Nursery::len);
        Snapshot(serde_json::json!({"sessions": live, "fallen": known - live, "leaving": self.leaving.len()}))
    }
}

impl Handler<Mail<Stop>> for Router {
    type Result = ResponseActFuture<Self, Drained>;

    /// Takes no more messages, lets all sessions end, then ends itself.
    fn handle(&mut self, mail: Mail<Stop>, _: &mut Self::Context) -> Self::Result {
        let (stop, _ticket) = mail.open();
        self.draining = true;
        let sessions = self.sessions.as_ref();
        let ends: Vec<_> = sessions
            .iter()
            .flat_map(|sessions| {
                sessions.living().filter_map(|(name, handle)| Some((sessions.vitals(name)?, handle)))
            })
            .map(|(vitals, handle)| handle.stop.send(Mail::new(stop, vitals)))
            .collect();
        let all = join_all(ends).into_actor(self);
        Box::pin(all.map(|_, router, ctx| {
            router.life.stop(ctx);
            Drained
        }))
    }
}

/// The names of sessions that are to be looked at now.
pub(super) fn names(of: &HashMap<Arc<str>, Millis>, before: Millis) -> BTreeSet<Arc<str>> {
    of.iter().filter(|(_, used)| **used <= before).map(|(name, _)| Arc::clone(name)).collect()
}
