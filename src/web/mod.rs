//! REST: one endpoint family a file; the route table, authentication and errors in one place each.

mod access;
mod actors;
mod approvals;
mod audit;
mod body;
mod chat;
mod costs;
mod error;
mod events;
mod files;
mod guard;
mod health;
mod keys;
mod kit;
mod memories;
mod orders;
mod routes;
mod server;
mod shapes;
mod skills;
mod sse;
mod users;

pub use kit::{LocalKey, WebDoors, WebKit, WebSettings};
pub use routes::openapi;
pub use server::{HttpServer, bind};
