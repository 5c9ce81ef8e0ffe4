//! What the model is told: a prefix that stays the same to the byte, personas, memories, and no secret.

use serde_json::{Value, json};

use crate::support::*;

const TOOLS_THAT_ARE_ALWAYS_THERE: [&str; 7] = [
    "activate_skill",
    "clock",
    "memory_delete",
    "memory_list",
    "memory_retrieve",
    "memory_store",
    "memory_update",
];

fn house(config: &str) -> (Site, Server, User) {
    let site = Site::new(config);
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

fn system(request: &Request) -> String {
    let found = if request.is_anthropic() {
        request.body["system"][0]["text"].as_str()
    } else {
        request.body["messages"][0]["content"].as_str()
    };
    found.unwrap().to_owned()
}

/// The conversation as it was sent, without marks for the cache, each message as text.
fn conversation(request: &Request) -> Vec<String> {
    let mut messages = request.body["messages"].clone();
    for message in messages.as_array_mut().unwrap() {
        for block in message["content"].as_array_mut().into_iter().flatten() {
            block.as_object_mut().unwrap().remove("cache_control");
        }
    }
    messages.as_array().unwrap().iter().map(Value::to_string).collect()
}

fn names(request: &Request) -> Vec<String> {
    let tools = request.body["tools"].as_array().cloned().unwrap_or_default();
    let name = |tool: &Value| tool["name"].as_str().or(tool["function"]["name"].as_str()).map(str::to_owned);
    tools.iter().filter_map(name).collect()
}

/// Answers the first message with a call of a tool, and all else with words.
fn curious(request: &Request) -> Reply {
    if request.results().is_empty() && request.last_user().ends_with("time?") {
        return Reply::call("clock", json!({}));
    }
    Reply::say(format!("answer {}", request.number))
}

#[tokio::test]
async fn each_request_of_a_conversation_begins_with_the_one_before_to_the_byte() {
    for (model, config) in both(curious, "") {
        let (_site, _server, user) = house(&config);
        for message in ["hello", "what is the time?", "thank you"] {
            user.ask(message).await;
        }
        let requests = model.requests();
        assert_eq!(requests.len(), 4);
        for pair in requests.windows(2) {
            assert_eq!(system(&pair[0]), system(&pair[1]));
            assert_eq!(pair[0].body["tools"], pair[1].body["tools"]);
            let (before, after) = (conversation(&pair[0]), conversation(&pair[1]));
            assert!(after.len() > before.len());
            assert_eq!(before[..], after[..before.len()], "the beginning of a prompt is cached by its bytes");
        }
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn the_prefix_is_the_same_for_all_users_and_after_a_restart() {
    for (model, config) in both(|_| Reply::say("hello"), "") {
        let (site, server, user) = house(&config);
        for name in ["ann", "ben"] {
            user.ask_as(json!({"message": format!("I am {name}"), "userId": name})).await;
        }
        let key = user.key.clone();
        assert!(server.stop().success());
        let server = site.start();
        let user = User::new(&server.base, &key);
        user.ask_as(json!({"message": "I am ann", "userId": "ann", "conversationId": "other"})).await;
        let requests = model.requests();
        for request in &requests[1..] {
            assert_eq!(system(&requests[0]), system(request));
            assert_eq!(requests[0].body["tools"].to_string(), request.body["tools"].to_string());
        }
        let prefix = system(&requests[0]);
        for changing in ["ann", "ben", "UTC", "202", "conversation"] {
            assert!(!prefix.contains(changing), "{changing} in the prefix:\n{prefix}");
        }
    }
}

#[tokio::test]
async fn tools_are_sent_once_and_in_the_order_of_their_names() {
    for (model, config) in both(|_| Reply::say("hello"), "") {
        let (_site, _server, user) = house(&config);
        user.ask("hello").await;
        let request = model.requests().remove(0);
        assert_eq!(names(&request), TOOLS_THAT_ARE_ALWAYS_THERE);
        let description = "The current date and time.";
        assert_eq!(request.text().matches(description).count(), 1, "no second list of tools in words");
        for tool in request.body["tools"].as_array().unwrap() {
            let schema = if tool["input_schema"].is_object() {
                &tool["input_schema"]
            } else {
                &tool["function"]["parameters"]
            };
            assert_eq!(schema["type"], "object", "{tool}");
        }
    }
}

#[tokio::test]
async fn anthropic_is_shown_where_its_cache_may_end() {
    let model = MockModel::start(curious);
    let (_site, _server, user) = house(&with_anthropic(&model, ""));
    user.ask("hello").await;
    user.ask("what is the time?").await;
    let mark = json!({"type": "ephemeral"});
    for request in model.requests() {
        let body = &request.body;
        assert_eq!(body["tools"].as_array().unwrap().last().unwrap()["cache_control"], mark);
        assert_eq!(body["system"][0]["cache_control"], mark);
        let last = body["messages"].as_array().unwrap().last().unwrap()["content"].as_array().unwrap().last();
        assert_eq!(last.unwrap()["cache_control"], mark, "so that the next request finds all of this one");
        assert_eq!(request.text().matches("cache_control").count(), 3);
    }
}

#[tokio::test]
async fn a_router_to_anthropic_gets_the_marks_too_and_others_do_not() {
    for (name, marked) in [("anthropic/claude-sonnet-4", true), ("openai/gpt-4o", false)] {
        let model = MockModel::start(|_| Reply::say("hello"));
        let base = model.openai();
        let (_site, _server, user) =
            house(&format!("llm: {{provider: openrouter, base_url: '{base}', model: {name}, api_key: k}}"));
        user.ask("hello").await;
        assert_eq!(model.requests()[0].text().contains("cache_control"), marked);
    }
}

#[tokio::test]
async fn the_home_says_who_the_assistant_and_its_owner_are_and_defaults_stand_in() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let key = site.key("me", "owner");
    User::new(&server.base, &key).ask("hi").await;
    let built_in = system(&model.requests()[0]);
    let own = include_str!("../../assets/persona/BOT.md");
    assert!(built_in.starts_with(own.trim()), "{built_in}");
    assert!(server.stop().success());
    std::fs::write(site.home().join("BOT.md"), "You are Marvin, and gloomy.\n").unwrap();
    std::fs::write(site.home().join("USER.md"), "The owner grows roses.").unwrap();
    std::fs::create_dir_all(site.home().join("users/ann")).unwrap();
    std::fs::write(site.home().join("users/ann/USER.md"), "Ann keeps bees.").unwrap();
    let server = site.start();
    let user = User::new(&server.base, &key);
    user.ask_as(json!({"message": "hi", "conversationId": "new"})).await;
    user.ask_as(json!({"message": "hi", "userId": "ann"})).await;
    user.ask_as(json!({"message": "hi", "userId": "ben"})).await;
    let prompts: Vec<String> = model.requests()[1..].iter().map(system).collect();
    assert!(prompts.iter().all(|prompt| prompt.starts_with("You are Marvin, and gloomy.")), "{prompts:#?}");
    let knows = |word: &str| prompts.iter().map(|prompt| prompt.contains(word)).collect::<Vec<_>>();
    assert_eq!(knows("roses"), [true, false, false], "the owner's own is shown to nobody else");
    assert_eq!(knows("bees"), [false, true, false]);
}

#[tokio::test]
async fn memories_that_matter_come_with_the_message_as_far_as_they_are_wanted() {
    for (more, expected) in [
        ("", 5),
        ("agent: {memory: {retrieval_limit: 2}}", 2),
        ("agent: {memory: {retrieval_limit: 0}}", 0),
        ("agent: {memory: {auto_retrieval: false}}", 0),
    ] {
        let model = MockModel::start(|_| Reply::say("hello"));
        let (_site, _server, user) = house(&with_model(&model, more));
        for colour in ["red", "blue", "green", "white", "black", "brown", "violet"] {
            let body =
                json!({"content": format!("The bicycle in the {colour} shed belongs to {colour} people")});
            assert_eq!(user.post("/api/v1/memories", body).await.0, 201);
        }
        let other = json!({"content": "Somebody else's bicycle is stolen", "userId": "ann"});
        assert_eq!(user.post("/api/v1/memories", other).await.0, 201);
        user.post("/api/v1/memories", json!({"content": "Tea is best at four"})).await;
        user.ask("where is my bicycle?").await;
        let request = model.requests().remove(0);
        let asked = request.last_user();
        assert_eq!(asked.matches("bicycle in the").count(), expected, "{more}: {asked}");
        assert!(asked.ends_with("where is my bicycle?"), "{asked}");
        assert!(!request.text().contains("stolen") && !asked.contains("Tea"), "{asked}");
        assert!(!system(&request).contains("bicycle"), "the prefix stays the same");
    }
}

#[tokio::test]
async fn no_secret_is_in_a_prompt() {
    let model = MockModel::start(curious);
    let base = model.openai();
    let config = format!(
        "llm: {{provider: openai-compatible, base_url: '{base}', model: mock, api_key: sk-of-the-model}}\n\
         skills: {{notes: {{token: 'secret-of-a-skill'}}}}"
    );
    let site = Site::new(&config).env("SOME_TOKEN", "secret-of-the-environment");
    let folder = site.home().join("skills/notes");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("SKILL.md"), "---\nname: notes\ndescription: Takes notes.\n---\nWrite.\n")
        .unwrap();
    let server = site.start();
    let key = site.key("me", "owner");
    let local = std::fs::read_to_string(site.home().join("run/local.key")).unwrap();
    let user = User::new(&server.base, &key);
    user.ask("what is the time?").await;
    let home = std::fs::canonicalize(site.home()).unwrap();
    for request in model.requests() {
        let text = request.text();
        assert!(text.contains("Takes notes."), "{text}");
        for secret in ["sk-of-the-model", "secret-of", &key, &local, home.to_str().unwrap()] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}
