//! The stream of a user's events: order, replay, heart-beat.

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::json;

use crate::support::*;

fn begin(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (MockModel, Site, Server, User) {
    let model = MockModel::start(script);
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("ann", "developer"));
    (model, site, server, user)
}

/// Follows ann from after an event; from now on when there is none.
async fn follow(user: &User, after: Option<&str>) -> Stream {
    let mut request = user.request(Method::GET, "/api/events/ann");
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let stream = Stream::of(request).await;
    assert_eq!(stream.status, 200);
    stream
}

/// What the user said, without what stands before it.
fn words(request: &Request) -> String {
    request.last_user().lines().last().unwrap_or_default().to_owned()
}

async fn take(stream: &mut Stream, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(stream.next().await.unwrap());
    }
    events
}

fn texts(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.data["text"].as_str().unwrap()).collect()
}

fn number(event: &Event) -> i64 {
    event.id.as_ref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_goes_out_to_a_user_is_shown_live_in_the_shape_that_clients_know() {
    let (model, _site, _server, user) = begin(|request| Reply::say(format!("answer {}", request.number)));
    user.ask("before anybody listened").await;
    let mut stream = follow(&user, None).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-cache");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let chat = user.open(json!({"message": "hi", "conversationId": "work"})).await;
    let id = chat.headers["x-message-id"].to_str().unwrap().to_owned();
    chat.rest().await;
    let event = stream.next().await.unwrap();
    assert_eq!(event.name, "response");
    let data = json!({
        "text": "answer 2", "files": [], "outcome": "answered", "conversationId": "work", "answers": [id],
    });
    assert_eq!(event.data, data, "what was said before is not shown unasked");
    assert!(number(&event) > 0);
    assert!(model.refused().is_empty());
}

#[tokio::test]
async fn what_was_missed_comes_first_in_order_and_once() {
    let (_model, _site, server, user) = begin(|request| Reply::say(format!("answer {}", request.number)));
    for _ in 0..5 {
        user.ask("hi").await;
    }
    let mut stream = follow(&user, Some("0")).await;
    let all = take(&mut stream, 5).await;
    assert_eq!(texts(&all), ["answer 1", "answer 2", "answer 3", "answer 4", "answer 5"]);
    assert!(all.is_sorted_by_key(number));
    user.ask("live").await;
    assert_eq!(texts(&take(&mut stream, 1).await), ["answer 6"]);
    let mut later = follow(&user, all[2].id.as_deref()).await;
    assert_eq!(texts(&take(&mut later, 3).await), ["answer 4", "answer 5", "answer 6"]);
    let path = format!("/api/events/ann?after={}", all[3].id.as_ref().unwrap());
    let mut by_query = Stream::of(user.request(Method::GET, &path)).await;
    assert_eq!(texts(&take(&mut by_query, 2).await), ["answer 5", "answer 6"]);
    assert!(server.stop().success(), "open streams do not hold it up");
    for mut stream in [stream, later, by_query] {
        assert_eq!(stream.next().await, None, "and they end with nothing shown twice");
    }
}

#[tokio::test]
async fn many_conversations_at_once_are_shown_in_the_order_of_their_numbers() {
    const CONVERSATIONS: usize = 40;
    let (model, site, _server, user) = begin(|request| Reply::say(words(request)));
    let mut stream = follow(&user, None).await;
    let tasks: Vec<_> = (0..CONVERSATIONS)
        .map(|at| {
            let user = user.clone();
            let body = json!({"message": format!("m{at}"), "conversationId": format!("c{at}")});
            tokio::spawn(async move { user.ask_as(body).await })
        })
        .collect();
    let live = take(&mut stream, CONVERSATIONS).await;
    for task in tasks {
        task.await.unwrap();
    }
    let numbers: Vec<i64> = live.iter().map(number).collect();
    assert!(
        numbers.is_sorted_by(|one, two| one < two),
        "a client that leaves in between misses some: {numbers:?}"
    );
    let mut again = follow(&user, Some("0")).await;
    assert_eq!(take(&mut again, CONVERSATIONS).await, live);
    assert_eq!(site.number("SELECT count(*) FROM outbox"), CONVERSATIONS as i64);
    assert!(model.refused().is_empty());
}

#[tokio::test]
async fn the_numbers_survive_a_restart_and_what_nobody_heard_is_replayed_after_it() {
    let (_model, site, server, user) = begin(|request| Reply::say(format!("answer {}", request.number)));
    let mut stream = follow(&user, None).await;
    user.ask("heard").await;
    let heard = stream.next().await.unwrap();
    drop(stream);
    user.ask("unheard").await;
    server.kill();
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    let mut stream = follow(&user, heard.id.as_deref()).await;
    let unheard = stream.next().await.unwrap();
    assert_eq!((unheard.name.as_str(), &unheard.data["text"]), ("response", &json!("answer 2")));
    user.ask("again").await;
    let live = stream.next().await.unwrap();
    assert_eq!(live.data["text"], "answer 3");
    assert!(number(&heard) < number(&unheard) && number(&unheard) < number(&live));
    let mut all = follow(&user, Some("0")).await;
    assert_eq!(take(&mut all, 3).await, [heard, unheard, live]);
}

#[tokio::test]
async fn a_user_s_stream_shows_nothing_of_others() {
    let (_model, site, server, ann) = begin(|request| Reply::say(words(request)));
    let bob = User::new(&server.base, &site.key("bob", "viewer"));
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let (status, body) = bob.get("/api/events/ann").await;
    assert_eq!((status.as_u16(), code_of(&body)), (403, "forbidden"));
    let mut stream = follow(&ann, Some("0")).await;
    let mut watched = follow(&owner, Some("0")).await;
    owner.ask_as(json!({"message": "bob's", "userId": "bob"})).await;
    owner.ask("the owner's").await;
    ann.ask("ann's").await;
    for stream in [&mut stream, &mut watched] {
        assert_eq!(texts(&take(stream, 1).await), ["ann's"]);
    }
    let mut bobs = Stream::of(bob.request(Method::GET, "/api/events/bob?after=0")).await;
    assert_eq!(texts(&take(&mut bobs, 1).await), ["bob's"]);
}

#[tokio::test]
async fn a_question_is_a_notification_with_its_approval() {
    let twice = || Reply::Call(String::new(), vec![("clock".into(), json!({})), ("clock".into(), json!({}))]);
    let model = MockModel::start(move |_| twice());
    let site = Site::new(&with_model(&model, "budgets: {turn: {tool_calls: 1}}"));
    let server = site.start();
    let user = User::new(&server.base, &site.key("ann", "developer"));
    let _parked = user.open(json!({"message": "what time is it, twice?"})).await;
    let mut stream = follow(&user, Some("0")).await;
    let question = stream.until("notification", |data| data["approvalId"].is_string()).await;
    assert_eq!(question.data["title"], "Approval needed");
    assert_eq!(question.data["approvalId"], site.text("SELECT id FROM approvals"));
    assert_eq!(question.data["conversationId"], "default");
    assert!(question.data["expiresAt"].as_str().unwrap().ends_with('Z'));
    assert!(number(&question) > 0);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_place_that_cannot_be_read_is_refused() {
    let (_model, _site, _server, user) = begin(|_| Reply::say("never"));
    for after in ["x", "-1", "1.5", "99999999999999999999"] {
        let response =
            user.request(Method::GET, "/api/events/ann").header("last-event-id", after).send().await;
        let response = response.unwrap();
        assert_eq!(response.status(), 400, "{after}");
        assert_eq!(code_of(&response.json().await.unwrap()), "bad_request");
        assert_eq!(user.get(&format!("/api/events/ann?after={after}")).await.0, 400, "{after}");
    }
    for user_id in ["a%2Fb", "%20"] {
        assert_eq!(user.get(&format!("/api/events/{user_id}")).await.0, 400, "{user_id}");
    }
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_lives() {
    let (_model, _site, _server, user) = begin(|_| Reply::say("fine"));
    let response = user.request(Method::GET, "/api/events/ann").send().await.unwrap();
    let mut bytes = response.bytes_stream();
    let beat = tokio::time::timeout(PATIENCE, bytes.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(beat, ": ping\n\n", "a comment, which clients skip");
    user.ask("hi").await;
    let event = tokio::time::timeout(PATIENCE, bytes.next()).await.unwrap().unwrap().unwrap();
    assert!(event.starts_with(b"event: response\n"), "{event:?}");
}
