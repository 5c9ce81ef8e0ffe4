//! What the router does now and then: lets idle sessions go, replaces those that hang.

use std::time::Duration;

use actix::prelude::*;

use crate::actors::{
    kernel::{Fallen, Mail, Standing, messages::*},
    session::messages::Order,
};

use super::actor::{Router, names};

/// How often sessions are looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Mail older than this makes a session suspect.
const OLD_MAIL: i64 = 10_000;
/// How long a suspect session may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Router {
    pub(super) fn keep_lookout(&self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK, |router, ctx| {
            router.let_idle_go(ctx);
            router.check_suspects(ctx);
        });
    }

    fn let_idle_go(&mut self, ctx: &mut Context<Self>) {
        if self.draining {
            return;
        }
        for name in names(&self.used, self.kit.clock.now() - self.kit.idle_ms) {
            if self.leaving.contains_key(&name) {
                continue;
            }
            let Some(leaves) = self.tell(&name, Order::Passivate) else {
                self.used.remove(&name);
                continue;
            };
            self.leaving.insert(name.clone(), Vec::new());
            ctx.spawn(leaves.into_actor(self).map(move |leaves, router, _| {
                if !leaves {
                    router.used.insert(name.clone(), router.kit.clock.now());
                    router.stays(&name);
                }
            }));
        }
    }

    /// Only sessions with old mail are asked: an idle one that hangs harms nobody, and ten thousand of them
    /// are cheap to look at.
    fn check_suspects(&mut self, ctx: &mut Context<Self>) {
        let Some(sessions) = &self.sessions else { return };
        for (name, handle) in sessions.living() {
            let Some(vitals) = sessions.vitals(name) else { continue };
            if vitals.mail().1 < OLD_MAIL {
                continue;
            }
            vitals.set_state(Standing::Frozen);
            let asked = handle.observe.send(Mail::new(Observe, vitals));
            let name = name.clone();
            let answer = tokio::time::timeout(PATIENCE, asked);
            ctx.spawn(answer.into_actor(self).map(move |answer, router, ctx| {
                let Some(sessions) = &mut router.sessions else { return };
                if answer.is_ok() {
                    if let Some(vitals) = sessions.vitals(&name) {
                        vitals.set_state(Standing::Running);
                    }
                    return;
                }
                // Its late writes are refused: the new session takes over its turns.
                if let Some(Fallen::RestartAt(_)) = sessions.abandon(&name) {
                    ctx.run_later(Duration::ZERO, move |router, _| router.start(&name));
                }
            }));
        }
    }
}
