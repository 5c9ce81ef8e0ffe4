//! Many streams over the standard input and output of one program in a sandbox, the relay.
//!
//! `frame` is the wire, `state` says what may come and go (both pure), `shared` holds the bytes, `driver` moves them.
//! What the relay says is untrusted: whatever runs in the sandbox may have taken its place.

mod driver;
#[path = "../../../relay/src/frame.rs"]
pub mod frame;
mod shared;
pub mod state;
mod stream;

pub use driver::{Mux, MuxFault};
pub use stream::{MuxStream, Resizer};
