//! Messages on their way out that do not get there: parked and let go, listed, sent again.

use rusqlite::Connection;

use super::*;
use crate::domain::{
    ids::*,
    inbound::{NewInbound, State},
    outbound::{Body, NewOutbox, Sent},
    records::{OutboxState, Outgoing},
};

struct Store {
    db: Connection,
    _folder: tempfile::TempDir,
}

impl Store {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = schema::open_writer(&folder.path().join("atoll.db")).unwrap();
        Self { db, _folder: folder }
    }

    /// A message to a user's place that is on its way since `now`.
    fn posted(&self, user: &str, place: &str, now: i64) -> i64 {
        let body = Body::Notice { title: "secret words".into(), body: String::new(), facts: vec![] };
        let new = NewOutbox {
            user: UserId::new(user),
            conversation: place_of(user, place),
            turn: None,
            answers: vec![],
            body,
        };
        outbox::post(&self.db, 1, &new, now).unwrap().id
    }

    /// One that was sent with this outcome.
    fn sent(&self, user: &str, place: &str, now: i64, sent: &Sent) -> i64 {
        let id = self.posted(user, place, now);
        outbox::settle(&self.db, id, sent, now, 12).unwrap();
        id
    }

    fn due(&self, now: i64) -> Vec<i64> {
        outbox::claim(&self.db, 2, now, 10).unwrap().iter().map(|(row, _)| row.id).collect()
    }

    fn hear(&self, id: &str, user: &str, place: &str, key: &str) {
        let message = NewInbound {
            id: InboundId::new(id),
            channel: "pigeon".into(),
            external_id: Some(key.into()),
            user: UserId::new(user),
            conversation: place_of(user, place),
            speaker: None,
            text: "hello".into(),
            attachments: vec![],
            message: None,
            received_at: 50,
        };
        inbound::accept(&self.db, &message, State::Queued, None).unwrap();
    }

    fn list(&self, user: Option<&str>, state: Option<OutboxState>, before: Option<i64>) -> Vec<Outgoing> {
        outbox::list(&self.db, user.map(UserId::new).as_ref(), state, before, 2).unwrap()
    }
}

fn place_of(user: &str, place: &str) -> ConversationId {
    ConversationId::of("pigeon", &UserId::new(user), place).unwrap()
}

fn parked() -> Sent {
    Sent::Parked("the bot was blocked".into())
}

#[test]
fn what_is_parked_goes_out_when_its_person_writes_from_there_and_not_before() {
    let store = Store::open();
    let first = store.sent("ann", "1", 10, &parked());
    let second = store.sent("ann", "1", 11, &parked());
    let elsewhere = store.sent("ann", "2", 12, &parked());
    assert_eq!(store.due(i64::MAX), [] as [i64; 0], "time alone does not let it go");
    assert_eq!(outbox::health(&store.db).unwrap().parked, 3);
    store.hear("i1", "ann", "1", "update-1");
    assert_eq!(store.due(49), [] as [i64; 0]);
    assert_eq!(store.due(50), [first, second], "in their order");
    assert_eq!(outbox::health(&store.db).unwrap().parked, 1);
    outbox::settle(&store.db, first, &parked(), 60, 12).unwrap();
    store.hear("i2", "ann", "1", "update-1");
    assert_eq!(store.due(60), [] as [i64; 0], "what came before is no new sign of life");
    let left = store.list(None, Some(OutboxState::Parked), None);
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [elsewhere, first]);
}

#[test]
fn what_a_run_holds_is_found_by_that_run_alone_and_only_until_it_is_settled() {
    let store = Store::open();
    let held = |boot, after| -> Vec<i64> {
        outbox::held(&store.db, boot, after, 2).unwrap().iter().map(|row| row.id).collect()
    };
    let [first, second, third] = [10, 11, 12].map(|at| store.posted("ann", "1", at));
    assert_eq!((held(1, 0), held(1, second)), (vec![first, second], vec![third]));
    assert_eq!(held(2, 0), [] as [i64; 0]);
    outbox::settle(&store.db, first, &Sent::Done, 20, 12).unwrap();
    outbox::settle(&store.db, second, &Sent::Later { after_ms: 0, why: "slow down".into() }, 20, 12).unwrap();
    assert_eq!(held(1, 0), [third]);
}

