//! What is going on when the process dies.

use std::cell::Cell;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::join;

use super::{
    rows::Rows,
    script,
    stage::{Heard, Stage},
    world::{Leave, text},
};

/// A piece that is played while the server dies. All of it is repeated until it is done.
pub(super) trait Scene {
    /// More of the configuration.
    const CONFIG: &'static str = "";
    /// Clients wait for nothing that a copy without clients would lack: forks can be compared.
    const FORKS: bool = true;
    const LEAVE: Leave = Leave { order: false, spend: false };

    /// There is a life before, which ends in peace.
    const BEFORE: bool = false;

    /// What happens in the life before.
    async fn before(_: &Stage) {}

    /// What is changed in the store before the first life that is to end.
    fn edit(_: &Connection) {}

    async fn play(stage: &Stage);

    /// What must be so beside all that must always be so.
    fn after(_: &Stage, _: &Rows) {}
}

fn is_answer(heard: &Heard) -> bool {
    matches!(heard, Heard::Answer(text) if text.contains("is done"))
}

/// One message, one answer.
pub(super) struct Plain;

impl Scene for Plain {
    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: say").await));
    }
}

/// An answer in two parts.
pub(super) struct Cut;

impl Scene for Cut {
    async fn play(stage: &Stage) {
        let heard = stage.say("ann/home", "plan[m1]: cut | say").await;
        let Heard::Answer(text) = heard else { panic!("{heard:?}") };
        assert!(text.starts_with("a part (#") && text.contains("is done"), "{text}");
    }
}

/// Tools of all classes, side by side and one after the other; a second message finds the skill open.
pub(super) struct Tools;

