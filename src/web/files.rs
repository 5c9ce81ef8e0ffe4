//! `GET /api/files/{id}`: the bytes of a file, for the user whose it is, or for whoever has a link to it.

use actix_web::{
    HttpResponse, get,
    http::header::{self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue},
    web,
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    actors::db::messages::GetFile,
    domain::{access::Role, file_link::FileLinks, ids::FileId, message::FileRef},
};

use super::{
    access::Caller,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
};

/// Download a file.
#[utoipa::path(
    params(("id" = String, Path, description = "the file")),
    responses(
        (status = 200, description = "its bytes", content_type = "application/octet-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "chat",
)]
#[get("/api/files/{id}")]
pub(super) async fn file(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Viewer)?;
    let id = FileId::new(path.into_inner());
    let found = kit.doors.db.read.get_file.ask(GetFile { id: id.clone() }).await?;
    // A stranger's file is as good as none.
    let (meant, _) = found
        .filter(|(_, user)| caller.0.acting_as(Some(user.clone())).is_ok())
        .ok_or_else(|| ApiError::not_found("file"))?;
    send(&kit, &id, meant).await
}

/// A link to a file, as it is written into a chat.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Link {
    /// The last moment at which it holds, in milliseconds since the epoch.
    #[serde(default)]
    until: i64,
    /// That this server gave it.
    #[serde(default)]
    signature: String,
}

/// Download a file by a link that was given for it; needs no key.
#[utoipa::path(
    params(("id" = String, Path, description = "the file"), Link),
    responses(
        (status = 200, description = "its bytes", content_type = "application/octet-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    tag = "chat",
)]
#[get("/api/files/{id}/shared")]
pub(super) async fn shared(
    kit: web::Data<WebKit>,
    path: web::Path<String>,
    link: web::Query<Link>,
) -> ApiResult<HttpResponse> {
    let id = FileId::new(path.into_inner());
    let known = |links: &FileLinks| links.holds(&id, link.until, &link.signature, kit.clock.now());
    if !kit.settings.links.as_ref().is_some_and(known) {
        return Err(ApiError::not_found("file"));
    }
    let found = kit.doors.db.read.get_file.ask(GetFile { id: id.clone() }).await?;
    let (meant, _) = found.ok_or_else(|| ApiError::not_found("file"))?;
    send(&kit, &id, meant).await
}

async fn send(kit: &WebKit, id: &FileId, sent: FileRef) -> ApiResult<HttpResponse> {
    let open = kit.files.open(id).await.map_err(|_| ApiError::not_found("file"))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, sent.media_type))
        .insert_header(attachment(&sent.name))
        .insert_header((header::CONTENT_SECURITY_POLICY, "sandbox"))
        .no_chunking(open.size)
        .streaming(open.bytes))
}

/// Says that the file is to be kept under this name, which may be of any script (RFC 6266).
pub(super) fn attachment(name: &str) -> ContentDisposition {
    let plain = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut parameters = vec![DispositionParam::Filename(plain)];
    if !name.is_ascii() {
        let value = ExtendedValue {
            charset: Charset::Ext("UTF-8".into()),
            language_tag: None,
            value: name.as_bytes().to_vec(),
        };
        parameters.push(DispositionParam::FilenameExt(value));
    }
    ContentDisposition { disposition: DispositionType::Attachment, parameters }
}
