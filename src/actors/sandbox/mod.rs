//! The bench of a coding job: one actor owns one sandbox, its way out, the engine and the commands that run in it.
//!
//! `messages` is what its job tells it and hears from it, `bench` opens and closes, `place` is what is open and who
//! watches over it, `command` and `engine` are what runs there, `meter`, `model` and `egress` keep the account.

mod actor;
mod bench;
mod command;
mod egress;
mod engine;
mod inside;
mod kit;
pub mod messages;
mod meter;
mod model;
mod place;

pub use actor::SandboxActor;
pub use egress::JobEgress;
pub use kit::{BenchCaps, BenchDoors, BenchKit, BenchPlaces, ModelFacts, PriceOf};
pub use meter::{JobMeter, Paid};
pub use model::MeteredModel;

#[cfg(test)]
mod tests;
