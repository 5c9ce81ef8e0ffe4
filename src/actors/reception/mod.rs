//! The way in from one chat platform: keeps it listening, decides who is let in, takes along what they brought, and
//! offers it to the channel's intake. `receive` is the way of one thing that came in, `files` fetches, `codes` lets
//! people in, `taps` answers questions, `told` says what became of it, `offers` what may be typed. Conversations do not wait for each other, and what
//! ends work does not wait for files.

mod actor;
mod codes;
mod files;
mod kit;
mod listen;
pub mod messages;
mod offers;
mod receive;
mod taps;
mod told;

#[cfg(test)]
mod tests;

pub use actor::Reception;
pub use kit::{Kinds, ReceptionDoors, ReceptionKit, ReceptionSettings};
pub use offers::Offers;
