//! Pure decisions: no async, no clock, no I/O, no framework. Time and ids are passed in.

pub mod access;
pub mod approval;
pub mod audit;
pub mod board;
pub mod bot;
pub mod branch;
pub mod budget;
pub mod bundle;
pub mod chat;
pub mod command;
pub mod commit;
pub mod draft;
pub mod engine;
pub mod gate;
pub mod gateway;
pub mod identity;
pub mod ids;
pub mod inbound;
pub mod job;
pub mod journal;
pub mod lane;
pub mod markup;
pub mod memory;
pub mod message;
pub mod model;
pub mod notice;
pub mod outbound;
pub mod pace;
pub mod persona;
pub mod posting;
pub mod price;
pub mod project;
pub mod rate;
pub mod records;
pub mod remote;
pub mod restart;
pub mod retry;
pub mod review;
pub mod secret;
pub mod skill;
pub mod split;
pub mod task_schedule;
pub mod tokens;
pub mod turn;

/// Milliseconds since the Unix epoch. Always passed in, never read from a clock.
pub type Millis = i64;
