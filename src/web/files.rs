//! `GET /api/files/{id}`: the bytes of a file, for the user whose it is.

use actix_web::{
    HttpResponse, get,
    http::header::{self, Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue},
    web,
};

use crate::{
    actors::db::messages::GetFile,
    domain::{access::Role, ids::FileId},
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
    let (file, _) = found
        .filter(|(_, user)| caller.0.acting_as(Some(user.clone())).is_ok())
        .ok_or_else(|| ApiError::not_found("file"))?;
    let open = kit.files.open(&id).await.map_err(|_| ApiError::not_found("file"))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, file.media_type))
        .insert_header(attachment(&file.name))
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
