//! The outbound webhook: what happens is posted as it is configured, again until it is taken, once each, also over
//! crashes, and only where it may go.

use serde_json::{Value, json};

use crate::support::{
    receiver::{Receiver, SECRET, Trouble},
    *,
};

/// A site whose model does these things, that tells this receiver.
fn site(model: &MockModel, receiver: &Receiver, more: &str) -> Site {
    Site::new(&with_model(model, &format!("{BENCH}{}{more}", receiver.config("")))).with_bench()
}

async fn heard(receiver: &Receiver, kind: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} of {kind}"), async || receiver.of(kind).len() >= count).await;
    receiver.of(kind)
}

#[tokio::test]
async fn what_happens_is_posted_signed_and_files_are_links() {
    let receiver = Receiver::start();
    let model = does(&[("bench_files", json!({"n": 1})), ("bench_pay", json!({"n": 5}))]);
    let site = site(&model, &receiver, "budgets: {turn: {tool_calls: 3}}");
    let server = site.start();
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    let mut stream = owner.open(json!({"message": "pay them", "userId": "ann"})).await;
    let status = stream.until("status", |data| data["status"] == "waiting_approval").await;
    let asked = heard(&receiver, "approval", 1).await.remove(0);
    assert_eq!(
        (&asked["userId"], &asked["status"], &asked["preview"], &asked["approvalId"]),
        (&json!("ann"), &json!("pending"), &json!("bench_pay {\"n\":5}"), &status.data["approvalId"])
    );
    let id = asked["approvalId"].as_str().unwrap();
    owner.post(&format!("/api/v1/approvals/{id}/approve"), json!({})).await;
    let decided = heard(&receiver, "approval", 2).await.remove(1);
    assert_eq!((&decided["status"], &decided["decidedBy"]), (&json!("approved"), &json!("boss")));

    let answer = heard(&receiver, "message", 1).await.remove(0);
    let last = stream.rest().await;
    assert_eq!(answer["text"].as_str(), answer_of(&last).as_deref());
    let place = (&answer["userId"], &answer["channel"], &answer["conversationId"]);
    assert_eq!(place, (&json!("ann"), &json!("api"), &json!("default")));
    let file = heard(&receiver, "file", 1).await.remove(0);
    assert_eq!((&file["filePath"], &file["file"]), (&answer["files"][0]["url"], &answer["files"][0]));
    let bytes = owner.request(reqwest::Method::GET, file["filePath"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(bytes.text().await.unwrap(), "inside\n");
    let notice = heard(&receiver, "notification", 1).await.remove(0);
    assert_eq!(notice["title"], "Budget warning");

    owner.ask_as(json!({"message": "/cost", "userId": "bob"})).await;
    let answers = heard(&receiver, "message", 2).await;
    assert!(answers[1]["text"].as_str().unwrap().contains("Today"), "a command is answered, too");
    let rows = "SELECT count(*) FROM outbox WHERE channel = 'callback'";
    assert_eq!(site.number(rows), receiver.taken().len() as i64, "each is told once");
    assert!(!site.log().contains("t0ken"), "the log holds what may be a secret");
}

#[tokio::test]
async fn only_what_is_wanted_is_posted_and_nothing_when_it_is_off() {
    let receiver = Receiver::start();
    let model = MockModel::start(|_| Reply::say("fine"));
    for (more, wanted) in [("", 1), (", events: [notification, job]", 0), (", events: [message]", 1)] {
        let site = Site::new(&with_model(&model, &receiver.config(more)));
        let server = site.start();
        let owner = User::new(&server.base, &site.key("boss", "owner"));
        assert_eq!(owner.ask("hi").await, "fine");
        assert_eq!(site.number("SELECT count(*) FROM outbox WHERE channel = 'callback'"), wanted, "{more}");
    }
    let off = receiver.config("").replace("enabled: true, ", "");
    let site = Site::new(&with_model(&model, &off));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    assert_eq!(owner.ask("hi").await, "fine");
    assert_eq!(site.number("SELECT count(*) FROM outbox WHERE channel = 'callback'"), 0);
}

#[tokio::test]
async fn it_does_not_start_towards_an_address_that_is_not_public_unless_that_is_allowed() {
    let url = "http://127.0.0.1:9/hook";
    let config = format!("channels: {{webhook: {{enabled: true, callback_url: '{url}', secret: {SECRET}}}}}");
    let refused = match Site::new(&config).try_start(&[]) {
        Ok(_) => panic!("it starts"),
        Err(text) => text,
    };
    assert!(
        refused.contains("channels.webhook.callback_url: leads to what is not on the internet"),
        "{refused}"
    );
    let bare = match Site::new("channels: {webhook: {enabled: true}}").try_start(&[]) {
        Ok(_) => panic!("it starts"),
        Err(text) => text,
    };
    for key in ["channels.webhook.callback_url: ", "channels.webhook.secret: "] {
        assert!(bare.contains(key), "{bare}");
    }
    // What waited when this was allowed is not sent once it is not.
    let receiver = Receiver::start();
    receiver.then([Trouble::Says(503, vec![])]);
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, &receiver.config("")));
    let server = site.start();
    User::new(&server.base, &site.key("boss", "owner")).ask("hi").await;
    until("it was tried", async || receiver.attempts() == 1).await;
    server.stop();
    site.configure(&with_model(&model, ""));
    let _server = site.start();
    until("it is given up", async || site.number("SELECT count(*) FROM outbox WHERE state = 'dead'") == 1)
        .await;
    assert!(site.say(&["outbox"]).contains("switched off"));
    assert_eq!(receiver.attempts(), 1);
}

