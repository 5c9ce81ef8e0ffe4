//! Listens: asks for updates and goes on asking (<https://core.telegram.org/bots/api#getupdates>), or has them brought. What
//! it tells the server to forget has been taken before, or noted; until then the server keeps it.

use std::{convert::Infallible, time::Duration};

use serde_json::value::RawValue;
use teloxide::{
    payloads::{
        DeleteWebhook, GetMe, GetUpdates, GetUpdatesSetters, GetWebhookInfo, SetWebhook, SetWebhookSetters,
    },
    types::AllowedUpdate,
};
use tokio::time::{Instant, sleep};

use crate::domain::{chat::Link, retry::backoff};

use super::{
    Inner,
    errors::CallError,
    read::{self, Me},
    round::Round,
};

/// Most updates of one answer; the API gives no more.
const BATCH: u8 = 100;
/// First and longest pause after an error, in milliseconds.
const PAUSE: u64 = 500;
const LONGEST_PAUSE: u64 = 60_000;
/// First and longest pause before the server is asked again while something is not settled.
const LOOK: Duration = Duration::from_millis(250);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// What is asked for.
fn kinds() -> [AllowedUpdate; 4] {
    use AllowedUpdate::{CallbackQuery, EditedMessage, Message, MyChatMember};
    [Message, EditedMessage, CallbackQuery, MyChatMember]
}

impl Inner {
    /// Listens for ever: errors are told, and tried again after a pause.
    pub(super) async fn hear(&self, round: &Round) -> Infallible {
        let mut attempt = 0;
        loop {
            let connected = self.connect().await;
            if let (Ok(()), Some(me)) = (&connected, self.me()) {
                round.restore(&me).await;
            }
            let error = match connected {
                Err(error) => error,
                Ok(()) if self.webhook.is_some() => self.watch(round, &mut attempt).await,
                Ok(()) => self.poll(round, &mut attempt).await,
            };
            attempt += 1;
            let (link, least) = self.judge(&error);
            round.link(link);
            let wait = backoff(attempt, PAUSE, LONGEST_PAUSE, self.clock.dice());
            sleep(least.max(Duration::from_millis(wait))).await;
        }
    }

    /// Learns who the bot is, and has its updates come the way that is configured.
    async fn connect(&self) -> Result<(), CallError> {
        let patience = self.pauses.patience;
        let me = self.api.call(&GetMe::new(), patience).await?;
        let me = Me::read(&me).ok_or_else(|| CallError::Lost("an answer that cannot be read".into()))?;
        self.is(me);
        match &self.webhook {
            // What waits at the server stays there.
            None => self.api.call(&DeleteWebhook::new(), patience).await?,
            Some(webhook) => {
                let call = SetWebhook::new(webhook.url.clone())
                    .allowed_updates(kinds())
                    .secret_token(webhook.secret.reveal());
                self.api.call(&call, patience).await?
            }
        };
        // Nothing depends on the menu.
        if !self.menu.is_empty()
            && let Err(error) = self.register(&self.menu).await
        {
            tracing::warn!(?error, "Telegram does not take the list of commands");
        }
        Ok(())
    }

    /// Asks for updates until that fails.
    async fn poll(&self, round: &Round, attempt: &mut u32) -> CallError {
        // The first answer comes at once and says whether listening works at all.
        let (mut hold, mut look, mut up) = (Duration::ZERO, LOOK, false);
        loop {
            let (offset, asked) = (round.offset(), Instant::now());
            let mut call = GetUpdates::new().limit(BATCH).allowed_updates(kinds());
            call.timeout = u32::try_from(hold.as_secs()).ok();
            call.offset = offset.map(|offset| i32::try_from(offset).unwrap_or(i32::MAX));
            let updates = match self.api.list(&call, hold + self.pauses.patience).await {
                Ok(updates) => updates,
                Err(error) => return error,
            };
            *attempt = 0;
            round.acknowledged(offset);
            let mut new = false;
            for update in &updates {
                new |= self.offer(round, update);
            }
            if new || !up {
                round.link(Link::Up { account: self.account() });
            }
            up = true;
            look = if new { LOOK } else { (look * 2).min(LONGEST_LOOK) };
            // What is not settled is offered at once again, so asking must wait for it; but not for others, so that is noted.
            round.settled(look).await;
            if round.is_to_note() {
                round.note().await;
            }
            if !new && !hold.is_zero() && asked.elapsed() < LOOK {
                // It was to be held, and was not: asking goes on, but not in a circle.
                sleep(look).await;
            }
            hold = if round.waiting() == 0 { self.pauses.poll } else { Duration::ZERO };
        }
    }

    /// Puts an update on the desk. False when there was nothing new in it.
    fn offer(&self, round: &Round, update: &RawValue) -> bool {
        self.me().is_some_and(|me| round.offer(update, &me))
    }

    /// Sees to it that updates are brought, until they are not.
    async fn watch(&self, round: &Round, attempt: &mut u32) -> CallError {
        loop {
            let info = match self.api.call(&GetWebhookInfo::new(), self.pauses.patience).await {
                Ok(info) => info,
                Err(error) => return error,
            };
            let wanted = self.webhook.as_ref().map(|webhook| webhook.url.as_str());
            if info["url"].as_str() != wanted {
                return CallError::Said { code: 409, words: "the webhook was changed".into(), wait: None };
            }
            *attempt = 0;
            let waiting = info["pending_update_count"].as_u64().unwrap_or(0);
            round.link(match info["last_error_message"].as_str() {
                Some(why) if waiting > 0 => Link::Down {
                    why: format!("Telegram cannot bring {waiting} updates: {}", read::cut(why, 200)),
                },
                _ => Link::Up { account: self.account() },
            });
            sleep(self.pauses.watch).await;
        }
    }

    /// What an error means for listening, and how long to wait at least.
    fn judge(&self, error: &CallError) -> (Link, Duration) {
        let words = error.words();
        match error {
            CallError::Said { code: 401 | 404, .. } => {
                let why = format!(
                    "the token is not valid ({words}): take the right one from @BotFather, set \
                     `channels.telegram.token`, and start again"
                );
                (Link::Refused { why }, self.pauses.refused)
            }
            CallError::Said { code: 409, .. } => {
                let why = format!(
                    "somebody else receives this bot's messages ({words}): end the other program that has its token, or \
                     make a new token with @BotFather"
                );
                (Link::Refused { why }, self.pauses.conflict)
            }
            CallError::Said { code: 400, .. } if self.webhook.is_some() => {
                let why = format!(
                    "Telegram does not take the webhook ({words}): see `channels.telegram.webhook_url`"
                );
                (Link::Refused { why }, self.pauses.refused)
            }
            error => {
                let least = Duration::from_millis(error.wait_ms().unwrap_or(0));
                (Link::Down { why: words }, least)
            }
        }
    }
}
