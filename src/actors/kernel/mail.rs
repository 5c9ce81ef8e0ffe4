//! A message on its way, counted from the moment it is sent until its handler is through with it.

use std::sync::Arc;

use actix::prelude::*;

use super::vitals::Vitals;

/// A message with its ticket.
pub struct Mail<M> {
    message: M,
    ticket: Ticket,
}

impl<M: Message> Message for Mail<M> {
    type Result = M::Result;
}

impl<M> Mail<M> {
    /// Puts a message into an envelope for the actor with these vitals.
    pub fn new(message: M, to: &Arc<Vitals>) -> Self {
        let number = to.arrived();
        Self { message, ticket: Ticket { vitals: Arc::clone(to), number, opened: false } }
    }

    /// The message, and a ticket that the handler keeps until it returns: a handler that hangs shows as the
    /// oldest message growing old.
    pub fn open(self) -> (M, Ticket) {
        let Self { message, mut ticket } = self;
        ticket.opened = true;
        (message, ticket)
    }
}

/// Stands for a message in its receiver's vitals; dropped when it was handled, or lost.
pub struct Ticket {
    vitals: Arc<Vitals>,
    number: u64,
    opened: bool,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.vitals.left(self.number, self.opened);
    }
}
