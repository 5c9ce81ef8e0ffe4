//! REST: one endpoint family a file; the route table, authentication and errors in one place each.

mod access;
mod actors;
mod approvals;
mod audit;
mod board_shapes;
mod boards;
mod body;
mod bots;
mod chat;
mod claims;
mod costs;
mod error;
mod events;
mod files;
mod guard;
mod health;
mod journal;
mod keys;
mod kit;
mod membership;
mod memories;
mod orders;
mod projects;
mod routes;
mod server;
mod shapes;
mod skills;
mod sse;
mod stories;
mod users;

pub use kit::{LocalKey, WebDoors, WebKit, WebSettings};
pub use routes::openapi;
pub use server::{HttpServer, bind};
