//! What the outbound webhook tells, stored in the transaction in which it happens. Triggers of the connection that writes
//! note what happened, whoever wrote it; without the webhook there are none.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{Result, StoreError, approvals, execute, jobs, outbox, rows};
use crate::domain::{
    Millis,
    approval::Status,
    ids::{ApprovalId, ConversationId, JobId, UserId},
    outbound::{Body, CALLBACK_CHANNEL, NewOutbox},
    webhook::{self, Happened, JobEvent, Kind},
};

/// Has this connection note what happens, from now on and until it is closed.
///
/// # Errors
/// When the store fails.
pub fn watch(db: &Connection) -> Result<()> {
    let sql = format!(
        "CREATE TEMP TABLE happened (n INTEGER PRIMARY KEY, what TEXT NOT NULL, id NOT NULL, word TEXT);
         CREATE TEMP TRIGGER happened_out AFTER INSERT ON main.outbox
         WHEN NEW.channel <> '{CALLBACK_CHANNEL}'
         BEGIN INSERT INTO happened (what, id) VALUES ('out', NEW.id); END;
         CREATE TEMP TRIGGER happened_asked AFTER INSERT ON main.approvals
         BEGIN INSERT INTO happened (what, id, word) VALUES ('approval', NEW.id, NEW.status); END;
         CREATE TEMP TRIGGER happened_decided AFTER UPDATE OF status ON main.approvals
         WHEN OLD.status = 'pending' AND NEW.status <> 'pending'
         BEGIN INSERT INTO happened (what, id, word) VALUES ('approval', NEW.id, NEW.status); END;
         CREATE TEMP TRIGGER happened_job AFTER INSERT ON main.job_journal
         WHEN NEW.kind IN ('claimed', 'ended')
         BEGIN INSERT INTO happened (what, id, word) VALUES ('job', NEW.job_id, NEW.kind); END;"
    );
    db.execute_batch(&sql)?;
    Ok(())
}

/// Stores what is to be posted about all that happened since it was called last, in the transaction that is open. The
/// outbox finds it at its next look.
///
/// # Errors
/// When the store fails.
pub fn mirror(db: &Connection, wanted: &BTreeSet<Kind>, now: Millis) -> Result<()> {
    let noted = rows(db, "SELECT what, CAST(id AS TEXT), word FROM happened ORDER BY n", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    if noted.is_empty() {
        return Ok(());
    }
    execute(db, "DELETE FROM happened", [])?;
    for (what, id, word) in noted {
        for happened in look(db, &what, &id, &word.unwrap_or_default())? {
            let (user, payloads) = webhook::payloads(wanted, &happened, now);
            for payload in payloads {
                outbox::queue(db, &post(user.clone(), payload)?, now)?;
            }
        }
    }
    Ok(())
}

fn look(db: &Connection, what: &str, id: &str, word: &str) -> Result<Vec<Happened>> {
    let job = |id: &JobId, event, approval| -> Result<Option<Happened>> {
        Ok(jobs::get(db, id)?.map(|task| Happened::Job(Box::new(task), event, approval)))
    };
    match what {
        "out" => {
            let number = id.parse().map_err(|_| StoreError::Corrupt(format!("outbox row `{id}`")))?;
            Ok(outbox::get(db, number)?.map(Happened::Out).into_iter().collect())
        }
        "approval" => {
            let Some(approval) = approvals::find(db, &ApprovalId::new(id))? else { return Ok(Vec::new()) };
            let status = Status::parse(word).unwrap_or(approval.status);
            let of_job = approval.job().filter(|_| status == Status::Pending);
            let asks = match of_job {
                Some(id) => job(&id, JobEvent::Question, Some(approval.clone()))?,
                None => None,
            };
            Ok(std::iter::once(Happened::Approval(approval, status)).chain(asks).collect())
        }
        _ => {
            let event = if word == "claimed" { JobEvent::Started } else { JobEvent::Ended };
            Ok(job(&JobId::new(id), event, None)?.into_iter().collect())
        }
    }
}

fn post(user: UserId, payload: String) -> Result<NewOutbox> {
    let conversation = ConversationId::of(CALLBACK_CHANNEL, &user, webhook::WEBHOOK)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(NewOutbox {
        user,
        conversation,
        turn: None,
        answers: Vec::new(),
        body: Body::Callback { url: String::new(), payload },
    })
}
