//! For tests of single actors: virtual time, and a life without a parent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::prelude::*;

use super::{Life, Vitals, messages::ChildDown};
use crate::{
    domain::Millis,
    ports::clock::{Clock, NoRandom},
};

/// The runtime's own time, which stands still while anything can go on.
pub(crate) struct TestClock {
    began: tokio::time::Instant,
    count: AtomicU64,
}

impl TestClock {
    /// Stops the real time of this runtime.
    pub(crate) fn start() -> Arc<dyn Clock> {
        tokio::time::pause();
        Arc::new(Self { began: tokio::time::Instant::now(), count: AtomicU64::new(0) })
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        self.began.elapsed().as_millis() as Millis
    }

    fn fresh(&self) -> u128 {
        (u128::from(self.now().unsigned_abs()) << 80) | u128::from(self.count.fetch_add(1, Ordering::SeqCst))
    }

    fn secret(&self) -> Result<[u8; 32], NoRandom> {
        Ok([7; 32])
    }
}

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<ChildDown> for Nobody {
    type Result = ();

    fn handle(&mut self, _: ChildDown, _: &mut Self::Context) {}
}

/// A life whose end nobody hears of, and its vitals.
pub(crate) fn orphan(name: &'static str, clock: &Arc<dyn Clock>) -> (Life, Arc<Vitals>) {
    let vitals = Vitals::new(Arc::from(name), "", name, Arc::clone(clock));
    (Life::new(Arc::clone(&vitals), Nobody.start().recipient(), 1), vitals)
}
