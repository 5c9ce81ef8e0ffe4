//! From a task to a pushed branch, and a follow-up in the same session.

use serde_json::json;

use super::site::{CLAUDE, CODEX, Shop, mending};
use crate::{
    engines::models::{Step, USED},
    support::*,
};

#[tokio::test]
async fn claude_code_mends_a_repository_and_goes_on_in_its_session() {
    mends_and_goes_on(CLAUDE).await;
}

#[tokio::test]
async fn codex_mends_a_repository_and_goes_on_in_its_session() {
    mends_and_goes_on(CODEX).await;
}

async fn mends_and_goes_on((engine, key): (&str, &str)) {
    let shop = Shop::open("").await;
    shop.models.becomes(mending("`add` adds now."));
    let id = shop.task(engine, "FIRST: mend the sum").await;
    let task = shop.stands(&id, "awaiting_approval").await;
    assert_eq!(task["evidence"][0]["exit"], 0, "{task:#}");
    assert!(task["output"].as_str().unwrap().contains("`add` adds now."), "{task:#}");
    assert_eq!(
        shop.remote(&["branch", "--format=%(refname:short)"]).trim(),
        "main",
        "nothing is pushed unasked"
    );

    // The account is the gateway's: what the model said to have used, at the configured price.
    let requests = shop.models.requests();
    let (calls, dollars) = (requests.len() as u64, (USED.0 as f64 * 1_000.0 + USED.1 as f64 * 5_000.0) / 1e6);
    assert!(calls >= 3, "{calls} calls");
    assert_eq!(
        (&task["inputTokens"], &task["outputTokens"]),
        (&json!(USED.0 * calls), &json!(USED.1 * calls))
    );
    let ours = requests.iter().filter(|request| request.body["model"] == "mock-model").count() as f64;
    let cost = task["costUsd"].as_f64().unwrap();
    assert!(cost >= dollars * ours - 1e-6 && ours >= 3.0, "{cost} for {ours} calls of {calls}");
    assert!(requests.iter().all(|request| request.key == key), "{engine} asks with the provider's own key");

    let asked = shop.owner.look(&format!("/api/v1/tasks/{id}/egress")).await;
    let models_only = asked["requests"].as_array().unwrap().iter().all(|row| row["kind"] == "model");
    assert!(models_only, "{engine} asks for something that nobody told it to: {asked:#}");

    shop.approve(&id).await;
    let task = shop.stands(&id, "done").await;
    let branch = task["branch"].as_str().unwrap().to_owned();
    assert_eq!(shop.remote(&["show", &format!("{branch}:calc.py")]), "def add(a, b):\n    return a + b\n");
    assert_eq!(shop.remote(&["rev-parse", &branch]).trim(), task["commitSha"].as_str().unwrap());
    let message = shop.remote(&["log", "-1", "--format=%B%n%an <%ae>", &branch]);
    assert!(
        message.contains(&format!("\n\nAtoll-Job: {id}\n")) && message.contains("\nAtoll <"),
        "{message}"
    );
    assert_eq!(shop.remote(&["rev-list", "--count", &format!("main..{branch}")]).trim(), "1");

    let before = shop.models.requests().len();
    shop.models.becomes(vec![
        Step::Write("/workspace/NOTES.md".into(), "It adds.".into()),
        Step::Say("It is noted.".into()),
    ]);
    let follow = json!({"instruction": "SECOND: note it"});
    assert_eq!(shop.owner.post(&format!("/api/v1/tasks/{id}/follow-up"), follow).await.0, 200);
    until("the follow-up runs", async || shop.models.requests().len() > before).await;
    shop.stands(&id, "awaiting_approval").await;
    shop.approve(&id).await;
    shop.stands(&id, "done").await;
    assert_eq!(shop.remote(&["show", &format!("{branch}:NOTES.md")]).trim(), "It adds.");
    assert_eq!(shop.remote(&["rev-list", "--count", &format!("main..{branch}")]).trim(), "2");
    assert_eq!(shop.sessions(&id).await.len(), 1, "one session for both: {:#?}", shop.log(&id).await);
    let later = shop.models.requests();
    let last = later.iter().rfind(|request| request.body.to_string().contains("SECOND: note it")).unwrap();
    assert!(last.body.to_string().contains("FIRST: mend the sum"), "it knows what was before");
}
