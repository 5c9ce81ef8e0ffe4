//! Serves one connection of a sandbox: looks at the head, then lets the HTTP library read the request.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::timeout,
};

use super::{
    Inside,
    answer::{Body, text},
    head::{self, LARGEST_HEAD, Target},
    model, tunnel,
};
use crate::{domain::gateway::EgressKind, sandbox::mux::MuxStream};

/// Longest wait for the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// What is said of everything that the gateway does not do.
const WHAT_IT_DOES: &str = "this is the gateway of a sandbox: it has the model APIs under /llm/ and tunnels by CONNECT to \
    the allowed hosts on port 443, and nothing else";

/// Serves one connection until its end.
pub(super) async fn serve(inside: Arc<Inside>, mut stream: MuxStream) {
    let Ok(Some((head, rest))) = timeout(HEAD, read_head(&mut stream)).await else { return };
    let target = match head::look(&head) {
        Ok(target) => target,
        Err(bad) => {
            let why = bad.to_string();
            inside.trail.begin(EgressKind::Other, "").refuse(&why, false);
            let _ = say(&mut stream, StatusCode::BAD_REQUEST, &why).await;
            return;
        }
    };
    // A tunnel has no use for the HTTP library: what follows its head is opaque.
    if let Target::Tunnel(target) = &target {
        let here = Prefixed { first: rest.into(), stream };
        tunnel::serve(inside, target, here).await;
        return;
    }
    let first = [head.as_slice(), &rest].concat().into();
    let service = service_fn(|request| {
        let (inside, target) = (inside.clone(), target.clone());
        async move { Ok::<_, Infallible>(route(inside, target, request).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(Prefixed { first, stream }), service);
    // Whoever hangs up in the middle is in the records; there is nothing else to say of it.
    let _ = connection.await;
}

async fn route(inside: Arc<Inside>, target: Target, request: Request<Incoming>) -> Response<Body> {
    match target {
        Target::Tunnel(address) | Target::Address(address) => {
            let why = "whole addresses are not fetched: use https, which goes by CONNECT to port 443";
            inside.trail.begin(EgressKind::Other, &address).refuse(why, false);
            text(StatusCode::FORBIDDEN, why)
        }
        Target::Own(path) => own(inside, &path, request).await,
    }
}

/// What is under the gateway's own name.
async fn own(inside: Arc<Inside>, path: &str, request: Request<Incoming>) -> Response<Body> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    let (name, rest) = match path.strip_prefix("/llm/") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", ""),
    };
    if is_look && (path == "/" || (inside.host.providers.contains_key(name) && matches!(rest, "" | "/"))) {
        return text(StatusCode::OK, "the gateway of a sandbox");
    }
    if let Some(provider) = inside.host.providers.get(name).cloned() {
        return model::serve(inside, provider, rest, query, request).await;
    }
    let why = if name.is_empty() {
        WHAT_IT_DOES.to_owned()
    } else {
        format!("there is no model provider `{name}` here")
    };
    inside.trail.begin(EgressKind::Other, path).refuse(&why, false);
    text(StatusCode::NOT_FOUND, &why)
}

/// The head of the request and what came after it; `None` when the connection ended before.
async fn read_head(stream: &mut MuxStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 8 * 1024];
    loop {
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        if let Some(end) = head::end(&bytes) {
            let rest = bytes.split_off(end);
            return Some((bytes, rest));
        }
        if bytes.len() > LARGEST_HEAD {
            // Too long, or without an end: it is looked at as it is, and refused.
            return Some((bytes, Vec::new()));
        }
    }
}

/// Answers a request that the HTTP library does not see, and ends the connection.
pub(super) async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    status: StatusCode,
    words: &str,
) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{words}\n",
        words.len() + 1
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// A stream whose first bytes were read before.
pub(super) struct Prefixed {
    first: Bytes,
    stream: MuxStream,
}

impl AsyncRead for Prefixed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..count]);
        self.first.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefixed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
