//! Streams of events: what a client reads, with a heart-beat, until it is done or hangs up.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Interval};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{message::FileRef, outbound::Progress, turn::Outcome},
    net::sse::{SseEvent, encode},
};

/// How often a quiet stream shows that it lives.
const HEART_BEAT: Duration = Duration::from_secs(15);
/// How long the last events may take to arrive when the server closes.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Events that a slow client may be behind.
const BEHIND: usize = 64;

/// Where a handler puts events.
#[derive(Clone)]
pub(super) struct Events(mpsc::Sender<Bytes>);

/// The client hung up.
pub(super) struct HungUp;

impl Events {
    pub(super) async fn send(&self, event: &str, data: Value) -> Result<(), HungUp> {
        self.send_with_id(event, data, None).await
    }

    pub(super) async fn send_with_id(&self, event: &str, data: Value, id: Option<i64>) -> Result<(), HungUp> {
        let event =
            SseEvent { event: event.to_owned(), data: data.to_string(), id: id.map(|id| id.to_string()) };
        self.0.send(Bytes::from(encode(&event))).await.map_err(|_| HungUp)
    }

    /// Ends when the client hangs up.
    pub(super) async fn hung_up(&self) {
        self.0.closed().await;
    }
}

/// A stream, and where its events go. It ends when all senders are gone, or the server closes.
pub(super) fn stream(status: StatusCode, closing: CancellationToken) -> (Events, HttpResponse) {
    let (events, queue) = mpsc::channel(BEHIND);
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEART_BEAT, HEART_BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let body = unfold((queue, beat, closing), |(mut queue, mut beat, closing)| async move {
        let bytes = next(&mut queue, &mut beat, &closing).await?;
        Some((Ok::<_, actix_web::Error>(bytes), (queue, beat, closing)))
    });
    let response = HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(body);
    (Events(events), response)
}

async fn next(
    queue: &mut mpsc::Receiver<Bytes>,
    beat: &mut Interval,
    closing: &CancellationToken,
) -> Option<Bytes> {
    tokio::select! {
        biased;
        bytes = queue.recv() => {
            let mut bytes = bytes?;
            // What waits goes out together: one write instead of many.
            while let Ok(more) = queue.try_recv() {
                bytes = [bytes, more].concat().into();
            }
            beat.reset();
            Some(bytes)
        }
        _ = beat.tick() => Some(Bytes::from_static(b": ping\n\n")),
        // What was decided before the end is still on its way here.
        () = closing.cancelled() => tokio::time::timeout(LAST_WORDS, queue.recv()).await.ok().flatten(),
    }
}

/// Progress as a client sees it: the event's type and its data.
pub(super) fn progress(progress: &Progress) -> (&'static str, Value) {
    match progress {
        Progress::Status { status, approval: None } => ("status", json!({"status": status})),
        Progress::Status { status, approval: Some(id) } => {
            ("status", json!({"status": status, "approvalId": id}))
        }
        Progress::Delta { text } => ("progress", json!({"text": text, "kind": "delta"})),
        Progress::Restart => ("progress", json!({"text": "", "kind": "restart"})),
        Progress::Tool { name, phase } => {
            let text = format!("{name} {phase}");
            ("progress", json!({"text": text, "kind": "tool", "tool": name, "phase": phase}))
        }
        Progress::Withdrawn { outcome } => ("error", withdrawn(*outcome)),
    }
}

/// How a withdrawn message ends.
pub(super) fn withdrawn(outcome: Outcome) -> Value {
    let message = match outcome {
        Outcome::Interrupted => "Interrupted by a newer message",
        _ => "Cancelled",
    };
    json!({"message": message, "code": outcome.as_str()})
}

/// Files as links to the download route, never as paths.
pub(super) fn links(files: &[FileRef]) -> Vec<String> {
    files.iter().map(|file| format!("/api/files/{}", file.id)).collect()
}

/// Files with all that is known of them.
pub(super) fn file_list(files: &[FileRef]) -> Value {
    let list = files.iter().map(|file| {
        json!({
            "id": file.id, "name": file.name, "mediaType": file.media_type, "size": file.size,
            "url": format!("/api/files/{}", file.id),
        })
    });
    json!({"files": list.collect::<Vec<Value>>()})
}
