//! The adapter of Discord against a Discord of our own, over real sockets.

mod gateway;
mod incoming;
mod interactions;
mod kit;
mod limits;
mod outgoing;
mod restarts;
