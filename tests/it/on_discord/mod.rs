//! The real binary on Discord: what its people do there, and all that they see of it.

mod cards;
mod conversation;
pub(crate) mod kit;
mod missed;
mod offers;
