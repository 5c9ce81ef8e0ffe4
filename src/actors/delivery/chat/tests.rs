//! The delivery to a chat platform alone: order, parts, pace, drafts, and what is posted once, twice or never.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::prelude::*;
use futures_util::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use super::{ChatDelivery, ChatDoors, ChatKit};
use crate::{
    actors::{
        db::messages::*,
        delivery::messages::Deliver,
        event_hub::messages::Subscribe,
        kernel::{Door, Mail, Vitals, messages::Stop, testing},
    },
    domain::{
        chat::{Content, Failure, Place, Post, RemoteFile, TELEGRAM},
        ids::{ConversationId, FileId, InboundId, UserId},
        markup::Flavor,
        message::FileRef,
        outbound::{Before, Body, LiveEvent, NewOutbox, OutboxRow, Progress, Sent, Words},
        pace::{self, Pace},
        turn::Outcome,
    },
    ports::{
        channel::Resend,
        clock::Clock,
        platform::{Abilities, Download, Platform, Sink},
    },
};

mod drafts;

/// What a person sees, and what the store holds.
#[derive(Default)]
struct World {
    /// Messages by their ids, in each chat.
    shown: BTreeMap<String, (String, Content)>,
    /// All calls, in order.
    calls: Vec<String>,
    /// When something was posted.
    posted_at: Vec<tokio::time::Instant>,
    /// Messages by the keys under which they were posted.
    keys: BTreeMap<String, String>,
    /// What the next calls are answered with; a post that fails as unknown arrives all the same.
    failures: VecDeque<Failure>,
    noted: Vec<(u32, Option<String>)>,
    before: Before,
    drafts: BTreeMap<String, String>,
    watchers: Vec<tokio::sync::mpsc::Sender<Arc<LiveEvent>>>,
    next: u64,
    /// No sign of life is taken.
    has_enough: bool,
}

type Shared = Arc<Mutex<World>>;

#[derive(Clone)]
struct Tower(Shared, Resend);

impl Tower {
    fn call(&self, call: String) -> Option<Failure> {
        let mut world = self.0.lock().unwrap();
        world.calls.push(call);
        world.failures.pop_front()
    }
}

impl Platform for Tower {
    fn name(&self) -> &'static str {
        TELEGRAM
    }

    fn abilities(&self) -> Abilities {
        Abilities { resend: self.1, max_download: 20 << 20, threads: false }
    }

    fn listen(&self, _: Arc<dyn Sink>, _: Option<String>, _: CancellationToken) -> BoxFuture<'static, ()> {
        std::future::pending().boxed()
    }

    fn fetch(&self, _: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>> {
        async { Err(Failure::Refused("nothing lies here".into())) }.boxed()
    }

    fn post(&self, post: Post) -> BoxFuture<'static, Result<String, Failure>> {
        let words = if post.content.markup.is_empty() { &post.content.plain } else { &post.content.markup };
        assert!(!words.contains("a stumbling block"), "the adapter falls over it");
        self.0.lock().unwrap().posted_at.push(tokio::time::Instant::now());
        let fails = words.contains("a poisoned word").then(|| Failure::Later("502".into()));
        let failure = self.call(format!("post {} {words}", post.place.name())).or(fails);
        let arrives = matches!(failure, None | Some(Failure::Unknown(_)));
        let mut world = self.0.lock().unwrap();
        let known = world.keys.get(&post.key).filter(|_| self.1 == Resend::Safe).cloned();
        let id = known.clone().unwrap_or_else(|| format!("m{}", world.next + 1));
        let mut answer = failure.map_or(Ok(id.clone()), Err);
        if known.is_some_and(|known| !world.shown.contains_key(&known)) {
            answer = Err(Failure::NoMessage("gone".into()));
        } else if arrives {
            world.next += u64::from(!world.shown.contains_key(&id));
            world.shown.insert(id.clone(), (post.place.name(), post.content));
            world.keys.insert(post.key, id);
        }
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer
        }
        .boxed()
    }

    fn edit(
        &self,
        place: &Place,
        message: &str,
        content: Content,
    ) -> BoxFuture<'static, Result<(), Failure>> {
        let failure = self.call(format!("edit {message} {}", content.markup));
        let mut world = self.0.lock().unwrap();
        let known = world.shown.contains_key(message);
        let answer = match failure {
            None if !known => Err(Failure::NoMessage("gone".into())),
            None => {
                world.shown.insert(message.to_owned(), (place.name(), content));
                Ok(())
            }
            Some(failure) => Err(failure),
        };
        async move { answer }.boxed()
    }

    fn remove(&self, _: &Place, message: &str) -> BoxFuture<'static, Result<(), Failure>> {
        let failure = self.call(format!("remove {message}"));
        self.0.lock().unwrap().shown.remove(message);
        async move { failure.map_or(Ok(()), Err) }.boxed()
    }

    fn typing(&self, place: &Place) -> BoxFuture<'static, Result<(), Failure>> {
        let mut world = self.0.lock().unwrap();
        world.calls.push(format!("typing {}", place.name()));
        let answer =
            if world.has_enough { Err(Failure::Slow { after_ms: 60_000, chat_only: false }) } else { Ok(()) };
        async move { answer }.boxed()
    }

    fn thread(&self, place: &Place, _: &str, _: &str) -> BoxFuture<'static, Result<Place, Failure>> {
        let place = place.clone();
        async move { Ok(place) }.boxed()
    }
}

