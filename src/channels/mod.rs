//! Channels: an adapter knows its platform's wire format, and nothing else.

mod callback;
pub mod discord;
mod stream;
pub mod telegram;

pub use callback::CallbackChannel;
pub use stream::{Publish, StreamChannel};
