//! The tree of actors: what is seen of it, what becomes of one that falls, who may start it again.

use serde_json::{Value, json};

use crate::support::*;

fn house(config: &str, env: &[(&str, &str)]) -> (Site, Server, User) {
    let site = Site::new(config);
    let server = site.start_with(env);
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

async fn actor(user: &User, name: &str) -> Value {
    let tree = user.look("/api/v1/actors").await;
    let list = tree["actors"].as_array().unwrap().clone();
    list.into_iter().find(|actor| actor["name"] == name).unwrap_or_else(|| panic!("no {name}: {tree:#}"))
}

#[tokio::test]
async fn the_whole_tree_is_seen_with_its_signs() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let (site, _server, user) = house(&with_model(&model, ""), &[]);
    user.ask("hi").await;
    let tree = user.look("/api/v1/actors").await;
    let list = tree["actors"].as_array().unwrap();
    assert_eq!(tree["total"], list.len());
    let parents: Vec<(&str, &str)> = list
        .iter()
        .map(|actor| (actor["name"].as_str().unwrap(), actor["parent"].as_str().unwrap()))
        .collect();
    for name in [
        "db",
        "db_keeper",
        "db_reader_1",
        "db_reader_2",
        "delivery_api",
        "delivery_terminal",
        "event_hub",
        "intake_api",
        "intake_terminal",
        "llm_pool",
        "outbox",
        "router",
        "scheduler",
        "skill_host",
    ] {
        assert!(parents.contains(&(name, "root")), "{name}: {parents:?}");
    }
    assert!(parents.contains(&("api/api-default/default", "router")), "{parents:?}");
    for actor in list {
        assert_eq!(actor["state"], "running", "{actor}");
        assert!(actor["mailboxCapacity"].as_u64().unwrap() > 0, "{actor}");
        for number in ["mailboxDepth", "oldestMs", "handled", "panics", "errors", "stops", "freezes"] {
            assert!(actor[number].is_u64(), "{number}: {actor}");
        }
        assert!(actor["lastError"].is_null(), "{actor}");
    }
    for worked in ["db", "intake_api", "router", "llm_pool", "delivery_api", "api/api-default/default"] {
        assert!(actor(&user, worked).await["handled"].as_u64().unwrap() > 0, "{worked}");
    }
    let table = site.say(&["actors", "list"]);
    for word in [
        "mailbox",
        "oldest",
        "handled",
        "restarts",
        "last error",
        "llm_pool",
        "api/api-default/default",
        "0 panics",
    ] {
        assert!(table.contains(word), "{word}\n{table}");
    }
    let sessions: Value =
        serde_json::from_str(&site.say(&["actors", "list", "--kind", "session", "--json"])).unwrap();
    assert_eq!(
        (&sessions["total"], &sessions["actors"][0]["name"]),
        (&json!(1), &json!("api/api-default/default"))
    );
    assert!(site.say(&["actors", "inspect", "llm_pool"]).contains("openai-compatible"));
}

#[tokio::test]
async fn a_conversation_that_is_held_up_shows_how_long_its_mail_waits() {
    let gate = Gate::new();
    let held = gate.clone();
    let model = MockModel::start(move |_| held.then(Reply::say("hello")));
    let (_site, _server, user) = house(&with_model(&model, ""), &[]);
    let stream = user.open(json!({"message": "hi"})).await;
    until("the model is asked", async || model.count() == 1).await;
    let inspected = user.look("/api/v1/actors/inspect?name=llm_pool").await;
    assert_eq!(inspected["providers"][0]["inFlight"], 1, "asked while it works, and answered at once");
    assert_eq!(user.look("/api/v1/actors/inspect?name=router").await["sessions"], 1);
    assert_eq!(actor(&user, "api/api-default/default").await["state"], "running");
    gate.open();
    assert_eq!(answer_of(&stream.rest().await).unwrap(), "hello");
}

#[tokio::test]
async fn others_than_owners_see_no_names_of_people_and_restart_nothing() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let (site, server, user) = house(&with_model(&model, ""), &[]);
    user.ask("hi").await;
    for role in ["developer", "viewer"] {
        let other = User::new(&server.base, &site.key(role, role));
        let tree = other.look("/api/v1/actors").await;
        assert!(!tree.to_string().contains("api/api-default"), "{tree}");
        let (status, body) = other.post("/api/v1/actors/restart", json!({"name": "db"})).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (403, &json!("forbidden")));
        assert_eq!(other.get("/api/v1/actors/inspect?name=db").await.0, 403);
    }
    let (status, body) = user.post("/api/v1/actors/restart", json!({"name": "llm_pool"})).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (409, &json!("not_parked")));
    let (status, body) =
        user.post("/api/v1/actors/restart", json!({"name": "api/api-default/default"})).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (409, &json!("not_parked")));
    let (status, body) = user.post("/api/v1/actors/restart", json!({"name": "nobody"})).await;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (404, &json!("not_found")));
    let output = site.run(&["actors", "restart", "llm_pool"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("409"));
}

