//! The account of a job: what is charged before a call, put right after it, and told when there is no room.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::doubles::World;
use crate::{
    actors::{
        db::messages::DbError,
        kernel::{Unreachable, testing::TestClock},
        sandbox::{JobEgress, JobMeter, MeteredModel, messages::BenchEvent},
    },
    domain::{
        budget::{Amount, Dimension, Exceeded, Scope},
        gateway::{EgressKind, EgressRecord, Verdict, usage::Metered},
        ids::JobId,
        job::Settlement,
        model::{Answer, ModelError, ModelRequest, Reply, Stop, Usage},
    },
    ports::{
        gateway::{Egress as _, Meter as _, ModelCall, NoBudget},
        model::Model as _,
    },
};

fn world() -> World {
    World::new(&TestClock::start())
}

fn meter(world: &World) -> (JobMeter, mpsc::Receiver<BenchEvent>) {
    let (events, told) = mpsc::channel(8);
    (JobMeter::new(&world.kit, JobId::new("j1"), events), told)
}

fn call() -> ModelCall {
    ModelCall { provider: "anthropic".into(), model: "m".into(), input: 100, output: 50 }
}

fn exceeded() -> Exceeded {
    Exceeded { scope: Scope::Job, dimension: Dimension::Money, cap: 9, used: 8, asked: 600, raise: 600 }
}

