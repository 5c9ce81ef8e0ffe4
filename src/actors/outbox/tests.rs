//! The outbox alone: what it sends, what it stores of it, what it never sends twice.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use tokio_util::sync::CancellationToken;

use super::{Hand, Outbox, OutboxDoors, messages::Fresh};
use crate::{
    actors::{
        db::messages::{ClaimOutbox, DbError, HeldOutbox, SettleOutbox},
        delivery::messages::Deliver,
        kernel::{Door, Mail, Vitals, messages::Stop, testing},
    },
    domain::{
        Millis,
        ids::{ConversationId, UserId},
        outbound::{Body, NewOutbox, OutboxRow, Sent},
    },
    ports::{
        channel::Resend,
        clock::{Clock, NoRandom},
        metrics::Metrics,
    },
};

/// What the store and the platform would see, and what they answer.
#[derive(Default)]
struct World {
    due: Vec<(OutboxRow, bool)>,
    held: Vec<OutboxRow>,
    answers: VecDeque<Sent>,
    delivered: Vec<i64>,
    /// Of these, what an earlier run may have sent.
    doubtful: Vec<i64>,
    settled: Vec<(i64, Sent)>,
    /// The platform is away until then.
    until: Option<CancellationToken>,
    /// So many times the store cannot take what came of sending.
    broken: u32,
}

type Shared = Arc<Mutex<World>>;

/// The store and a platform in one.
struct Neighbour(Shared);

impl Actor for Neighbour {
    type Context = Context<Self>;
}

impl Handler<Mail<ClaimOutbox>> for Neighbour {
    type Result = Result<Vec<(OutboxRow, bool)>, DbError>;

    fn handle(&mut self, _: Mail<ClaimOutbox>, _: &mut Self::Context) -> Self::Result {
        Ok(std::mem::take(&mut self.0.lock().unwrap().due))
    }
}

impl Handler<Mail<HeldOutbox>> for Neighbour {
    type Result = Result<Vec<OutboxRow>, DbError>;

    fn handle(&mut self, mail: Mail<HeldOutbox>, _: &mut Self::Context) -> Self::Result {
        let (HeldOutbox { after, limit }, _ticket) = mail.open();
        let world = self.0.lock().unwrap();
        let open = |row: &&OutboxRow| row.id > after && !world.settled.iter().any(|(id, _)| *id == row.id);
        Ok(world.held.iter().filter(open).take(limit).cloned().collect())
    }
}

impl Handler<Mail<SettleOutbox>> for Neighbour {
    type Result = Result<(), DbError>;

    fn handle(&mut self, mail: Mail<SettleOutbox>, _: &mut Self::Context) -> Self::Result {
        let (settle, _ticket) = mail.open();
        let mut world = self.0.lock().unwrap();
        if world.broken > 0 {
            world.broken -= 1;
            return Err(DbError::Failed("disk full".into()));
        }
        world.settled.extend(settle.sent);
        Ok(())
    }
}

impl Handler<Mail<Deliver>> for Neighbour {
    type Result = ResponseFuture<Sent>;

