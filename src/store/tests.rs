//! The store's rules, on a real SQLite file.

use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::domain::{
    access::Role,
    approval::{Answer, Refusal, Status, Subject},
    audit::Act,
    budget::{Amount, Caps, Dimension},
    ids::*,
    inbound::{Accepted, NewInbound, State},
    journal::*,
    memory::{MemoryChange, NewMemory},
    message::Message,
    outbound::{Body, NewOutbox, Sent, Words},
    records::{CostsBy, KeyInfo},
    turn::{Closed, Entry, Held, Outcome, Past},
};

struct Store {
    db: Connection,
    _folder: tempfile::TempDir,
}

fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&folder.path().join("atoll.db")).unwrap();
    Store { db, _folder: folder }
}

fn user() -> UserId {
    UserId::new("u1")
}

fn conversation() -> ConversationId {
    ConversationId::of("api", &user(), "default").unwrap()
}

fn message(id: &str, key: Option<&str>) -> NewInbound {
    NewInbound {
        id: InboundId::new(id),
        channel: "api".into(),
        external_id: key.map(str::to_owned),
        user: user(),
        conversation: conversation(),
        speaker: None,
        text: "hello".into(),
        attachments: vec![],
        message: None,
        received_at: 1,
    }
}

fn step(turn: &str, first: usize, entries: Vec<Entry>) -> TurnWrite {
    TurnWrite {
        turn: TurnId::new(turn),
        conversation: conversation(),
        user: user(),
        lease: 1,
        now: 1_000,
        open: None,
        first,
        entries,
        calls: vec![],
        settle: Amount::ZERO,
        reserve: Amount::ZERO,
        keeps: false,
        user_caps: Caps::default(),
        warnings: Vec::new(),
        state: TurnState::Running,
        close: None,
    }
}

fn opens(turn: &str, seq: i64, source: Source) -> TurnWrite {
    let mut write = step(turn, 0, vec![Entry::Began { at: 1, context: String::new() }]);
    write.open = Some(OpenTurn { source, seq, touched: vec![] });
    write
}

fn closes(turn: &str, first: usize, seq: i64, serves: &[&str]) -> TurnWrite {
    let closed = Closed { outcome: Outcome::Answered, text: "hi".into(), files: vec![] };
    let mut write = step(turn, first, vec![Entry::Ended { closed }]);
    write.state = TurnState::Over;
    let serves: Vec<InboundId> = serves.iter().map(|id| InboundId::new(*id)).collect();
    let body =
        Body::Answer { text: "hi".into(), files: vec![], outcome: Outcome::Answered, words: Words::Markup };
    write.close = Some(CloseTurn {
        serves: serves.clone(),
        outcome: Outcome::Answered,
        past: Past::new(seq, (seq - 1) * 2, vec![Message::user("hello"), Message::assistant("hi")]),
        summary: None,
        activated: None,
        asked: true,
        look_again_at: None,
        answer: Some(NewOutbox {
            user: user(),
            conversation: conversation(),
            turn: Some(TurnId::new(turn)),
            answers: serves,
            body,
        }),
    });
    write
}

fn tokens(quantity: u64) -> Amount {
    Amount::only(Dimension::Tokens, quantity)
}

#[test]
fn a_message_is_accepted_once_and_a_reused_key_is_refused() {
    let Store { db, .. } = store();
    let first = inbound::accept(&db, &message("i1", Some("k")), State::Queued, None).unwrap();
    assert_eq!(first, Accepted::New);
    let again = inbound::accept(&db, &message("i2", Some("k")), State::Queued, None).unwrap();
    assert_eq!(again, Accepted::Duplicate { first: InboundId::new("i1") });
    let mut other = message("i3", Some("k"));
    other.text = "something else".into();
    assert!(matches!(inbound::accept(&db, &other, State::Queued, None), Err(StoreError::KeyReused)));
    assert_eq!(inbound::accept(&db, &message("i4", None), State::Queued, None).unwrap(), Accepted::New);
    assert_eq!(inbound::accept(&db, &message("i5", None), State::Queued, None).unwrap(), Accepted::New);
}