#[tokio::test]
async fn a_receiver_in_trouble_gets_each_of_them_in_the_end_and_knows_a_repeat() {
    let receiver = Receiver::start();
    let soon = || vec![("retry-after".to_owned(), "0".to_owned())];
    receiver.then([
        Trouble::Says(500, soon()),
        Trouble::Says(429, soon()),
        Trouble::Says(503, soon()),
        Trouble::Loses,
    ]);
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, &receiver.config("")));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    for user in ["ann", "bob", "cid"] {
        assert_eq!(owner.ask_as(json!({"message": "hi", "userId": user})).await, "fine");
    }
    let sent = "SELECT count(*) FROM outbox WHERE channel = 'callback' AND state = 'sent'";
    until("all have arrived", async || site.number(sent) == 3).await;
    let mut users: Vec<String> =
        receiver.of("message").iter().map(|told| told["userId"].to_string()).collect();
    users.sort();
    assert_eq!(users, ["\"ann\"", "\"bob\"", "\"cid\""]);
    assert_eq!(receiver.attempts(), 7, "three good ones, and one more for each trouble");
}

#[tokio::test]
async fn what_a_receiver_refuses_is_dead_and_sent_again_by_hand() {
    let receiver = Receiver::start();
    let elsewhere = Receiver::start();
    let moved = vec![("location".to_owned(), elsewhere.url())];
    receiver.then([Trouble::Says(307, moved), Trouble::Says(410, vec![])]);
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, &receiver.config("")));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("boss", "owner"));
    for _ in 0..2 {
        owner.ask("hi").await;
    }
    let dead = async || owner.look("/api/v1/outbox?state=dead").await["messages"].as_array().unwrap().clone();
    until("both are dead", async || dead().await.len() == 2).await;
    assert_eq!(elsewhere.attempts(), 0, "it follows nobody");
    let rows = dead().await;
    assert!(rows.iter().any(|row| row["error"].as_str().unwrap().contains("307")), "{rows:?}");
    for row in rows {
        let again = format!("/api/v1/outbox/{}/resend", row["id"]);
        assert_eq!(owner.post(&again, json!({})).await.0, 200);
    }
    assert_eq!(heard(&receiver, "message", 2).await.len(), 2);
}

#[tokio::test]
async fn a_job_tells_of_its_start_and_its_end() {
    let receiver = Receiver::start();
    let config =
        format!("llm: {{provider: rehearsal}}\nsandbox: {{docker: /nonexistent}}\n{}", receiver.config(""));
    let site = Site::new(&config);
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    crate::board::made(&owner, "/api/v1/projects", json!({"name": "App", "repoUrl": "/srv/app.git"})).await;
    let made = owner.post("/api/v1/tasks", json!({"projectId": "app", "instruction": "mend it"})).await.1;
    let task = format!("/api/v1/tasks/{}", made["jobId"].as_str().unwrap());
    until("it is parked without Docker", async || owner.get(&task).await.1["status"] == "parked").await;
    owner.post(&format!("{task}/cancel"), json!({})).await;
    let told = heard(&receiver, "job", 2).await;
    let brief = |told: &Value| (told["event"].clone(), told["jobId"].clone(), told["projectId"].clone());
    assert_eq!(brief(&told[0]), (json!("started"), made["jobId"].clone(), json!("app")));
    assert_eq!(brief(&told[1]), (json!("ended"), made["jobId"].clone(), json!("app")));
    assert_eq!((&told[1]["status"], &told[1]["title"]), (&json!("cancelled"), &json!("mend it")));
    let notices = heard(&receiver, "notification", 2).await;
    let titles: Vec<_> = notices.iter().map(|notice| notice["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["The task waits", "Task cancelled: mend it"]);
}
