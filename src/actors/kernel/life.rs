//! What an actor holds of its own existence. Its drop is the only death notice, so a panic is seen too.

use std::{cell::RefCell, panic::AssertUnwindSafe, sync::Arc};

use actix::prelude::*;
use futures_util::FutureExt as _;

use super::{messages::ChildDown, vitals::Vitals};
use crate::domain::restart::Cause;

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of each panic for the death notice of the actor that it kills, and logs it.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info
            .payload_as_str()
            .map(|text| text.chars().take(200).collect::<String>())
            .unwrap_or_else(|| "no message".into());
        tracing::error!(place, message, "panic");
        LAST_PANIC.with_borrow_mut(|last| *last = Some(format!("panicked at {place}: {message}")));
    }));
}

/// Work that an actor started beside itself panicked; the actor lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it fell over (a panic; the log has its place)")]
pub struct Panicked;

/// Runs work that an actor starts beside itself. A panic in it ends the work alone, and is noted as the actor's
/// last error.
///
/// # Errors
/// [`Panicked`].
pub async fn caught<T>(vitals: &Vitals, work: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        let last = LAST_PANIC.with_borrow(Clone::clone);
        vitals.note_error(last.unwrap_or_else(|| Panicked.to_string()));
        Panicked
    })
}

/// An actor's existence: its vitals, and the notice to its parent when it ends.
pub struct Life {
    vitals: Arc<Vitals>,
    parent: Recipient<ChildDown>,
    incarnation: u64,
    ending: Option<(Cause, Option<String>)>,
}

impl Life {
    pub(super) fn new(vitals: Arc<Vitals>, parent: Recipient<ChildDown>, incarnation: u64) -> Self {
        Self { vitals, parent, incarnation, ending: None }
    }

    /// Its vitals.
    pub fn vitals(&self) -> &Arc<Vitals> {
        &self.vitals
    }

    /// Sets the size of the mailbox; call it when the actor starts.
    pub fn capacity<A: Actor<Context = Context<A>>>(&self, ctx: &mut Context<A>, capacity: usize) {
        ctx.set_mailbox_capacity(capacity);
        self.vitals.set_capacity(capacity);
    }

    /// Ends the actor as it was told.
    pub fn stop<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>) {
        self.ending = Some((Cause::Stop, None));
        ctx.stop();
    }

    /// Ends the actor because it cannot go on: its parent restarts it.
    pub fn fail<A: Actor<Context = Context<A>>>(&mut self, ctx: &mut Context<A>, error: impl ToString) {
        self.ending = Some((Cause::Error, Some(error.to_string())));
        ctx.stop();
    }
}

impl Drop for Life {
    #[expect(clippy::disallowed_methods, reason = "a death notice must never be refused, nor wait")]
    fn drop(&mut self) {
        let panic = if std::thread::panicking() {
            LAST_PANIC.try_with(|last| last.try_borrow().ok().and_then(|last| last.clone())).ok()
        } else {
            None
        };
        let (cause, error) = match (panic, self.ending.take()) {
            (Some(panic), _) => (Cause::Panic, panic),
            (None, Some(ending)) => ending,
            (None, None) => (Cause::Stop, None),
        };
        let down =
            ChildDown { name: Arc::clone(&self.vitals.name), incarnation: self.incarnation, cause, error };
        self.parent.do_send(down);
    }
}