#[test]
fn a_turn_from_acceptance_to_its_answer() {
    let Store { db, .. } = store();
    let written = turns::write(&db, 1, &opens("t1", 1, Source::New(message("i1", Some("k"))))).unwrap();
    assert_eq!((written.accepted, written.lease), (Accepted::New, 1));
    let again = turns::write(&db, 1, &opens("t2", 2, Source::New(message("i2", Some("k"))))).unwrap();
    assert_eq!(again.accepted, Accepted::Duplicate { first: InboundId::new("i1") });
    let row = conversations::load(&db, &conversation(), 100).unwrap();
    assert_eq!((row.last_seq, row.open.len()), (1, 1), "the duplicate left nothing behind");
    assert_eq!(conversations::unfinished(&db).unwrap(), [conversation()]);

    let written = turns::write(&db, 1, &closes("t1", 1, 1, &["i1"])).unwrap();
    assert_eq!(written.outbox.len(), 1);
    let row = conversations::load(&db, &conversation(), 100).unwrap();
    assert_eq!((row.past.len(), row.open.len()), (1, 0));
    let fate = outbox::fate(&db, &InboundId::new("i1")).unwrap().unwrap();
    assert_eq!((fate.state, fate.answer.unwrap().text.as_str()), (State::Answered, "hi"));
    assert!(conversations::unfinished(&db).unwrap().is_empty());
    assert!(matches!(turns::write(&db, 1, &closes("t1", 2, 1, &[])), Err(StoreError::Stale(_))));
}

#[test]
fn writes_of_those_who_lost_the_turn_are_refused() {
    let Store { db, .. } = store();
    turns::write(&db, 1, &opens("t1", 1, Source::New(message("i1", None)))).unwrap();
    let taken = turns::take_over(&db, &conversation()).unwrap();
    assert_eq!((taken[0].lease, taken[0].resumes), (2, 1));
    assert!(matches!(turns::write(&db, 1, &closes("t1", 1, 1, &["i1"])), Err(StoreError::Stale(_))));
    let mut by_holder = closes("t1", 1, 1, &["i1"]);
    (by_holder.lease, by_holder.first) = (2, 2);
    turns::write(&db, 1, &by_holder).unwrap();
    let late = turns::write(&db, 1, &opens("t9", 1, Source::New(message("i9", None))));
    assert!(matches!(late, Err(StoreError::Stale(_))), "a turn number is given once");
}

#[test]
fn budgets_are_reserved_settled_and_never_given_back_twice() {
    let Store { db, .. } = store();
    let caps = Caps { tokens: Some(100), ..Caps::default() };
    let mut open = opens("t1", 1, Source::New(message("i1", None)));
    (open.reserve, open.user_caps) = (tokens(60), caps);
    assert_eq!(turns::write(&db, 1, &open).unwrap().exceeded, None);
    let other = ConversationId::of("api", &user(), "other").unwrap();
    let mut second =
        opens("t2", 1, Source::New(NewInbound { conversation: other.clone(), ..message("i2", None) }));
    (second.reserve, second.user_caps, second.conversation) = (tokens(60), caps, other.clone());
    let exceeded = turns::write(&db, 1, &second).unwrap().exceeded.unwrap();
    assert_eq!((exceeded.used, exceeded.asked, exceeded.cap), (60, 60, 100));

    let mut settle = step("t1", 1, vec![]);
    (settle.settle, settle.user_caps) = (tokens(85), caps);
    let warned = turns::write(&db, 1, &settle).unwrap();
    assert!(
        matches!(&warned.outbox[0].message.body, Body::Notice { title, .. } if title == "Budget warning")
    );
    assert_eq!(costs::today(&db, &user(), 1_000).unwrap().0, tokens(85));

    let mut reserve = step("t1", 1, vec![]);
    (reserve.reserve, reserve.user_caps) = (tokens(10), caps);
    turns::write(&db, 1, &reserve).unwrap();
    let first = turns::take_over(&db, &conversation()).unwrap();
    let second = turns::take_over(&db, &conversation()).unwrap();
    let lost = [tokens(10), Amount::ZERO].map(|lost| Some(Entry::Resumed { lost }));
    assert_eq!([&first[0].lost, &second[0].lost], [&lost[0], &lost[1]]);
    assert_eq!(turns::entries(&db, &TurnId::new("t1")).unwrap().last(), lost[1].as_ref());
    let (spent, reserved, _) = costs::today(&db, &user(), 1_000).unwrap();
    assert_eq!((spent, reserved), (tokens(95), Amount::ZERO), "what was held at a crash is spent, once");
}

