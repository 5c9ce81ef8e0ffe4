//! What the webhook is told is stored with what happens: once each, whole or not at all, and nothing without it.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{
    job_tests::{create, step, store, task, worked, write},
    *,
};
use crate::domain::{
    approval::{Answer, Choice, Subject},
    ids::*,
    job::{Closed, Entry, JobWrite, Outcome, Question},
    outbound::{Body, NewOutbox, Words},
    turn,
    webhook::Kind,
};

fn told(db: &Connection) -> Vec<Value> {
    let sql = "SELECT json_extract(body, '$.payload'), user_id, conversation_id, state FROM outbox
               WHERE channel = 'callback' ORDER BY id";
    let found = rows(db, sql, [], |row| {
        let payload: Value = from_json(&row.get::<_, String>(0)?)?;
        let user: String = row.get(1)?;
        assert_eq!(payload["userId"], user);
        assert_eq!(row.get::<_, String>(2)?, format!("callback/{user}/webhook"));
        assert_eq!(row.get::<_, String>(3)?, "due");
        Ok(payload)
    });
    found.unwrap()
}

fn mirror(db: &Connection) {
    webhook::mirror(db, &Kind::all(), 20).unwrap();
}

fn say(db: &Connection, channel: &str, text: &str) {
    let user = UserId::new("ann");
    let new = NewOutbox {
        conversation: ConversationId::of(channel, &user, "home").unwrap(),
        user,
        turn: None,
        answers: vec![],
        body: Body::Answer {
            text: text.into(),
            files: vec![],
            outcome: turn::Outcome::Answered,
            words: Words::Markup,
        },
    };
    outbox::post(db, 1, &new, 10).unwrap();
}

#[test]
fn answers_on_every_channel_are_mirrored_once_and_mirrors_are_not() {
    let store = store();
    say(&store.db, "api", "before it watches");
    webhook::watch(&store.db).unwrap();
    for channel in ["api", "terminal", "telegram"] {
        say(&store.db, channel, channel);
        mirror(&store.db);
        mirror(&store.db);
    }
    let channels: Vec<Value> = told(&store.db).iter().map(|told| told["text"].clone()).collect();
    assert_eq!(channels, ["api", "terminal", "telegram"]);
    say(&store.db, "api", "not wanted");
    webhook::mirror(&store.db, &BTreeSet::from([Kind::Job]), 20).unwrap();
    assert_eq!(told(&store.db).len(), 3);
}

#[test]
fn what_is_taken_back_was_never_told() {
    let store = store();
    webhook::watch(&store.db).unwrap();
    store.db.execute_batch("BEGIN IMMEDIATE").unwrap();
    say(&store.db, "api", "first");
    mirror(&store.db);
    store.db.execute_batch("SAVEPOINT op").unwrap();
    say(&store.db, "api", "second");
    store.db.execute_batch("ROLLBACK TO op; RELEASE op").unwrap();
    mirror(&store.db);
    store.db.execute_batch("COMMIT").unwrap();
    assert_eq!(told(&store.db).len(), 1, "{:?}", told(&store.db));
    store.db.execute_batch("BEGIN IMMEDIATE").unwrap();
    say(&store.db, "api", "third");
    store.db.execute_batch("ROLLBACK").unwrap();
    say(&store.db, "api", "fourth");
    mirror(&store.db);
    assert_eq!(told(&store.db)[1]["text"], "fourth");
}

#[test]
fn jobs_and_their_questions_are_told_also_those_of_bots() {
    let store = store();
    webhook::watch(&store.db).unwrap();
    for user in ["ann", "bot:x"] {
        let job = format!("j-{}", user.len());
        create(&store.db, &task(&job, user));
        write(&store.db, &job, 20, &[Entry::Claimed]);
        mirror(&store.db);
        write(&store.db, &job, 30, &worked(0));
        let (approval, tree) = (ApprovalId::new(format!("q-{job}")), "t1".to_owned());
        let asked = step(&store.db, &job, 40, &[Entry::Asked { approval: approval.clone(), tree }]);
        let commit = Subject::Commit { job: JobId::new(&*job), commit: "c1".into(), tree: "t1".into() };
        let question =
            Question { id: approval.clone(), subject: commit, preview: "push?".into(), expires_at: 90 };
        jobs::write(&store.db, 1, &JobWrite { asks: vec![question], ..asked }).unwrap();
        mirror(&store.db);
        let answer = Answer {
            id: approval,
            approve: false,
            reason: Some("not now".into()),
            by: "bob".into(),
            actor: "key:bob".into(),
            user: UserId::new("bob"),
            owner: true,
            member: false,
            choice: Choice::Plain,
            now: 50,
        };
        approvals::decide(&store.db, &answer).unwrap();
        mirror(&store.db);
        let closed = Closed { outcome: Outcome::Cancelled, text: "cancelled".into() };
        write(&store.db, &job, 60, &[Entry::Ended { closed }]);
        mirror(&store.db);
        let all = told(&store.db);
        let mut brief = Vec::new();
        for told in all.iter().filter(|told| told["userId"] == user) {
            assert_eq!(told["jobId"], if told["type"] == "notification" { Value::Null } else { json!(job) });
            brief.push(format!("{} {}{}", told["type"], told["event"], told["status"]).replace(['"'], ""));
        }
        let mut expected = vec![
            "job startedpreparing",
            "approval nullpending",
            "job questionawaiting_approval",
            "approval nullrejected",
            "job endedcancelled",
        ];
        if user == "ann" {
            // Who hears of the end as a message; nobody writes to bots.
            expected.insert(4, "notification nullnull");
            brief[4..].sort_by_key(|told| !told.starts_with("notification"));
        }
        assert_eq!(brief, expected);
        let decided = all.iter().find(|told| told["status"] == "rejected").unwrap();
        assert_eq!((&decided["decidedBy"], &decided["reason"]), (&json!("bob"), &json!("not now")));
    }
}