/// The store and the hub in one.
struct Neighbour(Shared);

impl Actor for Neighbour {
    type Context = Context<Self>;
}

macro_rules! answers {
    ($message:ident, |$ask:ident, $world:ident| $body:expr) => {
        impl Handler<Mail<$message>> for Neighbour {
            type Result = <$message as Message>::Result;

            fn handle(&mut self, mail: Mail<$message>, _: &mut Self::Context) -> Self::Result {
                let ($ask, _ticket) = mail.open();
                let mut guard = self.0.lock().unwrap();
                let $world = &mut *guard;
                $body
            }
        }
    };
}

answers!(RecordPost, |ask, world| {
    world.noted.push((ask.post.part, ask.post.message.clone()));
    Ok(())
});
answers!(RecordDraft, |ask, world| {
    world.drafts.insert(ask.inbound.to_string(), ask.message);
    Ok(())
});
answers!(DropDraft, |ask, world| Ok(world.drafts.remove(ask.inbound.as_str())));
answers!(BeforePost, |_ask, world| Ok(world.before.clone()));
answers!(StaleDrafts, |_ask, world| {
    let place = ConversationId::new("telegram/ann/42");
    let all = world.drafts.iter();
    Ok(all.map(|(id, message)| (InboundId::new(id.as_str()), place.clone(), message.clone())).collect())
});

answers!(GetUser, |_ask, _world| Ok(None));
answers!(TopicOf, |_ask, _world| Ok(None));
answers!(OpenTopic, |_ask, _world| Ok(()));

impl Handler<Mail<Subscribe>> for Neighbour {
    type Result = MessageResult<Mail<Subscribe>>;

    fn handle(&mut self, mail: Mail<Subscribe>, _: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        let (watcher, events) = tokio::sync::mpsc::channel(64);
        self.0.lock().unwrap().watchers.push(watcher);
        MessageResult(events)
    }
}

struct Bench {
    clock: Arc<dyn Clock>,
    delivery: Addr<ChatDelivery>,
    vitals: Arc<Vitals>,
    world: Shared,
}

impl Bench {
    fn new(world: World, resend: Resend) -> Self {
        Self::after(testing::TestClock::start(), world, resend)
    }

    /// One more, at the same time.
    fn next(&self, world: World, resend: Resend) -> Self {
        Self::after(Arc::clone(&self.clock), world, resend)
    }

    fn after(clock: Arc<dyn Clock>, world: World, resend: Resend) -> Self {
        let world = Arc::new(Mutex::new(world));
        let neighbour = Neighbour(Arc::clone(&world)).start();
        let (life, vitals) = testing::orphan("delivery", &clock);
        fn door<M>(neighbour: &Addr<Neighbour>, vitals: &Arc<Vitals>) -> Door<M>
        where
            M: Message + Send + 'static,
            M::Result: Send,
            Neighbour: Handler<Mail<M>>,
        {
            Door::to("neighbour", neighbour.clone().recipient(), Arc::clone(vitals))
        }
        let kit = ChatKit {
            platform: Arc::new(Tower(Arc::clone(&world), resend)),
            flavor: Flavor::Telegram,
            links: None,
            pace: Pace::new(pace::TELEGRAM),
            doors: ChatDoors {
                record_post: door(&neighbour, &vitals),
                record_draft: door(&neighbour, &vitals),
                drop_draft: door(&neighbour, &vitals),
                before: door(&neighbour, &vitals),
                stale_drafts: door(&neighbour, &vitals),
                user: door(&neighbour, &vitals),
                topic_of: door(&neighbour, &vitals),
                open_topic: door(&neighbour, &vitals),
            },
            subscribe: door(&neighbour, &vitals),
            clock: Arc::clone(&clock),
            ending: CancellationToken::new(),
        };
        Self { clock, delivery: ChatDelivery::new(life, kit).start(), vitals, world }
    }

