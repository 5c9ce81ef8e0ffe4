//! What the tests share: a model server, the real binary, a client. No sleeps: bounded looks at the world.
#![allow(dead_code, unused_imports, reason = "each test, and the benches, use a part of it")]

pub(crate) mod client;
pub(crate) mod model;
pub(crate) mod server;
pub(crate) mod skills;

pub(crate) use client::{Event, Stream, User, answer_of};
pub(crate) use model::{Gate, MockModel, Reply, Request};
pub(crate) use server::{PATIENCE, Server, Site, until};
pub(crate) use skills::{BENCH, clock, does, gone, in_turn};

/// A configuration with one provider that speaks chat completions, and more below it.
pub(crate) fn with_model(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.openai()
    )
}

/// The same with a provider that speaks Anthropic's messages, which is strict about who speaks when.
pub(crate) fn with_anthropic(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: anthropic, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.anthropic()
    )
}
