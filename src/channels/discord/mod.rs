//! Discord: its gateway and its REST interface, version 10.

mod asked;
mod commands;
mod fault;
pub mod known;
mod ledger;
mod limits;
pub mod read;
mod rest;
mod send;
mod session;
mod upload;
mod wire;
