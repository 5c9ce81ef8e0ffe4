//! How sending to a platform goes, for those who look.

use std::sync::Mutex;

use serde::Serialize;

use crate::domain::{Millis, chat::Failure};

/// What is known of sending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sending {
    /// Messages that were posted, or changed for the last time.
    pub posted: u64,
    /// When the last one was.
    pub posted_at: Option<Millis>,
    /// What the platform said last against one.
    pub error: Option<String>,
    /// When.
    pub error_at: Option<Millis>,
    /// The token is refused since something was posted last, and that is said.
    #[serde(skip)]
    refused: bool,
}

/// The same, shared by all couriers.
#[derive(Default)]
pub(super) struct Health(Mutex<Sending>);

impl Health {
    pub(super) fn posted(&self, now: Millis) {
        if let Ok(mut sending) = self.0.lock() {
            sending.posted += 1;
            sending.posted_at = Some(now);
            sending.refused = false;
        }
    }

    /// A refused token is said in the log once, not for each message.
    pub(super) fn failed(&self, now: Millis, failure: &Failure) {
        let Ok(mut sending) = self.0.lock() else { return };
        let words = failure.to_string();
        if matches!(failure, Failure::NoToken(_)) && !std::mem::replace(&mut sending.refused, true) {
            tracing::error!(
                error = words,
                "nothing can be sent; mend the token in config.yaml and start again"
            );
        }
        (sending.error, sending.error_at) = (Some(words), Some(now));
    }

    pub(super) fn look(&self) -> Sending {
        self.0.lock().map(|sending| sending.clone()).unwrap_or_default()
    }
}
