//! Accounts, codes and strangers, on a real SQLite file.

use rusqlite::Connection;

use super::*;
use crate::domain::{
    access::Role,
    audit::Act,
    chat::Place,
    identity::*,
    ids::{ConversationId, UserId},
    job::{Closed, Entry, NewTask, Outcome},
    memory::NewMemory,
    outbound::{Body, NewOutbox, NewPost, OutboxRow, Sent, Words},
};

fn open() -> (Connection, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&folder.path().join("atoll.db")).unwrap();
    (db, folder)
}

fn place(chat: &str) -> Place {
    Place { chat: chat.into(), thread: None }
}

fn stranger(id: &str, code: &str, external: &str, now: i64) -> NewPairing {
    NewPairing {
        id: id.into(),
        code: code.into(),
        channel: "telegram".into(),
        external: external.into(),
        name: "Bob\n(1)".into(),
        place: place(external),
        now,
    }
}

fn platforms() -> Vec<String> {
    vec!["telegram".into(), "discord".into()]
}

fn answer(which: WhichPairing, admit: bool, now: i64) -> PairingAnswer {
    let by = "ann".to_owned();
    PairingAnswer { which, admit, role: Role::Developer, user: None, actor: "user:ann".into(), by, now }
}

fn code(db: &Connection, code: &str, user: &str, role: Role, now: i64) {
    let user = UserId::new(user);
    pairings::issue(db, &NewCode { code: code.into(), user, role, actor: "key:me".into(), now }).unwrap();
}

fn show(db: &Connection, code: &str, channel: &str, external: &str, now: i64) -> Redeemed {
    let shown = Redemption {
        code: code.into(),
        channel: channel.into(),
        external: external.into(),
        name: "Ann".into(),
        place: place(external),
        now,
    };
    pairings::redeem(db, &shown).unwrap()
}

fn owner(db: &Connection) -> Identity {
    code(db, "AAAA2222", "ann", Role::Owner, 0);
    match show(db, "AAAA2222", "discord", "7", 1) {
        Redeemed::Joined { identity, .. } => identity,
        other => panic!("{other:?}"),
    }
}

fn acts(db: &Connection) -> Vec<String> {
    audit::list(db, 0, 100).unwrap().into_iter().map(|row| row.act.action).collect()
}

fn remember(db: &Connection, user: &str, words: &str) {
    let memory = NewMemory {
        id: crate::domain::ids::MemoryId::new(words),
        user: UserId::new(user),
        content: words.into(),
        category: "general".into(),
        tags: vec![],
        importance: 0.5,
        source: "test".into(),
        origin: None,
        now: 1,
    };
    memories::store(db, &memory).unwrap();
}

#[test]
fn a_code_lets_the_first_owner_in_and_works_once() {
    let (db, _folder) = open();
    let first = owner(&db);
    assert_eq!((first.user.as_str(), first.role, first.admitted), ("ann", Role::Owner, true));
    assert_eq!(first.direct, Some(place("7")));
    assert!(matches!(show(&db, "AAAA2222", "discord", "7", 2), Redeemed::Already(_)), "it may come twice");
    assert_eq!(show(&db, "AAAA2222", "discord", "8", 2), Redeemed::Wrong, "another account is too late");
    assert_eq!(identities::find(&db, "discord", "8").unwrap(), None);
    assert_eq!(acts(&db), ["link.issued", "identity.linked"]);
}

#[test]
fn a_code_holds_for_ten_minutes() {
    let (db, _folder) = open();
    code(&db, "AAAA2222", "ann", Role::Owner, 0);
    assert_eq!(show(&db, "AAAA2222", "discord", "7", CODE_MS), Redeemed::Wrong);
    code(&db, "BBBB2222", "ann", Role::Owner, 0);
    assert!(matches!(show(&db, "BBBB2222", "discord", "7", CODE_MS - 1), Redeemed::Joined { .. }));
}

