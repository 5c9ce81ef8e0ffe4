//! Both wire protocols, end to end: what the model streams, calls, counts and breaks reaches the world as it is.

use serde_json::{Value, json};

use atoll::llm::{Auth, Codec, PROVIDERS, ProviderKind};

use crate::support::*;

/// A server on this configuration, and somebody who may do all.
fn house(config: &str) -> (Site, Server, User) {
    let site = Site::new(config);
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

fn no_refusal(model: &MockModel) {
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

fn deltas(events: &[Event]) -> Vec<String> {
    let found = events.iter().filter(|event| event.name == "progress" && event.data["kind"] == "delta");
    found.map(|event| event.data["text"].as_str().unwrap().to_owned()).collect()
}

/// The beginning of an answer, as each protocol writes it.
fn beginning(request: &Request, text: &str) -> String {
    let event = if request.is_anthropic() {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
    } else {
        json!({"choices": [{"index": 0, "delta": {"content": text}}]})
    };
    format!("data: {event}\n\n")
}

/// A whole answer with this usage, as each protocol writes it.
fn with_usage(request: &Request, text: &str, openai: &Value, anthropic: &Value) -> Reply {
    let events = if request.is_anthropic() {
        let start = json!({"type": "message_start", "message": {"model": "mock-9", "usage": anthropic}});
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                         "usage": {"output_tokens": anthropic["output_tokens"]}});
        format!("data: {start}\n\n{}data: {end}\n\n", beginning(request, text))
    } else {
        let end = json!({"model": "mock-9", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let usage = json!({"choices": [], "usage": openai});
        format!("{}data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n", beginning(request, text))
    };
    Reply::Raw(events, Then::End)
}

#[tokio::test]
async fn words_reach_the_client_while_the_model_still_speaks() {
    for (model, config) in both(|request| Reply::Raw(beginning(request, "one "), Then::Silence), "") {
        let (_site, _server, user) = house(&config);
        let mut stream = user.open(json!({"message": "count"})).await;
        // The model never ends: the words can only have come as they were said.
        let first = stream.until("progress", |data| data["kind"] == "delta").await;
        assert_eq!(first.data["text"], "one ");
        no_refusal(&model);
    }
}

#[tokio::test]
async fn the_pieces_of_an_answer_are_its_words_in_order() {
    let pieces = ["Über ", "allen ", "Gipfeln ", "ist Ruh 🌙"].map(str::to_owned).to_vec();
    let script = move |_: &Request| Reply::Slowly(pieces.clone(), 5);
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        let events = user.chat(json!({"message": "say it"})).await;
        assert_eq!(deltas(&events).concat(), "Über allen Gipfeln ist Ruh 🌙");
        assert_eq!(answer_of(&events).unwrap(), "Über allen Gipfeln ist Ruh 🌙");
        no_refusal(&model);
    }
}

#[tokio::test]
async fn parallel_calls_with_split_arguments_are_run_and_answered_in_their_order() {
    let script = |request: &Request| match request.results().as_slice() {
        [] => Reply::Call(
            "Let me see.".into(),
            vec![
                ("memory_store".into(), json!({"content": "likes \"tea\" — grün", "category": "preference"})),
                ("clock".into(), json!({"utc_offset_minutes": 120})),
                ("clock".into(), json!({})),
            ],
        ),
        results => Reply::say(results.join(" | ")),
    };
    for (model, config) in both(script, "") {
        let (site, _server, user) = house(&config);
        let events = user.chat(json!({"message": "remember, and what time is it?"})).await;
        let answer = answer_of(&events).unwrap();
        let results: Vec<&str> = answer.split(" | ").collect();
        assert_eq!(results.len(), 3, "{answer}");
        assert!(results[1].contains("there it is") && !results[2].contains("there it is"), "{answer}");
        let told = events.iter().filter(|event| event.data["phase"] == "started").count();
        assert_eq!(told, 3, "{events:#?}");
        let kept: String =
            site.store().query_row("SELECT content FROM memories", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "likes \"tea\" — grün");
        assert_eq!(model.count(), 2);
        no_refusal(&model);
    }
}

#[tokio::test]
async fn a_result_goes_back_under_the_id_of_its_call() {
    let script = |request: &Request| match request.results().as_slice() {
        [] => Reply::call("clock", json!({})),
        _ => Reply::say("done"),
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        user.ask("what time is it?").await;
        let requests = model.requests();
        let body = requests[1].text();
        assert!(body.contains("\"call_1_0\""), "{body}");
        let messages = requests[1].body["messages"].as_array().unwrap();
        let last = messages.last().unwrap();
        if requests[1].is_anthropic() {
            assert_eq!(last["content"][0]["tool_use_id"], "call_1_0");
        } else {
            assert_eq!((&last["role"], &last["tool_call_id"]), (&json!("tool"), &json!("call_1_0")));
        }
        no_refusal(&model);
    }
}

#[tokio::test]
async fn a_call_with_broken_arguments_is_told_to_the_model_and_harms_nothing() {
    let script = |request: &Request| match request.results().as_slice() {
        [] => Reply::Call(String::new(), vec![("clock".into(), Value::String("broken {".into()))]),
        [error] => Reply::say(error.clone()),
        _ => Reply::say("too many"),
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        let answer = user.ask("what time is it?").await;
        assert!(answer.contains("JSON"), "{answer}");
        no_refusal(&model);
    }
}

#[tokio::test]
async fn usage_and_cost_are_recorded_to_the_millionth() {
    let script = |request: &Request| {
        let openai = json!({"prompt_tokens": 1_000, "completion_tokens": 200,
                            "prompt_tokens_details": {"cached_tokens": 600}});
        let anthropic = json!({"input_tokens": 300, "cache_read_input_tokens": 600,
                               "cache_creation_input_tokens": 100, "output_tokens": 200});
        with_usage(request, "ok", &openai, &anthropic)
    };
    let prices = "prices: {mock: {input: 2, output: 8, cache_read: 0.5, cache_write: 3}}";
    for (model, config) in both(script, prices) {
        let (site, _server, user) = house(&config);
        user.ask("one").await;
        user.ask("two").await;
        let (calls, input, cached, output, micros, named): (i64, i64, i64, i64, i64, String) = site
            .store()
            .query_row("SELECT calls, input, cached, output, micros, model FROM costs", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })
            .unwrap();
        assert_eq!((calls, input, cached, output), (2, 2_000, 1_200, 400));
        assert_eq!(named, "mock-9", "the model that answered, by its own word");
        let one = if model.requests()[0].is_anthropic() { 300 * 2 + 300 + 300 } else { 400 * 2 + 300 };
        assert_eq!(micros, 2 * (one + 200 * 8));
        let costs = user.look("/api/v1/costs").await;
        assert_eq!(costs["totalUsd"].as_f64().unwrap(), micros as f64 / 1e6);
        let spent: (i64, i64) = site
            .store()
            .query_row("SELECT spent_tokens, spent_micros FROM spend", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(spent, (2_400, micros));
    }
}

#[tokio::test]
async fn an_answer_without_usage_is_estimated_and_not_free() {
    let script = |request: &Request| with_usage(request, "a word or two", &Value::Null, &Value::Null);
    for (_model, config) in both(script, "prices: {mock: {input: 2, output: 8}}") {
        let (site, _server, user) = house(&config);
        user.ask("hello").await;
        let (input, output, micros): (i64, i64, i64) = site
            .store()
            .query_row("SELECT input, output, micros FROM costs", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert!(input > 100 && output > 0 && micros > 200, "{input} {output} {micros}");
    }
}

#[tokio::test]
async fn an_answer_cut_off_at_its_length_is_continued_and_joined() {
    let script = |request: &Request| match request.number {
        1 => Reply::Cut("The first half, ".into()),
        _ => Reply::say("and the second."),
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        assert_eq!(user.ask("tell me").await, "The first half, and the second.");
        assert_eq!(model.count(), 2);
        no_refusal(&model);
    }
}

#[tokio::test]
async fn a_refusal_by_the_filter_is_an_end_and_is_not_continued() {
    let script = |request: &Request| {
        let end = if request.is_anthropic() {
            json!({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 2}})
        } else {
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]})
        };
        Reply::Raw(format!("{}data: {end}\n\n", beginning(request, "I would rather not.")), Then::End)
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        assert!(user.ask("do harm").await.contains("I would rather not."));
        assert_eq!(model.count(), 1);
        no_refusal(&model);
    }
}

