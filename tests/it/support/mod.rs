//! What the tests share: a model server, the real binary, a client. No sleeps: bounded looks at the world.
#![allow(dead_code, reason = "each test, and the benches, use a part of it")]

pub mod client;
pub mod model;
pub mod server;

pub use client::{Event, Stream, User, answer_of};
pub use model::{MockModel, Reply, Request};
pub use server::{PATIENCE, Server, Site, until};

/// A configuration with one provider that speaks chat completions, and more below it.
pub fn with_model(model: &MockModel, more: &str) -> String {
    format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: test-key}}\n{more}",
        model.openai()
    )
}
