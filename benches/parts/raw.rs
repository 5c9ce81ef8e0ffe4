//! A lean HTTP client, so that the load generator takes little of the machine that it measures.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    host: String,
    key: String,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(base: &str, key: &str) -> io::Result<Self> {
        let host = base.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, key: key.to_owned(), buffer: vec![0; 64 * 1024] })
    }

    /// Posts a body and reads until the answer ends. True when it ended with `event: done`, or for other
    /// routes, with a status of success.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> io::Result<bool> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.host,
            self.key,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let mut seen: Vec<u8> = Vec::with_capacity(2048);
        loop {
            let read = self.stream.read(&mut self.buffer).await?;
            if read == 0 {
                return Ok(false);
            }
            seen.extend_from_slice(&self.buffer[..read]);
            if seen.ends_with(b"\r\n0\r\n\r\n") {
                let text = String::from_utf8_lossy(&seen);
                return Ok(text.contains("event: done"));
            }
            if let Some(head) = find(&seen, b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
                let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
                if let Some(length) = length.and_then(|length| length.parse::<usize>().ok())
                    && seen.len() >= head + 4 + length
                {
                    return Ok(text.starts_with("http/1.1 2"));
                }
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