#[test]
fn an_approval_is_answered_once_used_once_and_withdrawn_with_its_turn() {
    let Store { db, .. } = store();
    turns::write(&db, 1, &opens("t1", 1, Source::New(message("i1", None)))).unwrap();
    let held = |id: &str| Held {
        approval: ApprovalId::new(id),
        subject: Subject::Tool { tool: "x".into(), action: "h".into() },
        preview: "x {}".into(),
        asked_at: 1,
        expires_at: 5_000,
    };
    let entries = vec![
        Entry::Held { index: 0, held: held("a1") },
        Entry::Held { index: 1, held: held("a2") },
        Entry::Held { index: 2, held: held("a3") },
    ];
    let asked = turns::write(&db, 1, &step("t1", 1, entries)).unwrap();
    assert_eq!(asked.outbox.len(), 3, "each question goes out to the person");
    assert_eq!(wakeups::due(&db, 5_000, 10).unwrap().len(), 3);

    let (one, two, three) = (ApprovalId::new("a1"), ApprovalId::new("a2"), ApprovalId::new("a3"));
    let answer = |id: &ApprovalId, approve, by: &str, now| Answer {
        member: false,
        choice: Default::default(),
        id: id.clone(),
        approve,
        reason: None,
        by: by.into(),
        actor: format!("user:{by}"),
        user: user(),
        owner: false,
        now,
    };
    let stranger = Answer { user: UserId::new("u2"), ..answer(&one, true, "eve", 9) };
    assert!(matches!(approvals::decide(&db, &stranger), Err(StoreError::Approval(Refusal::Unknown))));
    let decided = approvals::decide(&db, &answer(&one, true, "ann", 10)).unwrap();
    assert_eq!(decided.approval.status, Status::Approved);
    let again = approvals::decide(&db, &answer(&one, false, "bob", 11)).unwrap_err();
    assert!(again.to_string().contains("already approved by ann"), "{again}");
    let late = approvals::decide(&db, &answer(&two, true, "ann", 5_000));
    assert!(matches!(late, Err(StoreError::Approval(Refusal::Expired))));
    assert!(approvals::decide(&db, &answer(&ApprovalId::new("zz"), true, "ann", 1)).is_err());
    assert_eq!(approvals::expire(&db, &conversation(), 5_000).unwrap(), [two, three]);

    let verdict = crate::domain::approval::Verdict::Approved { by: "ann".into() };
    let uses =
        |n| step("t1", n, vec![Entry::Decided { index: 0, approval: one.clone(), verdict: verdict.clone() }]);
    turns::write(&db, 1, &uses(4)).unwrap();
    assert!(matches!(turns::write(&db, 1, &uses(5)), Err(StoreError::Stale(_))), "used once");
    assert_eq!(approvals::find(&db, &one).unwrap().unwrap().status, Status::Consumed);
}

