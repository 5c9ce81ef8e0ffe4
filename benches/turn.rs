//! The pure parts, by criterion: a turn from message to answer, recovery, codecs, the memory's words.

use std::{hint::black_box, sync::Arc};

use atoll::{
    domain::{
        budget::{Amount, Caps},
        ids::{InboundId, TurnId},
        memory::{is_near_duplicate, text},
        message::Message,
        model::{Answer, Reply, Stop, Usage},
        skill::ToolBook,
        turn::{Effect, Env, Event, History, Limits, Opening, Past, Purpose, Turn, compose},
    },
    llm::decode::{OpenAiDecoder, decode_bytes},
};
use criterion::{Criterion, criterion_group, criterion_main};

fn env() -> Env {
    let limits = Limits {
        iterations: 50,
        continuations: 3,
        repeated_failures: 3,
        history_messages: 100,
        context_tokens: 100_000,
        turn_ms: 60_000,
        approval_ms: 60_000,
        resumes: 5,
        turn_caps: Caps::default(),
    };
    Env { limits, tools: Arc::new(ToolBook::default()) }
}

fn opening() -> Opening {
    Opening {
        turn: TurnId::new("t"),
        inbound: InboundId::new("i"),
        text: "what is new?".into(),
        attachments: vec![],
        activated: Default::default(),
    }
}

fn answer() -> Answer {
    let reply = Reply {
        text: "nothing much".into(),
        calls: vec![],
        stop: Stop::End,
        usage: Usage::default(),
        provider: "p".into(),
        model: "m".into(),
    };
    Answer { reply, cost: Amount::ZERO }
}

fn turns(criterion: &mut Criterion) {
    let env = env();
    criterion.bench_function("plain turn: begin, answer, close", |bench| {
        bench.iter(|| {
            let (mut turn, _) = Turn::begin(1, opening(), "[atoll: it is Monday]".into());
            let effects = turn.step(2, &env, Event::ModelAnswered { ask: 1, answer: answer() });
            black_box((turn, effects))
        });
    });
    let (mut turn, mut effects) = Turn::begin(1, opening(), String::new());
    effects.extend(turn.step(2, &env, Event::ModelAnswered { ask: 1, answer: answer() }));
    let journal: Vec<_> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Record(entries) => Some(entries),
            _ => None,
        })
        .flatten()
        .collect();
    criterion.bench_function("plain turn: rebuild from its journal", |bench| {
        bench.iter(|| black_box(Turn::rebuild(opening(), &journal)));
    });
    let mut history = History::default();
    for seq in 0..50 {
        let messages =
            vec![Message::user("a question of some words"), Message::assistant("an answer ".repeat(20))];
        history.push(Past::new(seq, history.next, messages), 100);
    }
    let (turn, _) = Turn::begin(1, opening(), String::new());
    let system: Arc<str> = "You are a friend. ".repeat(60).into();
    criterion.bench_function("compose a request from 100 messages", |bench| {
        bench.iter(|| black_box(compose(&turn, Purpose::Answer, &system, &history, &env.tools, &env.limits)));
    });
}

fn codecs(criterion: &mut Criterion) {
    let mut stream = String::new();
    for _ in 0..200 {
        stream.push_str("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"some words \"}}]}\n\n");
    }
    stream.push_str(
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    );
    criterion.bench_function("decode an answer of 200 pieces", |bench| {
        bench.iter(|| black_box(decode_bytes(Box::<OpenAiDecoder>::default(), stream.as_bytes())));
    });
}

fn memory(criterion: &mut Criterion) {
    let one = "The user prefers green tea to coffee in the morning, and takes it without sugar";
    let two = "the user prefers green tea to coffee in the mornings and takes it without any sugar";
    criterion.bench_function("words of a query", |bench| bench.iter(|| black_box(text::query_terms(one))));
    criterion
        .bench_function("compare two facts", |bench| bench.iter(|| black_box(is_near_duplicate(one, two))));
}

criterion_group!(benches, turns, codecs, memory);
criterion_main!(benches);
