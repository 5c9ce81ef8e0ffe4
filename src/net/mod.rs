//! HTTP as a client: one way to build it, server-sent events in both directions, forms with files.

mod client;
pub mod multipart;
pub mod part;
pub mod sse;

pub use client::{BuildError, Clients, guarded_client, install_tls, local_client};
