//! Questions to people: asked, shown, answered once, used once, also over a restart.

use serde_json::{Value, json};

use crate::support::*;

/// A turn that waits for somebody to allow a payment.
struct Asked {
    site: Site,
    server: Option<Server>,
    owner: User,
    stream: Stream,
    id: String,
}

async fn asked(model: &MockModel, more: &str) -> Asked {
    let site = Site::new(&with_model(model, &format!("{BENCH}{more}"))).with_bench();
    let clock = clock(&site, 0);
    let server = site.start_with(&[("ATOLL_CLOCK", &clock)]);
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    let mut stream = owner.open(json!({"message": "pay them", "userId": "ann"})).await;
    let status = stream.until("status", |data| data["status"] == "waiting_approval").await;
    let id = status.data["approvalId"].as_str().unwrap().to_owned();
    Asked { site, server: Some(server), owner, stream, id }
}

fn pays() -> MockModel {
    does(&[("bench_pay", json!({"n": 5}))])
}

impl Asked {
    async fn answer(&self, how: &str, body: Value) -> (reqwest::StatusCode, Value) {
        self.owner.post(&format!("/api/v1/approvals/{}/{how}", self.id), body).await
    }

    fn status(&self) -> String {
        self.site.value("SELECT status FROM approvals")
    }

    /// The end of the server, at once.
    fn kill(&mut self) {
        self.server.take().unwrap().kill();
    }

    fn user(&self, name: &str, role: &str) -> User {
        User::new(&self.owner.base, &self.site.key(name, role))
    }

    /// The clients of a server that was started again.
    fn again(&mut self) {
        let clock = clock(&self.site, 0);
        let server = self.site.start_with(&[("ATOLL_CLOCK", &clock)]);
        self.owner = User::new(&server.base, &self.owner.key);
        self.server = Some(server);
    }

    /// Waits for the answer of the turn.
    async fn over(&self) -> String {
        until("the turn ends", async || {
            self.site.value::<i64>("SELECT count(*) FROM turns WHERE state <> 'over'") == 0
        })
        .await;
        self.site.value("SELECT outcome FROM turns ORDER BY seq LIMIT 1")
    }
}

#[tokio::test]
async fn an_approved_call_runs_exactly_once() {
    let model = pays();
    let asked = asked(&model, "").await;
    let list = asked.owner.look("/api/v1/approvals?status=pending").await;
    let row = &list["approvals"][0];
    assert_eq!((row["id"].as_str(), row["kind"].as_str()), (Some(asked.id.as_str()), Some("tool")));
    assert_eq!((row["userId"].as_str(), row["conversationId"].as_str()), (Some("ann"), Some("default")));
    assert_eq!(row["preview"], "bench_pay {\"n\":5}");
    assert!(asked.site.ledger().is_empty(), "nothing runs before somebody answers");
    let mut watch = Stream::of(asked.owner.request(reqwest::Method::GET, "/api/events/ann?after=0")).await;
    let notice = watch.until("notification", |data| data["approvalId"] == asked.id.as_str()).await;
    assert_eq!(notice.data["body"], "bench_pay {\"n\":5}");
    let (status, body) = asked.answer("approve", json!({})).await;
    assert_eq!((status.as_u16(), body["decidedBy"].as_str()), (200, Some("boss")));
    for how in ["approve", "reject"] {
        let (status, body) = asked.answer(how, json!({})).await;
        assert_eq!((status.as_u16(), body["error"]["code"].as_str()), (409, Some("settled")), "{body}");
    }
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.status(), "consumed");
    assert_eq!(asked.site.ledger(), ["bench_pay {\"n\":5}"]);
    assert_eq!(model.requests()[2].results(), ["paid {\"n\":5}"]);
    assert_eq!(answer_of(&asked.stream.rest().await).as_deref(), Some("done"));
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_refused_call_does_not_run_and_the_model_is_told_why() {
    let model = pays();
    let asked = asked(&model, "").await;
    let (status, _) = asked.answer("reject", json!({"reason": "too much"})).await;
    assert_eq!(status, 200);
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.status(), "rejected");
    assert!(asked.site.ledger().is_empty());
    assert_eq!(model.requests()[2].results(), ["Error: boss refused: too much"]);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn of_many_answers_at_once_one_counts() {
    let model = pays();
    let asked = asked(&model, "").await;
    let answers = (0..10).map(|at| asked.answer(if at % 2 == 0 { "approve" } else { "reject" }, json!({})));
    let statuses: Vec<u16> =
        futures_util::future::join_all(answers).await.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 9, "{statuses:?}");
    asked.over().await;
    let runs = usize::from(asked.status() == "consumed");
    assert_eq!(asked.site.ledger().len(), runs);
}

