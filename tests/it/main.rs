//! All integration tests in one binary: the real server over real sockets, against a model server of our own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "they look at the real world, whose clock is the real one")]
#![expect(clippy::zombie_processes, reason = "a server that is dropped is killed and waited for")]

mod access;
mod actors;
mod approvals;
mod attachments;
mod bench;
mod board;
mod bots_at_work;
mod budgets;
mod busy;
mod cancel;
mod chats;
mod cli;
mod codecs;
mod commands;
mod crash;
mod daemon;
mod demo;
mod discord;
mod docs;
mod engines;
mod events;
mod failover;
mod forge;
mod fuzz;
mod gateway;
mod git;
mod history;
mod jobs;
mod limits;
mod memories;
mod on_discord;
mod openapi;
mod people;
mod prompt;
mod real_engines;
mod records;
mod rest;
mod sandbox;
mod settings;
mod support;
mod tasks;
mod telegram;
mod tools;
mod town;
mod transcription;
mod webhook;
