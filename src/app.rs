//! The composition root: the only place that knows everyone. `actors` wires the tree, `models` finds who
//! answers, `serve` runs the server, `local` opens the store for the command line.

mod actors;
mod bots;
mod chats;
mod clock;
mod coding;
mod incoming;
mod jobs;
mod local;
mod models;
mod origins;
mod parts;
mod platforms;
mod receptions;
mod report;
mod sandbox;
mod serve;

pub use actors::{Assembled, assemble, assemble_store};
pub use clock::SystemClock;
pub use coding::{SandboxEngines, gateway_providers, gateways, model_facts, price_of};
pub use jobs::Coding;
pub use local::{LocalStore, with_store};
pub use models::{Found, find_models};
pub use parts::{Base, Doors, Parts};
pub use sandbox::sandboxes;
pub use serve::{ServeError, serve};
