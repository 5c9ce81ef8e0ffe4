//! One stream, as whoever serves it sees it: something to read and to write.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    frame::{LARGEST_DATA, Message},
    shared::{Inner, Shared},
};

/// One stream. Dropped before its end was written, it is reset; dropped after that, what was written still arrives.
#[derive(Debug)]
pub struct MuxStream {
    shared: Arc<Shared>,
    id: u32,
}

impl MuxStream {
    pub(super) fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id }
    }

    /// How the program of a terminal ended; `None` when it did not say so.
    pub fn exit(&self) -> Option<i32> {
        self.shared.lock().channels.get(&self.id).and_then(|channel| channel.exit)
    }

    /// Changes the size of a terminal, also while the stream is read elsewhere.
    pub fn resizer(&self) -> Resizer {
        Resizer { shared: self.shared.clone(), id: self.id }
    }
}

/// Changes the size of a terminal.
#[derive(Debug, Clone)]
pub struct Resizer {
    shared: Arc<Shared>,
    id: u32,
}

impl Resizer {
    /// Gives the terminal so many lines and columns; nothing when it is over.
    pub fn resize(&self, rows: u16, cols: u16) {
        let mut inner = self.shared.lock();
        if inner.state.is_open(self.id) {
            inner.say(self.id, Message::Resize { rows, cols });
        }
    }
}

/// Why nothing can be read or written any more.
fn fault(inner: &Inner, id: u32) -> Option<io::Error> {
    if let Some(reason) = inner.ended.borrow().as_ref() {
        return Some(io::Error::new(io::ErrorKind::BrokenPipe, reason.clone()));
    }
    let reason = inner.channels.get(&id)?.reset.clone()?;
    Some(io::Error::new(io::ErrorKind::ConnectionReset, reason))
}

impl AsyncRead for MuxStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        let Some(channel) = inner.channels.get_mut(&self.id) else { return Poll::Ready(Ok(())) };
        let mut count = 0;
        while let Some(front) = channel.data.front_mut() {
            let bytes = front.split_to(front.len().min(buffer.remaining()));
            buffer.put_slice(&bytes);
            count += bytes.len();
            if !front.is_empty() {
                break;
            }
            channel.data.pop_front();
        }
        if count > 0 {
            inner.taken(self.id, count);
            return Poll::Ready(Ok(()));
        }
        if channel.they_ended || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        channel.reader = Some(cx.waker().clone());
        fault(&inner, self.id).map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.shared.lock();
        if let Some(error) = fault(&inner, self.id) {
            return Poll::Ready(Err(error));
        }
        if !inner.state.is_writable(self.id) {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let most = inner.state.may_send(self.id).min(LARGEST_DATA).min(bytes.len());
        if most == 0 {
            if let Some(channel) = inner.channels.get_mut(&self.id) {
                channel.writer = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        if !inner.has_room(cx.waker()) {
            return Poll::Pending;
        }
        inner.state.sent(self.id, most);
        inner.say(self.id, Message::Data(bytes[..most].to_vec()));
        Poll::Ready(Ok(most))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        if inner.state.end(self.id) {
            inner.say(self.id, Message::End);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MuxStream {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if inner.state.is_writable(self.id) {
            inner.state.reset(self.id);
            inner.say(self.id, Message::Reset("the host let it go".into()));
        }
        let waits = inner.state.is_open(self.id);
        let unread: usize = match inner.channels.get_mut(&self.id) {
            Some(channel) if waits => {
                channel.deserted = true;
                std::mem::take(&mut channel.data).iter().map(bytes::Bytes::len).sum()
            }
            _ => {
                inner.channels.remove(&self.id);
                return;
            }
        };
        inner.taken(self.id, unread);
    }
}
