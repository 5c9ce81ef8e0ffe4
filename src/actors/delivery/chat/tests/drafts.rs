//! Answers that are shown while they grow: in one message, to their end, and nothing of them after it.

use super::*;

fn began() -> Progress {
    Progress::Status { status: "processing", approval: None }
}

fn piece(text: &str) -> Progress {
    Progress::Delta { text: text.into() }
}

impl Bench {
    fn typed(&self) -> usize {
        let world = self.world.lock().unwrap();
        world.calls.iter().filter(|call| call.starts_with("typing")).count()
    }
}

#[actix::test]
async fn an_answer_takes_the_place_of_what_an_earlier_run_showed_of_it() {
    let before = Before { draft: Some("m0".into()), ..Before::default() };
    let half = Content { plain: "Half an ans".into(), ..Content::default() };
    let shown = BTreeMap::from([("m0".to_owned(), ("42".to_owned(), half))]);
    let bench = Bench::new(World { before, shown, ..World::default() }, Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", "Half an answer, and the rest."), false).await, Sent::Done);
    assert_eq!(bench.shown(), ["Half an answer, and the rest."]);
}

#[actix::test]
async fn an_answer_is_shown_while_it_grows_and_ends_in_the_same_message() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(Progress::Status { status: "processing", approval: None });
    for word in ["It is a long ", "answer that one ", "likes to read along with, ", "word by word. "] {
        bench.tell(Progress::Delta { text: word.into() });
        pass(1_600).await;
    }
    let words = "It is a long answer that one likes to read along with, word by word.";
    let calls = bench.calls();
    assert!(
        calls[0].starts_with("post 42 ") && calls[1..].iter().all(|call| call.starts_with("edit m1 ")),
        "{calls:?}"
    );
    assert!((2..=5).contains(&calls.len()), "{calls:?}");
    assert_eq!(bench.world.lock().unwrap().drafts.get("i1").map(String::as_str), Some("m1"));
    assert_eq!(bench.deliver(answer(1, "42", words), false).await, Sent::Done);
    assert_eq!(bench.shown(), [words]);
    assert!(bench.world.lock().unwrap().calls.contains(&"typing 42".to_owned()));
    let count = bench.world.lock().unwrap().calls.len();
    pass(20_000).await;
    assert_eq!(bench.world.lock().unwrap().calls.len(), count, "nothing is typed when the answer is there");
}

#[actix::test]
async fn a_short_answer_is_one_message_and_a_draft_that_is_gone_is_posted_anew() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(Progress::Delta { text: "Yes.".into() });
    pass(100).await;
    assert_eq!(bench.deliver(answer(1, "42", "Yes."), false).await, Sent::Done);
    assert_eq!(bench.calls(), ["post 42 Yes."]);
    let before = Before { draft: Some("m9".into()), ..Before::default() };
    let bench = bench.next(World { before, ..World::default() }, Resend::Marked);
    assert_eq!(bench.deliver(answer(1, "42", "Yes."), true).await, Sent::Done);
    assert_eq!(bench.shown().len(), 1);
}

#[actix::test]
async fn a_draft_of_which_nobody_knows_becomes_the_answer_where_a_key_is_known_again() {
    let half = "Half of an answer that is long enough to be shown.";
    let whole = "Half of an answer that is long enough to be shown, and the rest.";
    // The platform's answer to the draft was lost, and nothing more is shown until the end.
    let failures = VecDeque::from([Failure::Unknown("no answer".into())]);
    let bench = Bench::new(World { failures, ..World::default() }, Resend::Safe);
    pass(10).await;
    bench.tell(piece(half));
    pass(1_600).await;
    assert_eq!((bench.shown().len(), bench.world.lock().unwrap().drafts.len()), (1, 0));
    assert_eq!(bench.deliver(answer(1, "42", whole), false).await, Sent::Done);
    assert_eq!(bench.shown(), [whole]);
    // The same, and it goes on: the draft is found again, and noted.
    let failures = VecDeque::from([Failure::Unknown("no answer".into())]);
    let bench = bench.next(World { failures, ..World::default() }, Resend::Safe);
    pass(10).await;
    bench.tell(piece(half));
    pass(10_000).await;
    assert_eq!((bench.shown().len(), bench.world.lock().unwrap().drafts.len()), (1, 1));
    // A death came before it was noted; the answer joins another message.
    let mut world = std::mem::take(&mut *bench.world.lock().unwrap());
    (world.drafts, world.watchers) = (BTreeMap::new(), Vec::new());
    let (shown, keys, next) = (world.shown, world.keys, world.next);
    let bench = bench.next(World { shown, keys, next, ..World::default() }, Resend::Safe);
    let mut row = answer(1, "42", whole);
    row.message.answers.push(InboundId::new("i2"));
    assert_eq!(bench.deliver(row, true).await, Sent::Done);
    assert_eq!(bench.shown(), [whole]);
    // One that somebody has taken away is no place for an answer.
    bench.world.lock().unwrap().shown.clear();
    assert_eq!(bench.deliver(answer(2, "42", whole), false).await, Sent::Done);
    assert_eq!(bench.shown(), [whole]);
}