fn settled(world: &World) -> Vec<Settlement> {
    world.books.settled.lock().unwrap().clone()
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn request() -> Arc<ModelRequest> {
    let (messages, tools) = (Vec::new(), Vec::new());
    Arc::new(ModelRequest { system: "s".repeat(30).into(), messages, tools, max_tokens: None })
}

fn model(world: &World) -> (MeteredModel, mpsc::Receiver<BenchEvent>) {
    let (meter, told) = meter(world);
    let complete = world.kit.doors.complete.clone();
    (MeteredModel::new(meter, complete, world.kit.models.clone(), None, tracing::Span::none()), told)
}

#[actix::test]
async fn a_call_is_charged_at_its_worst_and_settled_with_what_it_was() {
    let world = world();
    let (meter, _told) = meter(&world);
    let ticket = meter.reserve(call()).await.unwrap();
    let prepaid = world.books.prepaid.lock().unwrap()[0].clone();
    assert_eq!((prepaid.worst.tokens, prepaid.worst.micros), (150, 100 + 500));
    pause(700).await;
    let usage = Usage { input: 90, output: 3, ..Usage::default() };
    meter.settle(ticket, Metered { usage, told: true }).await;
    meter.settle(ticket, Metered { usage, told: true }).await;
    let settled = settled(&world);
    assert_eq!(settled.len(), 1, "a ticket is good for one settlement");
    let paid = settled[0].call.clone().unwrap();
    assert_eq!((settled[0].prepaid, settled[0].prepaid_at), (prepaid.worst, prepaid.now));
    assert_eq!((paid.cost.tokens, paid.cost.micros), (93, 90 + 30));
    assert!((700..720).contains(&paid.cost.time_ms), "{}", paid.cost.time_ms);
    assert_eq!((paid.provider.as_str(), paid.usage), ("anthropic", usage));
}

#[actix::test]
async fn a_call_that_the_provider_did_not_take_is_given_back() {
    let world = world();
    let (meter, _told) = meter(&world);
    let ticket = meter.reserve(call()).await.unwrap();
    meter.settle(ticket, Metered { usage: Usage::default(), told: true }).await;
    assert_eq!(settled(&world)[0].call, None);
    // Estimated at nothing is not known to be nothing.
    let ticket = meter.reserve(call()).await.unwrap();
    meter.settle(ticket, Metered { usage: Usage::default(), told: false }).await;
    assert!(settled(&world)[1].call.is_some());
}

#[actix::test]
async fn whoever_goes_away_while_the_store_thinks_pays_nothing() {
    let world = world();
    let (meter, _told) = meter(&world);
    *world.books.slow.lock().unwrap() = 1_000;
    let asked = tokio::time::timeout(Duration::from_millis(10), meter.reserve(call())).await;
    assert!(asked.is_err());
    pause(2_000).await;
    assert_eq!(world.books.prepaid.lock().unwrap().len(), 1);
    let settled = settled(&world);
    assert_eq!((settled.len(), settled[0].call.clone()), (1, None));
}

#[actix::test]
async fn a_budget_without_room_is_told_once_and_once_more_when_wanted() {
    let world = world();
    let (meter, mut told) = meter(&world);
    *world.books.over.lock().unwrap() = Some(exceeded());
    for _ in 0..3 {
        let Err(NoBudget::Spent(why)) = meter.reserve(call()).await else { panic!() };
        assert!(why.contains("the job's budget has no room") && why.contains("$0.0006"), "{why}");
    }
    assert_eq!(told.recv().await, Some(BenchEvent::OverBudget(exceeded())));
    assert!(told.try_recv().is_err());
    meter.tell_again();
    assert!(meter.reserve(call()).await.is_err());
    assert_eq!(told.recv().await, Some(BenchEvent::OverBudget(exceeded())));
}

#[actix::test]
async fn settling_waits_for_a_store_that_is_away_and_never_settles_twice() {
    let world = world();
    let (meter, _told) = meter(&world);
    let down = DbError::Unreachable(Unreachable::Down("the store"));
    world.books.faults.lock().unwrap().extend([down.clone(), DbError::Failed("busy".into()), down]);
    let ticket = meter.reserve(call()).await.unwrap();
    let usage = Usage { input: 1, ..Usage::default() };
    meter.settle(ticket, Metered { usage, told: true }).await;
    assert_eq!(settled(&world).len(), 1);
    // It may have been stored: once more would give back too much.
    world.books.faults.lock().unwrap().push_back(DbError::Unreachable(Unreachable::Gone("the store")));
    let ticket = meter.reserve(call()).await.unwrap();
    meter.settle(ticket, Metered { usage, told: true }).await;
    assert_eq!(settled(&world).len(), 1);
}

#[actix::test]
async fn our_own_engine_pays_for_its_answers_by_the_same_account() {
    let world = world();
    let (model, mut told) = model(&world);
    let usage = Usage { input: 12, output: 4, ..Usage::default() };
    let reply = Reply {
        text: "hi".into(),
        calls: Vec::new(),
        stop: Stop::End,
        usage,
        provider: "p".into(),
        model: "big".into(),
    };
    let cost = Amount { tokens: 16, micros: 77, tool_calls: 0, time_ms: 5 };
    let answers = [Ok(Answer { reply, cost }), Err(ModelError::Exhausted("all out".into()))];
    world.books.answers.lock().unwrap().extend(answers);
    assert_eq!(model.ask(request(), Arc::new(|_| {})).await.unwrap().text, "hi");
    assert_eq!(world.books.prepaid.lock().unwrap()[0].worst.tokens, 10 + 100);
    let paid = settled(&world)[0].call.clone().unwrap();
    assert_eq!((paid.provider.as_str(), paid.model.as_str(), paid.cost), ("p", "big", cost));
    assert!(model.ask(request(), Arc::new(|_| {})).await.is_err());
    assert_eq!(settled(&world)[1].call, None);
    // Nobody waits for the third: it is booked by what was seen of it.
    let asked = tokio::time::timeout(Duration::from_secs(3), model.ask(request(), Arc::new(|_| {}))).await;
    assert!(asked.is_err());
    pause(10).await;
    let lost = settled(&world)[2].call.clone().unwrap();
    assert_eq!((lost.usage.input, lost.usage.output, lost.cost.micros), (10, 3, 10 + 30));
    *world.books.over.lock().unwrap() = Some(exceeded());
    let refused = model.ask(request(), Arc::new(|_| {})).await;
    assert!(matches!(refused, Err(ModelError::BadRequest(why)) if why.contains("budget")));
    assert_eq!(told.recv().await, Some(BenchEvent::OverBudget(exceeded())));
}

#[actix::test]
async fn requests_are_told_at_once_stored_a_few_at_a_time_and_kept_while_the_store_is_away() {
    let world = world();
    let (events, mut told) = mpsc::channel(4_096);
    let egress = JobEgress::start(JobId::new("j1"), world.kit.doors.egress.clone(), events);
    let record = |at| EgressRecord {
        at,
        kind: EgressKind::Tunnel,
        host: "example.org".into(),
        verdict: Verdict::Refused { why: "not listed".into(), ask: true },
        sent: 0,
        received: 0,
        ms: 1,
    };
    let counts = || world.books.egress.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>();
    egress.record(record(1));
    egress.record(record(2));
    assert_eq!(told.recv().await, Some(BenchEvent::Egress(record(1))));
    assert_eq!(told.recv().await, Some(BenchEvent::Egress(record(2))));
    assert!(counts().is_empty());
    pause(501).await;
    assert_eq!(counts(), [2]);
    let down = DbError::Unreachable(Unreachable::Down("the store"));
    world.books.faults.lock().unwrap().push_back(down);
    egress.record(record(3));
    pause(750).await;
    egress.record(record(4));
    assert_eq!(counts(), [2]);
    pause(300).await;
    assert_eq!(counts(), [2, 2], "what could not be stored is stored with the next");
    for at in 0..450 {
        egress.record(record(at));
    }
    egress.flush().await;
    assert_eq!(counts(), [2, 2, 200, 200, 50]);
    egress.record(record(9));
    drop(egress);
    pause(1).await;
    assert_eq!(counts().last(), Some(&1));
}
