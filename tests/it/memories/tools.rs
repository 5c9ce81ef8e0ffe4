//! The memory tools, called by a model.

use serde_json::{Value, json};

use super::{begin, search, store};
use crate::support::*;

/// Lets the model call one tool, and gives what it was told.
async fn call(model: &MockModel, user: &User, tool: &'static str, args: Value) -> String {
    model.becomes(move |request| match request.results().is_empty() {
        true => Reply::call(tool, args.clone()),
        false => Reply::say("done"),
    });
    assert_eq!(user.ask("go on").await, "done");
    let results = model.requests().pop().unwrap().results();
    assert_eq!(results.len(), 1, "{results:?}");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    results[0].clone()
}

#[tokio::test]
async fn a_model_stores_finds_corrects_and_forgets() {
    let (model, site, _server, user) = begin();
    let args =
        json!({"content": "The user sails", "category": "personal", "tags": ["sea"], "importance": 0.7});
    let told = call(&model, &user, "memory_store", args).await;
    let id = site.text("SELECT id FROM memories");
    assert!(told.contains(&id), "{told}");
    let stored = user.look(&format!("/api/v1/memories/{id}")).await;
    assert_eq!((&stored["content"], &stored["source"]), (&json!("The user sails"), &json!("tool")));
    assert_eq!((&stored["category"], &stored["tags"]), (&json!("personal"), &json!(["sea"])));
    assert_eq!((&stored["importance"], &stored["userId"]), (&json!(0.7), &json!("ann")));
    let told = call(&model, &user, "memory_retrieve", json!({"query": "sailing"})).await;
    assert!(told.contains(&format!("[{id}] (personal) The user sails [sea]")), "{told}");
    assert!(site.number("SELECT uses FROM memories") >= 1, "its use is counted");
    let told = call(&model, &user, "memory_store", json!({"content": "the user sails."})).await;
    assert!(told.contains(&id) && told.contains("Joined"), "{told}");
    let args = json!({"memory_id": format!("[{id}]"), "content": "The user rows"});
    let told = call(&model, &user, "memory_update", args).await;
    assert!(told.contains("The user rows"), "{told}");
    assert_eq!(search(&user, "rowing").await, ["The user rows"]);
    let told = call(&model, &user, "memory_list", json!({"category": "personal"})).await;
    assert!(told.contains(&id), "{told}");
    assert_eq!(call(&model, &user, "memory_list", json!({"category": "project"})).await, "Nothing found.");
    assert_eq!(call(&model, &user, "memory_delete", json!({"memory_id": id})).await, "Memory deleted.");
    assert_eq!(call(&model, &user, "memory_retrieve", json!({"query": "rows"})).await, "Nothing found.");
    assert_eq!(site.number("SELECT count(*) FROM memories"), 0);
}

#[tokio::test]
async fn what_a_tool_cannot_do_it_says_to_the_model() {
    let (model, site, _server, user) = begin();
    for (tool, args) in [
        ("memory_store", json!({})),
        ("memory_store", json!({"content": "  "})),
        ("memory_store", json!({"content": "x", "importance": 7})),
        ("memory_update", json!({"memory_id": "none", "content": "x"})),
        ("memory_delete", json!({"memory_id": "none"})),
        ("memory_delete", json!({})),
    ] {
        let told = call(&model, &user, tool, args.clone()).await;
        assert!(told.starts_with("Error"), "{tool} {args}: {told}");
    }
    assert_eq!(site.number("SELECT count(*) FROM memories"), 0);
}

#[tokio::test]
async fn a_model_reaches_the_facts_of_the_user_it_works_for_and_no_others() {
    let (model, site, server, ann) = begin();
    let bob = User::new(&server.base, &site.key("bob", "developer"));
    let id = store(&ann, json!({"content": "Ann's safe opens with 1-2-3"})).await;
    assert_eq!(call(&model, &bob, "memory_retrieve", json!({"query": "safe opens"})).await, "Nothing found.");
    assert_eq!(call(&model, &bob, "memory_list", json!({})).await, "Nothing found.");
    let args = json!({"memory_id": id, "userId": "ann", "user_id": "ann", "content": "x"});
    for tool in ["memory_update", "memory_delete"] {
        let told = call(&model, &bob, tool, args.clone()).await;
        assert!(told.starts_with("Error"), "{tool}: {told}");
    }
    let seen = model.requests().iter().any(|request| request.text().contains("1-2-3"));
    assert!(!seen, "bob's model was shown ann's fact");
    assert_eq!(search(&ann, "safe").await, ["Ann's safe opens with 1-2-3"]);
    assert!(call(&model, &ann, "memory_list", json!({})).await.contains("1-2-3"));
}

#[tokio::test]
async fn a_fact_of_the_user_reaches_the_model_before_a_message_that_it_fits() {
    let (model, site, _server, user) = begin();
    store(&user, json!({"content": "The boat is called Heron"})).await;
    user.ask("what is my boat called?").await;
    assert!(model.requests()[0].text().contains("The boat is called Heron"));
    user.ask_as(json!({"message": "two plus two?", "conversationId": "maths"})).await;
    assert!(!model.requests()[1].text().contains("Heron"), "it does not fit, and is left out");
    assert_eq!(site.number("SELECT uses FROM memories"), 1);
    assert_eq!(site.number("SELECT count(*) FROM memories"), 1, "what is recalled is not stored anew");
}