#[tokio::test]
async fn the_conversation_goes_on_while_a_question_is_open() {
    let model = pays();
    let asked = asked(&model, "").await;
    model.becomes(|request| Reply::say(format!("heard {}", request.last_user().contains("meanwhile"))));
    assert_eq!(asked.owner.ask_as(json!({"message": "meanwhile", "userId": "ann"})).await, "heard true");
    let tasks = asked.owner.ask_as(json!({"message": "/tasks parked", "userId": "ann"})).await;
    assert!(tasks.contains("[parked] pay them"), "{tasks}");
    asked.answer("approve", json!({})).await;
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.owner.ask_as(json!({"message": "then", "userId": "ann"})).await, "heard false");
    let words = model.requests().pop().unwrap().text();
    let (meanwhile, paid) = (words.find("meanwhile").unwrap(), words.find("paid {").unwrap());
    assert!(meanwhile < paid, "the history has turns in the order in which they ended");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_question_expires_and_nothing_can_answer_it_then() {
    let model = pays();
    let asked = asked(&model, "agent: {approval_hours: 2}\n").await;
    assert_eq!(asked.site.value::<i64>("SELECT expires_at - asked_at FROM approvals"), 2 * 3_600_000);
    clock(&asked.site, 2 * 3_600_000 - 60_000);
    let (_, body) = asked.owner.get("/api/v1/approvals").await;
    assert_eq!(body["approvals"][0]["status"], "pending");
    clock(&asked.site, 2 * 3_600_000 + 1_000);
    let (status, body) = asked.answer("approve", json!({})).await;
    assert_eq!(status, 409, "{body}");
    assert!(body["error"]["message"].as_str().unwrap().contains("expired"), "{body}");
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.status(), "expired");
    assert!(asked.site.ledger().is_empty());
    assert_eq!(model.requests()[2].results(), ["Error: nobody allowed this call in time."]);
}

#[tokio::test]
async fn a_question_is_open_for_a_day_when_nothing_else_is_said() {
    let model = pays();
    let asked = asked(&model, "").await;
    assert_eq!(asked.site.value::<i64>("SELECT expires_at - asked_at FROM approvals"), 24 * 3_600_000);
}

#[tokio::test]
async fn a_question_that_expired_while_the_server_was_down_is_closed_at_the_start() {
    let model = pays();
    let mut asked = asked(&model, "").await;
    asked.kill();
    let store = asked.site.store();
    store.execute("UPDATE approvals SET expires_at = 1", []).unwrap();
    store.execute("UPDATE wakeups SET due_at = 1", []).unwrap();
    asked.again();
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.status(), "expired");
    assert!(asked.site.ledger().is_empty());
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_question_survives_a_crash_and_is_answered_on_the_command_line() {
    let model = pays();
    let mut asked = asked(&model, "").await;
    asked.kill();
    asked.again();
    let listed = asked.site.say(&["approvals", "list"]);
    assert!(listed.contains(&asked.id) && listed.contains("bench_pay {\"n\":5}"), "{listed}");
    assert_eq!(asked.site.say(&["approvals", "approve", &asked.id]), "approved");
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.status(), "consumed");
    assert_eq!(asked.site.ledger(), ["bench_pay {\"n\":5}"]);
    assert_eq!(model.count(), 3, "no answer of the model was paid for twice");
    assert_eq!(asked.site.say(&["approvals", "list"]), "nothing waits for an answer");
    let all = asked.site.say(&["approvals", "list", "--all", "--json"]);
    assert!(all.contains("consumed"), "{all}");
    let again = asked.site.run(&["approvals", "reject", &asked.id, "--reason", "late"]);
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && errors.contains("already consumed"), "{errors}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn an_answer_right_after_a_start_is_not_lost() {
    for how in ["approve", "reject"] {
        let model = pays();
        let mut asked = asked(&model, "").await;
        asked.kill();
        // The session takes a while to read its rows: the answer comes before it is through.
        let long = "INSERT INTO history (conversation_id, first, count, seq, turn_id, messages)
                    SELECT conversation_id, value, 1, 1, turns.id,
                           '[{\"role\":\"user\",\"text\":\"' || hex(zeroblob(250000)) || '\"}]'
                    FROM turns, json_each('[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]')";
        asked.site.store().execute(long, []).unwrap();
        asked.again();
        let (status, _) = asked.answer(how, json!({})).await;
        assert_eq!(status, 200);
        assert_eq!(asked.over().await, "answered");
        assert_eq!(asked.site.ledger().len(), usize::from(how == "approve"));
    }
}

