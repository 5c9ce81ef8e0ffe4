//! The only door to the store: one actor that writes, with commits shared by all who wait; a few that read;
//! one that keeps house beside them.

mod board;
mod chats;
mod jobs;
mod keeper;
pub mod messages;
mod posts;
mod reader;
mod reads;
mod schedules;
mod writer;
mod writes;

pub use keeper::DbKeeper;
pub use reader::DbReader;
pub use writer::Db;

#[cfg(test)]
mod tests;
