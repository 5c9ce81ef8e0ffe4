//! What every actor is built on: mail that is counted, doors that stay while actors come and go, a death
//! watch that sees panics, a nursery that restarts, and fault points.

mod door;
pub mod fault;
mod life;
mod mail;
pub mod messages;
mod nursery;
mod placement;
mod vitals;

pub use door::{Door, Refused, Unreachable};
pub use life::{Life, Panicked, caught, install_panic_hook};
pub use mail::{Mail, Ticket};
pub use nursery::{Fallen, Nursery};
pub use placement::{Placement, Role};
pub use vitals::{Registry, Standing, VitalSigns, Vitals};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
