//! The way out of a sandbox: the relay as a real process, and the gateway behind it, against real sockets.

pub(crate) mod kit;
mod models;
mod relay;
mod terminals;
mod tunnels;
pub(crate) mod upstream;