#[actix::test]
async fn an_answer_that_is_withdrawn_or_was_forgotten_is_taken_away() {
    let drafts = BTreeMap::from([("old".to_owned(), "m0".to_owned())]);
    let bench = Bench::new(World { drafts, ..World::default() }, Resend::Marked);
    pass(100).await;
    assert_eq!(bench.calls(), ["remove m0"]);
    bench.tell(Progress::Delta { text: "words ".repeat(30) });
    pass(3_000).await;
    bench.tell(Progress::Withdrawn { outcome: Outcome::Cancelled });
    pass(1_000).await;
    assert!(bench.shown().is_empty());
    assert!(bench.world.lock().unwrap().drafts.is_empty());
}

#[actix::test]
async fn a_message_that_steers_ends_with_the_answer_that_it_steered() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(began());
    bench.tell_of(&["i2"], began());
    pass(5_000).await;
    bench.tell_of(&["i1", "i2"], piece("Yes."));
    let mut row = answer(1, "42", "Yes.");
    row.message.answers.push(InboundId::new("i2"));
    assert_eq!(bench.deliver(row, false).await, Sent::Done);
    let typed = bench.typed();
    pass(60_000).await;
    assert_eq!(bench.typed(), typed, "nobody writes any more");
    assert_eq!(bench.calls(), ["post 42 Yes."]);
}

#[actix::test]
async fn a_piece_that_comes_after_the_end_of_its_answer_shows_nothing() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(began());
    assert_eq!(bench.deliver(answer(1, "42", "The answer."), false).await, Sent::Done);
    bench.tell(piece("The answer, of which this piece was slow on its way."));
    bench.tell_of(&["i2"], began());
    bench.tell_of(&["i2"], Progress::Withdrawn { outcome: Outcome::Cancelled });
    bench.tell_of(&["i2"], piece("Words that nobody is to read any more, and that are many."));
    pass(100).await;
    let typed = bench.typed();
    pass(60_000).await;
    assert_eq!(bench.shown(), ["The answer."]);
    assert_eq!(bench.typed(), typed);
}

#[actix::test]
async fn what_waits_is_not_shown_as_work() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(Progress::Status { status: "queued", approval: None });
    pass(10_000).await;
    assert!(bench.world.lock().unwrap().calls.is_empty());
    bench.tell(began());
    pass(10).await;
    assert_eq!(bench.typed(), 1);
}

#[actix::test]
async fn whoever_was_too_slow_to_hear_of_an_end_writes_no_more() {
    let bench = Bench::new(World::default(), Resend::Marked);
    pass(10).await;
    bench.tell(began());
    bench.tell(piece("An answer that is long enough to be shown as it grows."));
    pass(5_000).await;
    assert_eq!(bench.shown().len(), 1);
    // The hub lets go of it, and tells the end to nobody; the store knows it.
    bench.world.lock().unwrap().watchers.clear();
    pass(1_000).await;
    let typed = bench.typed();
    pass(60_000).await;
    assert_eq!(bench.typed(), typed);
    assert!(bench.shown().is_empty() && bench.world.lock().unwrap().drafts.is_empty());
}

#[actix::test]
async fn a_platform_that_has_enough_of_signs_of_life_gets_none_and_messages_go_on() {
    let bench = Bench::new(World { has_enough: true, ..World::default() }, Resend::Marked);
    pass(10).await;
    bench.tell(began());
    pass(30_000).await;
    assert_eq!(bench.typed(), 1);
    let before = bench.clock.now();
    assert_eq!(bench.deliver(answer(1, "42", "Here."), false).await, Sent::Done);
    assert_eq!(bench.deliver(answer(2, "43", "There."), false).await, Sent::Done);
    assert!(bench.clock.now() - before < 1_000, "they waited for what is worth less");
}
