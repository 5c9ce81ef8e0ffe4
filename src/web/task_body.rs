//! A task as it is asked for: as JSON, or as a form with files; checked before anything is stored.

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::StatusCode, http::header, web, web::Json};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::LocalBoxFuture};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    actors::db::messages::GetFile,
    domain::{
        bot::Engine,
        ids::{FileId, JobId, ProjectId},
        job::{NewTask, Priority, Verbosity, check_callback, check_instruction, check_line, title_of},
        message::FileRef,
    },
    net::multipart::{self, Part},
};

use super::{
    access::Caller,
    chat::{AttachmentBody, MOST_FILES, keep_file},
    error::{ApiError, ApiResult},
    kit::WebKit,
    membership::word,
};

/// A task. As a form (`multipart/form-data`) it has the same fields, `metadata` as JSON, and files under any names.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TaskBody {
    /// In which project.
    pub(super) project_id: String,
    /// What is to be done; at most 100000 characters.
    pub(super) instruction: String,
    /// In one line; the beginning of the instruction by default.
    title: Option<String>,
    /// `native` (the default), `claude-code` or `codex`.
    engine_type: Option<String>,
    /// Which model; the engine's own choice by default.
    model: Option<String>,
    /// `interactive` (the default) or `scheduled`: who waits for nobody goes last.
    priority: Option<String>,
    /// `quiet`, `normal` (the default) or `verbose`: how much its log shows by default.
    verbosity: Option<String>,
    /// Where its end and its questions are posted to: an address on the internet.
    callback_url: Option<String>,
    /// Files that lie in the workspace: ids of files of the key's user, or files.
    #[serde(default)]
    attachments: Vec<Attached>,
    /// Taken for clients that send it, and not kept.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// A file that lies in the workspace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Attached {
    /// The id of one that is stored.
    Id(String),
    /// The file itself.
    File(AttachmentBody),
}

/// What was sent: the fields, and files beside them.
pub(super) struct Asked {
    pub(super) body: TaskBody,
    files: Vec<Part>,
}

impl FromRequest for Asked {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            let body = Json::<TaskBody>::from_request(request, payload);
            return Box::pin(async move { Ok(Self { body: body.await?.into_inner(), files: Vec::new() }) });
        }
        let most = request.app_data::<web::Data<WebKit>>().map_or(0, |kit| kit.settings.server.max_body);
        let payload = payload.take();
        Box::pin(async move {
            let body = collect(payload, most).await?;
            let parts = multipart::parse(&content_type, &body)
                .map_err(|error| ApiError::bad_request(error.to_string()))?;
            Ok(form(parts)?)
        })
    }
}

async fn collect(mut payload: Payload, most: usize) -> ApiResult<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::bad_request("the body cannot be read"))?;
        if body.len() + chunk.len() > most {
            let message = format!("the body is larger than {most} bytes");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The fields of a form.
fn form(parts: Vec<Part>) -> ApiResult<Asked> {
    let mut fields = serde_json::Map::new();
    let (mut ids, mut files) = (Vec::new(), Vec::new());
    for part in parts {
        if part.filename.is_some() {
            files.push(part);
            continue;
        }
        let text = std::str::from_utf8(&part.bytes)
            .map_err(|_| ApiError::bad_request(format!("the field `{}` is no text", part.name)))?;
        let value = match part.name.as_str() {
            "attachments" => {
                ids.push(Value::from(text));
                continue;
            }
            "metadata" => serde_json::from_str(text)
                .map_err(|error| ApiError::bad_request(format!("metadata is no JSON: {error}")))?,
            _ => Value::from(text),
        };
        if fields.insert(part.name.clone(), value).is_some() {
            return Err(ApiError::bad_request(format!("the field `{}` is there twice", part.name)));
        }
    }
    fields.insert("attachments".into(), ids.into());
    let body = serde_json::from_value(Value::Object(fields))
        .map_err(|error| ApiError::bad_request(format!("the form does not fit: {error}")))?;
    Ok(Asked { body, files })
}

impl Asked {
    /// The task under this id. Its files are stored when all else fits.
    pub(super) async fn task(self, kit: &WebKit, caller: &Caller, id: JobId) -> ApiResult<NewTask> {
        let Self { body, files } = self;
        body.check(kit)?;
        let priority = word("priority", body.priority.as_deref(), priority, "interactive or scheduled")?;
        let engines = "native, claude-code or codex";
        let engine = word("engineType", body.engine_type.as_deref(), Engine::parse, engines)?;
        let verbosity =
            word("verbosity", body.verbosity.as_deref(), Verbosity::parse, "quiet, normal or verbose")?;
        if body.attachments.len() + files.len() > MOST_FILES {
            return Err(ApiError::bad_request(format!("at most {MOST_FILES} attachments are taken")));
        }
        let title = body.title.unwrap_or_else(|| title_of(&body.instruction));
        Ok(NewTask {
            id,
            project: ProjectId::new(body.project_id),
            user: caller.0.user.clone(),
            actor: format!("key:{}", caller.0.name),
            title,
            instruction: body.instruction,
            system: String::new(),
            engine: engine.unwrap_or_default(),
            model: body.model,
            priority: priority.unwrap_or_default(),
            verbosity: verbosity.unwrap_or_default(),
            callback_url: body.callback_url,
            bot: None,
            story: None,
            attachments: attachments(kit, caller, body.attachments, files).await?,
            discovery: false,
            conversation: None,
            at: kit.clock.now(),
        })
    }
}

impl TaskBody {
    fn check(&self, kit: &WebKit) -> ApiResult<()> {
        check_instruction(&self.instruction)?;
        if let Some(title) = &self.title {
            check_line("title", title)?;
        }
        if let Some(model) = &self.model {
            check_line("model", model)?;
        }
        if let Some(url) = &self.callback_url {
            if !kit.settings.signs_callbacks {
                let why = "callbackUrl needs a secret to sign with: set channels.webhook.secret";
                return Err(ApiError::bad_request(why));
            }
            check_callback(url, kit.settings.private_callbacks)
                .map_err(|bad| ApiError::bad_request(bad.to_string()))?;
        }
        match &self.metadata {
            None | Some(Value::Object(_)) => Ok(()),
            Some(_) => Err(ApiError::bad_request("metadata must be an object")),
        }
    }
}

/// What a person may choose: bots have a place of their own in the queue.
fn priority(text: &str) -> Option<Priority> {
    Priority::parse(text).filter(|priority| *priority != Priority::Proactive)
}

async fn attachments(
    kit: &WebKit,
    caller: &Caller,
    attached: Vec<Attached>,
    files: Vec<Part>,
) -> ApiResult<Vec<FileRef>> {
    let mut kept = Vec::new();
    for one in attached {
        kept.push(match one {
            Attached::Id(id) => {
                let found = kit.doors.db.read.get_file.ask(GetFile { id: FileId::new(id.clone()) }).await?;
                let found = found.filter(|(_, user)| caller.0.acting_as(Some(user.clone())).is_ok());
                let none =
                    || ApiError::bad_request(format!("attachments names {id}, which is no file of yours"));
                found.ok_or_else(none)?.0
            }
            Attached::File(file) => {
                let bytes = file.bytes()?;
                keep_file(kit, &caller.0.user, file.filename, file.media_type, bytes).await?
            }
        });
    }
    for file in files {
        let (name, media_type) = (file.filename.unwrap_or_default(), file.media_type);
        let media_type = media_type.unwrap_or_else(|| "application/octet-stream".into());
        kept.push(keep_file(kit, &caller.0.user, name, media_type, file.bytes).await?);
    }
    Ok(kept)
}