#[tokio::test]
async fn an_actor_that_panics_is_started_again_and_its_work_is_done() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let (site, _server, user) = house(&with_model(&model, ""), &[("ATOLL_PANIC", "answered:model#2")]);
    assert_eq!(user.ask("hi").await, "hello");
    let session = actor(&user, "api/api-default/default").await;
    assert_eq!((&session["state"], &session["panics"]), (&json!("running"), &json!(2)));
    assert!(session["lastError"].as_str().unwrap().contains("the fault that was asked for"), "{session}");
    assert!(session["lastErrorAt"].is_i64());
    assert!(site.say(&["actors", "list", "--kind", "session"]).contains("2 panics"));
    let answers: i64 = site
        .store()
        .query_row("SELECT count(*) FROM outbox WHERE json_extract(body, '$.kind') = 'answer'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(answers, 1);
    let metrics = user.request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let restarts = metrics.lines().find(|line| line.contains("restarts") && line.contains("\"session\""));
    assert!(restarts.is_some_and(|line| line.ends_with(" 2")), "{restarts:?}");
    assert_eq!(user.ask("again").await, "hello");
}

#[tokio::test]
async fn one_that_falls_too_often_is_parked_seen_and_started_by_an_owner() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let (site, _server, user) = house(&with_model(&model, ""), &[("ATOLL_PANIC", "before_send:api#6")]);
    let mut streams = Vec::new();
    for at in 1..=6 {
        let body = json!({"message": "hi", "conversationId": format!("c{at}")});
        streams.push(user.open(body).await);
        until("it fell, and is up again or parked", async || {
            let actor = actor(&user, "delivery_api").await;
            // What was cut off is sent again, and fells it again: it may be ahead of us.
            actor["panics"].as_u64() >= Some(at) && actor["state"] != "starting"
        })
        .await;
    }
    for stream in streams {
        let events = stream.rest().await;
        assert_eq!(answer_of(&events).unwrap(), "hello", "it is stored, whoever falls while it is sent");
    }
    let fallen = actor(&user, "delivery_api").await;
    assert_eq!((&fallen["state"], &fallen["panics"]), (&json!("parked"), &json!(6)));
    assert_eq!(user.get("/readyz").await.0, 503);
    let health = user.look("/api/v1/health").await;
    assert_eq!(health["status"], "failing");
    let table = String::from_utf8(site.run(&["status"]).stdout).unwrap();
    assert!(table.contains("delivery_api (parked)") && table.contains("atoll actors restart"), "{table}");
    assert!(site.say(&["actors", "list"]).contains("parked"));
    assert_eq!(user.ask("and now?").await, "hello", "also without it");
    assert!(site.say(&["actors", "restart", "delivery_api"]).contains("started again"));
    assert_eq!(actor(&user, "delivery_api").await["state"], "running");
    assert_eq!(user.get("/readyz").await.0, 200);
    let audit = user.look("/api/v1/audit").await;
    let rows = audit["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["action"] == "actor.restarted" && row["subject"] == "delivery_api"));
    assert_eq!(user.ask("well again?").await, "hello");
}

#[tokio::test]
async fn a_message_that_fells_its_conversation_again_and_again_is_given_up_honestly() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let config = with_model(&model, "agent: {max_resumes: 2}");
    let (_site, _server, user) = house(&config, &[("ATOLL_PANIC", "answered:model#3")]);
    let events = user.chat(json!({"message": "hi"})).await;
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["code"]), ("error", &json!("poisoned")));
    assert!(last.data["message"].as_str().unwrap().contains("gave up"), "{last:?}");
    assert_eq!(actor(&user, "api/api-default/default").await["state"], "running");
    assert_eq!(user.ask("and something else?").await, "hello");
}

#[tokio::test]
async fn a_conversation_that_is_parked_says_so_and_is_started_by_an_owner() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let config = with_model(&model, "agent: {max_resumes: 100}");
    let (site, _server, user) = house(&config, &[("ATOLL_PANIC", "answered:model#6")]);
    let stream = user.open_keyed("k", json!({"message": "hi"})).await;
    until("it is parked", async || actor(&user, "api/api-default/default").await["state"] == "parked").await;
    let (status, body) = user.post("/api/chat", json!({"message": "anybody?"})).await;
    assert_eq!(status, 503);
    assert!(body["error"]["message"].as_str().unwrap().contains("an owner must restart it"), "{body}");
    let other = user.ask_as(json!({"message": "hi", "conversationId": "other"})).await;
    assert_eq!(other, "hello", "nobody else is harmed");
    let said = site.say(&["actors", "restart", "api/api-default/default"]);
    assert!(said.contains("started again"), "{said}");
    assert_eq!(answer_of(&stream.rest().await).unwrap(), "hello", "what was open is done");
    assert_eq!(user.ask("and now?").await, "hello");
}
