//! `POST /api/chat`: a message in, a stream of what happens and the answer out. A client that hangs up cancels
//! nothing; one that sends the same `Idempotency-Key` again is attached to the first message.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, post, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use crate::{
    actors::{
        db::messages::{FateOf, PutFile},
        event_hub::messages::{Subscribe, Topic},
        intake::messages::{Offer, Taken},
    },
    domain::{
        access::{Principal, Role},
        ids::{ConversationId, DEFAULT_CONVERSATION, InboundId, UserId, encode},
        inbound::{NewInbound, State},
        journal::WhileBusy,
        message::FileRef,
        outbound::{Body, LiveEvent, Progress},
        turn::Outcome,
    },
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    sse::{self, Events, HungUp},
};

/// Most files with one message.
pub(super) const MOST_FILES: usize = 10;
/// How often a stream that is still open looks whether its message was answered meanwhile.
const LOOK: Duration = Duration::from_secs(3);
/// Longest `Idempotency-Key`.
const LONGEST_KEY: usize = 200;

/// A message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChatRequest {
    /// The words.
    message: String,
    /// Who says them; the key's own user by default.
    user_id: Option<String>,
    /// Which conversation they belong to; `default` by default.
    conversation_id: Option<String>,
    /// Files that go with them.
    #[serde(default)]
    attachments: Vec<AttachmentBody>,
    /// What the message does while a turn runs: `queue`, `steer` or `interrupt`.
    #[schema(value_type = Option<String>)]
    while_busy: Option<WhileBusy>,
}

/// A file in a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AttachmentBody {
    /// Its name.
    pub(super) filename: String,
    /// Its media type, such as `image/png`.
    pub(super) media_type: String,
    /// Its bytes in base64.
    data: String,
}

/// Send a message and read the answer as it comes: events `status`, `progress`, `response`, `files`, `done`,
/// or `error`.
#[utoipa::path(
    request_body = ChatRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "the same key is answered, not done again")),
    responses(
        (status = 201, description = "a stream of server-sent events", content_type = "text/event-stream"),
        (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "chat",
)]
#[post("/api/chat")]
pub(super) async fn chat(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: HttpRequest,
    body: web::Json<ChatRequest>,
) -> ApiResult<HttpResponse> {
    let Caller(principal) = caller;
    principal.needs(Role::Developer)?;
    let body = body.into_inner();
    let message = receive(&kit, &principal, &request, &body).await?;
    let (user, fresh) = (message.user.clone(), message.id.clone());
    let offer =
        kit.doors.offer.get(principal.channel).ok_or_else(|| ApiError::unavailable("no such channel"))?;
    let while_busy = body.while_busy;
    let role = principal.role;
    // Both are on their way now, in this order: whoever accepts the message finds the client watching.
    let live = kit.doors.subscribe.send(Subscribe(Topic::Inbound(fresh.clone())));
    let taken = offer.send(Offer { message, while_busy, role });
    let (live, taken) = (live.await?, taken.await??);
    let (inbound, live, before) = match taken {
        Taken::New => (fresh, live, false),
        Taken::Duplicate(first) => {
            let live = kit.doors.subscribe.send(Subscribe(Topic::Inbound(first.clone()))).await?;
            (first, live, true)
        }
    };
    let (events, response) = sse::stream(StatusCode::CREATED, kit.closing.clone());
    let follow = Follow { kit: kit.into_inner(), events, inbound: inbound.clone(), user };
    // A task of its own: the stream may end, the message goes on.
    actix_web::rt::spawn(follow.run(live, before));
    let mut response = response;
    if let Ok(id) = actix_web::http::header::HeaderValue::from_str(inbound.as_str()) {
        response.headers_mut().insert(actix_web::http::header::HeaderName::from_static("x-message-id"), id);
    }
    Ok(response)
}

async fn receive(
    kit: &WebKit,
    principal: &Principal,
    request: &HttpRequest,
    body: &ChatRequest,
) -> ApiResult<NewInbound> {
    let named = body.user_id.as_deref().map(UserId::parse).transpose()?;
    let user = principal.acting_as(named)?;
    let name = body.conversation_id.as_deref().unwrap_or(DEFAULT_CONVERSATION);
    let conversation = ConversationId::of(principal.channel, &user, name)?;
    let key = idempotency_key(request)?.map(|key| format!("{user}/{key}"));
    Ok(NewInbound {
        id: InboundId::new(encode(kit.clock.fresh())),
        channel: principal.channel.to_owned(),
        external_id: key,
        attachments: store(kit, &user, &body.attachments).await?,
        user,
        conversation,
        speaker: None,
        text: body.message.clone(),
        message: None,
        received_at: kit.clock.now(),
    })
}

async fn store(kit: &WebKit, user: &UserId, attachments: &[AttachmentBody]) -> ApiResult<Vec<FileRef>> {
    if attachments.len() > MOST_FILES {
        return Err(ApiError::bad_request(format!("at most {MOST_FILES} attachments are taken")));
    }
    let mut files = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        let (name, media_type) = (attachment.filename.clone(), attachment.media_type.clone());
        files.push(keep_file(kit, user, name, media_type, attachment.bytes()?).await?);
    }
    Ok(files)
}

