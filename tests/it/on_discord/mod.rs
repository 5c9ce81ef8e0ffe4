//! The real binary on Discord: what its people do there, and all that they see of it.

mod kit;
mod offers;