impl Scene for Tools {
    async fn play(stage: &Stage) {
        let plan = "plan[m1]: activate | look put look act put | act | say";
        assert!(is_answer(&stage.say("ann/home", plan).await));
        assert!(is_answer(&stage.say("ann/home", "plan[m2]: look | say").await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert_eq!(rows.of("conversations")[0]["activated"], json!(["effects"]));
    }
}

/// A tool that asks first, and is allowed.
pub(super) struct Asked;

impl Scene for Asked {
    async fn play(stage: &Stage) {
        let plan = "plan[m1]: activate | ask look | say";
        assert!(is_answer(&stage.with_answers("approve", stage.say("ann/home", plan)).await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert_eq!(rows.of("approvals")[0]["status"], "consumed");
        assert_eq!(rows.of("approvals").len(), 1);
    }
}

/// A tool that asks first, and is refused.
pub(super) struct Refused;

impl Scene for Refused {
    async fn play(stage: &Stage) {
        let plan = "plan[m1]: activate | ask | say";
        assert!(is_answer(&stage.with_answers("reject", stage.say("ann/home", plan)).await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert_eq!(rows.of("approvals")[0]["status"], "rejected");
    }
}

/// Two tools that ask, of which the second is allowed first: it waits for its place.
pub(super) struct AskedTwice;

impl Scene for AskedTwice {
    async fn play(stage: &Stage) {
        let play = async {
            stage.until("SELECT count(*) = 2 FROM approvals").await;
            let second = "SELECT id FROM approvals ORDER BY id DESC";
            let id: String = stage.site.store().query_row(second, [], |row| row.get(0)).unwrap();
            stage.call(Method::POST, &format!("/api/v1/approvals/{id}/approve"), json!({})).await;
            stage.until("SELECT count(*) FROM approvals WHERE status = 'consumed'").await;
            stage.with_answers("approve", std::future::pending::<()>()).await;
        };
        tokio::select! {
            heard = stage.say("ann/home", "plan[m1]: activate | ask ask | say") => assert!(is_answer(&heard)),
            () = play => unreachable!("it never ends"),
        }
    }
}

/// A question whose time is over.
pub(super) struct Expired;

impl Scene for Expired {
    const FORKS: bool = false;
    const BEFORE: bool = true;

    async fn before(stage: &Stage) {
        let body = json!({
            "message": "plan[m1]: activate | ask | say", "userId": "ann", "conversationId": "home",
        });
        let asking = stage.hear("home-planm1activateasksay", &body);
        tokio::select! {
            heard = asking => panic!("{heard:?}"),
            () = stage.until("SELECT count(*) FROM turns WHERE state = 'parked'") => {}
        }
    }

    fn edit(db: &Connection) {
        db.execute_batch("UPDATE approvals SET expires_at = 1; UPDATE wakeups SET due_at = 1").unwrap();
    }

    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: activate | ask | say").await));
        stage.until("SELECT count(*) = 0 FROM wakeups").await;
    }

    fn after(_: &Stage, rows: &Rows) {
        assert_eq!(rows.of("approvals")[0]["status"], "expired");
        assert!(rows.of("wakeups").is_empty());
    }
}

/// A turn's budget has no room, and is raised.
pub(super) struct TurnBudget;

impl Scene for TurnBudget {
    const CONFIG: &'static str = "budgets: {turn: {tokens: 3000}}";

    async fn play(stage: &Stage) {
        let plan = "plan[m1]: activate | look act | say";
        assert!(is_answer(&stage.with_answers("approve", stage.say("ann/home", plan)).await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert!(!rows.of("approvals").is_empty());
    }
}

/// A turn whose budget has room for one call, of which a crash may have used all.
pub(super) struct LostBudget;

impl Scene for LostBudget {
    const CONFIG: &'static str = "budgets: {turn: {tokens: 2000}}";

    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.with_answers("approve", stage.say("ann/home", "plan[m1]: say")).await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert_eq!(rows.of("approvals").len(), 1, "what a crash may have cost is not free");
    }
}

/// A user's budget of the day has no room for tools that were to run, and is raised.
pub(super) struct UserBudget;

impl Scene for UserBudget {
    const CONFIG: &'static str = "budgets: {user_day: {tool_calls: 1}}";

    async fn play(stage: &Stage) {
        let plan = "plan[m1]: activate | look put | act | say";
        assert!(is_answer(&stage.with_answers("approve", stage.say("ann/home", plan)).await));
    }

    fn after(_: &Stage, rows: &Rows) {
        assert!(rows.of("approvals").len() >= 2);
    }
}

/// Messages that wait for the one before.
pub(super) struct Queued;

impl Scene for Queued {
    async fn play(stage: &Stage) {
        let accepted = async |count: usize| {
            stage.until(&format!("SELECT count(*) >= {count} FROM inbound")).await;
        };
        let later = (2..=4).map(|rank| async move {
            accepted(rank - 1).await;
            stage.say("ann/home", &format!("plan[m{rank}]: say")).await
        });
        let opened = async {
            stage.until_ran("fx_gate").await;
            accepted(4).await;
            script::open_gate(&stage.site.home());
        };
        let first = stage.say("ann/home", "plan[m1]: activate | gate | say");
        let (first, later, ()) = join!(first, join_all(later), opened);
        assert!(is_answer(&first) && later.iter().all(is_answer), "{first:?} {later:?}");
    }
}

/// A message that joins the turn that runs.
pub(super) struct Steered;

impl Scene for Steered {
    async fn play(stage: &Stage) {
        let second = async {
            stage.until_ran("fx_gate").await;
            let opened = async {
                // Taken into the turn; or accepted by a life that ended, and then it waits for its own.
                let taken = "SELECT count(*) = 2 FROM inbound WHERE turn_id IS NOT NULL
                             OR (state = 'queued' AND received_at < (SELECT unixepoch('subsec') * 1000 - 300))";
                stage.until(taken).await;
                script::open_gate(&stage.site.home());
            };
            let steer = json!({"whileBusy": "steer"});
            let (heard, ()) = join!(stage.say_with("ann/home", "plan[m2]: look | say", steer), opened);
            heard
        };
        let (one, two) = join!(stage.say("ann/home", "plan[m1]: activate | gate | say"), second);
        assert!(is_answer(&one) && is_answer(&two), "{one:?} {two:?}");
    }
}

/// A message that takes the place of the one that runs.
pub(super) struct Interrupted;

impl Scene for Interrupted {
    const LEAVE: Leave = Leave { order: true, spend: true };

    async fn play(stage: &Stage) {
        let second = async {
            stage.until_ran("fx_gate").await;
            let opened = async {
                // A life that ends between the two leaves both to be answered.
                let taken = "SELECT count(*) FROM inbound WHERE state = 'cancelled'
                             OR (state = 'queued' AND received_at < (SELECT unixepoch('subsec') * 1000 - 300))";
                stage.until(taken).await;
                script::open_gate(&stage.site.home());
            };
            let interrupt = json!({"whileBusy": "interrupt"});
            let (heard, ()) = join!(stage.say_with("ann/home", "plan[m2]: say", interrupt), opened);
            heard
        };
        let (one, two) = join!(stage.say("ann/home", "plan[m1]: activate | gate | say"), second);
        assert!(is_answer(&two) && (is_answer(&one) || one == Heard::Withdrawn), "{one:?} {two:?}");
    }
}

/// A turn that runs and a message that waits are cancelled.
pub(super) struct Cancelled;

impl Scene for Cancelled {
    const FORKS: bool = false;
    const LEAVE: Leave = Leave { order: false, spend: true };

    async fn play(stage: &Stage) {
        const ANSWERS: &str = "SELECT count(*) FROM outbox WHERE body LIKE '%is done%'";
        let acknowledged = Cell::new(None);
        // Said until it is heard, and never again: what was acknowledged is done.
        let cancel = async {
            stage.until("SELECT count(*) = 2 FROM inbound").await;
            let (status, body) = stage.call(Method::POST, "/api/chat/cancel", json!({"userId": "ann"})).await;
            acknowledged.set(Some(stage.count(ANSWERS)));
            stage.log.say(format!("cancelled: {status} {body}"));
        };
        let second = async {
            stage.until_ran("fx_gate").await;
            stage.say("ann/home", "plan[m2]: say").await
        };
        let (one, two, ()) = join!(stage.say("ann/home", "plan[m1]: activate | gate | say"), second, cancel);
        // A life that ended between the two, before it acknowledged anything, leaves the second to be answered.
        assert!(one == Heard::Withdrawn && (two == Heard::Withdrawn || is_answer(&two)), "{one:?} {two:?}");
        assert_eq!(acknowledged.get(), Some(stage.count(ANSWERS)), "answered after it was cancelled");
    }
}

/// Old conversation is summarised.
pub(super) struct Compacted;

impl Scene for Compacted {
    const CONFIG: &'static str = "agent: {max_resumes: 100, context_tokens: 5000, max_input_length: 20000, memory: {auto_extraction: false}}";
    const BEFORE: bool = true;

    async fn before(stage: &Stage) {
        for (at, word) in ["m1", "m2"].into_iter().enumerate() {
            let padding = format!("{at} and on ").repeat(500);
            assert!(is_answer(&stage.say("ann/home", &format!("plan[{word}]: say\n{padding}")).await));
        }
    }

    async fn play(stage: &Stage) {
        let padding = "2 and on ".repeat(500);
        assert!(is_answer(&stage.say("ann/home", &format!("plan[m3]: say\n{padding}")).await));
    }

    fn after(stage: &Stage, rows: &Rows) {
        let summary = text(&rows.of("conversations")[0]["summary"]);
        assert!(summary.starts_with("they talked"), "{summary}");
        let requests = stage.model.requests();
        let mut asked = requests.iter().filter(|request| request.text().contains("plan[m3]"));
        assert!(asked.next_back().unwrap().text().contains("they talked"));
    }
}

/// A message that is too long, with no history that could be summarised.
pub(super) struct Squeezed;

impl Scene for Squeezed {
    const CONFIG: &'static str = "agent: {max_resumes: 100, context_tokens: 2000, max_input_length: 20000, memory: {auto_extraction: false}}";

    async fn play(stage: &Stage) {
        let padding = "and on it goes ".repeat(800);
        stage.say("ann/home", &format!("plan[m1]: say\n{padding}")).await;
    }
}

/// A conversation begins anew.
pub(super) struct Cleared;

impl Scene for Cleared {
    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: say").await));
        let heard = stage.say("ann/home", "/clear").await;
        assert!(matches!(&heard, Heard::Answer(text) if text.contains("begin anew")), "{heard:?}");
        assert!(is_answer(&stage.say("ann/home", "plan[m2]: say").await));
    }

    fn after(stage: &Stage, _: &Rows) {
        let requests = stage.model.requests();
        let mut asked = requests.iter().filter(|request| request.text().contains("plan[m2]"));
        assert!(asked.all(|request| !request.text().contains("plan[m1]")));
    }
}

/// Facts are kept, found, corrected and forgotten.
pub(super) struct Remembered;

impl Scene for Remembered {
    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: remember | recall | revise | say").await));
        assert!(is_answer(&stage.say("ann/work", "plan[m1]: remember | forget | say").await));
    }

    fn after(_: &Stage, rows: &Rows) {
        let facts: Vec<String> = rows.of("memories").iter().map(|row| text(&row["content"])).collect();
        assert_eq!(facts, ["m1 sold the boat"]);
    }
}

/// A message with a file.
pub(super) struct Attached;

impl Scene for Attached {
    async fn play(stage: &Stage) {
        let file = json!({"filename": "a.txt", "mediaType": "text/plain", "data": "aGVsbG8="});
        let more = json!({"attachments": [file]});
        assert!(is_answer(&stage.say_with("ann/home", "plan[m1]: say", more).await));
    }

    fn after(stage: &Stage, rows: &Rows) {
        let files: Value = serde_json::from_str(&text(&rows.of("inbound")[0]["attachments"])).unwrap();
        let id = text(&files[0]["id"]);
        let known = stage
            .site
            .store()
            .query_row("SELECT count(*) FROM files WHERE id = ?1", [id], |row| row.get::<_, i64>(0));
        assert_eq!(known.unwrap(), 1);
    }
}

/// People and keys are changed.
pub(super) struct Kept;

impl Scene for Kept {
    async fn play(stage: &Stage) {
        let (status, _) = stage.call(Method::PATCH, "/api/v1/users/ann", json!({"name": "Ann"})).await;
        assert!(status.is_success(), "{status}");
        let key = json!({"name": "new", "role": "viewer"});
        let (status, body) = stage.call(Method::POST, "/api/v1/keys", key).await;
        assert!(status.is_success(), "{status} {body}");
        let path = format!("/api/v1/keys/{}", body["id"].as_str().unwrap());
        let (status, body) = stage.call(Method::DELETE, &path, json!(null)).await;
        // It may have been revoked by a life that could not say so any more.
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{status} {body}");
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: say").await));
    }

    fn after(stage: &Stage, rows: &Rows) {
        let noted = |action: &str| {
            let sql = format!("SELECT count(*) FROM audit WHERE action = '{action}'");
            stage.site.store().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let revoked = rows.of("keys").iter().filter(|key| !key["revoked_at"].is_null()).count();
        assert_eq!(noted("key.created"), rows.of("keys").len() as i64);
        assert!(revoked == 1 && noted("key.revoked") >= 1);
        assert_eq!(rows.of("users").iter().find(|user| user["id"] == "ann").unwrap()["name"], "Ann");
    }
}

/// A message lies in the outbox for a channel that is not there.
pub(super) struct Stranded;

impl Scene for Stranded {
    const FORKS: bool = false;

    fn edit(db: &Connection) {
        let body = json!({"kind": "notice", "title": "t", "body": "b"}).to_string();
        let sql =
            "INSERT INTO outbox (channel, user_id, conversation_id, turn_id, answers, body, state, claim,
                                       due_at, created_at)
                   VALUES ('telegram', 'ann', 'telegram/ann/home', NULL, '[]', ?1, 'due', 0, 1, 1)";
        db.execute(sql, [body]).unwrap();
    }

    async fn play(stage: &Stage) {
        assert!(is_answer(&stage.say("ann/home", "plan[m1]: say").await));
        stage.until("SELECT count(*) FROM outbox WHERE channel = 'telegram' AND error IS NOT NULL").await;
    }

    fn after(stage: &Stage, rows: &Rows) {
        let row = &rows.of("outbox")[0];
        assert_eq!((&row["channel"], &row["state"]), (&json!("telegram"), &json!("due")));
        let tries = row["attempts"].as_u64().unwrap() as usize;
        assert!((1..=1 + stage.lives.borrow().len()).contains(&tries), "{row}");
    }
}

/// A turn that brings the process down again and again is ended.
pub(super) struct Poisoned;

impl Scene for Poisoned {
    const CONFIG: &'static str = "agent: {max_resumes: 2, memory: {auto_extraction: false}}";
    const FORKS: bool = false;

    async fn play(stage: &Stage) {
        let heard = stage.say("ann/home", "plan[m1]: say").await;
        assert!(matches!(&heard, Heard::Failed(text) if text.contains("gave up")), "{heard:?}");
        assert!(is_answer(&stage.say("ann/home", "plan[m2]: say").await));
    }
}
