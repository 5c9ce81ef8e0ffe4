//! Commands: answered at once, from the store, without a model.

use serde_json::json;

use crate::support::*;

fn silent() -> MockModel {
    MockModel::start(|_| Reply::say("the model"))
}

fn talker(model: &MockModel, more: &str) -> (Site, Server, User) {
    let site = Site::new(&with_model(model, more)).with_bench();
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

#[tokio::test]
async fn help_names_every_command_and_skills_says_what_may_not_run() {
    let model = silent();
    let (site, _server, user) = talker(&model, "");
    let help = user.ask("/help").await;
    for command in atoll::domain::command::COMMANDS {
        let (name, what) = (command.name, command.purpose);
        assert!(help.contains(&format!("/{name}")) && help.contains(what), "{help}");
    }
    let skills = user.ask("/skills").await;
    assert!(skills.contains("bench (not active) — For tests. (14 tools)"), "{skills}");
    assert!(skills.contains("atoll-guide — "), "{skills}");
    assert_eq!(model.count(), 0);
    assert_eq!(site.column("SELECT state FROM inbound"), ["answered", "answered"]);
    assert_eq!(site.value::<i64>("SELECT count(*) FROM turns"), 0);
}

#[tokio::test]
async fn an_unknown_command_is_said_to_be_one_and_a_path_is_no_command() {
    let model = silent();
    let (_site, _server, user) = talker(&model, "");
    assert_eq!(user.ask("/dance").await, "there is no command /dance; /help lists them");
    assert!(user.ask("/approve").await.starts_with("/approve needs the id of an approval"));
    assert!(user.ask("/reject").await.starts_with("/reject needs the id of an approval"));
    assert_eq!(model.count(), 0);
    assert_eq!(user.ask("/etc/hosts looks odd").await, "the model");
    assert_eq!(user.ask("what does /help do?").await, "the model");
    assert_eq!(model.count(), 2);
}

#[tokio::test]
async fn memory_shows_what_is_known_about_this_user_alone() {
    let model = silent();
    let (_site, _server, user) = talker(&model, "");
    assert_eq!(user.ask("/memory").await, "I remember nothing about you.");
    let long = "walks ".repeat(40);
    for (who, what, category) in
        [("ann", "likes green tea", "taste"), ("ann", long.as_str(), "habit"), ("bob", "hates tea", "taste")]
    {
        let body =
            json!({"userId": who, "content": what, "category": category, "tags": ["drink", "every_day"]});
        assert_eq!(user.post("/api/v1/memories", body).await.0, 201);
    }
    let ask = async |words: &str| user.ask_as(json!({"message": words, "userId": "ann"})).await;
    let all = ask("/memory").await;
    assert!(all.contains("taste:\n") && all.contains("likes green tea") && all.contains("habit:\n"), "{all}");
    assert!(
        all.contains("likes green tea (tags: drink, every_day)") && all.contains("… (tags: drink"),
        "{all}"
    );
    assert!(all.contains('…') && !all.contains("hates tea"), "{all}");
    let some = ask("/memory taste").await;
    assert!(some.contains("likes green tea") && !some.contains("walks"), "{some}");
    assert_eq!(ask("/memory work").await, "I remember nothing about you.");
    assert_eq!(model.count(), 0);
}

#[tokio::test]
async fn tasks_and_cost_are_answered_while_a_turn_runs() {
    let gate = Gate::new();
    let hold = gate.clone();
    let model = MockModel::start(move |_| hold.say("late"));
    let (_site, _server, user) = talker(&model, "prices: {mock: {input: 1000, output: 1000}}\n");
    assert_eq!(user.ask("/tasks").await, "Nothing is under way.");
    let zero = "Today: $0.0000, 0 tokens, 0 tool calls, 0 s of work.";
    assert_eq!(user.ask("/cost").await, zero);
    let mut first = user.open(json!({"message": "dig a hole"})).await;
    first.until("status", |data| data["status"] == "processing").await;
    let mut second = user.open(json!({"message": "fill it"})).await;
    second.until("status", |data| data["status"] == "queued").await;
    let tasks = user.ask("/tasks").await;
    assert!(tasks.contains("[running] dig a hole (") && tasks.contains("[queued] fill it ("), "{tasks}");
    let running = user.ask("/tasks running").await;
    assert!(running.contains("dig") && !running.contains("fill"), "{running}");
    for waiting in ["/tasks queued", "/tasks pending"] {
        let waiting = user.ask(waiting).await;
        assert!(waiting.contains("[queued] fill") && !waiting.contains("dig"), "{waiting}");
    }
    assert_eq!(user.ask("/tasks scheduled").await, "Nothing is scheduled.");
    assert_eq!(user.ask("/tasks parked").await, "Nothing is under way.");
    assert!(user.ask("/cost").await.ends_with("More is reserved for what runs now."));
    gate.open();
    first.rest().await;
    second.rest().await;
    let cost = user.ask("/cost").await;
    assert!(cost.starts_with("Today: ") && !cost.contains("$0.0000") && !cost.contains("reserved"), "{cost}");
    assert_eq!(user.ask("/tasks").await, "Nothing is under way.");
}

#[tokio::test]
async fn a_command_that_is_sent_again_with_its_key_is_not_done_again() {
    let model = silent();
    let (site, _server, user) = talker(&model, "");
    user.ask("remember the word xylophone").await;
    for round in 0..2 {
        let events = user.open_keyed("clear-1", json!({"message": "/clear"})).await.rest().await;
        assert!(answer_of(&events).unwrap().starts_with("We begin anew"), "{events:?}");
        if round == 0 {
            user.ask("the word is marimba").await;
        }
    }
    user.ask("which word?").await;
    let last = model.requests().pop().unwrap().text();
    assert!(last.contains("marimba") && !last.contains("xylophone"), "{last}");
    assert_eq!(site.value::<i64>("SELECT count(*) FROM inbound WHERE text = '/clear'"), 1);
}

#[tokio::test]
async fn a_person_chooses_which_model_answers_and_how_much_they_see() {
    let [one, two] = ["one", "two"].map(|name| MockModel::start(move |_| Reply::say(name)));
    let entry = |name: &str, model: &MockModel| {
        let url = model.openai();
        format!(
            "- {{name: {name}, provider: openai-compatible, base_url: '{url}', model: {name}-large, api_key: k}}\n"
        )
    };
    let config = |entries: &[String]| {
        format!("llm:\n{}agent: {{memory: {{auto_extraction: false}}}}\n", entries.concat())
    };
    let both = [entry("one", &one), entry("two", &two)];
    let site = Site::new(&config(&both));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let shown = user.ask("/model").await;
    assert!(shown.starts_with("Any of these answers you") && shown.contains("two-large (two)"), "{shown}");
    assert!(user.ask("/model three").await.starts_with("There is no model `three`."));
    assert!(user.ask("/model TWO-large").await.starts_with("two-large answers you from now on"));
    assert!(user.ask("/model").await.contains("two-large (two) ← answers you"));
    for _ in 0..4 {
        assert_eq!(user.ask("hello").await, "two");
    }
    let other = json!({"message": "hello", "userId": "bob"});
    let answers = [user.ask_as(other.clone()).await, user.ask_as(other).await];
    assert!(answers.contains(&"one".to_owned()), "others are not asked to: {answers:?}");
    drop(server);
    site.configure(&config(&both[..1]));
    let server = site.start();
    let user = User::new(&server.base, &site.key("again", "owner"));
    assert_eq!(user.ask("hello").await, "one", "a model that is gone is no reason to be silent");
    assert!(user.ask("/model").await.starts_with("You chose two-large, which is not there any more"));
    assert!(user.ask("/model default").await.starts_with("Any of the models"));
    assert!(user.ask("/model").await.starts_with("Any of these answers you"));
    assert!(user.ask("/verbosity").await.starts_with("It is normal"));
    assert!(user.ask("/verbosity verbose").await.starts_with("It is verbose"));
    assert!(user.ask("/verbosity").await.starts_with("It is verbose"));
    assert_eq!(user.ask("/verbosity loud").await, "/verbosity takes quiet, normal, verbose");
    assert!(user.ask("/start").await.starts_with("Hello. I am Atoll"));
}
