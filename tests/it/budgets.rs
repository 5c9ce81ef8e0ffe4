//! Budgets: warned at four fifths, parked at the limit with all that was done, resumed by an owner.

use serde_json::json;

use crate::support::*;

/// A model that costs a dollar for a thousand tokens.
const PRICES: &str = "prices: {mock: {input: 1000, output: 1000}}\n";

/// A place with this budget, and a person who is no owner.
struct Place {
    site: Site,
    server: Option<Server>,
    owner: User,
    ann: User,
    clock: String,
}

impl Place {
    fn new(model: &MockModel, budgets: &str) -> Self {
        let llm = with_model(model, "").replace("model: mock", "model: mock, max_tokens: 100");
        let site = Site::new(&format!("{llm}{PRICES}{BENCH}budgets: {budgets}\n")).with_bench();
        let clock = clock(&site, 0);
        let server = site.start_with(&[("ATOLL_CLOCK", &clock)]);
        let owner = User::new(&server.base, &site.key("boss", "owner"));
        let ann = User::new(&server.base, &site.key("ann", "developer"));
        Self { site, server: Some(server), owner, ann, clock }
    }

    /// The end of the world, and a new beginning.
    fn again(&mut self) {
        self.server.take().unwrap().kill();
        let server = self.site.start_with(&[("ATOLL_CLOCK", &self.clock)]);
        self.owner = User::new(&server.base, &self.owner.key);
        self.ann = User::new(&server.base, &self.ann.key);
        self.server = Some(server);
    }

    /// Says something that is parked for want of budget, and gives the question.
    async fn parked(&self, message: &str) -> (Stream, String) {
        let mut stream = self.ann.open(json!({"message": message})).await;
        let status = stream.until("status", |data| data["status"] == "waiting_approval").await;
        (stream, status.data["approvalId"].as_str().unwrap().to_owned())
    }

    async fn raise(&self, id: &str) {
        let path = format!("/api/v1/approvals/{id}/approve");
        assert_eq!(self.ann.post(&path, json!({})).await.0, 403, "only an owner may");
        let (status, body) = self.owner.post(&path, json!({})).await;
        assert_eq!((status.as_u16(), body["kind"].as_str()), (200, Some("budget")), "{body}");
    }

    fn warnings(&self) -> Vec<String> {
        let sql =
            "SELECT json_extract(body, '$.body') FROM outbox WHERE body LIKE '%Budget warning%' ORDER BY id";
        self.site.column(sql)
    }

    /// What the user's account of today says in this column.
    fn account(&self, column: &str) -> i64 {
        let sql = format!("SELECT coalesce(sum({column}), 0) FROM spend WHERE user_id = 'ann'");
        self.site.value(&sql)
    }

    async fn over(&self) -> String {
        until("the turn ends", async || {
            self.site.value::<i64>("SELECT count(*) FROM turns WHERE state <> 'over'") == 0
        })
        .await;
        self.site.value("SELECT outcome FROM turns ORDER BY started_at DESC, id DESC LIMIT 1")
    }
}

fn talks() -> MockModel {
    MockModel::start(|_| Reply::say("word ".repeat(20)))
}

