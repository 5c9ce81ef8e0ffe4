//! The root actor.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;

use crate::{
    actors::{
        kernel::{Door, Fallen, Life, Mail, Nursery, Registry, Standing, messages::*},
        router::messages::RestartSession,
    },
    domain::{Millis, restart::Policy},
    ports::{clock::Clock, metrics::Metrics},
};

use super::messages::{Close, Drain, Inspect, NotRestarted, Restart};

/// How often children are asked how they are.
const LOOK: Duration = Duration::from_secs(5);
/// How long a child may take to answer. Handlers return at once, so this is a long time.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long each stage of the drain has beyond the deadline, in milliseconds.
const GRACE: Millis = 2_000;

/// The ways to one child.
pub struct ChildHandle {
    /// For a look.
    pub observe: Recipient<Mail<Observe>>,
    /// For the end.
    pub stop: Recipient<Mail<Stop>>,
}

/// One child of the root.
pub struct ChildSpec {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// When it ends: stages end one after the other, the lowest first. The store's are the highest.
    pub stage: u8,
    /// Whether one that hangs is replaced. The store is not: two writers would be worse than one that waits.
    pub replace_frozen: bool,
    /// Starts it and opens its doors.
    pub start: Box<dyn Fn(Life) -> ChildHandle>,
}

/// What the root is made of.
pub struct RootKit {
    /// All children, in the order in which they start.
    pub children: Vec<ChildSpec>,
    /// From this stage on children belong to the store.
    pub store_stage: u8,
    /// To the router, for sessions.
    pub sessions: Door<RestartSession>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// All actors.
    pub registry: Registry,
    /// Counters.
    pub metrics: Metrics,
}

/// The actor.
pub struct Root {
    kit: RootKit,
    nursery: Option<Nursery<ChildHandle>>,
    draining: bool,
}

impl Root {
    /// A root with these children; it starts them when it starts.
    pub fn new(kit: RootKit) -> Self {
        Self { kit, nursery: None, draining: false }
    }

    fn start_child(&mut self, name: &str) {
        let Some(spec) = self.kit.children.iter().find(|spec| spec.name == name) else { return };
        if let Some(nursery) = &mut self.nursery {
            nursery.start(&Arc::from(spec.name), spec.kind, |life| (spec.start)(life));
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(nursery) = &self.nursery else { return };
        for (name, handle) in nursery.living() {
            let Some(vitals) = nursery.vitals(name) else { continue };
            self.kit
                .metrics
                .mailbox_depth
                .with_label_values(&[vitals.kind])
                .set(i64::try_from(vitals.mail().0).unwrap_or(i64::MAX));
            let asked = handle.observe.send(Mail::new(Observe, vitals));
            let answer = tokio::time::timeout(PATIENCE, asked);
            let name = Arc::clone(name);
            ctx.spawn(answer.into_actor(self).map(move |answer, root, ctx| {
                root.looked(&name, answer.is_ok(), ctx);
            }));
        }
    }

    fn looked(&mut self, name: &Arc<str>, answered: bool, ctx: &mut Context<Self>) {
        let replace = self.kit.children.iter().any(|spec| *spec.name == **name && spec.replace_frozen);
        let Some(nursery) = &mut self.nursery else { return };
        let Some(vitals) = nursery.vitals(name) else { return };
        match (answered, vitals.state()) {
            (true, Standing::Frozen) => vitals.set_state(Standing::Running),
            (true, _) | (false, Standing::Parked | Standing::Stopped | Standing::Starting) => {}
            (false, Standing::Running | Standing::Frozen) => {
                tracing::error!(actor = %name, replace, "actor does not answer");
                vitals.set_state(Standing::Frozen);
                if replace && let Some(fallen) = nursery.abandon(name) {
                    self.after_fall(name, fallen, ctx);
                }
            }
        }
    }

    fn after_fall(&mut self, name: &Arc<str>, fallen: Fallen, ctx: &mut Context<Self>) {
        if let (Fallen::RestartAt(at), false) = (fallen, self.draining) {
            let wait = (at - self.kit.clock.now()).max(0).unsigned_abs();
            let name = Arc::clone(name);
            ctx.run_later(Duration::from_millis(wait), move |root, _| root.start_child(&name));
        }
    }

    /// Stops the children of these stages, stage by stage.
    fn stop_stages(&self, stages: Vec<u8>, deadline: Millis) -> impl Future<Output = ()> + use<> {
        let mut by_stage = Vec::new();
        for stage in stages {
            let names = self.kit.children.iter().filter(|spec| spec.stage == stage).map(|spec| spec.name);
            let stops: Vec<_> = names
                .filter_map(|name| {
                    let nursery = self.nursery.as_ref()?;
                    Some((name, nursery.get(name)?.stop.clone(), Arc::clone(nursery.vitals(name)?)))
                })
                .collect();
            by_stage.push(stops);
        }
        let clock = Arc::clone(&self.kit.clock);
        async move {
            for stops in by_stage {
                let ends = stops.into_iter().map(|(name, stop, vitals)| {
                    let sent = stop.send(Mail::new(Stop { deadline }, &vitals));
                    let left = (deadline - clock.now()).max(0) + GRACE;
                    async move {
                        let wait = Duration::from_millis(left.unsigned_abs());
                        if tokio::time::timeout(wait, sent).await.is_err() {
                            tracing::warn!(actor = name, "actor did not end in time");
                        }
                    }
                });
                futures_util::future::join_all(ends).await;
            }
        }
    }

    fn stages(&self, wanted: impl Fn(u8) -> bool) -> Vec<u8> {
        let mut stages: Vec<u8> =
            self.kit.children.iter().map(|spec| spec.stage).filter(|stage| wanted(*stage)).collect();
        stages.sort_unstable();
        stages.dedup();
        stages
    }
}

impl Actor for Root {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.nursery = Some(Nursery::new(
            "root",
            ctx.address().recipient(),
            Policy::default(),
            Arc::clone(&self.kit.clock),
            self.kit.registry.clone(),
            self.kit.metrics.clone(),
        ));
        let names: Vec<&str> = self.kit.children.iter().map(|spec| spec.name).collect();
        names.into_iter().for_each(|name| self.start_child(name));
        ctx.run_interval(LOOK, |root, ctx| root.look(ctx));
    }
}

