//! `kill -9` at every boundary of the journal and at random moments: nothing lost, nothing twice.
//!
//! Read `points` (where the process dies, and in the middle of what), then `world` (what must be so afterwards).
//! Every run writes what it did to `$CARGO_TARGET_TMPDIR/crash/<name>.log`.

mod board;
mod books;
mod facts;
mod forks;
mod labels;
mod orders;
mod outbox;
mod points;
mod random;
mod rows;
mod scenes;
mod script;
mod stage;
mod world;

pub(crate) use points::both;
