//! Actors: thin shells around `domain`. Read an actor's `messages` first.

pub mod bots;
pub mod db;
pub mod delivery;
pub mod event_hub;
pub mod intake;
pub mod jobs;
pub mod kernel;
pub mod llm_pool;
pub mod outbox;
pub mod reception;
pub mod root;
pub mod router;
pub mod sandbox;
pub mod scheduler;
pub mod session;
pub mod skill_host;
