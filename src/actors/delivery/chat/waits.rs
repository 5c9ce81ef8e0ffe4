//! How a courier waits: for its turn in a chat, for a platform that wants nothing now, for better times.

use std::time::Duration;

use crate::domain::{Millis, chat::Place, outbound::Sent, retry::backoff};

use super::courier::{Courier, NotPosted};

/// First and longest pause before something is tried again, in milliseconds.
const PAUSE: u64 = 1_500;
const LONGEST_PAUSE: u64 = 120_000;
/// So often a platform may fail at one thing, and take others before it fails at that again.
const ALONE: u32 = 8;

/// How often something failed, in ways that may pass.
#[derive(Debug, Default)]
pub(super) struct Tries {
    count: u32,
    /// How often others went out since it had failed before.
    alone: u32,
    last: Option<Millis>,
}

impl Courier {
    /// Waits until it is this chat's turn. Meanwhile the platform may ask for more patience: then it takes another turn, so
    /// that not all who waited go on at once when that is over.
    pub(super) async fn turn(&self, place: &Place) -> Result<(), NotPosted> {
        loop {
            let now = self.clock.now();
            let wait = self.pace.lock().map_or(0, |mut pace| pace.next(&place.chat, is_group(place), now));
            if wait > 0 {
                self.pause(wait).await?;
            }
            if self.held(place) == 0 {
                return Ok(());
            }
        }
    }

    /// Milliseconds for which the platform wants nothing here.
    pub(super) fn held(&self, place: &Place) -> Millis {
        let now = self.clock.now();
        self.pace.lock().map_or(0, |pace| pace.held(&place.chat, now))
    }

    /// Takes a slot when one is free now, and says else how long there is none.
    pub(super) fn spare(&self, place: &Place) -> Millis {
        let now = self.clock.now();
        let Ok(mut pace) = self.pace.lock() else { return 0 };
        match pace.wait(&place.chat, is_group(place), now) {
            0 => pace.next(&place.chat, is_group(place), now),
            wait => wait,
        }
    }

    /// Takes a slot for a sign of life, if there are enough.
    pub(super) fn aside(&self, place: &Place) -> bool {
        let now = self.clock.now();
        self.pace.lock().is_ok_and(|mut pace| pace.aside(&place.chat, now))
    }

    /// The platform has enough of signs of life.
    pub(super) fn quiet(&self, after_ms: u64) {
        let until = self.clock.now().saturating_add(i64::try_from(after_ms).unwrap_or(Millis::MAX));
        if let Ok(mut pace) = self.pace.lock() {
            pace.quiet(until);
        }
    }

    pub(super) fn hold(&self, place: &Place, after_ms: u64, chat_only: bool) {
        let until = self.clock.now().saturating_add(i64::try_from(after_ms).unwrap_or(Millis::MAX));
        if let Ok(mut pace) = self.pace.lock() {
            pace.hold(chat_only.then_some(place.chat.as_str()), until);
        }
    }

    pub(super) async fn wait(&self, tries: &mut Tries, why: String) -> Result<(), NotPosted> {
        let worked = self.health.look().posted_at;
        tries.count += 1;
        tries.alone += u32::from(tries.last.is_some_and(|last| worked.is_some_and(|worked| worked > last)));
        tries.last = Some(self.clock.now());
        let pause = backoff(tries.count, PAUSE, LONGEST_PAUSE, self.clock.dice());
        tracing::debug!(why, pause, "a message waits to be posted");
        self.pause(i64::try_from(pause).unwrap_or(i64::MAX)).await
    }

    /// True when a platform fails at one thing again and again, and takes others each time in between: nothing is to wait
    /// behind that.
    pub(super) fn is_hopeless(tries: &Tries) -> bool {
        tries.alone >= ALONE
    }

    async fn pause(&self, ms: Millis) -> Result<(), NotPosted> {
        let left = || Sent::Later { after_ms: 0, why: "shutting down before it was sent".into() };
        tokio::select! {
            () = self.stop.cancelled() => Err(left()),
            () = tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())) => Ok(()),
        }
    }
}

/// Telegram's ids of groups are negative; nobody else makes a difference.
fn is_group(place: &Place) -> bool {
    place.chat.starts_with('-')
}
