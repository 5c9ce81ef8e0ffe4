//! The Telegram adapter over real sockets, against a stand-in that is as strict as Telegram.

mod albums;
mod files;
mod hook;
mod kit;
mod links;
mod listening;
mod secrecy;
mod sending;
mod talk;
mod troubles;
