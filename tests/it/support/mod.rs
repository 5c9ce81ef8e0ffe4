//! What the tests share: a model server, the real binary, a client. No sleeps: bounded looks at the world.
#![allow(dead_code, unused_imports, reason = "each test, and the benches, use a part of it")]

pub(crate) mod client;
pub(crate) mod discord;
pub(crate) mod http;
pub(crate) mod model;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod skills;
mod strict;
pub(crate) mod telegram;
pub(crate) mod transcriber;
mod wire;

pub(crate) use client::{Event, Stream, User, answer_of, code_of};
pub(crate) use model::{Gate, MockModel, Reply, Request, Then};
pub(crate) use server::{PATIENCE, Server, Site, until};
pub(crate) use skills::{BENCH, clock, does, gone, in_turn};

/// A configuration with one provider that speaks chat completions, and more below it.
pub(crate) fn with_model(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.openai()
    )
}

/// A configuration with one provider that speaks Anthropic messages, and more below it.
pub(crate) fn with_anthropic(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: anthropic, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.anthropic()
    )
}

/// A model server for each wire protocol, with the configuration that makes Atoll speak it.
pub(crate) fn both(
    script: impl Fn(&Request) -> Reply + Clone + Send + Sync + 'static,
    more: &str,
) -> [(MockModel, String); 2] {
    let (one, two) = (MockModel::start(script.clone()), MockModel::start(script));
    let (chat, messages) = (with_model(&one, more), with_anthropic(&two, more));
    [(one, chat), (two, messages)]
}
