//! The model APIs behind the gateway: the key goes out and never in, what it costs is booked, what is refused is said.

use atoll::{
    domain::{
        gateway::{EgressKind, EgressLimits, Verdict, usage::Metered},
        model::Usage,
    },
    ports::gateway::NoBudget,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    kit::{House, KEY, request},
    upstream::{Answer, Upstream},
};
use crate::support::{PATIENCE, until};

async fn house(upstream: &Upstream) -> House {
    House::open(&upstream.base, &[], EgressLimits::default()).await
}

fn told(input: u64, cached: u64, cache_written: u64, output: u64) -> Metered {
    Metered { usage: Usage { input, cached, cache_written, output }, told: true }
}

const MESSAGES: &str = "/llm/anthropic/v1/messages?beta=true";
const RESPONSES: &str = "/llm/openai/v1/responses";
const CHAT: &str = "/llm/openai/v1/chat/completions";

fn message(stream: bool) -> String {
    json!({"model": "claude-x", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
        .to_string()
}

fn anthropic_events() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello there"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 42}}),
        json!({"type": "message_stop"}),
    ]
}

/// The JSON of an answer, which came in one chunk or whole.
fn body_of(answer: &str) -> Value {
    let (from, to) = (answer.find('{').unwrap(), answer.rfind('}').unwrap());
    serde_json::from_str(&answer[from..=to]).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test]
async fn the_token_is_exchanged_for_the_key_and_what_is_not_on_the_list_stays() {
    let upstream = Upstream::start(|_| {
        let mut answer =
            Answer::json(200, &json!({"content": [], "usage": {"input_tokens": 3, "output_tokens": 4}}));
        answer.headers.extend([
            ("request-id", "req_1".to_owned()),
            ("set-cookie", "a=b".into()),
            ("anthropic-organization-id", "org".into()),
            ("anthropic-ratelimit-requests-remaining", "9".into()),
            ("x-request-id", format!("echo-{KEY}")),
        ]);
        answer
    })
    .await;
    let house = house(&upstream).await;
    let fields = format!(
        "Authorization: Bearer {token}\r\nx-api-key: {token}\r\nanthropic-version: 2023-06-01\r\nanthropic-beta: a,b\r\n\
         Cookie: a=b\r\nX-Forwarded-For: 1.1.1.1\r\nOpenAI-Organization: other\r\nProxy-Authorization: x",
        token = house.token.reveal()
    );
    let answer = house.raw(&request(MESSAGES, &fields, &message(false))).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"output_tokens\":4"), "{answer}");
    let head = answer.to_lowercase();
    assert!(head.contains("request-id: req_1") && head.contains("anthropic-ratelimit-requests-remaining: 9"));
    assert!(
        !head.contains("set-cookie") && !head.contains("organization") && !answer.contains(KEY),
        "{answer}"
    );
    let asked = upstream.only();
    assert_eq!(asked.line, "POST /v1/messages?beta=true HTTP/1.1");
    assert_eq!((asked.headers["x-api-key"].as_str(), asked.headers["anthropic-beta"].as_str()), (KEY, "a,b"));
    let names: Vec<&str> = asked.headers.keys().map(String::as_str).collect();
    for stripped in
        ["authorization", "cookie", "x-forwarded-for", "openai-organization", "proxy-authorization"]
    {
        assert!(!names.contains(&stripped), "{names:?}");
    }
    assert!(!format!("{asked:?}").contains(house.token.reveal()));
    assert_eq!(house.ledger.only().await, told(3, 0, 0, 4));
    let call = house.ledger.calls.lock().unwrap()[0].clone();
    assert_eq!((call.provider.as_str(), call.model.as_str(), call.output), ("anthropic", "claude-x", 100));
    let record = house.log.last_of(1).await;
    assert_eq!(
        (record.kind, record.host.as_str(), record.verdict),
        (EgressKind::Model, "anthropic", Verdict::Allowed)
    );
    assert!(record.sent > 50 && record.received > 20);
}