    fn deliver(&self, row: OutboxRow, cut_off: bool) -> impl Future<Output = Sent> + use<> {
        let sent = self.delivery.send(Mail::new(Deliver { row: Arc::new(row), cut_off }, &self.vitals));
        async move { sent.await.unwrap() }
    }

    fn tell(&self, progress: Progress) {
        self.tell_of(&["i1"], progress);
    }

    fn tell_of(&self, inbounds: &[&str], progress: Progress) {
        let event = Arc::new(LiveEvent::Progress {
            conversation: ConversationId::new("telegram/ann/42"),
            inbounds: inbounds.iter().copied().map(InboundId::new).collect(),
            progress,
        });
        for watcher in &self.world.lock().unwrap().watchers {
            watcher.try_send(Arc::clone(&event)).unwrap();
        }
    }

    fn calls(&self) -> Vec<String> {
        let calls = self.world.lock().unwrap().calls.clone();
        calls.into_iter().filter(|call| !call.starts_with("typing")).collect()
    }

    fn shown(&self) -> Vec<String> {
        self.world.lock().unwrap().shown.values().map(|(_, content)| content.plain.clone()).collect()
    }
}

fn answer(id: i64, chat: &str, text: &str) -> OutboxRow {
    let user = UserId::new("ann");
    OutboxRow {
        id,
        message: NewOutbox {
            conversation: ConversationId::of(TELEGRAM, &user, chat).unwrap(),
            user,
            turn: None,
            answers: vec![InboundId::new("i1")],
            body: Body::Answer {
                text: text.into(),
                files: Vec::new(),
                outcome: Outcome::Answered,
                words: Words::Markup,
            },
        },
        attempts: 0,
        created_at: 0,
    }
}

async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// A world in which these parts of a message were posted before.
fn parts_before<const N: usize>(parts: [(u32, Option<&str>); N]) -> World {
    let parts = parts.into_iter().map(|(part, message)| (part, message.map(str::to_owned))).collect();
    World { before: Before { parts, ..Before::default() }, ..World::default() }
}

/// How each message begins that is shown.
fn firsts(bench: &Bench) -> Vec<String> {
    bench.shown().iter().map(|words| words.chars().take(1).collect()).collect()
}

/// Waits, in virtual time, until this is what a person sees.
async fn until(bench: &Bench, seen: impl Fn(&[String]) -> bool) {
    while !seen(&bench.shown()) {
        pass(1).await;
    }
}