#[test]
fn whoever_guesses_is_locked_out_and_only_they() {
    let (db, _folder) = open();
    code(&db, "AAAA2222", "ann", Role::Owner, 0);
    let new = stranger("p1", "CCCC2222", "66", 0);
    assert_eq!(pairings::ask(&db, 1, &new, &platforms()).unwrap().len(), 1);
    for now in 1..i64::from(TRIES) {
        assert_eq!(show(&db, "XXXX2222", "telegram", "66", now), Redeemed::Wrong);
    }
    let last = show(&db, "XXXX2222", "telegram", "66", 5);
    assert_eq!(last, Redeemed::Locked { wait_ms: LOCK_MS.unsigned_abs(), now: true });
    let wait_ms = (LOCK_MS - 1).unsigned_abs();
    assert_eq!(show(&db, "AAAA2222", "telegram", "66", 6), Redeemed::Locked { wait_ms, now: false });
    let settled = pairings::answer(&db, 1, &answer(WhichPairing::Id("p1".into()), true, 7));
    assert!(settled.is_err(), "the code that they were given is void");
    assert_eq!(pairings::ask(&db, 1, &stranger("p2", "DDDD2222", "66", 8), &platforms()).unwrap(), []);
    assert!(matches!(show(&db, "AAAA2222", "telegram", "67", 8), Redeemed::Joined { .. }));
    assert!(acts(&db).contains(&"identity.locked".to_owned()));
    let kept = || super::count(&db, "SELECT count(*) FROM guesses", []).unwrap();
    upkeep::prune(&db, LOCK_MS, 100).unwrap();
    assert_eq!(kept(), 1, "a lock that holds is kept");
    upkeep::prune(&db, 2 * LOCK_MS, 100).unwrap();
    assert_eq!(kept(), 0);
}

#[test]
fn slow_mistakes_lock_nobody_out() {
    let (db, _folder) = open();
    for at in 0..20 {
        assert_eq!(show(&db, "XXXX2222", "telegram", "66", at * LOCK_MS), Redeemed::Wrong);
    }
}

#[test]
fn a_stranger_gets_one_code_and_every_owner_hears_of_it() {
    let (db, _folder) = open();
    owner(&db);
    let rows = pairings::ask(&db, 1, &stranger("p1", "CCCC2222", "42", 10), &platforms()).unwrap();
    let to: Vec<&str> = rows.iter().map(|row| row.message.conversation.as_str()).collect();
    assert_eq!(to, ["telegram/telegram:42/42", "discord/ann/7"]);
    let Body::Answer { text, words, .. } = &rows[0].message.body else { panic!("{rows:?}") };
    assert!(text.contains("CCCC-2222") && *words == Words::Secret, "{text}");
    let Body::Pairing { pairing, text } = &rows[1].message.body else { panic!("{rows:?}") };
    assert!(pairing == "p1" && text.contains("Bob 1 (42 on telegram)") && !text.contains('\n'), "{text}");
    for now in [11, CODE_MS] {
        let again = pairings::ask(&db, 1, &stranger("p2", "DDDD2222", "42", now), &platforms()).unwrap();
        assert_eq!(again, [], "not for each message");
    }
    let later = stranger("p3", "EEEE2222", "42", 10 + CODE_MS);
    assert_eq!(pairings::ask(&db, 1, &later, &["telegram".into()]).unwrap().len(), 1, "no way to discord");
    let stored: String =
        db.query_row("SELECT hex(hash) FROM pairings WHERE id = 'p1'", [], |r| r.get(0)).unwrap();
    assert!(!stored.contains("CCCC2222"));
}

