//! Who pays, who is told, who is let out.

use atoll::{
    actors::sandbox::messages::{BenchEvent, SetPolicy},
    domain::{
        bot,
        budget::{Dimension, Exceeded, Scope},
        engine::{End, EngineEvent},
        gateway::{EgressKind, EgressPolicy, Verdict, hosts::AllowList},
    },
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::kit::{Desk, all};
use crate::{gateway::kit::request, support::*};

/// Somebody inside sends these bytes and hears all that comes back.
async fn raw(desk: &Desk, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", desk.opened.port)).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn no_room() -> Exceeded {
    Exceeded { scope: Scope::Job, dimension: Dimension::Tokens, cap: 10, used: 9, asked: 90, raise: 90 }
}

#[actix::test]
async fn an_engine_of_others_pays_at_the_gateway_and_is_stopped_by_an_empty_budget() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let mut desk = Desk::open(None, &with_model(&model, "")).await;
    let _heard = desk.engine(bot::Engine::Codex, "go").await;
    let run = desk.calls.recv().await.unwrap();
    assert_eq!(run.gateway, format!("http://127.0.0.1:{}/llm", desk.opened.port));
    let body = json!({"model": "mock", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]});
    let ask = |token: &str| {
        let header = format!("authorization: Bearer {token}");
        request("/llm/openai/v1/chat/completions", &header, &body.to_string())
    };
    let answer = raw(&desk, &ask(run.token.reveal())).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hello"), "{answer}");
    assert_eq!(model.requests()[0].headers["authorization"], "Bearer test-key", "the key is the host's");
    until("it is settled", async || desk.books.settled.lock().unwrap().len() == 1).await;
    let (prepaid, settled) =
        (desk.books.prepaid.lock().unwrap()[0].clone(), desk.books.settled.lock().unwrap()[0].clone());
    let paid = settled.call.unwrap();
    assert_eq!(
        (paid.provider.as_str(), paid.model.as_str(), settled.prepaid),
        ("openai", "mock", prepaid.worst)
    );
    // Nobody knows what this model costs: the highest price that is known counts.
    assert!(prepaid.worst.micros > 0 && paid.cost.micros > 0 && paid.cost.micros <= prepaid.worst.micros);
    let stranger = raw(&desk, &ask("atoll-job-00")).await;
    assert!(stranger.starts_with("HTTP/1.1 401"), "{stranger}");

    *desk.books.over.lock().unwrap() = Some(no_room());
    for _ in 0..2 {
        let refused = raw(&desk, &ask(run.token.reveal())).await;
        assert!(
            refused.starts_with("HTTP/1.1 400") && refused.contains("the job's budget has no room"),
            "{refused}"
        );
    }
    let is_over = |event: &BenchEvent| matches!(event, BenchEvent::OverBudget(_));
    assert_eq!(desk.hears(is_over).await, BenchEvent::OverBudget(no_room()));
    assert_eq!(model.count(), 1);
    let mut more = Vec::new();
    while let Ok(event) = desk.told.try_recv() {
        more.push(event);
    }
    assert!(!more.iter().any(is_over), "told twice: {more:?}");
}

#[actix::test]
async fn our_own_engine_ends_on_an_empty_budget_without_asking_anybody() {
    let model = MockModel::start(|_| Reply::say("never"));
    let mut desk = Desk::open(None, &with_model(&model, "")).await;
    *desk.books.over.lock().unwrap() = Some(no_room());
    let events = all(desk.engine(bot::Engine::Native, "go").await).await;
    let Some(EngineEvent::Result(ending)) = events.last() else { panic!("{events:?}") };
    assert_eq!((ending.end, ending.ok), (End::Api { status: Some(400) }, false));
    assert!(ending.text.contains("budget has no room") && !ending.end.may_resume(), "{}", ending.text);
    assert!(matches!(desk.told.recv().await, Some(BenchEvent::OverBudget(_))));
    assert_eq!(model.count(), 0);
    // With room again, the next one works.
    *desk.books.over.lock().unwrap() = None;
    model.becomes(|_| Reply::say("done"));
    let events = all(desk.engine(bot::Engine::Native, "go").await).await;
    assert!(matches!(events.last(), Some(EngineEvent::Result(ending)) if ending.ok), "{events:?}");
}

#[actix::test]
async fn a_refused_host_is_told_and_stored_and_may_be_allowed_while_it_runs() {
    let model = MockModel::instant("hi");
    let mut desk = Desk::open(None, &with_model(&model, "")).await;
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    desk.internet.name("pkg.example.org", &[&["93.184.215.14"]]);
    desk.internet.place("93.184.215.14", outside.local_addr().unwrap());
    let connect = "CONNECT pkg.example.org:443 HTTP/1.1\r\nHost: pkg.example.org:443\r\n\r\n";
    let refused = raw(&desk, connect).await;
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    let event = desk.hears(|event| matches!(event, BenchEvent::Egress(_))).await;
    let BenchEvent::Egress(record) = event else { unreachable!() };
    assert_eq!((record.kind, record.host.as_str()), (EgressKind::Tunnel, "pkg.example.org"));
    assert!(matches!(record.verdict, Verdict::Refused { ask: true, .. }), "{record:?}");
    until("it is stored", async || *desk.books.egress.lock().unwrap() == [record.clone()]).await;

    let allow = AllowList::parse(["pkg.example.org"]).unwrap();
    desk.send(SetPolicy { policy: EgressPolicy { allow, hosted_tools: false } }).await.unwrap();
    let served = async {
        let (mut stream, _) = outside.accept().await.unwrap();
        stream.write_all(b"from outside").await.unwrap();
    };
    let (answer, ()) = tokio::join!(raw(&desk, connect), served);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("from outside"), "{answer}");
}

#[actix::test]
async fn our_own_engine_asks_the_model_that_it_is_told_to_and_no_other() {
    let (one, two) = (MockModel::start(|_| Reply::say("one")), MockModel::start(|_| Reply::say("two")));
    let provider = |name: &str, model: &MockModel| {
        format!(
            "- {{provider: openai-compatible, name: {name}, base_url: '{}', model: {name}-model, api_key: k}}\n",
            model.openai()
        )
    };
    let desk = Desk::open(None, &format!("llm:\n{}{}", provider("a", &one), provider("b", &two))).await;
    for (model, says) in [("b-model", "two"), ("a", "one"), ("b", "two")] {
        let events = all(desk.engine_with(bot::Engine::Native, "go", Some(model)).await).await;
        assert!(
            matches!(events.last(), Some(EngineEvent::Result(ending)) if ending.text == says),
            "{model}: {events:?}"
        );
    }
    assert_eq!((one.count(), two.count()), (1, 2));
    let events = all(desk.engine_with(bot::Engine::Native, "go", Some("c")).await).await;
    let Some(EngineEvent::Result(ending)) = events.last() else { panic!("{events:?}") };
    assert!(!ending.ok && ending.text.contains("there is a-model, b-model"), "{}", ending.text);
    assert_eq!(desk.books.settled.lock().unwrap().last().unwrap().call, None);
}
