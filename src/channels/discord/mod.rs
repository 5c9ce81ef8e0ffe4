//! Discord: its gateway and its REST interface, version 10.

mod asked;
pub mod known;
mod ledger;
pub mod read;
mod session;
mod wire;
