//! A budget that is spent in the middle of the work.

use super::site::{CLAUDE, CODEX, Shop, mending};
use crate::support::*;

/// Room for the worst case of some calls: an engine's first one holds its long instructions and all its tools.
const TOKENS: u64 = 400_000;

#[tokio::test]
async fn claude_code_stops_at_a_spent_budget_and_goes_on_when_there_is_more() {
    stops_and_goes_on(CLAUDE).await;
}

#[tokio::test]
async fn codex_stops_at_a_spent_budget_and_goes_on_when_there_is_more() {
    stops_and_goes_on(CODEX).await;
}

async fn stops_and_goes_on((engine, _): (&str, &str)) {
    let shop = Shop::open(&format!("budgets: {{job: {{tokens: {TOKENS}}}}}")).await;
    shop.models.becomes(mending("Mended."));
    shop.models.reads_more(TOKENS);
    let id = shop.task(engine, "FIRST: mend the sum").await;
    let task = shop.stands(&id, "parked").await;
    assert!(task["text"].as_str().unwrap().contains("budget of 400000 tokens is spent"), "{task:#}");
    assert!(task["inputTokens"].as_u64().unwrap() >= TOKENS, "{task:#}");
    // 400 ends an engine at once: it does not try again. Requests are noted a little later.
    let mut refused = Vec::new();
    until("the refusal is noted", async || {
        let egress = shop.owner.look(&format!("/api/v1/tasks/{id}/egress")).await;
        let rows = egress["requests"].as_array().unwrap().iter();
        refused = rows.filter(|row| row["kind"] == "model" && row["verdict"] == "refused").cloned().collect();
        !refused.is_empty()
    })
    .await;
    assert!(refused.len() <= 2 && refused[0]["why"].as_str().unwrap().contains("budget"), "{refused:#?}");
    let asked = shop.models.requests().len();

    shop.models.reads_more(0);
    shop.approve(&id).await;
    let task = shop.stands(&id, "awaiting_approval").await;
    assert_eq!(task["evidence"][0]["exit"], 0, "{task:#}");
    let later = shop.models.requests();
    assert!(later.len() > asked);
    assert!(later[asked..].iter().any(|request| request.body.to_string().contains("FIRST: mend the sum")));
    assert!(!shop.site.log().contains("actor fell"), "{}", shop.site.log());
    assert_eq!(shop.sessions(&id).await.len(), 1, "{:#?}", shop.log(&id).await);
}