#[test]
fn clearing_is_durable_and_hides_what_came_before() {
    let Store { db, .. } = store();
    turns::write(&db, 1, &opens("t1", 1, Source::New(message("i1", None)))).unwrap();
    turns::write(&db, 1, &closes("t1", 1, 1, &["i1"])).unwrap();
    conversations::clear(&db, &conversation(), &user(), 5).unwrap();
    let row = conversations::load(&db, &conversation(), 100).unwrap();
    assert_eq!((row.past.len(), row.last_seq, row.cleared_seq), (0, 1, 1));
    turns::write(&db, 1, &opens("t2", 2, Source::New(message("i2", None)))).unwrap();
    turns::write(&db, 1, &closes("t2", 1, 2, &["i2"])).unwrap();
    assert_eq!(conversations::load(&db, &conversation(), 100).unwrap().past.len(), 1);
}

fn fact(id: &str, content: &str) -> NewMemory {
    NewMemory {
        id: MemoryId::new(id),
        user: user(),
        content: content.into(),
        category: "general".into(),
        tags: vec![],
        importance: 0.5,
        source: "tool".into(),
        origin: None,
        now: 1,
    }
}

#[test]
fn memories_are_found_by_stems_in_any_script_and_by_their_owner_only() {
    let Store { db, .. } = store();
    for (at, content) in [
        "The user enjoys running in the morning",
        "Her bicycle is red",
        "我喜欢在早上喝绿茶",
        "Prefers café crème",
    ]
    .iter()
    .enumerate()
    {
        memories::store(&db, &fact(&format!("m{at}"), content)).unwrap();
    }
    let find = |query: &str| -> Vec<String> {
        let found = memories::search(&db, &user(), query, 10, 5).unwrap();
        found.into_iter().map(|memory| memory.id.to_string()).collect()
    };
    assert_eq!(find("does she run?"), ["m0"]);
    assert_eq!(find("bicycles"), ["m1"]);
    assert_eq!(find("绿茶"), ["m2"]);
    assert_eq!(find("cafe creme"), ["m3"]);
    assert!(find("submarine \"' OR NEAR(").is_empty());
    assert!(memories::search(&db, &UserId::new("u2"), "bicycle", 10, 5).unwrap().is_empty());
    assert!(memories::delete(&db, &UserId::new("u2"), &MemoryId::new("m1")).is_err());
    memories::delete(&db, &user(), &MemoryId::new("m1")).unwrap();
    assert!(find("bicycle").is_empty());
}

#[test]
fn near_duplicates_join_and_the_same_origin_stores_nothing_twice() {
    let Store { db, .. } = store();
    memories::store(&db, &fact("m1", "The user's dog is called Rex")).unwrap();
    let mut newer = fact("m2", "The users dog is called Rex!");
    newer.tags = vec!["pets".into()];
    newer.importance = 0.9;
    let (joined, merged) = memories::store(&db, &newer).unwrap();
    assert!(merged);
    assert_eq!((joined.id.as_str(), joined.importance, joined.tags.len()), ("m1", 0.9, 1));
    let mut keyed = fact("m3", "They live in Bergen");
    keyed.origin = Some("t-1-0".into());
    memories::store(&db, &keyed).unwrap();
    keyed.id = MemoryId::new("m4");
    keyed.content = "They live in Bergen now".into();
    assert_eq!(memories::store(&db, &keyed).unwrap().0.id.as_str(), "m3");
    for _ in 0..100 {
        memories::store(&db, &fact("m9", "The user's dog is called Rex")).unwrap();
    }
    assert_eq!(memories::list(&db, &user(), None, 100, 0).unwrap().len(), 2);
    let change = MemoryChange { content: Some("Their dog is called Max".into()), ..MemoryChange::default() };
    memories::update(&db, &user(), &MemoryId::new("m1"), &change, 5).unwrap();
    assert!(memories::search(&db, &user(), "Rex", 10, 5).unwrap().is_empty());
    assert_eq!(memories::search(&db, &user(), "max", 10, 5).unwrap().len(), 1);
}