/// The messages of owners that are to show what became of a stranger: which, how it stands, who decided.
fn over(db: &Connection) -> Vec<(String, PairingState, Option<String>)> {
    let rows = outbox::claim(db, 1, CODE_MS * 9, 50).unwrap();
    let told = rows.into_iter().filter_map(|(row, _)| match row.message.body {
        Body::PairingOver { message, name, external, channel, state, by } => {
            assert_eq!((name.as_str(), external.as_str(), channel.as_str()), ("Bob 1", "42", "telegram"));
            assert_eq!(row.message.user, row.message.conversation.user());
            Some((format!("{} {message}", row.message.conversation), state, by))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn owners_messages_about_a_stranger_show_what_became_of_them_wherever_they_were_posted() {
    type End = fn(&Connection);
    let ends: [(End, PairingState, Option<&str>); 5] = [
        (
            |db| drop(pairings::answer(db, 1, &answer(WhichPairing::Id("p1".into()), true, 11)).unwrap()),
            PairingState::Paired,
            Some("ann"),
        ),
        (
            |db| drop(pairings::answer(db, 1, &answer(WhichPairing::Id("p1".into()), false, 11)).unwrap()),
            PairingState::Refused,
            Some("ann"),
        ),
        (|db| pairings::expire(db, 10 + CODE_MS).unwrap(), PairingState::Expired, None),
        (
            |db| (0..TRIES).for_each(|_| drop(show(db, "XXXX2222", "telegram", "42", 11))),
            PairingState::Void,
            None,
        ),
        (
            |db| {
                code(db, "BBBB2222", "cid", Role::Viewer, 11);
                show(db, "BBBB2222", "telegram", "42", 12);
            },
            PairingState::Void,
            None,
        ),
    ];
    for (end, state, by) in ends {
        let (db, _folder) = open();
        owner(&db);
        code(&db, "DDDD2222", "dan", Role::Owner, 2);
        show(&db, "DDDD2222", "telegram", "9", 3);
        let rows = pairings::ask(&db, 1, &stranger("p1", "CCCC2222", "42", 10), &platforms()).unwrap();
        let asked: Vec<&OutboxRow> =
            rows.iter().filter(|row| matches!(row.message.body, Body::Pairing { .. })).collect();
        assert_eq!(asked.len(), 2);
        let noted = |row: &OutboxRow| {
            let shown = posts::before(&db, row.id, &[], None).unwrap().pairing.unwrap();
            let message = Some(format!("m{}", row.id));
            let conversation = row.message.conversation.clone();
            let post = NewPost {
                outbox: row.id,
                part: 0,
                conversation,
                message,
                approval: None,
                pairing: Some(shown.id),
                at: 10,
            };
            posts::record(&db, &post).unwrap();
            outbox::settle(&db, row.id, &Sent::Done, 10, 3).unwrap();
        };
        assert!(!pairings::is_any_over(&db, 9 + CODE_MS).unwrap());
        assert!(pairings::is_any_over(&db, 10 + CODE_MS).unwrap());
        pairings::expire(&db, 9 + CODE_MS).unwrap();
        noted(asked[0]);
        assert_eq!(over(&db), [], "while they wait nothing is changed");
        end(&db);
        let expected = |row: &OutboxRow| {
            let place = format!("{} m{}", row.message.conversation, row.id);
            (place, state, by.map(str::to_owned))
        };
        assert_eq!(over(&db), [expected(asked[0])]);
        assert_eq!(posts::before(&db, asked[1].id, &[], None).unwrap().pairing.unwrap().state, state);
        // The other one was on its way.
        noted(asked[1]);
        assert_eq!(over(&db), [expected(asked[1])]);
        pairings::expire(&db, 20 + CODE_MS).unwrap();
        assert_eq!(over(&db), [], "it is told once");
    }
}

#[test]
fn one_who_lets_in_and_one_who_sends_away_do_not_both_win() {
    let (db, _folder) = open();
    pairings::ask(&db, 1, &stranger("p1", "CCCC2222", "42", 10), &platforms()).unwrap();
    let by_code = answer(WhichPairing::Code("CCCC2222".into()), true, 11);
    let (pairing, identity, rows) = pairings::answer(&db, 1, &by_code).unwrap();
    let identity = identity.unwrap();
    assert_eq!((pairing.state, identity.user.as_str()), (PairingState::Paired, "telegram:42"));
    assert!(identity.admitted && rows.len() == 1);
    let late = pairings::answer(&db, 1, &answer(WhichPairing::Id("p1".into()), false, 12));
    let Err(StoreError::Identity(Refusal::Settled { state, by })) = late else { panic!("{late:?}") };
    assert_eq!((state, by.as_str()), (PairingState::Paired, "ann"));
    assert!(identities::find(&db, "telegram", "42").unwrap().unwrap().admitted);
    assert_eq!(pairings::open(&db, 12).unwrap(), []);
    assert_eq!(acts(&db), ["identity.paired"]);
}

#[test]
fn whoever_is_sent_away_has_to_wait_for_a_day() {
    let (db, _folder) = open();
    pairings::ask(&db, 1, &stranger("p1", "CCCC2222", "42", 10), &platforms()).unwrap();
    let no = answer(WhichPairing::Id("p1".into()), false, 11);
    assert_eq!(pairings::answer(&db, 1, &no).unwrap().1, None);
    let again = |id: &str, code: &str, now| {
        pairings::ask(&db, 1, &stranger(id, code, "42", now), &platforms()).unwrap().len()
    };
    assert_eq!(again("p2", "DDDD2222", CODE_MS * 2), 0);
    assert_eq!(again("p3", "EEEE2222", 10 + AWAY_MS), 1);
    assert_eq!(acts(&db), ["identity.refused"]);
}

#[test]
fn whoever_was_let_in_meanwhile_gets_no_code() {
    let (db, _folder) = open();
    owner(&db);
    pairings::ask(&db, 1, &stranger("p1", "BBBB2222", "66", 1), &platforms()).unwrap();
    pairings::answer(&db, 1, &answer(WhichPairing::Id("p1".into()), true, 2)).unwrap();
    // The same message again, looked at before they were let in and written after it.
    assert!(pairings::ask(&db, 1, &stranger("p2", "CCCC2222", "66", 3), &platforms()).unwrap().is_empty());
    assert_eq!(pairings::open(&db, 3).unwrap(), []);
}

#[test]
fn a_pairing_that_is_too_old_lets_nobody_in() {
    let (db, _folder) = open();
    pairings::ask(&db, 1, &stranger("p1", "CCCC2222", "42", 0), &platforms()).unwrap();
    let late = pairings::answer(&db, 1, &answer(WhichPairing::Id("p1".into()), true, CODE_MS));
    assert!(matches!(late, Err(StoreError::Identity(Refusal::NobodyWaits))));
    let unknown = pairings::answer(&db, 1, &answer(WhichPairing::Code("ZZZZ2222".into()), true, 1));
    assert!(matches!(unknown, Err(StoreError::Identity(Refusal::NobodyWaits))));
}

#[test]
fn a_crowd_of_strangers_does_not_bury_the_owners() {
    let (db, _folder) = open();
    let asked: usize = (0..100)
        .map(|n| {
            let new = stranger(&format!("p{n}"), &format!("CCCC{n}"), &n.to_string(), 10);
            pairings::ask(&db, 1, &new, &platforms()).unwrap().len()
        })
        .sum();
    assert_eq!(asked as u64, MOST_OPEN);
    let alone: usize = (0..100)
        .map(|n| {
            let new = stranger(&format!("q{n}"), &format!("DDDD{n}"), "7777", CODE_MS * (n + 2));
            pairings::ask(&db, 1, &new, &platforms()).unwrap().len()
        })
        .sum();
    assert_eq!(alone as u64, MOST_CODES);
}

#[test]
fn an_account_takes_along_what_only_it_had() {
    let (db, _folder) = open();
    identities::see(&db, "telegram", "42", "Ann", Some(&place("42")), 1).unwrap();
    remember(&db, "telegram:42", "likes tea");
    remember(&db, "ann", "likes ships");
    code(&db, "AAAA2222", "ann", Role::Developer, 2);
    let Redeemed::Joined { identity, moved } = show(&db, "AAAA2222", "telegram", "42", 3) else { panic!() };
    assert_eq!((identity.user.as_str(), moved), ("ann", (1, 0)));
    assert_eq!(memories::list(&db, &UserId::new("ann"), None, 10, 0).unwrap().len(), 2);
    assert_eq!(memories::list(&db, &UserId::new("telegram:42"), None, 10, 0).unwrap().len(), 0);
}

#[test]
fn what_others_share_stays_where_it_is() {
    let (db, _folder) = open();
    identities::see(&db, "telegram", "42", "Ann", Some(&place("42")), 1).unwrap();
    remember(&db, "telegram:42", "likes tea");
    // Another account is the same user.
    code(&db, "AAAA2222", "telegram:42", Role::Developer, 2);
    assert!(matches!(show(&db, "AAAA2222", "discord", "9", 3), Redeemed::Joined { .. }));
    code(&db, "BBBB2222", "ann", Role::Developer, 4);
    let Redeemed::Joined { moved, .. } = show(&db, "BBBB2222", "telegram", "42", 5) else { panic!() };
    assert_eq!(moved, (0, 0));
    assert_eq!(memories::list(&db, &UserId::new("telegram:42"), None, 10, 0).unwrap().len(), 1);
}

#[test]
fn a_blocked_account_stays_out_whatever_code_it_shows() {
    let (db, _folder) = open();
    identities::see(&db, "telegram", "42", "Bob", None, 1).unwrap();
    let act = |at| Act {
        at,
        actor: "key:me".into(),
        action: "x".into(),
        subject: "y".into(),
        details: String::new(),
    };
    let block = IdentityChange { blocked: Some(true), ..IdentityChange::default() };
    assert!(identities::change(&db, "telegram", "42", &block, act(2)).unwrap().blocked);
    code(&db, "AAAA2222", "ann", Role::Developer, 3);
    assert_eq!(show(&db, "AAAA2222", "telegram", "42", 4), Redeemed::Wrong);
    identities::remove(&db, "telegram", "42", act(5)).unwrap();
    assert_eq!(identities::find(&db, "telegram", "42").unwrap(), None);
    assert!(matches!(identities::remove(&db, "telegram", "42", act(6)), Err(StoreError::NotFound(_))));
}

#[test]
fn names_that_look_the_same_are_noticed() {
    let (db, _folder) = open();
    identities::see(&db, "telegram", "1", "Ann Lee", None, 1).unwrap();
    let knows = |external: &str, name: &str| {
        identities::recognise(&db, "telegram", external, name, "1", "x").unwrap().namesake
    };
    assert!(knows("2", "ann-lee") && knows("2", "ANNLEE"));
    assert!(!knows("1", "Ann Lee") && !knows("2", "Anna Lee"));
}

#[test]
fn what_was_answered_instead_of_taken_is_not_answered_again() {
    let (db, _folder) = open();
    let user = UserId::new("telegram:42");
    let conversation = ConversationId::of("telegram", &user, "42").unwrap();
    let body = Body::Notice { title: "Sorry".into(), body: "no".into(), facts: vec![] };
    let notice = NewOutbox { user, conversation, turn: None, answers: vec![], body };
    let post = || {
        identities::post(&db, 1, std::slice::from_ref(&notice), Some(("telegram", "u1")), 5).unwrap().len()
    };
    assert_eq!((post(), post()), (1, 0));
    assert!(identities::recognise(&db, "telegram", "42", "x", "1", "u1").unwrap().before);
    assert!(!identities::recognise(&db, "telegram", "42", "x", "1", "u2").unwrap().before);
    assert!(!identities::recognise(&db, "discord", "42", "x", "1", "u1").unwrap().before);
    let told = |now| identities::refuse(&db, 1, ("telegram", "42"), "x", &notice, now).unwrap().is_some();
    assert_eq!((told(6), told(7)), (true, false));
    assert_eq!(upkeep::prune(&db, 6, 100).unwrap(), 1, "what was noted is let go with time");
}

#[test]
fn a_position_is_kept() {
    let (db, _folder) = open();
    assert_eq!(identities::position(&db, "telegram").unwrap(), None);
    identities::reached(&db, "telegram", "17").unwrap();
    identities::reached(&db, "telegram", "18").unwrap();
    assert_eq!(identities::position(&db, "telegram").unwrap().as_deref(), Some("18"));
}

#[test]
fn where_a_person_is_met_alone_is_where_they_were_last() {
    let (db, _folder) = open();
    code(&db, "AAAA2222", "ann", Role::Owner, 0);
    show(&db, "AAAA2222", "discord", "7", 1);
    code(&db, "BBBB2222", "ann", Role::Owner, 1);
    show(&db, "BBBB2222", "telegram", "42", 2);
    let met = || identities::last_met(&db, &UserId::new("ann")).unwrap().map(|met| met.channel);
    assert_eq!(met().as_deref(), Some("telegram"));
    identities::see(&db, "discord", "7", "Ann", Some(&place("7")), 3).unwrap();
    identities::see(&db, "telegram", "42", "Ann", None, 3).unwrap();
    assert_eq!(met().as_deref(), Some("discord"));
}

/// Where the person hears that a job of theirs is over.
fn heard(db: &Connection, id: &str, conversation: Option<ConversationId>) -> String {
    job_tests::create(db, &NewTask { conversation, ..job_tests::task(id, "ann") });
    let closed = Closed { outcome: Outcome::Cancelled, text: "cancelled".into() };
    let written = job_tests::write(db, id, 50, &[Entry::Ended { closed }]);
    written.outbox[0].message.conversation.to_string()
}

#[test]
fn a_person_hears_of_a_job_where_they_gave_it_else_where_they_were_met_else_over_rest() {
    let store = job_tests::store();
    let db = &store.db;
    assert_eq!(heard(db, "a", None), "api/ann/default");
    code(db, "AAAA2222", "ann", Role::Developer, 0);
    show(db, "AAAA2222", "telegram", "42", 1);
    assert_eq!(heard(db, "b", None), "telegram/ann/42");
    let group = ConversationId::new("discord/discord:group:9/9");
    assert_eq!(heard(db, "c", Some(group.clone())), group.as_str());
}
