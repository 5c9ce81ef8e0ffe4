//! What the tests share: a model server, the real binary, a client. No sleeps: bounded looks at the world.
#![allow(dead_code, unused_imports, reason = "each test, and the benches, use a part of it")]

pub(crate) mod client;
pub(crate) mod model;
pub(crate) mod server;

pub(crate) use client::{Event, Stream, User, answer_of, code_of};
pub(crate) use model::{MockModel, Reply, Request};
pub(crate) use server::{PATIENCE, Server, Site, until};

/// A configuration with one provider that speaks chat completions, and more below it.
pub(crate) fn with_model(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.openai()
    )
}
