//! What the store is asked: writes answer after their commit, reads from a snapshot.

mod board;
mod chats;
mod doors;
mod jobs;
mod posts;
mod reads;
mod schedules;
mod writes;

pub use board::*;
pub use chats::*;
pub use doors::{DbDoors, ReadDoors, WriteDoors};
pub use jobs::*;
pub use posts::*;
pub use reads::*;
pub use schedules::*;
pub use writes::*;

use crate::{
    actors::kernel::Unreachable,
    domain::{approval::Refusal, audit::Broken},
};

/// Why the store did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DbError {
    /// Somebody else holds the turn, or went on.
    #[error("stale: {0}")]
    Stale(&'static str),
    /// The same `Idempotency-Key` came with other words.
    #[error("this Idempotency-Key was used for a different message")]
    KeyReused,
    /// An approval cannot be answered so.
    #[error(transparent)]
    Approval(#[from] Refusal),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A project, its board, a story or a bot cannot be changed so.
    #[error(transparent)]
    Board(#[from] crate::domain::board::Refusal),
    /// Something about an account on a platform cannot be done.
    #[error(transparent)]
    Identity(#[from] crate::domain::identity::Refusal),
    /// The audit log is broken.
    #[error(transparent)]
    Audit(#[from] Broken),
    /// The store failed; nothing was stored.
    #[error("{0}")]
    Failed(String),
    /// The store is not there now.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// A message and its answer.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? } -> $reply:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
        impl actix::Message for $name {
            type Result = Result<$reply, crate::actors::db::messages::DbError>;
        }
    };
}
use message;
