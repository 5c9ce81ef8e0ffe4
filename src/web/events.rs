//! `GET /api/events/{userId}`: everything that goes out to a user, live, and from where they left off.

use std::{collections::HashMap, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, web};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    actors::{
        db::messages::{LastEvent, Replay},
        event_hub::messages::{Subscribe, Topic},
    },
    domain::{
        access::Role,
        ids::UserId,
        outbound::{Body, LiveEvent, OutboxRow, STREAM_CHANNELS, is_stream},
    },
};

use super::{
    access::{Caller, Shown},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    shapes::time,
    sse::{self, Events, HungUp},
};

/// Messages that one page of the replay looks at.
const PAGE: usize = 2_000;

/// Follow what goes out to a user: events `response`, `notification`, `task-file`. With `Last-Event-ID` (or
/// `?after=`), what was missed comes first.
#[utoipa::path(
    params(
        ("userId" = String, Path, description = "the user"),
        ("Last-Event-ID" = Option<i64>, Header, description = "the last event that was read"),
        ("after" = Option<i64>, Query, description = "the same, for clients that cannot set headers"),
    ),
    responses(
        (status = 200, description = "a stream of server-sent events", content_type = "text/event-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "chat",
)]
#[get("/api/events/{userId}")]
pub(super) async fn watch(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<HashMap<String, String>>,
) -> ApiResult<HttpResponse> {
    let Caller(principal) = caller;
    principal.needs(Role::Viewer)?;
    let user = principal.acting_as(Some(UserId::parse(&path)?))?;
    let after = last_read(&request, &query)?;
    // Watch first, then read what was missed: nothing falls between.
    let live = kit.doors.subscribe.send(Subscribe(Topic::User(user.clone()))).await?;
    let last = match after {
        Some(after) => after,
        None => kit.doors.db.read.last_event.ask(LastEvent {}).await?,
    };
    let (events, response) = sse::stream(StatusCode::OK, kit.closing.clone());
    let watch = Watch { kit: kit.into_inner(), shown: Shown::by(&request), events, user, last };
    actix_web::rt::spawn(async move {
        let _ = watch.follow(live).await;
    });
    Ok(response)
}

/// The last event that the client has read, if it says so.
fn last_read(request: &HttpRequest, query: &HashMap<String, String>) -> ApiResult<Option<i64>> {
    let header = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let Some(id) = header.or(query.get("after").map(String::as_str)).filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let id = id.parse::<i64>().ok().filter(|id| *id >= 0);
    id.map(Some).ok_or_else(|| ApiError::bad_request("Last-Event-ID and after must be an event's number"))
}

/// One client that follows one user.
struct Watch {
    kit: Arc<WebKit>,
    shown: Shown,
    events: Events,
    user: UserId,
    /// The last message that was looked at.
    last: i64,
}

impl Watch {
    /// What is shown always comes from the store, in the order of its numbers: what is told live may come in
    /// another, and a client that leaves in between would not see what it missed.
    async fn follow(mut self, mut live: mpsc::Receiver<Arc<LiveEvent>>) -> Result<(), HungUp> {
        self.catch_up().await?;
        loop {
            let event = tokio::select! {
                biased;
                event = live.recv() => event,
                () = self.events.hung_up() => return Err(HungUp),
                () = self.kit.closing.cancelled() => None,
            };
            match event.as_deref() {
                Some(LiveEvent::Sent(row)) if row.id > self.last && is_ours(row) => {
                    // The key may have been revoked since.
                    if !self.shown.stands(&self.kit).await {
                        return Ok(());
                    }
                    self.catch_up().await?;
                }
                Some(_) => {}
                // Too slow, the hub fell, or the server closes: the client reconnects with the last id that it has.
                None => return Ok(()),
            }
        }
    }

    /// Shows all that is stored after the last one.
    async fn catch_up(&mut self) -> Result<(), HungUp> {
        loop {
            let (user, channels) = (self.user.clone(), STREAM_CHANNELS.to_vec());
            let replay = Replay { user, channels, after: self.last, limit: PAGE };
            let Ok((page, more)) = self.kit.doors.db.read.replay.ask(replay).await else {
                return Err(HungUp);
            };
            for row in page {
                self.last = row.id;
                show(&self.events, &row).await?;
            }
            match more {
                Some(looked) => self.last = looked,
                None => return Ok(()),
            }
        }
    }
}

fn is_ours(row: &OutboxRow) -> bool {
    is_stream(row.message.conversation.channel())
}

/// A message may be several events; the last one carries its number.
async fn show(events: &Events, row: &OutboxRow) -> Result<(), HungUp> {
    let conversation = row.message.conversation.name();
    let mut list: Vec<(&str, Value)> = Vec::new();
    match &row.message.body {
        Body::Answer { text, files, outcome, .. } => {
            for file in files {
                let path = format!("/api/files/{}", file.id);
                list.push(("task-file", json!({"filePath": path, "name": file.name})));
            }
            let data = json!({
                "text": text, "files": sse::links(files), "outcome": outcome.as_str(),
                "conversationId": conversation, "answers": row.message.answers,
            });
            list.push(("response", data));
        }
        Body::Notice { title, body, .. } => {
            list.push((
                "notification",
                json!({"title": title, "body": body, "conversationId": conversation}),
            ));
        }
        Body::Approval { approval, preview, expires_at } => {
            let data = json!({
                "title": "Approval needed", "body": preview, "approvalId": approval,
                "expiresAt": time(*expires_at), "conversationId": conversation,
            });
            list.push(("notification", data));
        }
        // They go to an address or to a chat, and to nobody who listens here.
        Body::Pairing { .. }
        | Body::PairingOver { .. }
        | Body::Decided { .. }
        | Body::Standing { .. }
        | Body::Callback { .. } => {}
    }
    let last = list.len().saturating_sub(1);
    for (at, (name, data)) in list.into_iter().enumerate() {
        events.send_with_id(name, data, (at == last).then_some(row.id)).await?;
    }
    Ok(())
}
