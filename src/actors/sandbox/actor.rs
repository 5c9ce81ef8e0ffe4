//! The actor: takes a message, begins the work beside itself, and answers when that is done.

use std::{future::Future, rc::Rc, sync::Arc, time::Duration};

use actix::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{bench::Bench, engine, kit::BenchKit, messages::*};
use crate::{
    actors::kernel::{Life, Mail, Vitals, caught, messages::*},
    ports::{gateway::Terminals, repo::BundleFile},
};

/// One job asks, and a person now and then.
const MAILBOX: usize = 64;

/// The owner of one job's sandbox. When it goes without [`Close`], its sandbox is ended behind it; when the process dies
/// first, the sandbox is found by its labels at the next start, or at the next [`Open`] for the same job.
pub struct SandboxActor {
    life: Life,
    bench: Rc<Bench>,
    abandoned: CancellationToken,
}

impl SandboxActor {
    /// Without a sandbox yet.
    pub fn new(life: Life, kit: Arc<BenchKit>) -> Self {
        let abandoned = CancellationToken::new();
        let bench = Rc::new(Bench::new(kit, abandoned.clone()));
        Self { life, bench, abandoned }
    }

    /// Does work beside the actor; it goes on when whoever asked does not wait any more.
    fn begin<T: 'static, F>(&self, work: impl FnOnce(Rc<Bench>) -> F) -> ResponseFuture<Result<T, BenchError>>
    where
        F: Future<Output = Result<T, BenchError>> + 'static,
    {
        let vitals: Arc<Vitals> = Arc::clone(self.life.vitals());
        let work = work(Rc::clone(&self.bench));
        Box::pin(async move {
            let done = caught(&vitals, work).await;
            done.unwrap_or_else(|panicked| Err(BenchError::Failed(panicked.to_string())))
        })
    }
}

impl Drop for SandboxActor {
    fn drop(&mut self) {
        self.abandoned.cancel();
    }
}

impl Actor for SandboxActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<Open>> for SandboxActor {
    type Result = ResponseFuture<Result<Opened, BenchError>>;

    fn handle(&mut self, mail: Mail<Open>, _: &mut Self::Context) -> Self::Result {
        let (Open { spec, events }, _ticket) = mail.open();
        self.begin(|bench| async move { bench.open(spec, events).await })
    }
}

impl Handler<Mail<Run>> for SandboxActor {
    type Result = ResponseFuture<Result<RunOutput, BenchError>>;

    fn handle(&mut self, mail: Mail<Run>, _: &mut Self::Context) -> Self::Result {
        let (run, _ticket) = mail.open();
        self.begin(|bench| async move { bench.run(run).await })
    }
}

impl Handler<Mail<SetPolicy>> for SandboxActor {
    type Result = ResponseFuture<Result<(), BenchError>>;

    fn handle(&mut self, mail: Mail<SetPolicy>, _: &mut Self::Context) -> Self::Result {
        let (SetPolicy { policy }, _ticket) = mail.open();
        self.begin(|bench| async move {
            bench.here()?.gateway.set_policy(policy);
            Ok(())
        })
    }
}

impl Handler<Mail<StartEngine>> for SandboxActor {
    type Result = ResponseFuture<Result<(), BenchError>>;

    fn handle(&mut self, mail: Mail<StartEngine>, _: &mut Self::Context) -> Self::Result {
        let (StartEngine { run, events }, _ticket) = mail.open();
        self.begin(|bench| async move { engine::start(&bench.kit, &bench.here()?, run, events) })
    }
}

impl Handler<Mail<TellEngine>> for SandboxActor {
    type Result = ResponseFuture<Result<(), BenchError>>;

    fn handle(&mut self, mail: Mail<TellEngine>, _: &mut Self::Context) -> Self::Result {
        let (TellEngine { control }, _ticket) = mail.open();
        self.begin(|bench| async move {
            let place = bench.here()?;
            engine::tell(&place, control).await
        })
    }
}

impl Handler<Mail<HandOver>> for SandboxActor {
    type Result = ResponseFuture<Result<BundleFile, BenchError>>;

    fn handle(&mut self, mail: Mail<HandOver>, _: &mut Self::Context) -> Self::Result {
        let (HandOver { base }, _ticket) = mail.open();
        self.begin(|bench| async move { bench.hand_over(&base).await })
    }
}

impl Handler<Mail<OpenTerminals>> for SandboxActor {
    type Result = ResponseFuture<Result<Arc<dyn Terminals>, BenchError>>;

    fn handle(&mut self, mail: Mail<OpenTerminals>, _: &mut Self::Context) -> Self::Result {
        let (OpenTerminals, _ticket) = mail.open();
        self.begin(|bench| async move { bench.terminals().await })
    }
}

impl Handler<Mail<Close>> for SandboxActor {
    type Result = ResponseFuture<Result<(), BenchError>>;

    fn handle(&mut self, mail: Mail<Close>, _: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        self.begin(|bench| async move { bench.close().await })
    }
}

impl Handler<Mail<Observe>> for SandboxActor {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(self.bench.snapshot())
    }
}

impl Handler<Mail<Stop>> for SandboxActor {
    type Result = ResponseActFuture<Self, Drained>;

    /// Closes. What is not dead by the deadline is ended behind the actor.
    fn handle(&mut self, mail: Mail<Stop>, _: &mut Self::Context) -> Self::Result {
        let (Stop { deadline }, _ticket) = mail.open();
        let left = (deadline - self.bench.kit.clock.now()).max(0).unsigned_abs();
        let closing = self.begin(|bench| async move { bench.close().await });
        let closing = async move { tokio::time::timeout(Duration::from_millis(left), closing).await };
        Box::pin(closing.into_actor(self).map(|closed, actor, ctx| {
            let why = match closed {
                Ok(closed) => closed.err().map(|error| error.to_string()),
                Err(_) => Some("it takes too long".into()),
            };
            if let Some(why) = why {
                tracing::warn!(why, "a sandbox is not closed at the end of its actor");
            }
            actor.life.stop(ctx);
            Drained
        }))
    }
}
