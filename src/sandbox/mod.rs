//! Sandboxes: the relay that runs inside them, the streams that it carries, and the gateway that is their way out.

pub mod gateway;
pub mod mux;
mod relay;
mod terminal;

pub use relay::{RELAY, install_relay};
