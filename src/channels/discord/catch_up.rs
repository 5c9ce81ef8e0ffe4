//! After a session that could not be taken up: the messages that were missed are fetched. Discord tells them nobody else, so
//! that is tried until it is done, or refused for good, for hours; the channel's later messages wait behind it.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::Instant};

use super::{
    desk::message,
    known::Seen,
    read::{Arrived, fetched},
    rest::Call,
    shared::Shared,
};
use crate::{
    domain::{chat::Failure, retry::backoff},
    ports::platform::Sink,
};

/// Messages of a page, and most pages of a channel.
const PAGE: usize = 100;
const PAGES: usize = 10;
/// Waits before a page is asked for again: the first one, the longest, and the shortest when Discord says how long, in
/// milliseconds.
const PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 300_000;
const SHORTEST_PAUSE: u64 = 100;
/// After so many failures the log tells of it.
const LOUD: u32 = 5;
/// So long a page is tried at most: a channel at which Discord always fails is not to hold what comes after it for ever.
const LONGEST: Duration = Duration::from_secs(6 * 3_600);

/// Fetches the messages of a channel after the last one that was taken, and takes them in their order. Whoever lets go of
/// this ends it.
pub(super) async fn catch_up(shared: &Shared, sink: &Arc<dyn Sink>, seen: Seen, fetches: &Semaphore) {
    let Seen { channel, message: stored, group } = seen;
    // What came before this in its line may have moved it; what others did may have let it be forgotten.
    let known = shared.known().seen().iter().find(|seen| seen.channel == channel).map(|seen| seen.message);
    let mut last = known.unwrap_or(stored).max(stored);
    for _ in 0..PAGES {
        let Some((messages, count)) = page(shared, channel, group, last, fetches).await else { return };
        let newest = messages.iter().map(|arrived| arrived.message).max();
        for arrived in messages {
            message(shared, sink, arrived).await;
        }
        match newest {
            Some(newest) if newest > last && count >= PAGE => last = newest,
            _ => return,
        }
    }
    tracing::warn!(channel, "more was missed at Discord than is fetched");
}

/// The messages after one, and how many Discord gave; nothing when it will never give them.
async fn page(
    shared: &Shared,
    channel: u64,
    group: bool,
    last: u64,
    fetches: &Semaphore,
) -> Option<(Vec<Arrived>, usize)> {
    let path = format!("/channels/{channel}/messages?after={last}&limit={PAGE}");
    let call = Call::new("GET /channels/messages", path, channel);
    let (mut failures, began) = (0, Instant::now());
    loop {
        let answer = {
            // While this one waits others have their turn.
            let _turn = fetches.acquire().await.ok()?;
            shared.rest.text(&call).await
        };
        let answer = answer.map_err(Failure::from).and_then(|page| {
            let unreadable = |_| Failure::Later("Discord's answer cannot be read".into());
            fetched(&page, group, &shared.known()).map_err(unreadable)
        });
        let failure = match answer {
            Ok(page) => return Some(page),
            Err(failure) => failure,
        };
        failures += u32::from(!matches!(failure, Failure::Slow { .. }));
        let Some(pause) = pause(&failure, failures, began.elapsed(), shared.clock.dice()) else {
            if matches!(failure, Failure::NoChat(_)) {
                shared.known().drop_channel(channel);
            }
            tracing::warn!(channel, %failure, "what was missed at Discord cannot be fetched");
            return None;
        };
        if failures == LOUD {
            tracing::warn!(channel, %failure, "what was missed at Discord cannot be fetched yet");
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// How long to wait after so many failures in this time, in milliseconds; nothing when it is refused for good.
fn pause(failure: &Failure, failures: u32, tried: Duration, dice: f64) -> Option<u64> {
    match failure {
        _ if tried >= LONGEST => None,
        Failure::Slow { after_ms, .. } => Some((*after_ms).max(SHORTEST_PAUSE)),
        // A token that is refused may be mended.
        Failure::Later(_) | Failure::Unknown(_) | Failure::NoToken(_) => {
            Some(backoff(failures, PAUSE, LONGEST_PAUSE, dice))
        }
        Failure::NoChat(_)
        | Failure::NoMessage(_)
        | Failure::NoFiles(_)
        | Failure::Refused(_)
        | Failure::Markup(_)
        | Failure::TooLarge(_)
        | Failure::Unchanged => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_waited_for_however_often_it_fails() {
        let later = Failure::Later("503".into());
        let pauses: Vec<u64> =
            (1..2_000).map(|failures| pause(&later, failures, Duration::ZERO, 1.0).unwrap()).collect();
        assert_eq!((pauses[0], pauses[1], pauses[1_998]), (1_000, 2_000, LONGEST_PAUSE));
        assert!(pauses.is_sorted());
        let later_in = |tried, dice| pause(&later, 20, Duration::from_secs(tried), dice);
        assert!(later_in(9, 0.0) < later_in(9, 1.0), "a herd is kept apart");
        assert_eq!((later_in(21_599, 1.0), later_in(21_600, 1.0)), (Some(LONGEST_PAUSE), None));
        let slow = |after_ms| pause(&Failure::Slow { after_ms, chat_only: true }, 0, Duration::ZERO, 0.5);
        assert_eq!((slow(0), slow(7_000)), (Some(100), Some(7_000)));
        for gone in [Failure::NoChat("404".into()), Failure::Refused("403".into())] {
            assert_eq!(pause(&gone, 1, Duration::ZERO, 0.5), None);
        }
    }
}
