//! Atoll: a self-hosted home for AI agents. `ARCHITECTURE.md` has the map.

pub mod actors;
pub mod app;
pub mod channels;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engines;
pub mod forge;
pub mod home;
pub mod llm;
pub mod net;
pub mod ports;
pub mod sandbox;
pub mod skills;
pub mod store;
pub mod telemetry;
pub mod web;
