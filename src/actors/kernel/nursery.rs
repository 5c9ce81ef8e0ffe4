//! A parent's children: started from factories, restarted with a pause, parked when they fall too often.

use std::{collections::HashMap, sync::Arc};

use actix::prelude::*;

use super::{
    life::Life,
    messages::ChildDown,
    vitals::{Registry, Standing, Vitals},
};
use crate::{
    domain::{
        Millis,
        restart::{Cause, Decision, Falls, Policy},
    },
    ports::{clock::Clock, metrics::Metrics},
};

/// What is to be done about a fallen child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallen {
    /// It was replaced before, or is not known: nothing.
    Stale,
    /// It ended as it was told: it may be retired.
    Stopped,
    /// Start it again at this time.
    RestartAt(Millis),
    /// It fell too often and is left for a person to see.
    Parked,
}

struct Child<H> {
    vitals: Arc<Vitals>,
    falls: Falls,
    incarnation: u64,
    handle: Option<H>,
}

/// The children of one parent, with a handle of type `H` to each that lives.
pub struct Nursery<H> {
    parent: &'static str,
    me: Recipient<ChildDown>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    registry: Registry,
    metrics: Metrics,
    children: HashMap<Arc<str>, Child<H>>,
}

impl<H> Nursery<H> {
    /// An empty nursery of the actor `parent`, which hears of falls as `me`.
    pub fn new(
        parent: &'static str,
        me: Recipient<ChildDown>,
        policy: Policy,
        clock: Arc<dyn Clock>,
        registry: Registry,
        metrics: Metrics,
    ) -> Self {
        Self { parent, me, policy, clock, registry, metrics, children: HashMap::new() }
    }

    /// Starts a child, for the first time or again. One that lives stays as it is: there are never two of a name.
    pub fn start(&mut self, name: &Arc<str>, kind: &'static str, start: impl FnOnce(Life) -> H) -> &H {
        let child = self.children.entry(Arc::clone(name)).or_insert_with(|| {
            let vitals = Vitals::new(Arc::clone(name), self.parent, kind, Arc::clone(&self.clock));
            self.registry.add(Arc::clone(&vitals));
            Child { vitals, falls: Falls::default(), incarnation: 0, handle: None }
        });
        child.handle.get_or_insert_with(|| {
            child.incarnation += 1;
            child.vitals.set_state(Standing::Running);
            start(Life::new(Arc::clone(&child.vitals), self.me.clone(), child.incarnation))
        })
    }

    /// The handle of a child that lives.
    pub fn get(&self, name: &str) -> Option<&H> {
        self.children.get(name)?.handle.as_ref()
    }

    /// All children that live.
    pub fn living(&self) -> impl Iterator<Item = (&Arc<str>, &H)> {
        self.children.iter().filter_map(|(name, child)| Some((name, child.handle.as_ref()?)))
    }

    /// The vitals of a child.
    pub fn vitals(&self, name: &str) -> Option<&Arc<Vitals>> {
        self.children.get(name).map(|child| &child.vitals)
    }

    /// Takes in a death notice, counts it and decides.
    pub fn fell(&mut self, down: ChildDown) -> Fallen {
        let Some(child) = self.children.get_mut(&down.name) else { return Fallen::Stale };
        if child.incarnation != down.incarnation {
            return Fallen::Stale;
        }
        child.handle = None;
        let kind = child.vitals.kind;
        child.vitals.fell(down.cause, down.error.clone());
        if down.cause == Cause::Stop {
            child.vitals.set_state(Standing::Stopped);
            return Fallen::Stopped;
        }
        let cause = match down.cause {
            Cause::Panic => "panic",
            Cause::Error => "error",
            Cause::Frozen => "frozen",
            Cause::Stop => "stop",
        };
        self.metrics.restarts.with_label_values(&[kind, cause]).inc();
        let error = down.error.unwrap_or_default();
        match child.falls.fell(self.clock.now(), &self.policy) {
            Decision::RestartAt(at) => {
                tracing::warn!(actor = %down.name, cause, error, "actor fell and is restarted");
                child.vitals.set_state(Standing::Starting);
                Fallen::RestartAt(at)
            }
            Decision::Park => {
                tracing::error!(actor = %down.name, cause, error, "actor fell too often and is parked");
                child.vitals.set_state(Standing::Parked);
                Fallen::Parked
            }
        }
    }

    /// Gives up on a child that does not answer: its later death is not heard any more. `None` when it is
    /// not known.
    pub fn abandon(&mut self, name: &str) -> Option<Fallen> {
        let child = self.children.get(name)?;
        let down = ChildDown {
            name: Arc::clone(&child.vitals.name),
            incarnation: child.incarnation,
            cause: Cause::Frozen,
            error: Some("it did not answer".into()),
        };
        let fallen = self.fell(down);
        if let Some(child) = self.children.get_mut(name) {
            child.incarnation += 1;
        }
        Some(fallen)
    }

    /// Forgets a parked child's falls. True when it was parked, and may be started now.
    pub fn forgive(&mut self, name: &str) -> bool {
        match self.children.get_mut(name) {
            Some(child) if child.vitals.state() == Standing::Parked => {
                child.falls.forgive();
                child.vitals.set_state(Standing::Starting);
                true
            }
            _ => false,
        }
    }

    /// Lets go of a child that ended and is not needed.
    pub fn retire(&mut self, name: &str) {
        if self.children.remove(name).is_some() {
            self.registry.remove(name);
        }
    }

    /// How many children there are, living or not.
    pub fn len(&self) -> usize {
        self.children.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }
}
