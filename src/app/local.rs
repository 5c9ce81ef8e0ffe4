//! The store for the command line: the same actors that the server has, in a process of its own, also while
//! the server runs. SQLite keeps the two apart.

use std::sync::Arc;

use actix::prelude::*;

use crate::{
    actors::{
        db::messages::DbDoors,
        kernel::Placement,
        root::{
            Root,
            messages::{Close, Inspect},
        },
    },
    home::Home,
    ports::metrics::Metrics,
    store::{StoreError, schema},
};

use super::{actors::assemble_store, clock::SystemClock, parts::Base};

/// The store, opened.
pub struct LocalStore {
    /// The doors to it.
    pub doors: DbDoors,
}

/// Opens the store of a home, does something with it, closes it.
///
/// # Errors
/// When the store cannot be opened; what `work` gives is handed through.
pub fn with_store<T, F>(home: &Home, work: F) -> Result<T, StoreError>
where
    F: AsyncFnOnce(LocalStore) -> T,
{
    drop(schema::open_writer(&home.store())?);
    let base = Base {
        store: home.store(),
        boot: 0,
        clock: Arc::new(SystemClock),
        metrics: Metrics::new().map_err(|error| StoreError::Schema(error.to_string()))?,
        placement: Placement::here(),
        links: None,
        told: None,
    };
    let outcome = actix::System::new().block_on(async {
        let assembled = assemble_store(&base);
        let root = Root::new(assembled.root).start();
        // The root starts its children in its own time: wait until the store answers.
        let _ = root.send(Inspect("db".into())).await;
        let outcome = work(LocalStore { doors: assembled.doors.db }).await;
        let _ = root.send(Close).await;
        outcome
    });
    Ok(outcome)
}
