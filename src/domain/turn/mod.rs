//! One agent turn: events in, journal entries and effects out. Everything a turn knows is in its journal.
//!
//! Read `entry` (what is stored), `event` (what comes in and what is to be done), then `step`.

mod answer;
mod apply;
mod entry;
mod event;
mod fit;
mod plan;
mod request;
mod resume;
mod state;
mod step;

pub use entry::{Closed, Entry, Held, Outcome};
pub use event::{CallKey, Effect, Env, Event, Limits, Purpose, ToolRun, deadline};
pub use fit::{History, Past, fit, window};
pub use request::{Composed, compose};
pub use state::{JournalFault, Opening, Phase, Turn};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
