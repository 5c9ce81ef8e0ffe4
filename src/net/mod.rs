//! HTTP as a client: one way to build it, and server-sent events in both directions.

mod client;
pub mod sse;

pub use client::{BuildError, Clients, install_tls, local_client};