#[tokio::test]
async fn an_empty_answer_is_said_to_be_one_and_the_conversation_goes_on() {
    let script = |request: &Request| match request.number {
        1 => Reply::say(""),
        2 => Reply::say("  \n "),
        _ => Reply::say("better"),
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        assert!(user.ask("one").await.contains("empty answer"));
        assert!(user.ask("two").await.contains("empty answer"));
        assert_eq!(user.ask("three").await, "better");
        no_refusal(&model);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_tried_again_and_never_half_told() {
    let script = |request: &Request| match request.number {
        1 => Reply::Raw(beginning(request, "half an ans"), Then::HangUp),
        2 => Reply::Raw(beginning(request, "half an ans"), Then::End),
        _ => Reply::say("the whole answer"),
    };
    for (model, config) in both(script, "") {
        let (site, _server, user) = house(&config);
        let events = user.chat(json!({"message": "go"})).await;
        assert_eq!(answer_of(&events).unwrap(), "the whole answer");
        let restarts = events.iter().filter(|event| event.data["kind"] == "restart").count();
        assert_eq!(restarts, 2, "words that were shown are taken back: {events:#?}");
        assert_eq!(model.count(), 3);
        let kept: String =
            site.store().query_row("SELECT messages FROM history", [], |row| row.get(0)).unwrap();
        assert!(!kept.contains("half an ans"), "{kept}");
        no_refusal(&model);
    }
}

#[tokio::test]
async fn garbage_is_no_answer_and_an_error_in_the_stream_is_one() {
    let script = |request: &Request| match (request.number, request.is_anthropic()) {
        (1, _) => Reply::Raw("data: {\"this is\": no json\n\ndata: \u{0}\n\n".into(), Then::End),
        (2, true) => Reply::Raw(
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n".into(),
            Then::End,
        ),
        (2, false) => Reply::Raw("data: {\"error\": {\"message\": \"overloaded\"}}\n\n".into(), Then::End),
        _ => Reply::say("at last"),
    };
    for (model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        assert_eq!(user.ask("go").await, "at last");
        assert_eq!(model.count(), 3);
        no_refusal(&model);
    }
}

#[tokio::test]
async fn an_answer_of_another_kind_than_asked_for_is_read_or_refused_but_never_hangs() {
    let script = |request: &Request| match (request.number, request.is_anthropic()) {
        (1, _) => Reply::Status(200, vec![], "<html>a portal</html>".into()),
        (2, _) => Reply::Status(200, vec![], "{}".into()),
        (_, true) => Reply::Status(
            200,
            vec![],
            json!({"content": [{"type": "text", "text": "whole"}], "stop_reason": "end_turn"}).to_string(),
        ),
        (_, false) => Reply::Status(
            200,
            vec![],
            json!({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]}).to_string(),
        ),
    };
    for (_model, config) in both(script, "") {
        let (_site, _server, user) = house(&config);
        assert_eq!(user.ask("go").await, "whole");
    }
}

/// The header in which a provider takes its key, with what stands before the key.
fn auth(kind: &ProviderKind) -> (&'static str, &'static str) {
    match kind.auth {
        Auth::Bearer => ("authorization", "Bearer "),
        Auth::Header(name) => (name, ""),
    }
}

#[tokio::test]
async fn every_provider_is_asked_at_its_base_url_with_its_key_in_its_header() {
    let asked = PROVIDERS.iter().filter(|kind| kind.codec != Codec::Rehearsal);
    let mut count = 0;
    for kind in asked {
        let model = MockModel::start(|_| Reply::say("here"));
        let (base, path) = match (kind.codec, kind.name) {
            (Codec::Anthropic, _) => (model.anthropic(), "/v1/messages".to_owned()),
            (_, "azure") => (
                model.anthropic(),
                "/openai/deployments/mock/chat/completions?api-version=2024-10-21".to_owned(),
            ),
            _ => (model.openai(), "/v1/chat/completions".to_owned()),
        };
        let name = kind.name;
        let (_site, _server, user) =
            house(&format!("llm: {{provider: {name}, base_url: '{base}/', model: mock, api_key: k-{name}}}"));
        assert_eq!(user.ask("hello").await, "here", "{name}");
        let request = model.requests().remove(0);
        assert_eq!(request.path, path, "{name}");
        let (header, before) = auth(kind);
        assert_eq!(request.headers[header], format!("{before}k-{name}"), "{name}");
        let others = ["authorization", "x-api-key", "api-key"].iter().filter(|other| **other != header);
        assert!(others.into_iter().all(|other| !request.headers.contains_key(*other)), "{name}");
        assert_eq!(request.headers.contains_key("anthropic-version"), kind.codec == Codec::Anthropic);
        assert!(request.body[kind.max_tokens_field].is_u64(), "{name}");
        assert_eq!(request.body["stream"], true);
        no_refusal(&model);
        count += 1;
    }
    assert_eq!(count, 10);
}

#[tokio::test]
async fn the_usual_model_is_asked_when_none_is_named_and_keys_come_from_the_usual_variables() {
    for (provider, variable) in [("groq", "GROQ_API_KEY"), ("azure", "AZURE_OPENAI_API_KEY")] {
        let model = MockModel::start(|_| Reply::say("here"));
        let config = format!("llm: {{provider: {provider}, base_url: '{}'}}", model.openai());
        let site = Site::new(&config).env(variable, "from-the-environment");
        let server = site.start();
        let user = User::new(&server.base, &site.key("me", "owner"));
        assert_eq!(user.ask("hello").await, "here");
        let request = model.requests().remove(0);
        let kind = PROVIDERS.iter().find(|kind| kind.name == provider).unwrap();
        assert_eq!(request.body["model"], kind.model);
        let (header, before) = auth(kind);
        assert_eq!(request.headers[header], format!("{before}from-the-environment"));
    }
}

#[tokio::test]
async fn azure_is_asked_for_the_deployment_in_the_version_that_is_configured() {
    let model = MockModel::start(|_| Reply::say("here"));
    let (_site, _server, user) = house(&format!(
        "llm: {{provider: azure, base_url: '{}', model: my-deployment, api_key: k, api_version: 2025-04-01}}",
        model.anthropic()
    ));
    user.ask("hello").await;
    let path = "/openai/deployments/my-deployment/chat/completions?api-version=2025-04-01";
    assert_eq!(model.requests()[0].path, path);
}