#[test]
fn an_outcome_that_is_told_once_more_undoes_nothing_that_came_after_it() {
    let store = Store::open();
    let refused = Sent::Refused("no".into());
    let id = store.sent("ann", "1", 10, &refused);
    outbox::resend(&store.db, id, 20).unwrap();
    outbox::settle(&store.db, id, &refused, 21, 12).unwrap();
    assert_eq!(store.due(22), [id], "it is due, as somebody said");
    outbox::settle(&store.db, id, &Sent::Done, 23, 12).unwrap();
    outbox::settle(&store.db, id, &refused, 24, 12).unwrap();
    assert_eq!(outbox::health(&store.db).unwrap().dead, 0);
}

#[test]
fn what_did_not_arrive_is_listed_by_state_and_user_newest_first() {
    let store = Store::open();
    let why = "it fell while it was sent";
    let dead = store.sent("ann", "1", 10, &Sent::Refused("no".into()));
    let unknown = store.sent("bob", "1", 11, &Sent::Unknown(why.into()));
    let waits = store.sent("ann", "1", 12, &Sent::Later { after_ms: 5, why: "slow down".into() });
    let still = store.sent("ann", "1", 13, &parked());
    store.sent("ann", "1", 14, &Sent::Done);
    let ids = |rows: Vec<Outgoing>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.list(None, None, None)), [still, unknown], "two at most");
    assert_eq!(ids(store.list(None, None, Some(unknown))), [dead]);
    assert_eq!(ids(store.list(Some("ann"), None, None)), [still, dead]);
    assert_eq!(ids(store.list(None, Some(OutboxState::Waiting), None)), [waits]);
    assert_eq!(ids(store.list(None, Some(OutboxState::Dead), None)), [dead]);
    let row = store.list(None, Some(OutboxState::Unknown), None).remove(0);
    assert_eq!((row.user.as_str(), row.kind.as_str(), row.state), ("bob", "notice", OutboxState::Unknown));
    assert_eq!((row.error.as_deref(), row.created_at), (Some(why), 11));
    assert!(!format!("{row:?}").contains("secret words"));
}

#[test]
fn what_is_sent_again_has_all_its_attempts_and_what_arrived_is_not_sent_again() {
    let store = Store::open();
    let later = Sent::Later { after_ms: 0, why: "slow down".into() };
    let id = store.sent("ann", "1", 10, &later);
    for _ in 0..12 {
        assert_eq!(store.due(10), [id]);
        outbox::settle(&store.db, id, &later, 10, 12).unwrap();
    }
    assert_eq!(store.due(i64::MAX), [] as [i64; 0]);
    assert_eq!(store.list(None, Some(OutboxState::Dead), None)[0].attempts, 12);
    let again = outbox::resend(&store.db, id, 20).unwrap();
    assert_eq!((again.state, again.attempts, again.error), (OutboxState::Waiting, 0, None));
    let claimed = outbox::claim(&store.db, 1, 20, 10).unwrap();
    assert_eq!((claimed[0].0.id, claimed[0].1), (id, false), "it is sent, and marked as nothing else");
    outbox::settle(&store.db, id, &Sent::Done, 20, 12).unwrap();
    for gone in [id, id + 1] {
        assert!(matches!(outbox::resend(&store.db, gone, 30), Err(StoreError::NotFound(_))), "{gone}");
    }
    for sent in [parked(), Sent::Unknown("?".into())] {
        let id = store.sent("ann", "1", 10, &sent);
        assert_eq!(outbox::resend(&store.db, id, 40).unwrap().state, OutboxState::Waiting);
    }
}

#[test]
fn the_hot_questions_about_the_outbox_look_at_no_row_that_was_sent() {
    let store = Store::open();
    let plan = |sql: &str| -> String {
        let lines =
            rows(&store.db, &format!("EXPLAIN QUERY PLAN {sql}"), [], |row| Ok(row.get::<_, String>(3)?));
        lines.unwrap().join("\n")
    };
    for sql in [
        outbox::claim_sql().replace("?1", "1").replace("?2", "2").replace("?3", "3"),
        outbox::held_sql().replace("?1", "1").replace("?2", "2").replace("?3", "3"),
        outbox::UNPARK.replace("?1", "'x'").replace("?2", "1"),
        outbox::health_sql(),
        outbox::queues_sql(),
        outbox::list_sql(None).replace("?1", "NULL").replace("?2", "9").replace("?3", "9"),
    ] {
        let plan = plan(&sql);
        assert!(plan.contains("USING") && !plan.contains("SCAN outbox"), "{sql}\n{plan}");
    }
}