#[tokio::test]
async fn streams_pass_as_they_are_and_are_booked_in_every_protocol() {
    let upstream = Upstream::start(|asked| match asked.line.split(' ').nth(1).unwrap() {
        "/v1/messages?beta=true" => Answer::events(&anthropic_events()),
        "/v1/responses" => Answer::events(&[
            json!({"type": "response.created"}),
            json!({"type": "response.output_text.delta", "delta": "hello there"}),
            json!({"type": "response.completed", "response": {"usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 20}, "output_tokens": 7}}}),
        ]),
        "/v1/chat/completions" => Answer::events(&[
            json!({"choices": [{"delta": {"content": "hello there"}}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 9}}),
        ]),
        other => panic!("{other}"),
    })
    .await;
    for (path, expected) in
        [(MESSAGES, told(16, 5, 1, 42)), (RESPONSES, told(30, 20, 0, 7)), (CHAT, told(8, 0, 0, 9))]
    {
        let house = house(&upstream).await;
        let header = format!("Authorization: Bearer {}", house.token.reveal());
        let answer = house.raw(&request(path, &header, &message(true))).await;
        assert!(answer.contains("text/event-stream") && answer.contains("hello there"), "{answer}");
        assert_eq!(house.ledger.only().await, expected, "{path}");
    }
    let asked = upstream.asked.lock().unwrap();
    assert!(asked[1..].iter().all(|asked| asked.headers["authorization"] == format!("Bearer {KEY}")));
    assert_eq!(
        asked[2].body["stream_options"],
        json!({"include_usage": true}),
        "chat tells its usage only when asked"
    );
}

#[tokio::test]
async fn without_the_token_nothing_goes_out() {
    let upstream = Upstream::start(|_| panic!("it was asked")).await;
    let house = house(&upstream).await;
    let token = house.token.reveal();
    for header in [
        "X: y".to_owned(),
        "x-api-key: ".into(),
        format!("x-api-key: {KEY}"),
        format!("Authorization: {token}"),
        format!("Authorization: Basic {token}"),
        format!("Authorization: Bearer {}", &token[..token.len() - 1]),
    ] {
        let answer = house.raw(&request(MESSAGES, &header, &message(true))).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{header}: {answer}");
        assert_eq!(body_of(&answer)["error"]["type"], "authentication_error");
        assert!(!answer.contains(token));
    }
    assert!(house.ledger.calls.lock().unwrap().is_empty());
    assert!(matches!(house.log.last_of(6).await.verdict, Verdict::Refused { ask: false, .. }));
}

#[tokio::test]
async fn a_spent_budget_is_a_400_that_the_engine_can_read() {
    let upstream = Upstream::start(|_| panic!("it was asked")).await;
    let house = house(&upstream).await;
    let refuse = |refusal| *house.ledger.refusal.lock().unwrap() = Some(refusal);
    refuse(NoBudget::Spent("the job's budget of $2.00 is spent".into()));
    let answer = house.post(MESSAGES, &message(true)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let expected = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "the job's budget of $2.00 is spent"}});
    assert_eq!(body_of(&answer), expected);
    let answer = house.post(RESPONSES, &message(true)).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(body_of(&answer)["error"]["message"], "the job's budget of $2.00 is spent");
    refuse(NoBudget::Unknown("the store is closed".into()));
    assert!(house.post(MESSAGES, &message(true)).await.starts_with("HTTP/1.1 503"));
    assert!(house.ledger.settled.lock().unwrap().is_empty(), "what was not reserved is settled");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_booked_by_what_passed() {
    let upstream = Upstream::start(|_| {
        let mut answer = Answer::events(&anthropic_events()[..2]);
        answer.breaks = true;
        answer
    })
    .await;
    let house = house(&upstream).await;
    let answer = house.post(MESSAGES, &message(true)).await;
    assert!(answer.contains("hello there") && !answer.ends_with("0\r\n\r\n"), "it looks whole: {answer}");
    let used = house.ledger.only().await;
    assert_eq!((used.told, used.usage.input), (false, 16));
    assert!(used.usage.output > 2, "{used:?}");
    assert!(matches!(house.log.last_of(1).await.verdict, Verdict::Failed(_)));
}

#[tokio::test]
async fn whoever_hangs_up_hangs_up_on_the_provider_and_pays() {
    let upstream = Upstream::start(|_| {
        let mut answer = Answer::events(&anthropic_events()[..2]);
        answer.hangs = true;
        answer
    })
    .await;
    let house = house(&upstream).await;
    let mut stream = house.connect().await;
    let header = format!("x-api-key: {}", house.token.reveal());
    stream.write_all(request(MESSAGES, &header, &message(true)).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    while !seen.windows(11).any(|window| window == b"hello there") {
        seen.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    drop(stream);
    until("the provider is hung up on", async || *upstream.hung_up.lock().unwrap() == 1).await;
    let used = house.ledger.only().await;
    assert_eq!((used.told, used.usage.input), (false, 16));
    let record = house.log.last_of(1).await;
    assert_eq!(record.verdict, Verdict::Failed("it was given up".into()));
}

#[tokio::test]
async fn errors_of_the_provider_pass_and_the_key_does_not() {
    let upstream = Upstream::start(|asked| match asked.body["model"].as_str().unwrap() {
        "limited" => {
            let error = json!({"type": "error", "error": {"type": "rate_limit_error", "message": format!("slow down {KEY}!")}});
            let mut answer = Answer::json(429, &error);
            answer.headers.push(("retry-after", "7".into()));
            answer
        }
        "unauthorised" => Answer::json(401, &json!({"error": {"message": format!("Incorrect API key: {}****", &KEY[..9])}})),
        "elsewhere" => {
            let mut answer = Answer::json(307, &json!({}));
            answer.headers.push(("location", "http://169.254.169.254/".into()));
            answer
        }
        "html" => Answer { status: 502, body: format!("<h1>Bad gateway {KEY}</h1>"), ..Answer::default() },
        "echo" => Answer::events(&[json!({"type": "x", "delta": {"text": format!("your key is {KEY}")}})]),
        other => panic!("{other}"),
    })
    .await;
    let house = house(&upstream).await;
    for (model, status, words) in [
        ("limited", "429", "slow down [key]!"),
        ("unauthorised", "401", "refused the key that the host has"),
        ("elsewhere", "502", "redirects"),
        ("html", "502", "502"),
        ("echo", "200", "your key is [key]"),
    ] {
        let answer = house.post(MESSAGES, &message(true).replace("claude-x", model)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words),
            "{model}: {answer}"
        );
        assert!(!answer.contains(&KEY[..9]) && !answer.contains("169.254"), "{model}: {answer}");
        assert_eq!(answer.contains("retry-after: 7"), model == "limited");
    }
    let settled = house.ledger.settled.lock().unwrap().clone();
    let free = |at: usize| settled[at].1 == told(0, 0, 0, 0);
    assert!(settled.len() == 5 && (0..4).all(free) && !free(4), "{settled:?}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_costs_nothing_and_is_named() {
    let house = House::open("http://127.0.0.1:9", &[], EgressLimits::default()).await;
    let answer = house.post(MESSAGES, &message(true)).await;
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("cannot be reached"), "{answer}");
    assert_eq!(house.ledger.only().await, told(0, 0, 0, 0));
}

#[tokio::test]
async fn only_known_ways_bodies_and_sizes_pass() {
    let upstream =
        Upstream::start(|asked| Answer::json(200, &json!({"input_tokens": 5, "line": asked.line}))).await;
    let limits = EgressLimits { body_bytes: 10_000, ..EgressLimits::default() };
    let house = House::open(&upstream.base, &[], limits).await;
    for (path, body, status) in [
        ("/llm/anthropic/v1/files", "{}", "404"),
        ("/llm/anthropic/v1/messages/batches", "{}", "404"),
        ("/llm/anthropic/v1/messages?x=%2e%2e", &message(true), "404"),
        ("/llm/anthropic/../admin", "{}", "404"),
        ("/llm/openai/v1/files", "{}", "404"),
        ("/llm/other/v1/messages", "{}", "404"),
        (MESSAGES, "not json", "400"),
        (MESSAGES, r#"{"model":"a","model":"b"}"#, "400"),
        (RESPONSES, r#"{"model":"a","background":true}"#, "400"),
        (
            MESSAGES,
            r#"{"model":"a","messages":[{"content":[{"type":"image","source":{"type":"url","url":"http://x"}}]}]}"#,
            "400",
        ),
        (MESSAGES, &format!(r#"{{"model":"a","x":"{}"}}"#, "y".repeat(10_000)), "413"),
    ] {
        let answer = house.post(path, body).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {body:.60}: {answer}");
    }
    assert!(upstream.asked.lock().unwrap().is_empty() && house.ledger.calls.lock().unwrap().is_empty());
    let answer = house.post("/llm/anthropic/v1/messages/count_tokens", &message(false)).await;
    assert_eq!(body_of(&answer)["input_tokens"], 5);
    let list = format!(
        "GET /llm/openai/v1/models HTTP/1.1\r\nHost: localhost:3128\r\nx-api-key: {}\r\n\r\n",
        house.token.reveal()
    );
    assert!(house.raw(&list).await.contains("GET /v1/models HTTP/1.1"));
    assert!(
        house
            .raw("HEAD /llm/anthropic HTTP/1.1\r\nHost: 127.0.0.1:3128\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(house.ledger.calls.lock().unwrap().is_empty(), "what is free was reserved");
    // Chunked bodies and `Expect` are read as well, as large requests of the command lines come so.
    let body = message(false);
    let chunked = format!(
        "POST {MESSAGES} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-api-key: {}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        house.token.reveal(),
        body.len()
    );
    let answer = house.raw(&chunked).await;
    assert!(answer.starts_with("HTTP/1.1 100") && answer.contains("HTTP/1.1 200"), "{answer}");
}