/// Talks until a daily budget is used up: a warning on the way, never more than the cap, an owner's raise.
async fn used_up(model: &MockModel, budget: &str, column: &str, cap: i64, asks: &str) {
    let mut place = Place::new(model, &format!("{{user_day: {{{budget}}}}}"));
    let spent = format!("spent_{column}");
    let mut rounds = 0;
    let (stream, id) = loop {
        rounds += 1;
        assert!(rounds < 100, "the budget holds nothing: {} of {cap}", place.account(&spent));
        let body = json!({"message": "more", "conversationId": format!("talk-{rounds}")});
        let mut stream = place.ann.open(body).await;
        let said = stream.until_any(&["response", "status"], |data| data["status"] != "processing").await;
        if said.name == "status" {
            assert_eq!(said.data["status"], "waiting_approval");
            break (stream, said.data["approvalId"].as_str().unwrap().to_owned());
        }
        let warned = usize::from(place.account(&spent) * 5 >= cap * 4);
        assert_eq!(place.warnings().len(), warned, "at {} of {cap}", place.account(&spent));
    };
    assert!(rounds > 2, "the first turns are within the budget");
    let used = place.account(&spent);
    assert!(used <= cap && used * 5 >= cap * 4, "{used} of {cap}");
    assert_eq!(place.account(&format!("reserved_{column}")), 0, "what is parked holds nothing");
    let warning = &place.warnings()[0];
    assert!(warning.contains("80 % of today's budget") && warning.contains(asks), "{warning}");
    let (calls, tools) = (model.count(), place.account("spent_tool_calls"));
    place.again();
    assert!(place.account(&spent) >= used, "what was spent is not forgotten");
    place.raise(&id).await;
    assert_eq!(place.over().await, "answered");
    let (calls, tools) = (model.count() - calls, place.account("spent_tool_calls") - tools);
    assert!(calls <= 2 && tools <= 1, "the step that was parked is made once: {calls}, {tools}");
    assert!(place.account(&format!("raised_{column}")) >= cap);
    assert_eq!(place.site.value::<String>("SELECT status FROM approvals"), "consumed");
    drop(stream);
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn the_tokens_of_a_users_day_hold() {
    used_up(&talks(), "tokens: 12000", "tokens", 12_000, "of 12000 tokens").await;
}

#[tokio::test]
async fn the_money_of_a_users_day_holds() {
    used_up(&talks(), "usd: 12", "micros", 12_000_000, "of $12.0000").await;
}

#[tokio::test]
async fn the_tool_calls_of_a_users_day_hold() {
    let model = MockModel::start(|request| match request.results().is_empty() {
        true => Reply::call("clock", json!({})),
        false => Reply::say("it is late"),
    });
    used_up(&model, "tool_calls: 5", "tool_calls", 5, "of 5 tool calls").await;
}

#[tokio::test]
async fn the_minutes_of_a_users_day_hold() {
    let model = MockModel::start(|_| Reply::Slowly(vec!["a".into(), "b".into()], 100));
    let place = Place::new(&model, "{user_day: {minutes: 0.02}}");
    let mut rounds = 0;
    let id = loop {
        rounds += 1;
        assert!(rounds < 50, "{} ms are spent", place.account("spent_time_ms"));
        let mut stream = place.ann.open(json!({"message": "more"})).await;
        let said = stream.until_any(&["response", "status"], |data| data["status"] != "processing").await;
        if said.name == "status" {
            break said.data["approvalId"].as_str().unwrap().to_owned();
        }
    };
    let spent = place.account("spent_time_ms");
    assert!((1_200..2_400).contains(&spent), "{spent} of 1200 ms");
    assert_eq!(place.warnings().len(), 1);
    assert!(place.warnings()[0].contains("of 2 s"), "{:?}", place.warnings());
    let calls = model.count();
    place.raise(&id).await;
    assert_eq!(place.over().await, "answered");
    assert_eq!(model.count(), calls + 1);
}

#[tokio::test]
async fn time_that_is_spent_in_vain_is_spent() {
    let model = MockModel::start(|_| Reply::Hang);
    let place = Place::new(&model, "{user_day: {minutes: 0.01}}");
    let events = place.ann.chat(json!({"message": "hang"})).await;
    let said = answer_of(&events).unwrap();
    assert!(said.contains("budget of working time"), "{said}");
    assert_eq!(place.over().await, "out_of_budget");
    assert!(place.account("spent_time_ms") >= 600);
    place.parked("again").await;
    assert_eq!(model.count(), 1, "there is no time left to ask in");
}

#[tokio::test]
async fn a_tool_that_is_cancelled_has_cost_its_call_and_its_time() {
    let model = does(&[("bench_hang", json!({}))]);
    let place = Place::new(&model, "{user_day: {tool_calls: 100}}");
    let _stream = place.ann.open(json!({"message": "hang"})).await;
    until("the tool runs", async || place.site.pids().len() == 2).await;
    place.ann.post("/api/chat/cancel", json!({})).await;
    assert_eq!(place.over().await, "cancelled");
    assert_eq!(place.account("spent_tool_calls"), 2, "the skill was opened, and its tool called");
    assert_eq!(place.account("reserved_tool_calls"), 0);
}

#[tokio::test]
async fn a_day_has_a_budget_of_its_own() {
    let model = talks();
    let place = Place::new(&model, "{user_day: {tool_calls: 1}}");
    model.becomes(|request| match request.results().is_empty() {
        true => Reply::call("clock", json!({})),
        false => Reply::say("it is late"),
    });
    assert_eq!(place.ann.ask("first").await, "it is late");
    place.parked("second").await;
    clock(&place.site, 86_400_000);
    assert_eq!(place.ann.ask_as(json!({"message": "third", "conversationId": "new"})).await, "it is late");
}

#[tokio::test]
async fn fifty_messages_at_once_never_spend_more_than_the_day_allows() {
    let cap = 30_000;
    let model = talks();
    let mut place = Place::new(&model, &format!("{{user_day: {{tokens: {cap}}}}}"));
    let all = (0..50).map(|at| {
        let ann = place.ann.clone();
        async move {
            let body = json!({"message": "hello", "conversationId": format!("talk-{at}")});
            let mut stream = ann.open(body).await;
            stream.until_any(&["response", "status"], |data| data["status"] != "processing").await.name
        }
    });
    let ends = futures_util::future::join_all(all).await;
    let answered = ends.iter().filter(|end| *end == "response").count();
    assert!((1..50).contains(&answered), "{answered} were answered");
    assert_eq!(model.count(), answered as u64, "what was parked asked no model");
    assert_eq!(
        place.site.value::<i64>("SELECT count(*) FROM turns WHERE state = 'parked'"),
        50 - answered as i64
    );
    assert!(place.account("spent_tokens + reserved_tokens") <= cap, "{}", place.account("spent_tokens"));
    let billed = "SELECT sum(input + output) FROM costs";
    assert_eq!(place.site.value::<i64>(billed), place.account("spent_tokens"));
    place.again();
    assert!(place.account("spent_tokens + reserved_tokens") <= cap);
    assert_eq!(model.count(), answered as u64, "what is parked stays parked over a restart");
}

/// A model that looks at the clock ten times, then answers.
fn looks_ten_times() -> MockModel {
    MockModel::start(|request| match request.text().matches("(UTC)").count() {
        0..10 => Reply::call("clock", json!({})),
        _ => Reply::say("ten looks"),
    })
}

/// Works until a turn's budget is used up: a warning on the way, parked with its state, resumed by a raise.
async fn turn_used_up(budget: &str, column: &str, cap: i64, asks: &str) {
    let model = looks_ten_times();
    let mut place = Place::new(&model, &format!("{{turn: {{{budget}}}}}"));
    let (stream, id) = place.parked("look").await;
    let (calls, spent) = (model.count(), place.account(&format!("spent_{column}")));
    assert!((2..11).contains(&calls) && spent <= cap && spent * 5 >= cap * 4, "{calls}: {spent} of {cap}");
    assert_eq!(place.warnings().len(), 1);
    let warning = &place.warnings()[0];
    assert!(warning.contains("80 % of this turn's budget") && warning.contains(asks), "{warning}");
    place.again();
    place.raise(&id).await;
    assert_eq!(place.over().await, "answered");
    assert_eq!(model.count(), 11, "no answer was paid for twice");
    assert_eq!(place.account("spent_tool_calls"), 10, "no call was made twice");
    assert!(place.site.column("SELECT body FROM outbox").pop().unwrap().contains("ten looks"));
    drop(stream);
    assert_eq!(place.ann.ask("/tasks").await, "Nothing is under way.");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn the_tokens_of_a_turn_hold() {
    turn_used_up("tokens: 9000", "tokens", 9_000, "of 9000 tokens").await;
}

#[tokio::test]
async fn the_money_of_a_turn_holds() {
    turn_used_up("usd: 9", "micros", 9_000_000, "of $9.0000").await;
}

#[tokio::test]
async fn the_tool_calls_of_a_turn_hold() {
    turn_used_up("tool_calls: 5", "tool_calls", 5, "of 5 tool calls").await;
}

#[tokio::test]
async fn the_minutes_of_a_turn_hold() {
    let model = MockModel::start(|request| match request.number {
        1 => Reply::call("activate_skill", json!({"skill_name": "bench"})),
        number => Reply::call("bench_look", json!({"n": number})),
    });
    let place = Place::new(&model, "{turn: {minutes: 0.02}}");
    let events = place.ann.chat(json!({"message": "look and look"})).await;
    let said = answer_of(&events).unwrap();
    assert!(said.contains("budget of working time"), "{said}");
    assert_eq!(place.over().await, "out_of_budget");
    assert!((2..=6).contains(&place.site.ledger().len()), "{:?}", place.site.ledger());
    assert!(place.warnings()[0].contains("80 % of this turn's budget"), "{:?}", place.warnings());
    model.becomes(|_| Reply::say("fine"));
    assert_eq!(place.ann.ask("and now?").await, "fine", "another turn has its own");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
}

#[tokio::test]
async fn a_model_that_a_turn_cannot_pay_is_not_asked() {
    for budget in ["tokens: 500", "usd: 0.5"] {
        let model = talks();
        let place = Place::new(&model, &format!("{{turn: {{{budget}}}}}"));
        let (stream, id) = place.parked("hello").await;
        assert_eq!((model.count(), place.account("spent_tokens")), (0, 0));
        let asked = place.owner.look("/api/v1/approvals").await["approvals"][0].clone();
        let preview = asked["preview"].as_str().unwrap();
        assert!(preview.starts_with("raise the turn's budget from "), "{preview}");
        place.raise(&id).await;
        assert!(answer_of(&stream.rest().await).unwrap().starts_with("word"));
        assert_eq!(model.count(), 1);
    }
}

#[tokio::test]
async fn a_raise_that_is_refused_or_not_given_in_time_ends_the_turn_honestly() {
    for (refuse, reason) in [(true, "boss refused to raise it"), (false, "nobody raised it in time")] {
        let model = talks();
        let place = Place::new(&model, "{turn: {tokens: 500}}");
        let (stream, id) = place.parked("hello").await;
        if refuse {
            let (status, _) = place.owner.post(&format!("/api/v1/approvals/{id}/reject"), json!({})).await;
            assert_eq!(status, 200);
        } else {
            clock(&place.site, 25 * 3_600_000);
        }
        assert_eq!(place.over().await, "out_of_budget");
        let said = answer_of(&stream.rest().await).unwrap();
        assert!(said.contains("the turn's budget of 500 tokens") && said.contains(reason), "{said}");
        assert_eq!(model.count(), 0);
    }
}
