//! Atoll: a self-hosted home for AI agents. `ARCHITECTURE.md` has the map.

pub mod actors;
pub mod config;
pub mod domain;
pub mod ports;
pub mod store;
