//! Tunnels: `CONNECT host:443` to hosts that are allowed, resolved and checked here, within limits.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{sleep, timeout},
};

use super::{
    Inside,
    server::{Prefixed, say},
    trail::Entry,
};
use crate::domain::gateway::{EgressKind, TunnelRefused, Verdict, address, hosts::Host};

/// Longest wait for a name to resolve, and for one connection.
const RESOLVE: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const MOST_TRIES: usize = 4;
/// What is said when a tunnel is full.
const FULL: &str = "the bytes that this job may tunnel are used up";

/// Serves a connection that asks for a tunnel to `target`.
pub(super) async fn serve(inside: Arc<Inside>, target: &str, mut here: Prefixed) {
    let mut entry =
        inside.trail.begin(EgressKind::Tunnel, target.rsplit_once(':').map_or(target, |(host, _)| host));
    match open(&inside, target).await {
        Ok(way) => {
            if here.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
                let verdict = carry(&inside, way, here, &entry).await;
                entry.note(verdict);
            }
        }
        Err((status, verdict, words)) => {
            entry.note(verdict);
            // The record is there before its answer is heard.
            drop(entry);
            let _ = say(&mut here, status, &words).await;
        }
    }
}

/// An open way to a host.
struct Way {
    host: Host,
    there: TcpStream,
    _permit: OwnedSemaphorePermit,
}

/// Checks and connects; why not, as status, for the record, and in words.
async fn open(inside: &Inside, target: &str) -> Result<Way, (StatusCode, Verdict, String)> {
    let refused = |status, why: String, ask| Err((status, Verdict::Refused { why: why.clone(), ask }, why));
    let failed = |why: String| Err((StatusCode::BAD_GATEWAY, Verdict::Failed(why.clone()), why));
    let policy = inside.policy.borrow().clone();
    let host = match policy.tunnel(target) {
        Ok(host) => host,
        Err(why) => {
            let ask = matches!(why, TunnelRefused::NotAllowed(_));
            return refused(StatusCode::FORBIDDEN, why.to_string(), ask);
        }
    };
    if inside.tunnelled.load(Ordering::Relaxed) >= inside.limits.all_bytes {
        return refused(StatusCode::FORBIDDEN, FULL.into(), false);
    }
    let Ok(permit) = inside.tunnels.clone().try_acquire_owned() else {
        let why = "too many tunnels are open; close one first";
        return refused(StatusCode::SERVICE_UNAVAILABLE, why.into(), false);
    };
    let addresses = match timeout(RESOLVE, inside.host.resolver.resolve(&host)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(error)) => return failed(format!("{host} does not resolve: {error}")),
        Err(_) => return failed(format!("{host} does not resolve in time")),
    };
    if let Err(what) = address::check(&addresses) {
        return refused(StatusCode::FORBIDDEN, format!("{host} is not let out: {what}"), false);
    }
    match connect(inside, &addresses).await {
        Ok(there) => Ok(Way { host, there, _permit: permit }),
        Err(error) => failed(format!("{host} cannot be reached: {error}")),
    }
}

/// Connects to the first of the checked addresses that answers.
async fn connect(inside: &Inside, addresses: &[IpAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for address in addresses.iter().take(MOST_TRIES) {
        match timeout(RESOLVE, inside.host.resolver.connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
    }
    Err(last)
}

/// Carries bytes both ways until both sides are done, one fails, or a limit cuts it.
async fn carry(inside: &Inside, way: Way, here: Prefixed, entry: &Entry) -> Verdict {
    let Way { host, there, _permit } = way;
    let (mut here_read, mut here_write) = tokio::io::split(here);
    let (mut there_read, mut there_write) = there.into_split();
    let (sent, received) = (&*entry.sent, &*entry.received);
    let left = Left { inside, sent, received };
    let mut policy = inside.policy.clone();
    let limits = inside.limits;
    tokio::select! {
        done = async {
            tokio::try_join!(
                pump(&mut here_read, &mut there_write, sent, &left),
                pump(&mut there_read, &mut here_write, received, &left),
            )
        } => match done {
            Ok(_) => Verdict::Allowed,
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => Verdict::Cut(FULL.into()),
            Err(error) => Verdict::Failed(error.to_string()),
        },
        () = sleep(Duration::from_millis(limits.tunnel_ms)) => Verdict::Cut("it was open for too long".into()),
        () = left.silence(Duration::from_millis(limits.idle_ms)) => Verdict::Cut("it was silent for too long".into()),
        () = async {
            let _ = policy.wait_for(|policy| !policy.allow.allows(&host)).await;
        } => Verdict::Cut("its host is no longer allowed".into()),
    }
}

/// What may still pass.
struct Left<'a> {
    inside: &'a Inside,
    sent: &'a AtomicU64,
    received: &'a AtomicU64,
}

impl Left<'_> {
    fn passed(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }

    /// So many bytes want to pass.
    fn take(&self, count: u64) -> io::Result<()> {
        let limits = &self.inside.limits;
        let all = self.inside.tunnelled.fetch_add(count, Ordering::Relaxed) + count;
        if all > limits.all_bytes || self.passed() + count > limits.tunnel_bytes {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(())
    }

    /// Answers when nothing passed for so long.
    async fn silence(&self, most: Duration) {
        loop {
            let before = self.passed();
            sleep(most).await;
            if self.passed() == before {
                return;
            }
        }
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
    left: &Left<'_>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        left.take(length as u64)?;
        to.write_all(&buffer[..length]).await?;
        count.fetch_add(length as u64, Ordering::Relaxed);
    }
}
