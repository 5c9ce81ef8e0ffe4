//! Updates that Telegram brings itself (<https://core.telegram.org/bots/api#setwebhook>): each is answered when it is taken or
//! noted, so that one which is not comes again.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, value::RawValue};
use subtle::ConstantTimeEq;

use super::{Inner, read};

/// Why an update that was brought is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookRefused {
    /// The webhook is off, or has another secret: 403 and 404 are the same to whoever guesses.
    #[error("no webhook with this secret")]
    Forbidden,
    /// It cannot be taken now; with any status but 2xx it comes again.
    #[error("not now")]
    NotNow,
}

impl Inner {
    /// Whether this is the secret of a webhook that is on; compared in constant time.
    pub(super) fn knows(&self, secret: &str) -> bool {
        self.webhook.as_ref().is_some_and(|webhook| {
            webhook.secret.reveal().as_bytes().ct_eq(secret.as_bytes()).into() && !secret.is_empty()
        })
    }

    /// Takes an update that was brought.
    pub(super) fn hook(
        self: &Arc<Self>,
        secret: &str,
        body: &[u8],
    ) -> BoxFuture<'static, Result<(), HookRefused>> {
        if !self.knows(secret) {
            return Box::pin(async { Err(HookRefused::Forbidden) });
        }
        let read = serde_json::from_slice::<Box<RawValue>>(body)
            .and_then(|update| Ok((serde_json::from_str::<Value>(update.get())?, update)));
        let Ok((read, update)) = read else {
            // It would come again and again, and never be one.
            tracing::debug!(channel = "telegram", "what was brought is no update");
            return Box::pin(async { Ok(()) });
        };
        let Some(number) = read::number(&read) else {
            tracing::debug!(channel = "telegram", "an update without a number was brought");
            return Box::pin(async { Ok(()) });
        };
        let (Some(round), Some(me)) = (self.round(), self.me()) else {
            return Box::pin(async { Err(HookRefused::NotNow) });
        };
        Box::pin(async move {
            let taken = round.bring(number, read::read(&read, &me), &update).await;
            taken.then_some(()).ok_or(HookRefused::NotNow)
        })
    }
}