#[test]
fn common_words_do_not_blow_up_a_search_nor_hide_the_rare_ones() {
    let Store { db, .. } = store();
    db.execute_batch("BEGIN").unwrap();
    for at in 0..6_000 {
        let content =
            if at == 17 { "project meeting about zebras".into() } else { format!("project meeting {at}") };
        memories::store(&db, &fact(&format!("m{at}"), &content)).unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
    let found = memories::search(&db, &user(), "project meeting zebra", 10, 5).unwrap();
    assert_eq!(found[0].id.as_str(), "m17");
    let found = memories::search(&db, &user(), "project meeting", 10, 5).unwrap();
    assert_eq!(found.len(), 5);
}

#[test]
fn the_outbox_is_taken_over_by_the_next_run() {
    let Store { db, .. } = store();
    let new = NewOutbox {
        user: user(),
        conversation: ConversationId::of("pigeon", &user(), "default").unwrap(),
        turn: None,
        answers: vec![],
        body: Body::Notice { title: "t".into(), body: "b".into(), facts: vec![] },
    };
    let fetched = NewOutbox { conversation: conversation(), ..new.clone() };
    outbox::post(&db, 1, &fetched, 10).unwrap();
    assert!(
        outbox::claim(&db, 2, 20, 10).unwrap().is_empty(),
        "what clients fetch has arrived when it is stored"
    );
    let row = outbox::post(&db, 1, &new, 10).unwrap();
    assert!(outbox::claim(&db, 1, 20, 10).unwrap().is_empty(), "this run holds it already");
    let taken = outbox::claim(&db, 2, 20, 10).unwrap();
    assert_eq!((taken.len(), taken[0].1), (1, true), "the next run knows that it may have been sent");
    let later = Sent::Later { after_ms: 50, why: "busy".into() };
    outbox::settle(&db, row.id, &later, 20, 3).unwrap();
    assert!(outbox::claim(&db, 2, 69, 10).unwrap().is_empty());
    assert_eq!(outbox::claim(&db, 2, 70, 10).unwrap().len(), 1);
    outbox::settle(&db, row.id, &later, 70, 2).unwrap();
    assert_eq!(outbox::health(&db).unwrap().dead, 1, "after its last attempt it is dead, not lost");
    let replay = |user: &str, channel: &str, limit| {
        let (rows, more) = outbox::replay(&db, &UserId::new(user), &[channel], 0, limit).unwrap();
        (rows.len(), more)
    };
    assert_eq!(replay("u1", "api", 10), (1, None));
    assert_eq!(replay("u1", "pigeon", 1), (0, Some(1)), "there is more behind what it looked at");
    assert_eq!(replay("u1", "terminal", 10), (0, None));
    assert_eq!(replay("u2", "api", 10), (0, None));
}

#[test]
fn keys_are_found_by_hash_until_they_are_revoked() {
    let Store { db, .. } = store();
    let key = KeyInfo {
        id: KeyId::new("k1"),
        name: "n".into(),
        role: Role::Owner,
        user_id: user(),
        acts_for_others: true,
        created_at: 1,
        last_used_at: None,
        revoked_at: None,
    };
    keys::create(&db, &key, b"hash").unwrap();
    assert_eq!(keys::find(&db, b"hash").unwrap().unwrap().0, key);
    assert!(keys::find(&db, b"hasH").unwrap().is_none());
    keys::revoke(&db, &key.id, 5).unwrap();
    assert!(keys::find(&db, b"hash").unwrap().is_none());
    assert!(keys::revoke(&db, &key.id, 6).is_err());
}

#[test]
fn a_touched_audit_row_shows() {
    let Store { db, .. } = store();
    for at in 0..3 {
        let act = Act {
            at,
            actor: "local".into(),
            action: "key.created".into(),
            subject: format!("k{at}"),
            details: json!({"role": "owner"}).to_string(),
        };
        audit::append(&db, act).unwrap();
    }
    assert_eq!(audit::verify(&db).unwrap().0, 3);
    db.execute("UPDATE audit SET subject = 'k9' WHERE seq = 2", []).unwrap();
    assert!(matches!(audit::verify(&db), Err(StoreError::Audit(broken)) if broken.seq == 2));
}

#[test]
fn costs_are_summed_up_by_what_is_asked() {
    let Store { db, .. } = store();
    let mut open = opens("t1", 1, Source::New(message("i1", None)));
    open.calls = (0..3)
        .map(|_| ModelCall {
            provider: "p".into(),
            model: "m".into(),
            usage: crate::domain::model::Usage { input: 10, cached: 4, cache_written: 0, output: 2 },
            cost: Amount { micros: 7, ..Amount::ZERO },
        })
        .collect();
    turns::write(&db, 1, &open).unwrap();
    for by in [CostsBy::Day, CostsBy::Model, CostsBy::User, CostsBy::Conversation] {
        let lines = costs::summary(&db, Some(&user()), 0, 10_000, by).unwrap();
        assert_eq!((lines.len(), lines[0].calls, lines[0].micro_usd), (1, 3, 21), "{by:?}");
    }
    assert!(costs::summary(&db, Some(&UserId::new("u2")), 0, 10_000, CostsBy::Day).unwrap().is_empty());
}

#[test]
fn what_is_old_and_done_is_let_go_and_the_rest_stays() {
    let Store { db, .. } = store();
    let id = |at: i64| crate::domain::ids::lowest_at(at);
    let (one, two) = (id(1_000), id(1_001));
    turns::write(&db, 1, &opens(&one, 1, Source::New(message(&id(1), None)))).unwrap();
    turns::write(&db, 1, &closes(&one, 1, 1, &[&id(1)])).unwrap();
    turns::write(&db, 1, &opens(&two, 2, Source::New(message(&id(2), None)))).unwrap();
    assert_eq!(upkeep::prune(&db, 1_000, 100).unwrap(), 1, "nothing that ended now, but the old message");
    assert!(upkeep::prune(&db, 2_000, 100).unwrap() >= 1);
    assert!(turns::entries(&db, &TurnId::new(one)).unwrap().is_empty());
    assert_eq!(turns::entries(&db, &TurnId::new(two)).unwrap().len(), 1);
    let row = conversations::load(&db, &conversation(), 100).unwrap();
    assert_eq!((row.past.len(), row.open.len()), (1, 1));
    assert!(outbox::last_id(&db).unwrap() > 0, "event numbers go on growing");
    assert_eq!((upkeep::next_boot(&db).unwrap(), upkeep::next_boot(&db).unwrap()), (1, 2));
    assert_eq!(upkeep::health(&db).unwrap().conversations, 1);
}

#[test]
fn reading_for_facts_leaves_the_last_fifth_of_a_day_alone_and_gives_back_what_it_did_not_need() {
    let Store { db, _folder } = store();
    let caps = Caps { tokens: Some(1_000), ..Caps::default() };
    assert_eq!(facts::prepay(&db, &user(), &caps, tokens(700), 1_000).unwrap(), Some(tokens(700)));
    assert_eq!(facts::prepay(&db, &user(), &caps, tokens(150), 1_000).unwrap(), None);
    let cost = ModelCall {
        provider: "p".into(),
        model: "m".into(),
        usage: crate::domain::model::Usage::default(),
        cost: tokens(40),
    };
    let kept = KeptFacts {
        user: user(),
        conversation: conversation(),
        facts: Vec::new(),
        through: 3,
        call: Some(cost),
        prepaid: tokens(700),
        prepaid_at: 1_000,
        now: 2_000,
    };
    facts::keep(&db, &kept).unwrap();
    assert_eq!(costs::today(&db, &user(), 1_000).unwrap().0, tokens(40));
    assert_eq!(facts::prepay(&db, &user(), &caps, tokens(700), 1_000).unwrap(), Some(tokens(700)));
}
