//! The composition root: the only place that knows everyone. `actors` wires the tree, `models` finds who
//! answers, `coding` says what jobs are worked on with, `serve` runs the server, `local` opens the store for the command line.

mod actors;
mod clock;
mod coding;
mod local;
mod models;
mod parts;
mod report;
mod serve;

pub use actors::{Assembled, assemble, assemble_store};
pub use clock::SystemClock;
pub use coding::{SandboxEngines, gateway_providers, gateways, model_facts, price_of};
pub use local::{LocalStore, with_store};
pub use models::{Found, find_models};
pub use parts::{Base, Doors, Parts};
pub use serve::{ServeError, serve};
