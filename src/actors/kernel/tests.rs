//! Falls, doors and mail, with virtual time.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;

use super::{messages::*, *};
use crate::{
    domain::restart::{Cause, Policy},
    ports::{clock::Clock, metrics::Metrics},
};

#[derive(Message, Clone, Copy)]
#[rtype(result = "u32")]
enum Do {
    Count,
    Panic,
    Fail,
    Stop,
    Hang,
}

struct Worker {
    life: Life,
    count: u32,
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, 4);
    }
}

impl Handler<Mail<Do>> for Worker {
    type Result = u32;

    fn handle(&mut self, mail: Mail<Do>, ctx: &mut Self::Context) -> u32 {
        let (what, _ticket) = mail.open();
        match what {
            Do::Count => self.count += 1,
            Do::Panic => panic!("on purpose"),
            Do::Fail => self.life.fail(ctx, "no disk"),
            Do::Stop => self.life.stop(ctx),
            Do::Hang => ctx.wait(actix::fut::wrap_future(std::future::pending::<()>())),
        }
        self.count
    }
}

struct Parent {
    nursery: Option<Nursery<Addr<Worker>>>,
    door: Door<Do>,
    heard: Vec<Cause>,
    clock: Arc<dyn Clock>,
    registry: Registry,
}

impl Parent {
    fn start_child(&mut self) {
        let door = self.door.clone();
        let Some(nursery) = &mut self.nursery else { return };
        nursery.start(&Arc::from("worker"), "worker", |life| {
            let vitals = Arc::clone(life.vitals());
            let addr = Worker { life, count: 0 }.start();
            door.open(addr.clone().recipient(), vitals);
            addr
        });
    }
}

impl Actor for Parent {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let policy = Policy { max_falls: 3, window_ms: 10_000, backoff_ms: 100, max_backoff_ms: 1_000 };
        self.nursery = Some(Nursery::new(
            "parent",
            ctx.address().recipient(),
            policy,
            Arc::clone(&self.clock),
            self.registry.clone(),
            Metrics::new().unwrap(),
        ));
        self.start_child();
    }
}

impl Handler<ChildDown> for Parent {
    type Result = ();

    fn handle(&mut self, down: ChildDown, ctx: &mut Self::Context) {
        self.heard.push(down.cause);
        if let Some(Fallen::RestartAt(at)) = self.nursery.as_mut().map(|nursery| nursery.fell(down)) {
            let wait = Duration::from_millis((at - self.clock.now()).max(0) as u64);
            ctx.run_later(wait, |parent, _| parent.start_child());
        }
    }
}

#[derive(Message)]
#[rtype(result = "Vec<Cause>")]
struct Heard;

impl Handler<Heard> for Parent {
    type Result = Vec<Cause>;
    fn handle(&mut self, _: Heard, _: &mut Self::Context) -> Vec<Cause> {
        self.heard.clone()
    }
}

#[derive(Message)]
#[rtype(result = "bool")]
struct Forgive;

impl Handler<Forgive> for Parent {
    type Result = bool;
    fn handle(&mut self, _: Forgive, _: &mut Self::Context) -> bool {
        let parked = self.nursery.as_mut().is_some_and(|nursery| nursery.forgive("worker"));
        self.start_child();
        parked
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Abandon;

impl Handler<Abandon> for Parent {
    type Result = ();
    fn handle(&mut self, _: Abandon, _: &mut Self::Context) {
        self.nursery.as_mut().and_then(|nursery| nursery.abandon("worker"));
        self.start_child();
    }
}

struct Town {
    parent: Addr<Parent>,
    door: Door<Do>,
    registry: Registry,
}

fn town() -> Town {
    let clock = testing::TestClock::start();
    let door = Door::closed("worker");
    let registry = Registry::default();
    let parent =
        Parent { nursery: None, door: door.clone(), heard: vec![], clock, registry: registry.clone() }
            .start();
    Town { parent, door, registry }
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[actix::test]
async fn panics_errors_and_stops_are_seen_apart_and_the_door_stays() {
    let Town { parent, door, registry } = town();
    pass(1).await;
    assert_eq!(door.send(Do::Count).await, Ok(1));
    assert_eq!(door.send(Do::Panic).await, Err(Unreachable::Gone("worker")));
    pass(200).await;
    assert_eq!(door.send(Do::Count).await, Ok(1), "a fresh actor behind the same door");
    door.send(Do::Fail).await.unwrap();
    pass(500).await;
    assert_eq!(door.send(Do::Count).await, Ok(1));
    door.send(Do::Stop).await.unwrap();
    pass(1_000).await;
    assert_eq!(parent.send(Heard).await.unwrap(), [Cause::Panic, Cause::Error, Cause::Stop]);
    assert!(door.send(Do::Count).await.is_err(), "who stopped as told is not restarted");
    let signs = &registry.tree()[0];
    assert_eq!((signs.panics, signs.errors, signs.stops), (1, 1, 1));
    assert_eq!((signs.state, signs.mailbox_capacity), (Standing::Stopped, 4));
    assert_eq!(signs.last_error.as_deref(), Some("no disk"));
}

#[actix::test]
async fn too_many_falls_park_it_until_a_person_restarts_it() {
    let Town { parent, door, registry } = town();
    pass(1).await;
    for _ in 0..4 {
        assert!(door.send(Do::Panic).await.is_err());
        pass(1_500).await;
    }
    assert_eq!(registry.tree()[0].state, Standing::Parked);
    assert!(door.send(Do::Count).await.is_err());
    assert!(parent.send(Forgive).await.unwrap());
    assert_eq!(door.send(Do::Count).await, Ok(1));
    assert_eq!(registry.tree()[0].state, Standing::Running);
}

#[actix::test]
async fn whoever_lives_is_not_started_a_second_time() {
    let Town { parent, door, .. } = town();
    pass(1).await;
    assert_eq!(door.send(Do::Count).await, Ok(1));
    assert!(!parent.send(Forgive).await.unwrap(), "it is not parked, and is started all the same");
    assert_eq!(door.send(Do::Count).await, Ok(2), "it is the one that was there");
    assert_eq!(parent.send(Heard).await.unwrap(), []);
}

#[actix::test]
async fn mail_is_counted_and_a_full_mailbox_refuses_at_the_edge() {
    let Town { door, registry, .. } = town();
    pass(1).await;
    door.send(Do::Hang).await.unwrap();
    let mut refused = 0;
    for _ in 0..10 {
        refused += i32::from(door.try_send(Do::Count) == Err(Refused::Full("worker")));
    }
    assert!(refused >= 5, "{refused} of 10 were refused at capacity 4");
    pass(700).await;
    let signs = registry.tree()[0].clone();
    assert_eq!(signs.mailbox_depth, 10 - refused as usize);
    assert!((700..705).contains(&signs.oldest_ms), "{}", signs.oldest_ms);
    assert_eq!(signs.handled, 1);
}

#[actix::test]
async fn one_that_does_not_answer_is_replaced_and_its_late_death_is_not_heard() {
    let Town { parent, door, registry } = town();
    pass(1).await;
    door.send(Do::Hang).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(5), door.send(Do::Count)).await.is_err());
    parent.send(Abandon).await.unwrap();
    assert_eq!(door.send(Do::Count).await, Ok(1));
    let signs = registry.tree()[0].clone();
    assert_eq!((signs.freezes, signs.state), (1, Standing::Running));
}
