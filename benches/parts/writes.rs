//! Writes through the db actor, whose commits are shared, against one commit each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::Actor;
use atoll::{
    actors::{
        db::messages::Accept,
        kernel::Placement,
        root::{Root, messages::Inspect},
    },
    app::{Base, SystemClock, assemble_store},
    domain::{
        ids::{ConversationId, InboundId, UserId, encode},
        inbound::{NewInbound, State},
    },
    ports::{clock::Clock, metrics::Metrics},
    store::{inbound, schema},
};

use super::stats::Times;

const MEASURE: Duration = Duration::from_secs(3);

fn message() -> NewInbound {
    let user = UserId::new("u");
    NewInbound {
        id: InboundId::new(encode(SystemClock.fresh())),
        channel: "api".into(),
        external_id: None,
        conversation: ConversationId::of("api", &user, "default").unwrap(),
        user,
        speaker: None,
        text: "what is new?".repeat(20),
        attachments: vec![],
        message: None,
        received_at: 1,
    }
}

pub(crate) fn group_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.db");
    let db = schema::open_writer(&path).unwrap();
    let mut times = Times::default();
    let begin = Instant::now();
    while begin.elapsed() < MEASURE {
        let began = Instant::now();
        inbound::accept(&db, &message(), State::Queued, None).unwrap();
        times.add(began.elapsed());
    }
    println!("one commit each: {:.0} writes/s; {}", times.len() as f64 / MEASURE.as_secs_f64(), times.show());
    for writers in [1, 8, 64] {
        let path = folder.path().join(format!("group-{writers}.db"));
        drop(schema::open_writer(&path).unwrap());
        let count = actix::System::new().block_on(async move {
            let base = Base {
                store: path,
                boot: 1,
                clock: Arc::new(SystemClock),
                metrics: Metrics::new().unwrap(),
                placement: Placement::threads(1, 1),
                links: None,
                told: None,
            };
            let assembled = assemble_store(&base);
            let root = Root::new(assembled.root).start();
            root.send(Inspect("db".into())).await.unwrap();
            let begin = Instant::now();
            let tasks: Vec<_> = (0..writers)
                .map(|_| {
                    let accept = assembled.doors.db.write.accept.clone();
                    actix::spawn(async move {
                        let mut count = 0;
                        while begin.elapsed() < MEASURE {
                            accept.ask(Accept { message: message() }).await.unwrap();
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let mut count = 0;
            for task in tasks {
                count += task.await.unwrap();
            }
            count
        });
        println!(
            "group commit, {writers:>2} writers: {:.0} writes/s",
            f64::from(count) / MEASURE.as_secs_f64()
        );
    }
}
