//! What models cost, to the millionth of a dollar.

use serde_json::{Value, json};

use super::begin;
use crate::support::*;

const PRICES: &str = "prices: {mock: {input: 2, output: 10}}";

/// What the mock counted for a request, as a line of costs says it.
fn line(key: &str, requests: &[&Request], words: &[&str]) -> Value {
    let input: usize = requests.iter().map(|request| request.body.to_string().len() / 4).sum();
    let output: usize = words.iter().map(|words| words.len() / 4 + 1).sum();
    json!({
        "key": key, "calls": requests.len(), "inputTokens": input, "cachedTokens": 0, "outputTokens": output,
        "usd": (input * 2 + output * 10) as f64 / 1e6,
    })
}

/// Ann says two things in two conversations, the second with a tool; the owner says one.
async fn spend() -> (MockModel, Site, Server, User, User) {
    let (model, site, server, owner) = begin(PRICES, |request| match request.number {
        2 => Reply::call("clock", json!({})),
        _ => Reply::say("twelve chars"),
    });
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    ann.ask("one").await;
    ann.ask_as(json!({"message": "two", "conversationId": "work"})).await;
    owner.ask("three").await;
    assert_eq!(model.count(), 4);
    assert!(model.refused().is_empty());
    (model, site, server, owner, ann)
}

#[tokio::test]
async fn costs_are_summed_up_by_day_model_user_and_conversation() {
    let (model, site, _server, owner, _ann) = spend().await;
    let requests = model.requests();
    let all: Vec<&Request> = requests.iter().collect();
    let say = "twelve chars";
    let words = [say, "", say, say];
    let day = site.text("SELECT date(max(day) * 86400, 'unixepoch') FROM costs");
    let total = line(&day, &all, &words);
    let report = owner.look("/api/v1/costs").await;
    assert_eq!(report["costs"], json!([total]), "by day, of everybody");
    assert_eq!((&report["totalUsd"], &report["today"]), (&total["usd"], &Value::Null));
    let by = async |by: &str| owner.look(&format!("/api/v1/costs?by={by}")).await["costs"].clone();
    assert_eq!(by("day").await, json!([total]));
    assert_eq!(by("model").await, json!([line("openai-compatible/mock", &all, &words)]));
    let ann = line("ann", &all[..3], &words[..3]);
    let own = line("api-default", &all[3..], &words[3..]);
    assert_eq!(by("user").await, json!([ann, own]));
    let conversations = json!([
        line("api/ann/default", &all[..1], &words[..1]),
        line("api/ann/work", &all[1..3], &words[1..3]),
        line("api/api-default/default", &all[3..], &words[3..]),
    ]);
    assert_eq!(by("conversation").await, conversations);
    let micros = site.number("SELECT sum(micros) FROM costs");
    assert_eq!(micros as f64 / 1e6, total["usd"].as_f64().unwrap());
}

#[tokio::test]
async fn a_user_sees_their_own_costs_and_today_s_account() {
    let (model, site, _server, owner, ann) = spend().await;
    let requests = model.requests();
    let spent =
        line("ann", &requests.iter().take(3).collect::<Vec<_>>(), &["twelve chars", "", "twelve chars"]);
    let report = ann.look("/api/v1/costs?by=user").await;
    assert_eq!(report["costs"], json!([spent]));
    let today = &report["today"];
    let tokens = spent["inputTokens"].as_u64().unwrap() + spent["outputTokens"].as_u64().unwrap();
    assert_eq!((&today["spent"]["tokens"], &today["spent"]["toolCalls"]), (&json!(tokens), &json!(1)));
    assert_eq!(today["spent"]["usd"], spent["usd"]);
    let nothing = json!({"tokens": 0, "usd": 0.0, "toolCalls": 0, "seconds": 0.0});
    assert_eq!(
        (&today["reserved"], &today["raised"]),
        (&nothing, &nothing),
        "all that was held is given back"
    );
    assert_eq!(owner.look("/api/v1/costs?by=user&userId=ann").await["costs"], json!([spent]));
    let mut told = ann.ask("/cost").await;
    told.retain(|c| c != ',' && c != ' ');
    assert!(told.contains(&tokens.to_string()), "{told} {tokens}");
    assert_eq!(site.number("SELECT count(*) FROM turns WHERE reserved_tokens > 0"), 0);
}

#[tokio::test]
async fn costs_of_other_days_are_found_by_their_days() {
    let (_model, site, _server, owner, _ann) = spend().await;
    let sql = "INSERT INTO costs SELECT 19000, user_id, conversation_id, provider, model, 1, 5, 0, 7, 80, 1
               FROM costs WHERE conversation_id = 'api/ann/work'";
    assert_eq!(site.store().execute(sql, []).unwrap(), 1);
    let old = json!({
        "key": "2022-01-08", "calls": 1, "inputTokens": 5, "cachedTokens": 0, "outputTokens": 7, "usd": 0.00008,
    });
    let costs = async |query: &str| owner.look(&format!("/api/v1/costs{query}")).await["costs"].clone();
    for query in [
        "?from=2022-01-08&to=2022-01-08",
        "?from=2022-01-01T00:00:00Z&to=2022-02-01",
        "?to=2022-02-01&from=2021-01-01",
    ] {
        assert_eq!(costs(query).await, json!([old]), "{query}");
    }
    assert_eq!(costs("?from=2022-01-09&to=2022-02-01").await, json!([]));
    assert_eq!(costs("?from=2022-01-08").await.as_array().unwrap().len(), 2);
    assert_eq!(costs("").await.as_array().unwrap().len(), 1, "30 days by default");
    for query in ["?by=moon", "?from=yesterday", "?to=2022-13-01", "?userId=a/b", "?colour=red"] {
        let (status, body) = owner.get(&format!("/api/v1/costs{query}")).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{query}");
    }
}
