//! Forms with one file (`multipart/form-data`, <https://www.rfc-editor.org/rfc/rfc7578>) on their way out. The file is
//! sent as it is read, and its length is told before.

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::ports::files::{OpenFile, Pieces};

/// A form that is being filled in.
#[derive(Debug)]
pub struct Form {
    boundary: String,
    head: String,
}

/// A form that is ready to be sent.
pub struct FilledForm {
    /// The value of the header `content-type`.
    pub content_type: String,
    /// The value of the header `content-length`.
    pub length: u64,
    /// The body.
    pub body: Pieces,
}

impl Form {
    /// An empty form. `key` keeps its parts apart: up to 60 letters and digits that its file surely does not hold.
    pub fn new(key: &str) -> Self {
        let key: String = key.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        Self { boundary: format!("atoll-{key}"), head: String::new() }
    }

    /// With this field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.part(name, "");
        self.head.push_str("\r\n");
        self.head.push_str(value);
        self.head.push_str("\r\n");
        self
    }

    /// With this file, which ends it.
    pub fn file(mut self, name: &str, filename: &str, media_type: &str, file: OpenFile) -> FilledForm {
        self.part(name, &format!("; filename=\"{}\"", escaped(filename)));
        let media_type: String = media_type.chars().filter(|c| !c.is_control()).collect();
        self.head.push_str(&format!("content-type: {media_type}\r\n\r\n"));
        let tail = format!("\r\n--{}--\r\n", self.boundary);
        let piece = |text: String| stream::iter([Ok(Bytes::from(text))]);
        FilledForm {
            content_type: format!("multipart/form-data; boundary={}", self.boundary),
            length: self.head.len() as u64 + file.size + tail.len() as u64,
            body: piece(self.head).chain(file.bytes).chain(piece(tail)).boxed(),
        }
    }

    fn part(&mut self, name: &str, more: &str) {
        let (boundary, name) = (&self.boundary, escaped(name));
        self.head
            .push_str(&format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n"));
    }
}

/// A name as browsers send it (WHATWG HTML, multipart form data): nothing of it ends its quotes or its line.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::multipart;

    #[tokio::test]
    async fn a_form_reads_back_as_it_was_filled_in() {
        let sound = Bytes::from_static(b"\r\n--atoll-\0\xff");
        let file = OpenFile {
            size: sound.len() as u64,
            bytes: stream::iter([Ok(sound.slice(..3)), Ok(sound.slice(3..))]).boxed(),
        };
        let form = Form::new("k/e\"y").field("model", "whisper").field("a\"b", "");
        let form = form.file("file", "x\"\r\ny.ogg", "audio/ogg\r\nevil: 1", file);
        let body: Vec<Bytes> = form.body.map(Result::unwrap).collect().await;
        let body = Bytes::from(body.concat());
        assert_eq!(body.len() as u64, form.length);
        let parts = multipart::parse(&form.content_type, &body).unwrap();
        let fields: Vec<_> = parts[..2].iter().map(|part| (&part.name[..], &part.bytes[..])).collect();
        assert_eq!(fields, [("model", &b"whisper"[..]), ("a\"b", b"")]);
        assert_eq!(parts[2].filename.as_deref(), Some("x\"%0D%0Ay.ogg"));
        assert_eq!(parts[2].media_type.as_deref(), Some("audio/oggevil: 1"));
        assert_eq!((&parts[2].bytes, parts.len()), (&sound, 3));
    }
}
