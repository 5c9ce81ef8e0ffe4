//! Actors: thin shells around `domain`. Read an actor's `messages` first.

pub mod db;
pub mod kernel;