    fn handle(&mut self, mail: Mail<Deliver>, _: &mut Self::Context) -> Self::Result {
        let (Deliver { row, cut_off }, _ticket) = mail.open();
        let mut world = self.0.lock().unwrap();
        world.delivered.push(row.id);
        world.doubtful.extend(cut_off.then_some(row.id));
        let answer = world.answers.pop_front().unwrap_or(Sent::Done);
        let until = world.until.clone();
        Box::pin(async move {
            if let Some(until) = until {
                until.cancelled().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer
        })
    }
}

fn message(id: i64, channel: &str) -> OutboxRow {
    let user = UserId::parse("ann").unwrap();
    OutboxRow {
        id,
        message: NewOutbox {
            conversation: ConversationId::of(channel, &user, "main").unwrap(),
            user,
            turn: None,
            answers: Vec::new(),
            body: Body::Notice { title: "hello".into(), body: String::new(), facts: Vec::new() },
        },
        attempts: 0,
        created_at: 1,
    }
}

fn door<M>(neighbour: &Addr<Neighbour>, vitals: &Arc<Vitals>) -> Door<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
    Neighbour: Handler<Mail<M>>,
{
    let door = Door::closed("neighbour");
    door.open(neighbour.clone().recipient(), Arc::clone(vitals));
    door
}

/// An outbox with one platform `tower`, on which cut-off sends are not repeated.
fn outbox(world: World) -> (Addr<Outbox>, Arc<Vitals>, Shared) {
    outbox_until(world, CancellationToken::new())
}

fn outbox_until(world: World, ending: CancellationToken) -> (Addr<Outbox>, Arc<Vitals>, Shared) {
    let clock = testing::TestClock::start();
    let world = Arc::new(Mutex::new(world));
    let (outbox, vitals) = begin(&world, ending, &Arc::default(), clock);
    (outbox, vitals, world)
}

fn begin(
    world: &Shared,
    ending: CancellationToken,
    hand: &Arc<Hand>,
    clock: Arc<dyn Clock>,
) -> (Addr<Outbox>, Arc<Vitals>) {
    let neighbour = Neighbour(Arc::clone(world)).start();
    let (life, vitals) = testing::orphan("outbox", &clock);
    let doors = OutboxDoors {
        claim: door(&neighbour, &vitals),
        held: door(&neighbour, &vitals),
        settle: door(&neighbour, &vitals),
        deliveries: HashMap::from([("tower", (door(&neighbour, &vitals), Resend::Marked))]),
        ending,
    };
    (Outbox::new(life, doors, Arc::clone(hand), clock, Metrics::new().unwrap()).start(), vitals)
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[actix::test]
async fn what_is_fresh_is_sent_at_once_and_its_outcome_stored() {
    let later = Sent::Later { after_ms: 5_000, why: "slow down".into() };
    let (outbox, vitals, world) =
        outbox(World { answers: VecDeque::from([later.clone()]), ..World::default() });
    outbox.send(Mail::new(Fresh(vec![message(1, "tower"), message(2, "tower")]), &vitals)).await.unwrap();
    pass(500).await;
    let mut world = world.lock().unwrap();
    world.settled.sort_by_key(|(id, _)| *id);
    assert_eq!(world.delivered, [1, 2]);
    assert_eq!(world.settled, [(1, later), (2, Sent::Done)]);
}

#[actix::test]
async fn what_earlier_runs_left_goes_first_and_the_delivery_is_told_what_they_may_have_sent() {
    let due = vec![(message(1, "tower"), true), (message(2, "tower"), false)];
    let (outbox, vitals, world) = outbox(World { due, ..World::default() });
    outbox.send(Mail::new(Fresh(vec![message(3, "tower")]), &vitals)).await.unwrap();
    pass(3_000).await;
    let world = world.lock().unwrap();
    assert_eq!((world.delivered.as_slice(), world.doubtful.as_slice()), (&[1, 2, 3][..], &[1][..]));
}

#[actix::test]
async fn outcomes_that_the_store_cannot_take_are_stored_later() {
    let (outbox, vitals, world) = outbox(World { broken: 2, ..World::default() });
    outbox.send(Mail::new(Fresh(vec![message(7, "tower")]), &vitals)).await.unwrap();
    pass(1_000).await;
    assert!(world.lock().unwrap().settled.is_empty());
    pass(10_000).await;
    let world = world.lock().unwrap();
    assert_eq!(world.settled, [(7, Sent::Done)]);
    assert_eq!(world.delivered, [7], "it was sent again though only its outcome was not stored");
}

#[actix::test]
async fn messages_of_a_channel_that_is_not_there_wait() {
    let (outbox, vitals, world) = outbox(World::default());
    outbox.send(Mail::new(Fresh(vec![message(3, "elsewhere")]), &vitals)).await.unwrap();
    pass(100).await;
    let world = world.lock().unwrap();
    assert!(matches!(&world.settled[..], [(3, Sent::Later { .. })]), "{:?}", world.settled);
}

#[actix::test]
async fn the_end_does_not_wait_for_a_platform_that_is_away() {
    let ending = CancellationToken::new();
    let (outbox, vitals, world) =
        outbox_until(World { until: Some(ending.clone()), ..World::default() }, ending);
    outbox.send(Mail::new(Fresh(vec![message(1, "tower")]), &vitals)).await.unwrap();
    let began = tokio::time::Instant::now();
    outbox.send(Mail::new(Stop { deadline: 600_000 }, &vitals)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(world.lock().unwrap().settled.len(), 1);
}

#[actix::test]
async fn the_end_waits_for_what_is_being_sent() {
    let (outbox, vitals, world) = outbox(World::default());
    outbox.send(Mail::new(Fresh(vec![message(1, "tower")]), &vitals)).await.unwrap();
    outbox.send(Mail::new(Stop { deadline: 10_000 }, &vitals)).await.unwrap();
    assert_eq!(world.lock().unwrap().settled, [(1, Sent::Done)]);
    pass(10).await;
    assert!(!outbox.connected());
}

/// Whoever asks it for the time next falls, when it is set.
struct Trap(Arc<dyn Clock>, AtomicBool);

impl Clock for Trap {
    fn now(&self) -> Millis {
        assert!(!self.1.swap(false, Ordering::Relaxed), "the trap");
        self.0.now()
    }

    fn fresh(&self) -> u128 {
        self.0.fresh()
    }

    fn secret(&self) -> Result<[u8; 32], NoRandom> {
        self.0.secret()
    }
}

#[actix::test]
async fn when_it_falls_what_is_on_its_way_arrives_once_and_what_was_on_its_way_to_it_is_found() {
    let trap = Arc::new(Trap(testing::TestClock::start(), AtomicBool::new(false)));
    let (world, hand) = (Shared::default(), Arc::new(Hand::default()));
    let clock = || Arc::clone(&trap) as Arc<dyn Clock>;
    let (outbox, vitals) = begin(&world, CancellationToken::new(), &hand, clock());
    pass(10).await;
    let all: Vec<OutboxRow> = (1..=3).map(|id| message(id, "tower")).collect();
    outbox.send(Mail::new(Fresh(vec![all[0].clone()]), &vitals)).await.unwrap();
    pass(10).await;
    let last = Mail::new(Fresh(vec![all[1].clone()]), &vitals);
    trap.1.store(true, Ordering::Relaxed);
    assert!(outbox.send(last).await.is_err(), "it does not fall");
    pass(1_000).await;
    assert!(world.lock().unwrap().settled.is_empty(), "nobody is there who could store it");

    // The last was claimed, for it had been tried before.
    let claimed = OutboxRow { attempts: 1, ..message(5, "tower") };
    world.lock().unwrap().held = [all.clone(), vec![claimed]].concat();
    let (outbox, vitals) = begin(&world, CancellationToken::new(), &hand, clock());
    outbox.send(Mail::new(Fresh(vec![all[2].clone()]), &vitals)).await.unwrap();
    pass(10_000).await;
    outbox.send(Mail::new(Fresh(vec![message(4, "tower")]), &vitals)).await.unwrap();
    pass(1_000).await;
    let mut world = world.lock().unwrap();
    world.settled.sort_by_key(|(id, _)| *id);
    assert_eq!(world.delivered, [1, 2, 3, 5, 4]);
    assert_eq!(world.settled, [1, 2, 3, 4, 5].map(|id| (id, Sent::Done)));
    assert_eq!(world.doubtful, [5]);
}