impl Handler<ChildDown> for Root {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        let name = Arc::clone(&down.name);
        if let Some(fallen) = self.nursery.as_mut().map(|nursery| nursery.fell(down)) {
            self.after_fall(&name, fallen, ctx);
        }
    }
}

impl Handler<Restart> for Root {
    type Result = ResponseActFuture<Self, Result<(), NotRestarted>>;

    fn handle(&mut self, Restart(name): Restart, _: &mut Self::Context) -> Self::Result {
        let own = self.kit.children.iter().any(|spec| spec.name == name);
        if own {
            let parked = self.nursery.as_mut().is_some_and(|nursery| nursery.forgive(&name));
            if parked {
                self.start_child(&name);
            }
            let outcome = if parked { Ok(()) } else { Err(NotRestarted::NotParked(name)) };
            return Box::pin(fut::ready(outcome));
        }
        let known = self.kit.registry.tree().iter().any(|signs| signs.name == name);
        let asked = self.kit.sessions.send(RestartSession(name.clone()));
        Box::pin(asked.into_actor(self).map(move |restarted, _, _| match restarted {
            Ok(true) => Ok(()),
            _ if known => Err(NotRestarted::NotParked(name)),
            _ => Err(NotRestarted::Unknown(name)),
        }))
    }
}

impl Handler<Inspect> for Root {
    type Result = ResponseFuture<Option<serde_json::Value>>;

    fn handle(&mut self, Inspect(name): Inspect, _: &mut Self::Context) -> Self::Result {
        let asked = self.nursery.as_ref().and_then(|nursery| {
            let (handle, vitals) = (nursery.get(&name)?, nursery.vitals(&name)?);
            Some(handle.observe.send(Mail::new(Observe, vitals)))
        });
        Box::pin(async move {
            let answer = tokio::time::timeout(PATIENCE, asked?).await.ok()?.ok()?;
            Some(answer.0)
        })
    }
}

impl Handler<Drain> for Root {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain { deadline }: Drain, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        let stages = self.stages(|stage| stage < self.kit.store_stage);
        Box::pin(self.stop_stages(stages, deadline))
    }
}

impl Handler<Close> for Root {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Close, _: &mut Self::Context) -> Self::Result {
        self.draining = true;
        let stages = self.stages(|stage| stage >= self.kit.store_stage);
        Box::pin(self.stop_stages(stages, self.kit.clock.now()))
    }
}
