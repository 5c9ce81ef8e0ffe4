//! A file on its way to Discord: a form whose file is read as it is sent.

use std::sync::Arc;

use reqwest::{
    RequestBuilder,
    multipart::{Form, Part},
};

use crate::{
    domain::{chat::Failure, message::FileRef},
    net::part::{file_part, one_line},
    ports::files::Files,
};

/// Largest file that Discord takes of a bot, in bytes.
pub(super) const LARGEST: u64 = 10 * 1024 * 1024;

/// A file that goes with a message.
#[derive(Clone)]
pub(super) struct Upload {
    file: FileRef,
    files: Arc<dyn Files>,
}

impl Upload {
    /// The file, when it is not too large.
    pub(super) fn new(file: &FileRef, files: &Arc<dyn Files>) -> Result<Self, Failure> {
        if file.size > LARGEST {
            return Err(too_large(file.size));
        }
        let file = FileRef { name: one_line(&file.name), ..file.clone() };
        Ok(Self { file, files: Arc::clone(files) })
    }

    /// Its name, as it is told to Discord.
    pub(super) fn name(&self) -> &str {
        &self.file.name
    }

    /// Puts it and `payload` into a request.
    ///
    /// # Errors
    /// When the file cannot be opened, or is larger than it was said to be.
    pub(super) async fn attach(
        &self,
        request: RequestBuilder,
        payload: &str,
    ) -> Result<RequestBuilder, Failure> {
        let open = self.files.open(&self.file.id).await;
        let open = open.map_err(|error| {
            Failure::Refused(format!("the file cannot be read any more: {}", error.kind()))
        })?;
        if open.size > LARGEST {
            return Err(too_large(open.size));
        }
        let payload = Part::text(payload.to_owned()).mime_str("application/json");
        let payload = payload.map_err(|error| Failure::Refused(error.to_string()))?;
        let file = file_part(open, &self.file.name, &self.file.media_type);
        Ok(request.multipart(Form::new().part("payload_json", payload).part("files[0]", file)))
    }
}

fn too_large(size: u64) -> Failure {
    Failure::TooLarge(format!("{size} bytes; Discord takes {LARGEST} of a bot"))
}
