//! Files as parts of forms (`multipart/form-data`, <https://www.rfc-editor.org/rfc/rfc7578>) on their way out.

use reqwest::{Body, multipart::Part};

use crate::ports::files::OpenFile;

/// What a file is when nobody knows better.
const UNKNOWN: &str = "application/octet-stream";

/// A file as a part of a form. It is sent as it is read, and its length is told before, so that it never stands whole in
/// memory. Name and type are cleaned: nothing of them ends its header. A type that is none is left out for
/// `application/octet-stream`.
pub fn file_part(file: OpenFile, name: &str, media_type: &str) -> Part {
    let name = one_line(name);
    let known = Part::text("").mime_str(media_type).is_ok();
    let media_type = if known { media_type } else { UNKNOWN };
    let part = Part::stream_with_length(Body::wrap_stream(file.bytes), file.size).file_name(name.clone());
    // The type was tried above, so what is given up here is never sent.
    part.mime_str(media_type).unwrap_or_else(|_| Part::text("").file_name(name))
}

/// A name without what would end its line, and without what browsers read as a path.
pub fn one_line(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control() && *c != '\\').collect();
    if name.trim().is_empty() { "file".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Clients, install_tls, multipart};
    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use reqwest::multipart::Form;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    /// Sends a form to a server of our own, and gives its head and its body.
    async fn sent(form: Form) -> (String, Bytes) {
        install_tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut read, mut piece) = (Vec::new(), [0; 4_096]);
            loop {
                let end = read.windows(4).position(|four| four == b"\r\n\r\n");
                if let Some(end) = end {
                    let head = String::from_utf8(read[..end].to_vec()).unwrap().to_ascii_lowercase();
                    let told = head.split("content-length: ").nth(1).unwrap().split("\r\n").next();
                    let length: usize = told.unwrap().parse().unwrap();
                    if read.len() == end + 4 + length {
                        socket.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                        let head = String::from_utf8(read[..end].to_vec()).unwrap();
                        return (head, Bytes::from(read.split_off(end + 4)));
                    }
                }
                let count = socket.read(&mut piece).await.unwrap();
                assert!(count > 0, "it ended early");
                read.extend_from_slice(&piece[..count]);
            }
        });
        let client = Clients::default().to(&url).unwrap();
        client.post(&url).multipart(form).send().await.unwrap();
        serving.await.unwrap()
    }

    fn open(pieces: &[&'static [u8]]) -> OpenFile {
        let pieces: Vec<_> = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        OpenFile { size, bytes: stream::iter(pieces.into_iter().map(Ok)).boxed() }
    }

    #[tokio::test]
    async fn a_file_reads_back_as_it_was_and_its_length_is_told() {
        let file = file_part(open(&[b"\r\n--", b"\0\xff"]), "x \"é\"\r\ny\\.ogg", "audio/ogg");
        let form = Form::new().text("model", "whisper").part("files[0]", file);
        let (head, body) = sent(form).await;
        let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
        let parts = multipart::parse(content_type, &body).unwrap();
        assert_eq!((&*parts[0].name, &*parts[0].bytes), ("model", &b"whisper"[..]));
        assert_eq!((&*parts[1].name, parts[1].filename.as_deref()), ("files[0]", Some("x \"é\"y.ogg")));
        assert_eq!(parts[1].media_type.as_deref(), Some("audio/ogg"));
        assert_eq!((&*parts[1].bytes, parts.len()), (&b"\r\n--\0\xff"[..], 2));
    }

    #[tokio::test]
    async fn a_name_and_a_type_never_end_their_headers() {
        for media_type in ["image/png\r\nX: y", "", "nothing", "a/\""] {
            let (_, body) = sent(Form::new().part("f", file_part(open(&[b"1"]), "\n", media_type))).await;
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains("filename=\"file\""), "{text}");
            let types: Vec<&str> = text.lines().filter(|line| line.starts_with("Content-Type")).collect();
            assert_eq!(types, ["Content-Type: application/octet-stream"], "{media_type:?}");
            assert!(!text.contains("X: y"), "{text}");
        }
    }
}