impl AttachmentBody {
    /// Its bytes.
    pub(super) fn bytes(&self) -> ApiResult<Bytes> {
        let bytes = STANDARD.decode(self.data.as_bytes());
        bytes
            .map(Bytes::from)
            .map_err(|_| ApiError::bad_request(format!("the data of `{}` is no base64", self.filename)))
    }
}

/// Keeps a file of this user.
pub(super) async fn keep_file(
    kit: &WebKit,
    user: &UserId,
    name: String,
    media_type: String,
    bytes: Bytes,
) -> ApiResult<FileRef> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/+-.".contains(c);
    if !media_type.contains('/') || !media_type.chars().all(plain) {
        return Err(ApiError::bad_request("mediaType must be one such as `image/png`"));
    }
    let put = kit.files.put(name, media_type.to_ascii_lowercase(), bytes).await;
    let file = put.map_err(|error| ApiError::unavailable(format!("the file cannot be kept: {error}")))?;
    let note = PutFile { user: user.clone(), file: file.clone(), now: kit.clock.now() };
    kit.doors.db.write.put_file.ask(note).await?;
    Ok(file)
}

/// The key by which a request is recognised when it comes again.
pub(super) fn idempotency_key(request: &HttpRequest) -> ApiResult<Option<String>> {
    match request.headers().get("idempotency-key").map(|key| key.to_str()) {
        None => Ok(None),
        Some(Ok(key)) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        Some(_) => {
            let message = format!("Idempotency-Key must be 1 to {LONGEST_KEY} plain characters");
            Err(ApiError::bad_request(message))
        }
    }
}

/// Tells one client what becomes of one message.
struct Follow {
    kit: Arc<WebKit>,
    events: Events,
    inbound: InboundId,
    user: UserId,
}

/// Whether there is more to come.
enum Next {
    More,
    End,
}

impl Follow {
    /// `before` says that the message was accepted before this client watched: it may be settled already.
    async fn run(self, mut live: mpsc::Receiver<Arc<LiveEvent>>, before: bool) {
        let mut next = if before { self.settled().await } else { Ok(Next::More) };
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        while let Ok(Next::More) = next {
            next = tokio::select! {
                biased;
                event = live.recv() => match event {
                    Some(event) => self.show(&event).await,
                    None => self.lost_sight().await,
                },
                () = self.events.hung_up() => Err(HungUp),
                () = self.kit.closing.cancelled() => self.lost_sight().await,
                // Whoever should have told may have fallen just then.
                _ = look.tick() => self.settled().await,
            };
        }
    }

    async fn show(&self, event: &LiveEvent) -> Result<Next, HungUp> {
        match event {
            LiveEvent::Progress { progress, .. } => {
                let (name, data) = sse::progress(progress);
                self.events.send(name, data).await?;
                Ok(if matches!(progress, Progress::Withdrawn { .. }) { Next::End } else { Next::More })
            }
            LiveEvent::Sent(row) => match &row.message.body {
                Body::Answer { text, files, outcome, .. } => self.answer(row.id, text, files, *outcome).await,
                Body::Notice { .. }
                | Body::Approval { .. }
                | Body::Standing { .. }
                | Body::Pairing { .. }
                | Body::PairingOver { .. }
                | Body::Decided { .. }
                | Body::Callback { .. } => Ok(Next::More),
            },
        }
    }

    async fn answer(&self, id: i64, text: &str, files: &[FileRef], outcome: Outcome) -> Result<Next, HungUp> {
        if matches!(outcome, Outcome::ModelFailed | Outcome::Poisoned) {
            self.events.send("error", json!({"message": text, "code": outcome.as_str()})).await?;
            return Ok(Next::End);
        }
        let data = json!({"text": text, "files": sse::links(files), "outcome": outcome.as_str()});
        self.events.send_with_id("response", data, Some(id)).await?;
        if !files.is_empty() {
            self.events.send("files", sse::file_list(files)).await?;
        }
        self.events.send("done", json!({})).await?;
        Ok(Next::End)
    }

    /// Looks into the store: the message may be settled already.
    async fn settled(&self) -> Result<Next, HungUp> {
        let fate = self.kit.doors.db.read.fate.ask(FateOf { inbound: self.inbound.clone() }).await;
        let Ok(Some(fate)) = fate else { return Ok(Next::More) };
        if fate.user != self.user {
            return Ok(Next::End);
        }
        match (fate.state, fate.answer) {
            (State::Answered, Some(answer)) => {
                self.answer(answer.id, &answer.text, &answer.files, answer.outcome).await
            }
            (State::Cancelled, _) => {
                self.events.send("error", sse::withdrawn(Outcome::Cancelled)).await?;
                Ok(Next::End)
            }
            (State::Answered, None) => {
                let message = "this message was answered, and the answer is not kept any more";
                self.events.send("error", json!({"message": message, "code": "answer_gone"})).await?;
                Ok(Next::End)
            }
            (State::Queued | State::Running, _) => Ok(Next::More),
        }
    }

    /// The live events ended: this client was too slow, the hub fell, or the server closes.
    async fn lost_sight(&self) -> Result<Next, HungUp> {
        if let Next::End = self.settled().await? {
            return Ok(Next::End);
        }
        let message = "the stream was interrupted; the message is being worked on. Send it again with the same \
                       Idempotency-Key to go on reading";
        self.events.send("error", json!({"message": message, "code": "interrupted_stream"})).await?;
        Ok(Next::End)
    }
}
