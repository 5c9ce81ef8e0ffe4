//! A reception whose neighbours are down: nothing is lost, and it comes back by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::{BoxFuture, pending};
use tokio_util::sync::CancellationToken;

use super::{
    Kinds, Reception, ReceptionDoors, ReceptionKit, ReceptionSettings,
    messages::{Reached, Report, Take},
};
use crate::{
    actors::{
        db::messages::{DbError, GetPosition},
        intake::messages::Answers,
        kernel::{Door, Mail, messages::Stop, testing},
    },
    domain::{
        chat::{Content, Event, Failure, Incoming, Link, Place, Post, RemoteFile, Sender},
        gate::Rules,
        ids::FileId,
        message::FileRef,
    },
    ports::{
        channel::Resend,
        clock::Clock,
        files::{Files, KeepError, OpenFile, Pieces},
        platform::{Abilities, Download, Platform, Sink},
    },
};

/// A platform that only listens; how often it was asked to.
#[derive(Default)]
struct Listens(AtomicU32);

impl Platform for Listens {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn abilities(&self) -> Abilities {
        Abilities { resend: Resend::Safe, max_download: 1, threads: false }
    }

    fn listen(
        &self,
        sink: Arc<dyn Sink>,
        position: Option<String>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert_eq!(position.as_deref(), Some("17"));
        sink.link(Link::Up { account: "bot".into() });
        Box::pin(async move { stop.cancelled().await })
    }

    fn fetch(&self, _: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>> {
        Box::pin(pending())
    }

    fn post(&self, _: Post) -> BoxFuture<'static, Result<String, Failure>> {
        Box::pin(pending())
    }

    fn edit(&self, _: &Place, _: &str, _: Content) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(pending())
    }

    fn remove(&self, _: &Place, _: &str) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(pending())
    }

    fn typing(&self, _: &Place) -> BoxFuture<'static, Result<(), Failure>> {
        Box::pin(pending())
    }

    fn thread(&self, _: &Place, _: &str, _: &str) -> BoxFuture<'static, Result<Place, Failure>> {
        Box::pin(pending())
    }
}

struct NoFiles;

impl Files for NoFiles {
    fn put(&self, _: String, _: String, _: Bytes) -> BoxFuture<'static, std::io::Result<FileRef>> {
        Box::pin(pending())
    }

    fn keep(
        &self,
        _: String,
        _: String,
        _: Pieces,
        _: u64,
    ) -> BoxFuture<'static, Result<FileRef, KeepError>> {
        Box::pin(pending())
    }

    fn read(&self, _: &FileId) -> BoxFuture<'static, std::io::Result<Bytes>> {
        Box::pin(pending())
    }

    fn open(&self, _: &FileId) -> BoxFuture<'static, std::io::Result<OpenFile>> {
        Box::pin(pending())
    }
}

/// A store that knows where listening goes on from, and nothing else.
struct Store;

impl Actor for Store {
    type Context = Context<Self>;
}

impl Handler<Mail<GetPosition>> for Store {
    type Result = Result<Option<String>, DbError>;

    fn handle(&mut self, _: Mail<GetPosition>, _: &mut Self::Context) -> Self::Result {
        Ok(Some("17".into()))
    }
}

fn kit(clock: &Arc<dyn Clock>, platform: Arc<dyn Platform>) -> ReceptionKit {
    ReceptionKit {
        platform,
        doors: ReceptionDoors {
            offer: Door::closed("the intake"),
            answers: Answers {
                decide: Door::closed("the store"),
                project: Door::closed("the store"),
                command: Door::closed("the router"),
                tell_job: Door::closed("the jobs"),
            },
            recognise: Door::closed("the store"),
            see: Door::closed("the store"),
            ask_to_pair: Door::closed("the store"),
            answer_pairing: Door::closed("the store"),
            refuse: Door::closed("the store"),
            redeem: Door::closed("the store"),
            post: Door::closed("the store"),
            put_file: Door::closed("the store"),
            position: Door::closed("the store"),
            set_position: Door::closed("the store"),
            fresh: Door::closed("the outbox"),
        },
        settings: ReceptionSettings {
            rules: Rules::default(),
            messages_per_minute: 0,
            max_file: 1,
            kinds: Kinds { photo: true, audio: true, video: true, document: true },
            platforms: vec!["telegram".into()],
        },
        files: Arc::new(NoFiles),
        transcriber: None,
        clock: Arc::clone(clock),
    }
}

fn incoming() -> Incoming {
    Incoming {
        id: "u1".into(),
        place: Place { chat: "42".into(), thread: None },
        seen_as: None,
        group: false,
        sender: Sender { id: "42".into(), name: "Ann".into() },
        at: 0,
        event: Event::Command { line: "/help".into(), files: vec![], token: None },
    }
}

#[actix::test]
async fn while_the_store_is_down_all_is_left_to_the_platform_and_then_it_is_listened_to() {
    let clock = testing::TestClock::start();
    let platform = Arc::new(Listens::default());
    let kit = kit(&clock, Arc::clone(&platform) as Arc<dyn Platform>);
    let position = kit.doors.position.clone();
    let (life, vitals) = testing::orphan("reception", &clock);
    let reception = Reception::new(life, kit).start();
    let mail = || Mail::new(Take(incoming()), &vitals);
    assert!(reception.send(mail()).await.unwrap().is_err());
    assert!(reception.send(Mail::new(Reached("18".into()), &vitals)).await.unwrap().is_err());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let report = async || reception.send(Mail::new(Report, &vitals)).await.unwrap();
    let told = report().await;
    assert_eq!((told.state.as_str(), platform.0.load(Ordering::SeqCst)), ("down", 0));
    assert!(told.last_error.unwrap().contains("the store is down"));
    let (_, of_store) = testing::orphan("store", &clock);
    position.open(Store.start().recipient(), of_store);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((report().await.state.as_str(), platform.0.load(Ordering::SeqCst)), ("up", 1));
    reception.send(Mail::new(Stop { deadline: clock.now() + 1_000 }, &vitals)).await.unwrap();
    assert!(reception.send(mail()).await.is_err(), "it is gone");
}
