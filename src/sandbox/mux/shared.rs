//! What the streams of one connection and its driver hold together: the bytes on their way, and who waits for them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::{
    frame::{Frame, Message, encode},
    state::{Event, State, Violation},
    stream::MuxStream,
};

/// Bytes on their way to the relay above which streams wait.
const MOST_OUT: usize = 256 * 1024;
/// The same with answers to what the relay says, which do not wait: one that makes us say so much and reads nothing
/// is cut off.
const CHOKED: usize = 4 * 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) channels: BTreeMap<u32, Channel>,
    out: Vec<u8>,
    /// The driver, when there is nothing to send.
    pub(super) sender: Option<Waker>,
    /// Streams that wait for room.
    crowd: Vec<Waker>,
    /// Where connections from inside go.
    incoming: mpsc::UnboundedSender<MuxStream>,
    pub(super) ready: watch::Sender<Option<u16>>,
    /// Why it is over.
    pub(super) ended: watch::Sender<Option<String>>,
}

/// One stream's bytes, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) data: VecDeque<Bytes>,
    pub(super) they_ended: bool,
    pub(super) reset: Option<String>,
    pub(super) exit: Option<i32>,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    /// Nobody holds our side any more: what still comes is let go.
    pub(super) deserted: bool,
}

impl Channel {
    fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }
}

impl Shared {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<MuxStream>) {
        // Bounded by the number of streams that may be open at a time.
        let (incoming, arrivals) = mpsc::unbounded_channel();
        let inner = Inner {
            state: State::default(),
            channels: BTreeMap::new(),
            out: Vec::new(),
            sender: None,
            crowd: Vec::new(),
            incoming,
            ready: watch::Sender::new(None),
            ended: watch::Sender::new(None),
        };
        (Arc::new(Self { inner: Mutex::new(inner) }), arrivals)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a frame of the relay.
    pub(super) fn receive(self: &Arc<Self>, frame: Frame) -> Result<(), Violation> {
        let mut inner = self.lock();
        match inner.state.receive(frame)? {
            None => {}
            Some(Event::Ready(port)) => drop(inner.ready.send_replace(Some(port))),
            Some(Event::Opened(id)) => {
                inner.channels.insert(id, Channel::default());
                let refused = inner.incoming.send(MuxStream::new(self.clone(), id)).err();
                drop(inner);
                // Its drop resets it, and takes the lock to do so.
                drop(refused);
            }
            Some(Event::Data(id, bytes)) => inner.data(id, bytes),
            Some(Event::Ended(id)) => inner.change(id, |channel| channel.they_ended = true),
            Some(Event::Reset(id, reason)) => inner.change(id, |channel| channel.reset = Some(reason)),
            Some(Event::Exit(id, code)) => inner.change(id, |channel| channel.exit = Some(code)),
            Some(Event::Credit(id)) => inner.change(id, |_| {}),
        }
        Ok(())
    }
}

impl Inner {
    fn data(&mut self, id: u32, bytes: Vec<u8>) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if channel.deserted {
            self.taken(id, bytes.len());
            return;
        }
        channel.data.push_back(bytes.into());
        if let Some(reader) = channel.reader.take() {
            reader.wake();
        }
    }

    fn change(&mut self, id: u32, change: impl FnOnce(&mut Channel)) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        change(channel);
        channel.wake();
        if channel.deserted && (channel.they_ended || channel.reset.is_some()) {
            self.channels.remove(&id);
        }
    }

    /// So much was read of a stream.
    pub(super) fn taken(&mut self, id: u32, bytes: usize) {
        if let Some(credit) = self.state.taken(id, bytes) {
            self.say(id, Message::Credit(credit));
        }
    }

    /// Puts a frame on its way.
    pub(super) fn say(&mut self, stream: u32, message: Message) {
        if self.ended.borrow().is_none() {
            encode(&Frame { stream, message }, &mut self.out);
            self.sender.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Room for more, or a promise to wake whoever asks when there is.
    pub(super) fn has_room(&mut self, waker: &Waker) -> bool {
        let has_room = self.out.len() < MOST_OUT;
        if !has_room {
            self.crowd.push(waker.clone());
        }
        has_room
    }

    /// The relay does not read.
    pub(super) fn is_choked(&self) -> bool {
        self.out.len() > CHOKED
    }

    /// What is on its way; whoever waited for room goes on.
    pub(super) fn take_out(&mut self) -> Bytes {
        self.crowd.drain(..).for_each(Waker::wake);
        std::mem::take(&mut self.out).into()
    }

    /// It is over; the first reason counts.
    pub(super) fn finish(&mut self, reason: &str) {
        self.ended.send_if_modified(|ended| {
            let is_news = ended.is_none();
            ended.get_or_insert_with(|| reason.to_owned());
            is_news
        });
        self.out.clear();
        self.channels.values_mut().for_each(Channel::wake);
        self.crowd.drain(..).for_each(Waker::wake);
        self.sender.take().into_iter().for_each(Waker::wake);
    }
}