#[tokio::test]
async fn nobody_else_can_see_or_answer_the_question() {
    let model = pays();
    let asked = asked(&model, "").await;
    let (bob, ann) = (asked.user("bob", "developer"), asked.user("ann", "developer"));
    let looker = User::new(
        &asked.owner.base,
        &asked.site.say(&["keys", "create", "--name", "looker", "--role", "viewer", "--user", "ann"]),
    );
    let path = |how: &str| format!("/api/v1/approvals/{}/{how}", asked.id);
    for how in ["approve", "reject"] {
        let (status, _) = bob.post(&path(how), json!({})).await;
        assert_eq!(status, 404, "a stranger does not even learn that it exists");
        let (status, _) = looker.post(&path(how), json!({})).await;
        assert_eq!(status, 403, "who may look may not answer");
    }
    assert_eq!(bob.look("/api/v1/approvals").await["approvals"], json!([]));
    assert_eq!(bob.get("/api/v1/approvals?userId=ann").await.0, 403);
    let said = bob.ask(&format!("/approve {}", asked.id)).await;
    assert_eq!(said, "Not done: there is no such approval.");
    assert_eq!(looker.look("/api/v1/approvals").await["approvals"].as_array().unwrap().len(), 1);
    assert_eq!((asked.status().as_str(), asked.site.ledger().len()), ("pending", 0));
    let (status, body) = ann.post(&path("approve"), json!({})).await;
    assert_eq!((status.as_u16(), body["decidedBy"].as_str()), (200, Some("ann")));
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.site.ledger().len(), 1);
}

#[tokio::test]
async fn a_question_is_answered_by_a_message_too() {
    for (answer, said, status) in
        [("/approve", "Approved.", "consumed"), ("/reject", "Rejected.", "rejected")]
    {
        let model = pays();
        let asked = asked(&model, "").await;
        let words = format!("{answer} {} because", asked.id);
        assert_eq!(asked.owner.ask_as(json!({"message": words, "userId": "ann"})).await, said);
        assert_eq!(asked.over().await, "answered");
        assert_eq!(asked.status(), status);
        let again = asked.owner.ask_as(json!({"message": words, "userId": "ann"})).await;
        assert!(again.starts_with(&format!("Not done: already {status}")), "{again}");
    }
}

#[tokio::test]
async fn each_of_two_equal_calls_has_its_own_question_bound_to_what_was_shown() {
    let model = does(&[
        ("bench_pay", json!({"n": 1})),
        ("bench_pay", json!({"n": 1})),
        ("bench_pay", json!({"n": 2})),
    ]);
    let asked = asked(&model, "").await;
    let list = asked.owner.look("/api/v1/approvals").await["approvals"].clone();
    let rows = list.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let preview = row["preview"].as_str().unwrap();
        let args: Value = serde_json::from_str(preview.strip_prefix("bench_pay ").unwrap()).unwrap();
        let hash = atoll::domain::skill::action_hash("bench_pay", &args);
        assert_eq!(row["action"], hash, "the hash is of what is shown");
    }
    for row in rows {
        let id = row["id"].as_str().unwrap();
        let how = if id.ends_with("-1") { "approve" } else { "reject" };
        let (status, _) = asked.owner.post(&format!("/api/v1/approvals/{id}/{how}"), json!({})).await;
        assert_eq!(status, 200);
    }
    assert_eq!(asked.over().await, "answered");
    assert_eq!(asked.site.ledger(), ["bench_pay {\"n\":1}"]);
    let results = model.requests()[2].results();
    let refused = "Error: boss refused this call.";
    assert_eq!(results, [refused, "paid {\"n\":1}", refused], "results stand in the order of the calls");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn the_question_of_a_cancelled_turn_is_worth_nothing() {
    let model = pays();
    let asked = asked(&model, "").await;
    let (_, body) = asked.owner.post("/api/chat/cancel", json!({"userId": "ann"})).await;
    assert_eq!(body["affected"], 1);
    assert_eq!(asked.over().await, "cancelled");
    assert_eq!(asked.status(), "void");
    let (status, _) = asked.answer("approve", json!({})).await;
    assert_eq!(status, 409);
    assert_eq!(asked.owner.ask_as(json!({"message": "and now", "userId": "ann"})).await, "done");
    assert!(asked.site.ledger().is_empty());
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn the_configuration_can_have_every_call_of_a_skill_ask() {
    let model = does(&[("bench_note", json!({}))]);
    for ask in [false, true] {
        let skill = format!("skills: {{bench: {{run_on_host: true, approval: {ask}}}}}\n");
        let site = Site::new(&with_model(&model, &skill)).with_bench();
        let server = site.start();
        let user = User::new(&server.base, &site.key("me", "owner"));
        model.becomes(in_turn(vec![
            Reply::call("activate_skill", json!({"skill_name": "bench"})),
            Reply::call("bench_note", json!({})),
        ]));
        let mut stream = user.open(json!({"message": "note it"})).await;
        if ask {
            stream.until("status", |data| data["status"] == "waiting_approval").await;
            assert!(site.ledger().is_empty());
        } else {
            stream.until("response", |data| data["text"] == "done").await;
            assert_eq!(site.ledger().len(), 1);
        }
    }
}
