//! What was posted at chat platforms, and the answers that are shown there while they grow.

use rusqlite::{Connection, params};

use super::{Result, approvals, execute, pairings, row, rows, to_json};
use crate::domain::{
    Millis,
    chat::Place,
    ids::{ApprovalId, ConversationId, InboundId},
    outbound::{Before, NewPost},
    posting::TopicPlace,
};

/// Notes that a part was posted, or is about to be posted a second time.
///
/// # Errors
/// When the store fails.
pub fn record(db: &Connection, post: &NewPost) -> Result<()> {
    let approval = post.approval.as_ref().map(ApprovalId::as_str);
    let sql = "INSERT INTO posts (outbox_id, part, conversation_id, message, approval_id, at, pairing_id)
               VALUES (?1, ?2, ?3, NULL, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let params = params![post.outbox, post.part, post.conversation.as_str(), approval, post.at, post.pairing];
    execute(db, sql, params)?;
    let Some(message) = &post.message else { return Ok(()) };
    let sql = "UPDATE posts SET message = ?3, at = ?4 WHERE outbox_id = ?1 AND part = ?2";
    execute(db, sql, params![post.outbox, post.part, message, post.at])?;
    Ok(())
}

/// What earlier attempts at a message left.
///
/// # Errors
/// When the store fails.
pub fn before(
    db: &Connection,
    outbox: i64,
    answers: &[InboundId],
    approval: Option<&ApprovalId>,
) -> Result<Before> {
    let sql = "SELECT part, message FROM posts WHERE outbox_id = ?1";
    let parts = rows(db, sql, [outbox], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    let sql = "SELECT message FROM drafts WHERE inbound_id IN (SELECT value FROM json_each(?1))";
    let draft = row(db, sql, [to_json(&answers)?], |row| Ok(row.get(0)?))?;
    let approval = approval.map(|id| approvals::find(db, id)).transpose()?.flatten();
    let pairing = pairings::shown_by(db, outbox)?;
    let sql = "SELECT message FROM inbound
               WHERE id IN (SELECT value FROM json_each(?1)) AND message IS NOT NULL ORDER BY id LIMIT 1";
    let asked = row(db, sql, [to_json(&answers)?], |row| Ok(row.get(0)?))?;
    let sql = "SELECT external_id FROM inbound WHERE id = ?1";
    let received = answers.first().map(|first| row(db, sql, [first.as_str()], |row| Ok(row.get(0)?)));
    let received = received.transpose()?.flatten().flatten();
    Ok(Before { parts, draft, approval, pairing, asked, received })
}

/// Notes the message that shows an answer while it grows.
///
/// # Errors
/// When the store fails.
pub fn draft(
    db: &Connection,
    inbound: &InboundId,
    conversation: &ConversationId,
    message: &str,
    now: Millis,
) -> Result<()> {
    let sql = "INSERT INTO drafts (inbound_id, conversation_id, message, at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (inbound_id) DO UPDATE SET message = excluded.message, at = excluded.at";
    execute(db, sql, params![inbound.as_str(), conversation.as_str(), message, now])?;
    Ok(())
}

/// Forgets the message that showed an answer, and gives it.
///
/// # Errors
/// When the store fails.
pub fn drop_draft(db: &Connection, inbound: &InboundId) -> Result<Option<String>> {
    let sql = "DELETE FROM drafts WHERE inbound_id = ?1 RETURNING message";
    row(db, sql, [inbound.as_str()], |row| Ok(row.get(0)?))
}

/// Where a topic of a conversation is told of.
///
/// # Errors
/// When the store fails.
pub fn topic(db: &Connection, conversation: &ConversationId, topic: &str) -> Result<Option<TopicPlace>> {
    let sql = "SELECT chat, thread, head FROM threads WHERE conversation_id = ?1 AND topic = ?2";
    row(db, sql, [conversation.as_str(), topic], |row| {
        let place = Place { chat: row.get(0)?, thread: row.get(1)? };
        Ok(TopicPlace { place, head: row.get(2)? })
    })
}

/// The chat under which we opened this one for a topic.
pub(super) fn opened_under(db: &Connection, channel: &str, chat: &str) -> Result<Option<String>> {
    // A task that is given in the thread of another one has that as its chat.
    let sql = "SELECT conversation_id FROM threads WHERE chat = ?1 AND conversation_id LIKE ?2 || '/%'";
    let conversations = rows(db, sql, [chat, channel], |row| Ok(row.get::<_, String>(0)?))?;
    let mut parents =
        conversations.into_iter().map(|conversation| Place::of(&ConversationId::new(conversation)).chat);
    Ok(parents.find(|parent| parent != chat))
}

/// Notes where a topic of a conversation is told of.
///
/// # Errors
/// When the store fails.
pub fn open_topic(
    db: &Connection,
    conversation: &ConversationId,
    topic: &str,
    at: &TopicPlace,
) -> Result<()> {
    let sql = "INSERT INTO threads (conversation_id, topic, chat, thread, head) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (conversation_id, topic)
               DO UPDATE SET chat = excluded.chat, thread = excluded.thread, head = excluded.head";
    let TopicPlace { place, head } = at;
    execute(db, sql, params![conversation.as_str(), topic, place.chat, place.thread, head])?;
    Ok(())
}

/// Forgets what a message that has arrived needs no more: its parts but for questions, and its draft.
pub(super) fn arrived(db: &Connection, outbox: i64) -> Result<()> {
    execute(
        db,
        "DELETE FROM posts WHERE outbox_id = ?1 AND coalesce(approval_id, pairing_id) IS NULL",
        [outbox],
    )?;
    let sql = "DELETE FROM drafts WHERE inbound_id IN
               (SELECT value FROM json_each((SELECT answers FROM outbox WHERE id = ?1)))";
    execute(db, sql, [outbox])?;
    Ok(())
}

/// Forgets that a part of a message was begun a second time: somebody who knows that wants it once more.
pub(super) fn again(db: &Connection, outbox: i64) -> Result<()> {
    execute(db, "DELETE FROM posts WHERE outbox_id = ?1 AND message IS NULL", [outbox])?;
    Ok(())
}

/// Forgets the posts of messages that are kept no more.
pub(super) fn prune(db: &Connection) -> Result<()> {
    execute(db, "DELETE FROM posts WHERE outbox_id NOT IN (SELECT id FROM outbox)", [])?;
    Ok(())
}

/// The answers that are shown and whose message is over: their turn ended without one.
///
/// # Errors
/// When the store fails.
pub fn stale_drafts(db: &Connection, channel: &str) -> Result<Vec<(InboundId, ConversationId, String)>> {
    let sql = "SELECT drafts.inbound_id, drafts.conversation_id, drafts.message FROM drafts
               LEFT JOIN inbound ON inbound.id = drafts.inbound_id
               WHERE drafts.conversation_id LIKE ?1 || '/%' AND coalesce(inbound.state, 'cancelled') = 'cancelled'";
    rows(db, sql, [channel], |row| {
        let inbound = InboundId::new(row.get::<_, String>(0)?);
        Ok((inbound, ConversationId::new(row.get::<_, String>(1)?), row.get(2)?))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        domain::{
            ids::UserId,
            outbound::{Body, NewOutbox, Sent},
        },
        store::{outbox, schema},
    };

    fn store() -> (Connection, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (schema::open_writer(&folder.path().join("atoll.db")).unwrap(), folder)
    }

    fn place() -> ConversationId {
        ConversationId::of("telegram", &UserId::new("ann"), "42").unwrap()
    }

    fn post(outbox: i64, part: u32, message: Option<&str>) -> NewPost {
        let message = message.map(str::to_owned);
        NewPost { outbox, part, conversation: place(), message, approval: None, pairing: None, at: 5 }
    }

    fn question(db: &Connection) {
        let sql = "INSERT INTO approvals (id, turn_id, conversation_id, user_id, subject, preview, status, asked_at,
                       expires_at)
                   VALUES ('q', 't', ?1, 'ann', '{}', 'rm -r', 'pending', 1, 9)";
        db.execute(sql, [place().as_str()]).unwrap();
    }

    fn close(db: &Connection) {
        let sql =
            "UPDATE approvals SET status = 'approved', decided_by = 'bob', decided_at = 7 WHERE id = 'q'";
        db.execute(sql, []).unwrap();
    }

    fn due(db: &Connection) -> Vec<NewOutbox> {
        outbox::claim(db, 1, 10, 10).unwrap().into_iter().map(|(row, _)| row.message).collect()
    }

    #[test]
    fn parts_are_remembered_until_the_message_has_arrived() {
        let (db, _folder) = store();
        let body = Body::Notice { title: "t".into(), body: String::new(), facts: Vec::new() };
        let (user, conversation) = (UserId::new("ann"), place());
        let answers = vec![InboundId::new("i")];
        let new = NewOutbox { user, conversation, turn: None, answers: answers.clone(), body };
        let id = outbox::post(&db, 1, &new, 1).unwrap().id;
        draft(&db, &answers[0], &place(), "m0", 1).unwrap();
        record(&db, &post(id, 0, None)).unwrap();
        record(&db, &post(id, 1, Some("m1"))).unwrap();
        let found = before(&db, id, &answers, None).unwrap();
        assert_eq!(found.parts, BTreeMap::from([(0, None), (1, Some("m1".to_owned()))]));
        assert_eq!(found.draft.as_deref(), Some("m0"));
        outbox::settle(&db, id, &Sent::Unknown("?".into()), 4, 3).unwrap();
        outbox::resend(&db, id, 4).unwrap();
        let found = before(&db, id, &answers, None).unwrap();
        assert_eq!(found.parts, BTreeMap::from([(1, Some("m1".to_owned()))]), "somebody wants it once more");
        record(&db, &post(id, 0, Some("m2"))).unwrap();
        assert_eq!(before(&db, id, &answers, None).unwrap().parts.len(), 2);
        assert_eq!(due(&db).len(), 1);
        outbox::settle(&db, id, &Sent::Done, 5, 3).unwrap();
        assert_eq!(before(&db, id, &answers, None).unwrap(), Before::default());
    }

    #[test]
    fn a_question_that_is_closed_loses_its_buttons_wherever_it_was_posted() {
        let (db, _folder) = store();
        question(&db);
        let shows = |part, message: Option<&str>| NewPost {
            approval: Some(ApprovalId::new("q")),
            ..post(900, part, message)
        };
        record(&db, &shows(0, Some("m1"))).unwrap();
        assert!(due(&db).is_empty());
        close(&db);
        let told = due(&db);
        let Body::Decided { message, by, preview, .. } = &told[0].body else { panic!("{told:?}") };
        assert_eq!((message.as_str(), by.as_deref(), preview.as_str()), ("m1", Some("bob"), "rm -r"));
        assert_eq!((told.len(), &told[0].conversation), (1, &place()));
        // Used later, it is not told once more; posted late, it is.
        db.execute("UPDATE approvals SET status = 'consumed' WHERE id = 'q'", []).unwrap();
        assert!(due(&db).is_empty());
        record(&db, &shows(1, Some("m2"))).unwrap();
        assert_eq!(due(&db).len(), 1);
    }
}
