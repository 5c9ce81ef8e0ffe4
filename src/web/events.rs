//! `GET /api/events/{userId}`: everything that goes out to a user, live, and from where they left off.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, web};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    actors::{
        db::messages::Replay,
        event_hub::messages::{Subscribe, Topic},
    },
    domain::{
        access::Role,
        ids::UserId,
        outbound::{Body, LiveEvent, OutboxRow, STREAM_CHANNELS, is_stream},
    },
};

use super::{
    access::Caller,
    error::{ApiResult, ErrorBody},
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
    query: web::Query<std::collections::HashMap<String, String>>,
) -> ApiResult<HttpResponse> {
    let Caller(principal) = caller;
    principal.needs(Role::Viewer)?;
    let user = principal.acting_as(Some(UserId::parse(&path)?))?;
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    let after = header.or(query.get("after").map(String::as_str)).and_then(|id| id.parse::<i64>().ok());
    // Watch first, then read what was missed: nothing falls between.
    let live = kit.doors.subscribe.send(Subscribe(Topic::User(user.clone()))).await?;
    let (events, response) = sse::stream(StatusCode::OK, kit.closing.clone());
    actix_web::rt::spawn(async move {
        let _ = follow(&kit, &events, &user, after, live).await;
    });
    Ok(response)
}

async fn follow(
    kit: &WebKit,
    events: &Events,
    user: &UserId,
    after: Option<i64>,
    mut live: mpsc::Receiver<Arc<LiveEvent>>,
) -> Result<(), HungUp> {
    let mut last = after.unwrap_or(i64::MAX);
    while last < i64::MAX {
        let replay =
            Replay { user: user.clone(), channels: STREAM_CHANNELS.to_vec(), after: last, limit: PAGE };
        let Ok((page, more)) = kit.doors.db.read.replay.ask(replay).await else { return Err(HungUp) };
        for row in page {
            last = row.id;
            show(events, &row).await?;
        }
        match more {
            Some(looked) => last = looked,
            None => break,
        }
    }
    let shown = if after.is_some() { last } else { 0 };
    loop {
        let event = tokio::select! {
            biased;
            event = live.recv() => event,
            () = events.hung_up() => return Err(HungUp),
            () = kit.closing.cancelled() => None,
        };
        match event.as_deref() {
            Some(LiveEvent::Sent(row)) if row.id > shown && is_ours(row) => show(events, row).await?,
            Some(_) => {}
            // Too slow, the hub fell, or the server closes: the client reconnects with the last id that it has.
            None => return Ok(()),
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
        Body::Answer { text, files, outcome } => {
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
        Body::Notice { title, body } => {
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
    }
    let last = list.len().saturating_sub(1);
    for (at, (name, data)) in list.into_iter().enumerate() {
        events.send_with_id(name, data, (at == last).then_some(row.id)).await?;
    }
    Ok(())
}
