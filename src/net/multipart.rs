//! Forms with files (`multipart/form-data`, <https://www.rfc-editor.org/rfc/rfc7578>), read from a body that is there.

use bytes::Bytes;

/// Most parts of a form.
const PARTS: usize = 64;
/// Most headers of a part, and most bytes of them.
const HEADERS: usize = 8;
const HEAD: usize = 4 * 1024;

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name, when it is a file.
    pub filename: Option<String>,
    /// Its media type, when it is told.
    pub media_type: Option<String>,
    /// What it says.
    pub bytes: Bytes,
}

/// A body that is no such form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form cannot be read: {0}")]
pub struct BadForm(&'static str);

/// Reads a form. `content_type` is the header's value.
///
/// # Errors
/// [`BadForm`] with what is wrong.
pub fn parse(content_type: &str, body: &Bytes) -> Result<Vec<Part>, BadForm> {
    let boundary = parameter(content_type, "boundary").ok_or(BadForm("content-type names no boundary"))?;
    if !(1..=70).contains(&boundary.len()) {
        return Err(BadForm("its boundary has no fitting length"));
    }
    let (first, next) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut at = match find(body, 0, next.as_bytes()) {
        _ if body.starts_with(first.as_bytes()) => first.len(),
        Some(begin) => begin + next.len(),
        None => return Err(BadForm("its boundary does not occur")),
    };
    let mut parts = Vec::new();
    loop {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !rest[padding..].starts_with(b"\r\n") {
            return Err(BadForm("it ends in its midst"));
        }
        if parts.len() == PARTS {
            return Err(BadForm("it has too many parts"));
        }
        at += padding + 2;
        let (headers, begin) = head(body, at)?;
        let end = find(body, begin, next.as_bytes()).ok_or(BadForm("it ends in its midst"))?;
        parts.push(Part { bytes: body.slice(begin..end), ..headers });
        at = end + next.len();
    }
}

/// The headers of the part that begins here, and where its words begin.
fn head(body: &Bytes, at: usize) -> Result<(Part, usize), BadForm> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let text = &body[at..body.len().min(at + HEAD)];
    let bad = BadForm("the headers of a part cannot be read");
    let Ok(httparse::Status::Complete((length, headers))) = httparse::parse_headers(text, &mut headers)
    else {
        return Err(bad);
    };
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let disposition = value("content-disposition").ok_or(bad)?;
    if !disposition.trim_start().to_ascii_lowercase().starts_with("form-data") {
        return Err(bad);
    }
    let name = parameter(disposition, "name").ok_or(BadForm("a part has no name"))?;
    let filename = parameter(disposition, "filename");
    let media_type =
        value("content-type").map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
    Ok((Part { name, filename, media_type, bytes: Bytes::new() }, at + length))
}

/// A parameter of a header, quoted or not. Browsers write a quote in a quoted one as `%22`, others as `\"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (text, after) = match value.strip_prefix('"') {
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim().to_owned(), &value[end..])
            }
            Some(quoted) => {
                let (mut text, mut escaped, mut end) = (String::new(), false, None);
                for (at, c) in quoted.char_indices() {
                    match c {
                        '"' if !escaped => {
                            end = Some(at + 1);
                            break;
                        }
                        '\\' if !escaped => escaped = true,
                        c => {
                            // A backslash before anything else stands for itself: some send whole paths.
                            if escaped && !matches!(c, '"' | '\\') {
                                text.push('\\');
                            }
                            text.push(c);
                            escaped = false;
                        }
                    }
                }
                (text.replace("%22", "\""), &quoted[end?..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = after.split_once(';')?.1;
    }
}

/// Where this occurs first, from this place on.
fn find(body: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let found = body.get(from..)?.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=\"XX\"";

    fn read(body: &str) -> Result<Vec<Part>, BadForm> {
        parse(TYPE, &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn fields_and_files_are_read_as_browsers_and_curl_send_them() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"instruction\"\r\n\r\nmend\r\n--not yet\r\n--XX\r\n\
                    content-disposition: form-data; name=file; filename=\"a %22b\\\"; c.png\"\r\nContent-Type: image/png; q=1\
                    \r\n\r\n\0\r\n\r\n--XX--\r\nignored";
        let parts = read(body).unwrap();
        assert_eq!((&*parts[0].name, &*parts[0].bytes), ("instruction", &b"mend\r\n--not yet"[..]));
        assert_eq!(parts[0].filename, None);
        assert_eq!(parts[1].filename.as_deref(), Some("a \"b\"; c.png"));
        assert_eq!((parts[1].media_type.as_deref(), &*parts[1].bytes), (Some("image/png"), &b"\0\r\n"[..]));
        assert_eq!(parts.len(), 2);
        assert_eq!(read("--XX--").unwrap(), []);
        let preamble = "hello\r\n--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--XX--";
        assert_eq!(&*read(preamble).unwrap()[0].bytes, b"");
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let part = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
        for bad in [
            "",
            "--YY--",
            "--XX",
            "--XX\r\n",
            part,
            "--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--",
            "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--",
            "--XX\r\nx: y\r\n\r\nx\r\n--XX--",
            &format!("{}--XX--", part.repeat(65)),
            &format!("--XX\r\nContent-Disposition: form-data; name={}\r\n\r\nx\r\n--XX--", "a".repeat(5_000)),
        ] {
            assert!(read(bad).is_err(), "{}", &bad[..bad.len().min(200)]);
        }
        let body = Bytes::from_static(b"--XX--");
        for bad in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"XX"]
        {
            assert!(parse(bad, &body).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall(body in proptest::collection::vec(any::<u8>(), 0..200), content_type in ".*") {
            let _ = parse(&content_type, &Bytes::from(body.clone()));
            let mut framed = b"--XX\r\n".to_vec();
            framed.extend(body);
            let _ = parse(TYPE, &Bytes::from(framed));
        }

        #[test]
        fn bytes_come_through_unchanged(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut body = b"--a-b-c-d\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n".to_vec();
            body.extend(&bytes);
            body.extend(b"\r\n--a-b-c-d--\r\n");
            let parts = parse("multipart/form-data; boundary=a-b-c-d", &Bytes::from(body)).unwrap();
            prop_assert_eq!(&parts[0].bytes[..], &bytes[..]);
        }
    }
}
