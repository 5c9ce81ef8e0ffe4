//! A file on its way to Discord: a form whose file is read as it is sent, so that it never stands whole in memory.

use std::{io, path::PathBuf};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{Stream, iter, once, unfold},
};
use reqwest::{Body, RequestBuilder};
use tokio::{fs::File, io::AsyncReadExt};

use crate::{
    domain::{chat::Failure, message::FileRef},
    ports::files::Files,
};

/// Largest file that Discord takes of a bot, in bytes.
pub(super) const LARGEST: u64 = 10 * 1024 * 1024;
/// How much is read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

/// A file that goes with a message.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    path: PathBuf,
    name: String,
    media_type: String,
}

impl Upload {
    /// The file, when it is not too large.
    pub(super) fn new(file: &FileRef, files: &dyn Files) -> Result<Self, Failure> {
        if file.size > LARGEST {
            return Err(too_large(file.size));
        }
        let media_type = file.media_type.clone();
        let is_plain = media_type.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        let media_type =
            if is_plain && media_type.contains('/') { media_type } else { "application/octet-stream".into() };
        Ok(Self { path: files.path(&file.id), name: one_line(&file.name), media_type })
    }

    /// Its name, as it is told to Discord.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Puts it and `payload` into a request.
    ///
    /// # Errors
    /// When the file cannot be opened, or is larger than it was said to be.
    pub(super) async fn attach(
        &self,
        request: RequestBuilder,
        payload: &str,
        fresh: u128,
    ) -> Result<RequestBuilder, Failure> {
        let lost = |error: io::Error| {
            Failure::Refused(format!("the file cannot be read any more: {}", error.kind()))
        };
        let file = File::open(&self.path).await.map_err(lost)?;
        let size = file.metadata().await.map_err(lost)?.len();
        if size > LARGEST {
            return Err(too_large(size));
        }
        let boundary = format!("atoll-{fresh:032x}");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"payload_json\"\r\n\
             Content-Type: application/json\r\n\r\n{payload}\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"files[0]\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
            self.name.replace('"', "%22"),
            self.media_type
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + size + tail.len() as u64;
        let body = once(async move { Ok(Bytes::from(head)) })
            .chain(chunks(file, size))
            .chain(iter([Ok(Bytes::from(tail))]));
        Ok(request
            .header("content-type", format!("multipart/form-data; boundary={boundary}"))
            .header("content-length", length)
            .body(Body::wrap_stream(body)))
    }
}

/// Exactly so many bytes of a file.
fn chunks(file: File, size: u64) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    unfold((file, size), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        let read = file.read(&mut chunk).await;
        match read {
            Ok(0) => Some((Err(io::ErrorKind::UnexpectedEof.into()), (file, 0))),
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(Bytes::from(chunk)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    })
}

fn too_large(size: u64) -> Failure {
    Failure::TooLarge(format!("{size} bytes; Discord takes {LARGEST} of a bot"))
}

/// A name that does not end its header.
fn one_line(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control() && *c != '\\').collect();
    if name.trim().is_empty() { "file".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ids::FileId,
        ports::files::{KeepError, OpenFile, Pieces},
    };

    struct Nowhere;

    impl Files for Nowhere {
        fn put(
            &self,
            _: String,
            _: String,
            _: Bytes,
        ) -> futures_util::future::BoxFuture<'static, io::Result<FileRef>> {
            Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
        }

        fn read(&self, _: &FileId) -> futures_util::future::BoxFuture<'static, io::Result<Bytes>> {
            Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
        }

        fn keep(
            &self,
            _: String,
            _: String,
            _: Pieces,
            _: u64,
        ) -> futures_util::future::BoxFuture<'static, Result<FileRef, KeepError>> {
            Box::pin(async { Err(KeepError::Io(io::ErrorKind::Unsupported.into())) })
        }

        fn open(&self, _: &FileId) -> futures_util::future::BoxFuture<'static, io::Result<OpenFile>> {
            Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
        }

        fn path(&self, _: &FileId) -> PathBuf {
            "/nowhere/at/all".into()
        }
    }

    fn file(name: &str, media_type: &str, size: u64) -> FileRef {
        FileRef { id: FileId::new("f"), name: name.into(), media_type: media_type.into(), size }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_begun() {
        assert!(matches!(Upload::new(&file("a", "b/c", LARGEST + 1), &Nowhere), Err(Failure::TooLarge(_))));
        assert!(Upload::new(&file("a", "b/c", LARGEST), &Nowhere).is_ok());
    }

    #[test]
    fn a_name_and_a_type_never_end_their_headers() {
        let upload = Upload::new(&file("a\r\nX: \"b\"\\.png", "image/png\r\nX: y", 1), &Nowhere).unwrap();
        assert_eq!(
            (upload.name(), upload.media_type.as_str()),
            ("aX: \"b\".png", "application/octet-stream")
        );
        assert_eq!(Upload::new(&file("\n", "", 1), &Nowhere).unwrap().name(), "file");
    }
}