#[actix::test]
async fn messages_of_a_chat_keep_their_order_and_wait_for_no_other_chat() {
    let failures = VecDeque::from([Failure::Slow { after_ms: 30_000, chat_only: true }]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    let first = bench.deliver(answer(1, "42", "one"), false);
    let second = bench.deliver(answer(2, "42", "two"), false);
    while bench.calls().is_empty() {
        pass(1).await;
    }
    let other = bench.deliver(answer(3, "43", "three"), false);
    assert_eq!(other.await, Sent::Done);
    assert_eq!(bench.shown(), ["three"]);
    assert_eq!((first.await, second.await), (Sent::Done, Sent::Done));
    assert_eq!(bench.shown(), ["three", "one", "two"]);
}

#[actix::test]
async fn a_long_answer_goes_out_in_parts_and_those_that_arrived_are_not_posted_again() {
    let text = ["a", "b", "c"].map(|letter| letter.repeat(3_000)).join("\n\n");
    let bench = Bench::new(World::default(), Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", &text), false).await, Sent::Done);
    let parts = bench.shown();
    assert_eq!(parts.len(), 3);
    let noted = bench.world.lock().unwrap().noted.clone();
    assert_eq!(
        noted,
        [(0, Some("m1".into())), (1, Some("m2".into()))],
        "the last one ends the message itself"
    );
    let bench = bench.next(parts_before([(0, Some("m1"))]), Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", &text), true).await, Sent::Done);
    let again = bench.shown();
    assert_eq!(again.len(), 2);
    assert!(again[0].ends_with(&parts[1]) && again[0].starts_with("(once more"), "{}", &again[0][..60]);
    assert_eq!(again[1], parts[2], "only the part that was cut off is marked");
}

#[actix::test]
async fn what_may_have_arrived_is_posted_once_more_and_marked_and_never_a_third_time() {
    let lost = || Failure::Unknown("no answer".into());
    let failures = VecDeque::from([lost(), lost(), lost()]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    assert!(matches!(bench.deliver(answer(1, "42", "hello"), false).await, Sent::Unknown(_)));
    assert_eq!(bench.shown(), ["hello", "(once more, for it may not have arrived)\nhello"]);
    let bench = bench.next(parts_before([(0, None)]), Resend::Marked);
    assert!(matches!(bench.deliver(answer(1, "42", "hello"), true).await, Sent::Unknown(_)));
    assert!(bench.shown().is_empty());
    // The run before ended in an orderly way before it was posted again.
    let bench = bench.next(parts_before([(0, None)]), Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", "hello"), false).await, Sent::Done);
    assert_eq!(bench.shown(), ["(once more, for it may not have arrived)\nhello"]);
}

#[actix::test]
async fn a_message_goes_on_after_the_parts_that_arrived_also_when_nothing_was_cut_off() {
    // The end of a run, a chat that could not be reached, somebody who wants it sent again: it is no message anew.
    let text = ["a", "b", "c"].map(|letter| letter.repeat(3_000)).join("\n\n");
    let bench = Bench::new(parts_before([(0, Some("m1"))]), Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", &text), false).await, Sent::Done);
    assert_eq!(firsts(&bench), ["b", "c"]);
    // The first part is not known to have arrived, and wanted again.
    let bench = bench.next(parts_before([(1, Some("m2"))]), Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", &text), false).await, Sent::Done);
    assert_eq!(firsts(&bench), ["a", "c"]);
    // It was begun twice, and those after it were posted: they are not posted again.
    let bench = bench.next(parts_before([(0, None), (1, Some("m2"))]), Resend::Marked);
    assert!(matches!(bench.deliver(answer(1, "42", &text), true).await, Sent::Unknown(_)));
    assert_eq!(firsts(&bench), ["("], "the one at which it was cut off is marked");
    assert!(bench.shown()[0].ends_with('c'));
}

#[actix::test]
async fn where_the_platform_knows_a_post_again_it_is_posted_until_it_answers() {
    let lost = || Failure::Unknown("no answer".into());
    let failures = VecDeque::from([lost(), lost(), lost()]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Safe);
    assert_eq!(bench.deliver(answer(1, "42", "hello"), true).await, Sent::Done);
    assert_eq!(bench.shown(), ["hello"]);
}

#[actix::test]
async fn a_platform_that_may_have_forgotten_a_post_is_given_it_once_more_and_marked() {
    let bench = Bench::new(World::default(), Resend::Safe);
    pass(600_000).await;
    assert_eq!(bench.deliver(answer(1, "42", "hello"), true).await, Sent::Done);
    assert_eq!(bench.shown(), ["(once more, for it may not have arrived)\nhello"]);
}

#[actix::test]
async fn nothing_is_lost_to_markup_to_size_or_to_a_bad_day_of_the_platform() {
    let failures = VecDeque::from([
        Failure::Later("refused".into()),
        Failure::NoToken("401".into()),
        Failure::Markup("can't parse".into()),
    ]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", "**big** words"), false).await, Sent::Done);
    let calls = bench.calls();
    assert_eq!(calls[2..], ["post 42 <b>big</b> words", "post 42 big words"]);
    let bench = bench.next(World::default(), Resend::Marked);
    let mut row = answer(2, "42", "here");
    if let Body::Answer { files, .. } = &mut row.message.body {
        let id = FileId::new("f1");
        files.push(FileRef { id, name: "a.bin".into(), media_type: "x/y".into(), size: 60 << 20 });
    }
    let delivered = bench.deliver(row, false);
    until(&bench, |shown| shown.len() == 1).await;
    bench.world.lock().unwrap().failures.push_back(Failure::TooLarge("50 MB".into()));
    assert_eq!(delivered.await, Sent::Done);
    let shown = bench.shown();
    assert!(shown[0] == "here" && shown[1].contains("/api/files/f1"), "{shown:?}");
}

#[actix::test]
async fn where_the_bot_may_send_no_files_words_go_out_in_their_place() {
    let with_file = |id, text: &str| {
        let mut row = answer(id, "42", text);
        if let Body::Answer { files, .. } = &mut row.message.body {
            let id = FileId::new("f1");
            files.push(FileRef { id, name: "a.bin".into(), media_type: "x/y".into(), size: 1 });
        }
        row
    };
    let failures = VecDeque::from([Failure::NoFiles("no right".into())]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    assert_eq!(bench.deliver(with_file(1, ""), false).await, Sent::Done);
    let shown = bench.shown();
    let wanted = "the bot lacks the right to attach such files; `GET /api/files/f1`";
    assert!(shown.len() == 1 && shown[0].contains(wanted), "{shown:?}");
    // Where it may not write at all, it waits until somebody mends that.
    let failures =
        VecDeque::from([Failure::NoFiles("no right".into()), Failure::NoChat("may not write".into())]);
    let bench = bench.next(World { failures, ..World::default() }, Resend::Marked);
    let sent = bench.deliver(with_file(2, ""), false).await;
    assert_eq!(sent, Sent::Parked("may not write".into()));
}

#[actix::test]
async fn a_message_at_which_the_platform_always_fails_holds_its_chat_up_only_while_nothing_else_goes_out() {
    let bench = Bench::new(World::default(), Resend::Marked);
    let first = tokio::spawn(bench.deliver(answer(1, "42", "a poisoned word"), false));
    let second = tokio::spawn(bench.deliver(answer(2, "42", "healthy"), false));
    pass(6 * 3_600_000).await;
    assert_eq!(bench.deliver(answer(3, "43", "elsewhere"), false).await, Sent::Done);
    pass(6 * 3_600_000).await;
    assert!(
        !first.is_finished(),
        "the platform was away for half a day, and may still be about to come back"
    );
    for id in 4..20 {
        assert_eq!(bench.deliver(answer(id, "43", "elsewhere"), false).await, Sent::Done);
        pass(130_000).await;
    }
    let sent = first.await.unwrap();
    assert!(matches!(&sent, Sent::Refused(why) if why.ends_with("502")), "{sent:?}");
    assert_eq!(second.await.unwrap(), Sent::Done);
    assert!(bench.shown().contains(&"healthy".to_owned()));
}

#[actix::test]
async fn a_chat_that_cannot_be_reached_parks_its_message() {
    let failures = VecDeque::from([Failure::NoChat("blocked".into())]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", "hello"), false).await, Sent::Parked("blocked".into()));
}

#[actix::test]
async fn the_end_leaves_what_waits_for_the_platform_to_the_next_start() {
    let failures = VecDeque::from([Failure::Slow { after_ms: 600_000, chat_only: false }]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    let sent = bench.deliver(answer(1, "42", "hello"), false);
    pass(100).await;
    bench.delivery.send(Mail::new(Stop { deadline: 10_000 }, &bench.vitals)).await.unwrap();
    assert!(matches!(sent.await, Sent::Later { after_ms: 0, .. }));
    pass(10).await;
    assert!(!bench.delivery.connected());
}

#[actix::test]
async fn after_a_pause_for_all_chats_they_do_not_all_go_on_at_once() {
    let failures = VecDeque::from([Failure::Slow { after_ms: 10_000, chat_only: false }]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Marked);
    let all: Vec<_> =
        (0..100).map(|chat| bench.deliver(answer(chat + 1, &format!("{chat}00"), "hi"), false)).collect();
    let sent = futures_util::future::join_all(all).await;
    assert!(sent.iter().all(|sent| *sent == Sent::Done));
    let times = bench.world.lock().unwrap().posted_at.clone();
    let crowd = times.windows(31).find(|run| run[30] - run[0] < Duration::from_secs(1));
    assert_eq!(crowd, None, "more than 30 in a second");
}

#[actix::test]
async fn a_message_that_lets_its_delivery_fall_takes_no_other_with_it() {
    let bench = Bench::new(World::default(), Resend::Marked);
    let first = bench.deliver(answer(1, "42", "a stumbling block"), false);
    let second = bench.deliver(answer(2, "42", "two"), false);
    let other = bench.deliver(answer(3, "43", "three"), false);
    assert!(matches!(first.await, Sent::Unknown(_)));
    assert_eq!((second.await, other.await), (Sent::Done, Sent::Done));
}
