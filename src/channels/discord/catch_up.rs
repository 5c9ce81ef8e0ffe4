//! After a session that could not be taken up: the messages that were missed are fetched.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{desk::message, read::fetched, rest::Call, shared::Shared};
use crate::{
    domain::{chat::Failure, retry::backoff},
    ports::platform::Sink,
};

/// Messages of a page, and most pages of a channel.
const PAGE: usize = 100;
const PAGES: usize = 10;
/// Most attempts at a page.
const ATTEMPTS: u32 = 8;

/// Fetches the messages of a channel after the last one that was taken, and takes them in their order.
pub(super) async fn catch_up(
    shared: &Shared,
    sink: &Arc<dyn Sink>,
    channel: u64,
    group: bool,
    fetches: &Semaphore,
) {
    for _ in 0..PAGES {
        let seen = shared.known().seen().iter().find(|seen| seen.channel == channel).cloned();
        let Some(last) = seen.map(|seen| seen.message) else { return };
        let page = {
            let Ok(_turn) = fetches.acquire().await else { return };
            page(shared, channel, last).await
        };
        let page = match page {
            Ok(page) => page,
            Err(failure) => {
                if matches!(failure, Failure::NoChat(_)) {
                    shared.known().drop_channel(channel);
                } else {
                    tracing::warn!(channel, %failure, "what was missed at Discord cannot be fetched");
                }
                return;
            }
        };
        let read = fetched(&page, group, &shared.known());
        let Ok((messages, count)) = read else { return };
        for arrived in messages {
            message(shared, sink, arrived).await;
        }
        let moved = shared.known().seen().iter().any(|seen| seen.channel == channel && seen.message > last);
        if count < PAGE || !moved {
            return;
        }
    }
    tracing::warn!(channel, "more was missed at Discord than is fetched");
}

async fn page(shared: &Shared, channel: u64, last: u64) -> Result<String, Failure> {
    let path = format!("/channels/{channel}/messages?after={last}&limit={PAGE}");
    let call = Call::new("GET /channels/messages", path, channel);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let failure = match shared.rest.text(&call).await {
            Ok(page) => return Ok(page),
            Err(fault) => fault.failure,
        };
        let pause = match &failure {
            Failure::Slow { after_ms, .. } => *after_ms,
            Failure::Later(_) => backoff(attempt, 1_000, 60_000, shared.clock.dice()),
            _ => return Err(failure),
        };
        if attempt == ATTEMPTS {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}
