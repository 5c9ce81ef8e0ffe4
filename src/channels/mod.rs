//! Channels: an adapter knows its platform's wire format, and nothing else.

mod stream;

pub use stream::{Publish, StreamChannel};
