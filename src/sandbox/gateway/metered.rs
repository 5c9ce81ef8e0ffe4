//! A provider's answer on its way into the sandbox: its usage is read as it passes, the key never passes, and what it
//! cost is settled however it ends.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{answer::Body, trail::Entry};
use crate::{
    domain::{
        gateway::{
            Verdict,
            redact::Redactor,
            usage::{Api, Metered, UsageReader},
        },
        model::Usage,
    },
    net::sse::SseParser,
    ports::gateway::{Meter, Ticket},
};

/// What a call costs; settled when it is dropped, if not before.
pub(super) struct Charge {
    ticket: Option<(Arc<dyn Meter>, Ticket)>,
    reader: UsageReader,
    /// Tokens that the request has, by our estimate.
    input: u64,
    free: bool,
    _permit: OwnedSemaphorePermit,
}

impl Charge {
    /// A call that costs nothing.
    pub(super) fn free(api: Api, permit: OwnedSemaphorePermit) -> Self {
        Self { ticket: None, reader: UsageReader::new(api), input: 0, free: true, _permit: permit }
    }

    /// A call for which this ticket was given.
    pub(super) fn new(
        api: Api,
        permit: OwnedSemaphorePermit,
        meter: Arc<dyn Meter>,
        ticket: Ticket,
        input: u64,
    ) -> Self {
        Self {
            ticket: Some((meter, ticket)),
            reader: UsageReader::new(api),
            input,
            free: false,
            _permit: permit,
        }
    }

    fn used(&self) -> Metered {
        if self.free {
            Metered { usage: Usage::default(), told: true }
        } else {
            self.reader.finish(self.input)
        }
    }

    async fn settle(mut self) {
        let used = self.used();
        if let Some((meter, ticket)) = self.ticket.take() {
            meter.settle(ticket, used).await;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let used = self.used();
        // Without a runtime the process ends, and the reservation stays charged.
        if let (Some((meter, ticket)), Ok(runtime)) =
            (self.ticket.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move { meter.settle(ticket, used).await });
        }
    }
}

/// All that is kept about a call while it runs.
pub(super) struct Metering {
    pub(super) charge: Charge,
    pub(super) entry: Entry,
    /// What must not pass.
    pub(super) secret: String,
    /// Longest wait for the next bytes.
    pub(super) wait: Duration,
    /// Most bytes of the answer.
    pub(super) most: u64,
}

impl Metering {
    /// The call failed; `free`: it costs nothing.
    pub(super) fn fail(mut self, free: bool, why: &str) {
        self.charge.free = free;
        self.entry.note(Verdict::Failed(why.to_owned()));
    }
}

/// How the usage is read.
enum Reading {
    Events(SseParser),
    Whole(Vec<u8>),
    /// It cannot be: what passed is estimated.
    Lost,
}

struct Passing {
    answer: reqwest::Response,
    redactor: Redactor,
    reading: Reading,
    metering: Metering,
}

/// The body of the answer. Dropped before its end, the provider is hung up on.
pub(super) fn stream(answer: reqwest::Response, metering: Metering, is_stream: bool) -> Body {
    let reading = if is_stream { Reading::Events(SseParser::default()) } else { Reading::Whole(Vec::new()) };
    let redactor = Redactor::new(&metering.secret);
    let passing = Passing { answer, redactor, reading, metering };
    let frames = stream::unfold(Some(passing), |passing| async {
        let (item, rest) = passing?.next().await;
        Some((item.map(Frame::data), rest))
    });
    BodyExt::boxed_unsync(StreamBody::new(frames))
}

impl Passing {
    /// The next bytes for the sandbox; without a rest, they are the last.
    async fn next(mut self) -> (io::Result<Bytes>, Option<Self>) {
        loop {
            match timeout(self.metering.wait, self.answer.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.read(&bytes);
                    let received = &self.metering.entry.received;
                    let all = received.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
                    if all > self.metering.most {
                        self.metering.entry.note(Verdict::Cut("the answer is too long".into()));
                        return (Err(io::ErrorKind::FileTooLarge.into()), None);
                    }
                    let out = self.redactor.push(&bytes);
                    if !out.is_empty() {
                        return (Ok(out.into()), Some(self));
                    }
                }
                Ok(Ok(None)) => {
                    let last = self.redactor.finish();
                    self.end().await;
                    return (Ok(last.into()), None);
                }
                Ok(Err(_)) => {
                    // What came before is written first: the HTTP library lets it go with the connection.
                    tokio::task::yield_now().await;
                    self.metering.entry.note(Verdict::Failed("the model's answer broke off".into()));
                    return (Err(io::ErrorKind::UnexpectedEof.into()), None);
                }
                Err(_) => {
                    self.metering.entry.note(Verdict::Cut("the model fell silent".into()));
                    return (Err(io::ErrorKind::TimedOut.into()), None);
                }
            }
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        match &mut self.reading {
            Reading::Events(parser) => match parser.push(bytes) {
                Ok(events) => events.iter().for_each(|event| self.metering.charge.reader.event(&event.data)),
                Err(_) => self.reading = Reading::Lost,
            },
            Reading::Whole(all) => all.extend_from_slice(bytes),
            Reading::Lost => {}
        }
    }

    /// The answer is complete: the account is settled before the sandbox sees its end, so that whatever it asks next
    /// is asked of a budget that knows.
    async fn end(mut self) {
        if let Reading::Whole(all) = &self.reading
            && let Ok(body) = serde_json::from_slice(all)
        {
            self.metering.charge.reader.whole(&body);
        }
        self.metering.entry.note(Verdict::Allowed);
        let Metering { charge, .. } = self.metering;
        charge.settle().await;
    }
}
