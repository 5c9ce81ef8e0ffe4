//! The first look at a request, before the HTTP library reads it: whatever two readers could understand differently
//! is refused here.

/// Most bytes of a request's head.
pub const LARGEST_HEAD: usize = 64 * 1024;
/// Most header fields.
const MOST_FIELDS: usize = 96;
/// What the gateway is called by those inside.
const OWN_NAMES: &[&str] = &["127.0.0.1", "localhost", "[::1]"];

/// What a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A tunnel to this host and port.
    Tunnel(String),
    /// Something of the gateway's own: the path, with its query.
    Own(String),
    /// That a whole address be fetched.
    Address(String),
}

/// Why a request is not even looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// It is no HTTP.
    #[error("this is not a well-formed HTTP/1.1 request: {0}")]
    Form(String),
    /// Its length can be understood in two ways.
    #[error("the request's length is not clear: send one Content-Length or one `Transfer-Encoding: chunked`")]
    Length,
    /// Its host is missing, comes twice, or is not that of its target.
    #[error("the request's Host header does not fit: send one that names the target")]
    Host,
}

/// Where the head of a request ends, when it is all there.
pub fn end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Looks at the whole head of a request.
///
/// # Errors
/// [`BadHead`].
pub fn look(head: &[u8]) -> Result<Target, BadHead> {
    let form = |what: &str| BadHead::Form(what.to_owned());
    let bare = |at: usize, byte: u8| match byte {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1) != Some(&b'\n'),
        0 => true,
        _ => false,
    };
    if head.iter().enumerate().any(|(at, byte)| bare(at, *byte)) {
        return Err(form("a line that does not end in CR LF"));
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(form("it does not end where it seems to")),
        Err(error) => return Err(form(&error.to_string())),
    }
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(form("it is not complete"));
    };
    let values = |name: &str| -> Vec<&[u8]> {
        request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
            .collect()
    };
    check_length(&values("content-length"), &values("transfer-encoding"), version, method)?;
    let host = match values("host")[..] {
        [host] => Some(std::str::from_utf8(host).map_err(|_| BadHead::Host)?.trim()),
        [] if version == 0 => None,
        _ => return Err(BadHead::Host),
    };
    let (target, fits) = sort(method, target, host);
    if fits { Ok(target) } else { Err(BadHead::Host) }
}

fn check_length(lengths: &[&[u8]], encodings: &[&[u8]], version: u8, method: &str) -> Result<(), BadHead> {
    let fine = match (lengths, encodings) {
        ([], []) => true,
        _ if method == "CONNECT" => *lengths == [b"0"] && encodings.is_empty(),
        ([length], []) => !length.is_empty() && length.len() < 16 && length.iter().all(u8::is_ascii_digit),
        ([], [encoding]) => version == 1 && encoding.eq_ignore_ascii_case(b"chunked"),
        _ => false,
    };
    if fine { Ok(()) } else { Err(BadHead::Length) }
}

/// What it wants, and whether the host fits.
fn sort(method: &str, target: &str, host: Option<&str>) -> (Target, bool) {
    if method == "CONNECT" {
        let name = target.rsplit_once(':').map_or(target, |(name, _)| name);
        let fits =
            host.is_none_or(|host| host.eq_ignore_ascii_case(target) || host.eq_ignore_ascii_case(name));
        return (Target::Tunnel(target.to_owned()), fits);
    }
    if !target.starts_with('/') {
        return (Target::Address(target.to_owned()), true);
    }
    let own = |host: &str| {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    (Target::Own(target.to_owned()), host.is_none_or(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(head: &str, expected: Result<Target, BadHead>) {
        assert_eq!(look(head.as_bytes()), expected, "{head:?}");
    }

    #[test]
    fn plain_requests_are_sorted_by_their_targets() {
        check(
            "POST /llm/anthropic/v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:3128\r\nContent-Length: 12\r\n\r\n",
            Ok(Target::Own("/llm/anthropic/v1/messages?beta=true".into())),
        );
        check(
            "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: Chunked\r\n\r\n",
            Ok(Target::Own("/".into())),
        );
        let tunnel = Ok(Target::Tunnel("example.org:443".into()));
        check("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", tunnel.clone());
        check(
            "CONNECT example.org:443 HTTP/1.1\r\nHost: Example.org\r\nContent-Length: 0\r\n\r\n",
            tunnel.clone(),
        );
        check("CONNECT example.org:443 HTTP/1.0\r\n\r\n", tunnel);
        check(
            "GET http://example.org/x HTTP/1.1\r\nHost: example.org\r\n\r\n",
            Ok(Target::Address("http://example.org/x".into())),
        );
    }

    #[test]
    fn what_could_be_smuggled_is_refused() {
        let own =
            |fields: &str| look(format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n\r\n").as_bytes());
        for fields in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length: -1",
            "Content-Length: 0x1",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: chunked\r\nContent-Length: 1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: xchunked",
        ] {
            assert_eq!(own(fields), Err(BadHead::Length), "{fields}");
        }
        for fields in [
            "Content-Length : 1",
            "X: 1\n\r\nY: 2",
            "X: a\rb",
            "X: a\0b",
            " folded: 1",
            "X: 1\r\n folded",
            "no colon",
        ] {
            assert!(matches!(own(fields), Err(BadHead::Form(_))), "{fields:?}: {:?}", own(fields));
        }
        let many = "X: 1\r\n".repeat(200);
        assert!(matches!(own(many.trim_end()), Err(BadHead::Form(_))));
        check("CONNECT a.org:443 HTTP/1.1\r\nHost: a.org\r\nContent-Length: 5\r\n\r\n", Err(BadHead::Length));
        check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(BadHead::Length));
        assert!(matches!(look(b"GET / HTTP/2.0\r\nHost: 127.0.0.1\r\n\r\n"), Err(BadHead::Form(_))));
        assert!(matches!(look(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /"), Err(BadHead::Form(_))));
    }

    #[test]
    fn a_host_that_does_not_fit_is_refused() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: evil.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1@evil.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "CONNECT a.org:443 HTTP/1.1\r\nHost: b.org:443\r\n\r\n",
        ] {
            check(head, Err(BadHead::Host));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = look(&bytes);
            let _ = look(format!("CONNECT {text} HTTP/1.1\r\nHost: {text}\r\n\r\n").as_bytes());
            prop_assert!(end(&bytes).is_none_or(|end| end <= bytes.len()));
        }
    }
}
