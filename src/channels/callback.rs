//! The channel of callbacks: what happens to a task is posted to the address that was given with it, and what happens at
//! all to that of the webhook, signed.
//!
//! `X-Signature` is the HMAC-SHA256 (RFC 2104) of the body in hexadecimal digits, under `channels.webhook.secret`;
//! `X-Timestamp` the time of this attempt in seconds since the epoch; `X-Delivery-Id` the same for every attempt at the
//! same delivery, so that the other side knows a repeat.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sha2::Sha256;

use crate::{
    config::{Secret, Webhook},
    domain::{
        gateway::address,
        job::check_callback,
        outbound::{Body, CALLBACK_CHANNEL, OutboxRow, Sent},
        webhook::WEBHOOK,
    },
    net::{BuildError, guarded_client},
    ports::{
        channel::{Channel, Resend},
        clock::Clock,
    },
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a receiver is left alone after the first attempt, in milliseconds, when it does not say itself; twice as long
/// after each one more, up to an hour.
const PAUSE: u64 = 5_000;
const LONGEST_PAUSE: u64 = 3_600_000;

/// The adapter.
pub struct CallbackChannel {
    /// Built when it is first needed: it reads all certificates of the system.
    public: OnceLock<reqwest::Client>,
    anywhere: OnceLock<reqwest::Client>,
    private: bool,
    webhook: Option<Webhook>,
    secret: Secret,
    clock: Arc<dyn Clock>,
}

impl CallbackChannel {
    /// Signs with this secret. `private`: tasks may have addresses that are not public. `webhook`: who is told what
    /// happens at all.
    pub fn new(secret: Secret, private: bool, webhook: Option<Webhook>, clock: Arc<dyn Clock>) -> Self {
        let (public, anywhere) = (OnceLock::new(), OnceLock::new());
        Self { public, anywhere, private, webhook, secret, clock }
    }

    fn client(&self, private: bool) -> Result<&reqwest::Client, BuildError> {
        let place = if private { &self.anywhere } else { &self.public };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let client = guarded_client((!private).then(|| Arc::new(PublicOnly)))?;
        Ok(place.get_or_init(|| client))
    }

    /// Where a row is posted to, and whether that may be an address that is not public.
    fn target(&self, row: &OutboxRow, url: String) -> Option<(String, bool)> {
        if row.message.conversation.name() == WEBHOOK {
            return self.webhook.as_ref().map(|webhook| (webhook.url.clone(), webhook.private));
        }
        Some((url, self.private))
    }
}

impl Channel for CallbackChannel {
    fn name(&self) -> &'static str {
        CALLBACK_CHANNEL
    }

    fn resend(&self) -> Resend {
        Resend::Safe
    }

    fn send(&self, row: Arc<OutboxRow>) -> BoxFuture<'static, Sent> {
        let Body::Callback { url, payload } = row.message.body.clone() else {
            return Box::pin(async { Sent::Refused("only callbacks are posted".into()) });
        };
        let pause = pause_after(row.attempts);
        let Some((url, private)) = self.target(&row, url) else {
            return Box::pin(async { Sent::Refused("the webhook is switched off".into()) });
        };
        // The configuration may have changed since the task was given, and an address in numbers asks no resolver.
        if let Err(bad) = check_callback(&url, private) {
            return Box::pin(async move { Sent::Refused(bad.to_string()) });
        }
        let client = match self.client(private) {
            Ok(client) => client,
            Err(error) => {
                return Box::pin(async move { Sent::Later { after_ms: pause, why: error.to_string() } });
            }
        };
        let request = client
            .post(url)
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("x-delivery-id", row.id.to_string())
            .header("x-timestamp", (self.clock.now() / 1_000).to_string())
            .header("x-signature", signature(&self.secret, payload.as_bytes()))
            .body(payload);
        Box::pin(async move {
            match request.send().await {
                Ok(answer) => judged(answer.status(), retry_after(&answer).unwrap_or(pause)),
                // The address is the user's own, but a log is not the place for what may be in it.
                Err(error) => Sent::Later { after_ms: pause, why: in_words(error.without_url()) },
            }
        })
    }
}

/// An error with what it comes from: that a name leads to a private address is said by the innermost.
fn in_words(error: reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut inner = std::error::Error::source(&error);
    while let Some(error) = inner {
        words = format!("{words}: {error}");
        inner = error.source();
    }
    words
}

/// The signature of a body.
fn signature(secret: &Secret, body: &[u8]) -> String {
    // A key of any length is taken (RFC 2104, 2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn retry_after(answer: &reqwest::Response) -> Option<u64> {
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse::<u64>().ok()?;
    Some(seconds.min(3_600) * 1_000)
}

/// How long to wait after so many attempts.
fn pause_after(attempts: u32) -> u64 {
    PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

fn judged(status: reqwest::StatusCode, after_ms: u64) -> Sent {
    let why = format!("the receiver answered {status}");
    match status.as_u16() {
        200..=299 => Sent::Done,
        408 | 425 | 429 | 500.. => Sent::Later { after_ms, why },
        _ => Sent::Refused(why),
    }
}

/// Finds addresses, and gives only public ones: checked here, where the connection is made from them.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<_> = found.iter().map(SocketAddr::ip).collect();
            address::check(&addresses)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?");
        assert_eq!(signed, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_refused_where_the_connection_is_made() {
        let resolved = PublicOnly.resolve("localhost".parse().unwrap()).await;
        let why = resolved.err().expect("localhost is not on the internet").to_string();
        assert!(why.contains("loopback"), "{why}");
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_is_refused_is_not() {
        let of = |code: u16, after| judged(reqwest::StatusCode::from_u16(code).unwrap(), after);
        assert_eq!(of(204, 1), Sent::Done);
        assert!(matches!(of(503, 7), Sent::Later { after_ms: 7, .. }));
        assert!(matches!(of(429, 2_000), Sent::Later { after_ms: 2_000, .. }));
        assert_eq!(
            [0, 1, 2, 5, 12, 99].map(pause_after),
            [5_000, 5_000, 10_000, 80_000, 3_600_000, 3_600_000]
        );
        for code in [301, 400, 401, 404, 410] {
            assert!(matches!(of(code, 1), Sent::Refused(_)), "{code}");
        }
    }
}
