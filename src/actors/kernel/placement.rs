//! On which thread an actor lives. Tests put all on one, so that time can be virtual.

use std::sync::Arc;

use actix::prelude::*;

/// Threads by role, or none: then everything runs where it is started.
#[derive(Clone)]
pub struct Placement {
    arbiters: Option<Arc<Arbiters>>,
}

struct Arbiters {
    db: ArbiterHandle,
    readers: Vec<ArbiterHandle>,
    models: ArbiterHandle,
    sessions: Vec<ArbiterHandle>,
}

/// Which of its threads an actor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that writes the store.
    Db,
    /// One of those that read it.
    Reader(usize),
    /// The one that talks to models.
    Models,
    /// One of those that sessions are spread over.
    Session(usize),
    /// The one that asks: small actors that only pass things on.
    Here,
}

impl Placement {
    /// Everything on the thread that starts it.
    pub fn here() -> Self {
        Self { arbiters: None }
    }

    /// A thread for the store, `readers` for reading it, one for models, `sessions` for conversations.
    pub fn threads(readers: usize, sessions: usize) -> Self {
        let many = |count: usize| (0..count.max(1)).map(|_| Arbiter::new().handle()).collect();
        Self {
            arbiters: Some(Arc::new(Arbiters {
                db: Arbiter::new().handle(),
                readers: many(readers),
                models: Arbiter::new().handle(),
                sessions: many(sessions),
            })),
        }
    }

    /// Starts an actor on a thread of this role.
    pub fn start<A>(&self, role: Role, make: impl FnOnce(&mut Context<A>) -> A + Send + 'static) -> Addr<A>
    where
        A: Actor<Context = Context<A>>,
    {
        let Some(arbiters) = &self.arbiters else { return A::create(make) };
        let handle = match role {
            Role::Here => return A::create(make),
            Role::Db => &arbiters.db,
            Role::Models => &arbiters.models,
            Role::Reader(at) => &arbiters.readers[at % arbiters.readers.len()],
            Role::Session(at) => &arbiters.sessions[at % arbiters.sessions.len()],
        };
        A::start_in_arbiter(handle, make)
    }
}
