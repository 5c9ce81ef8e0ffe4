//! A chat platform: an adapter that listens there, reads what comes and does what it is told. It decides nothing:
//! who may write, what is sent when, in which parts and how often is decided by those who use it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};
use tokio_util::sync::CancellationToken;

use super::channel::Resend;
use crate::domain::{
    chat::{Content, Failure, Incoming, Link, Place, Post, Receipt, RemoteFile, Sender},
    offer::Offered,
};

/// What a platform can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// What to do about a post that was cut off.
    pub resend: Resend,
    /// Largest file that can be fetched, in bytes.
    pub max_download: u64,
    /// A message can have a thread of its own.
    pub threads: bool,
}

/// Something came in that cannot be taken now; it is offered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not now: {0}")]
pub struct NotNow(pub String);

/// Takes what comes in.
pub trait Sink: Send + Sync {
    /// Takes something. When this answers, it is stored or was refused for good, and the platform may forget it.
    /// In one conversation the order of the calls is kept; others are not waited for, so calls may be made side by side.
    fn take(&self, incoming: Incoming) -> BoxFuture<'static, Result<Receipt, NotNow>>;

    /// Where listening went on to, as the platform names it; kept over restarts. A platform that keeps what was not
    /// acknowledged by itself never calls this.
    fn reached(&self, position: String) -> BoxFuture<'static, Result<(), NotNow>>;

    /// How it goes. Also told when nothing changed but an update came.
    fn link(&self, link: Link);
}

/// A file's bytes as they come.
pub type Download = BoxStream<'static, std::io::Result<Bytes>>;

/// Something that somebody is typing behind a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// Who.
    pub sender: Sender,
    /// Where.
    pub place: Place,
    /// More than one person can read along there.
    pub group: bool,
    /// The command, without its slash.
    pub command: String,
    /// As which of its options.
    pub option: String,
    /// What is there already.
    pub typed: String,
}

/// Knows what may be typed, for platforms that offer it. Whoever types may be anybody.
pub trait Completer: Send + Sync {
    /// What fits, the best first; it is asked at every key, and late answers are not shown.
    fn complete(&self, typing: Typing) -> BoxFuture<'static, Vec<Offered>>;
}

/// A platform.
pub trait Platform: Send + Sync {
    /// The channel's name, the first part of its conversations' ids.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// Listens until it is told to stop, and never ends before: connections that break are made anew, with back-off.
    /// Goes on from a position that [`Sink::reached`] was told. The position is read by the call itself. What is posted
    /// before may have to wait for it, so that a post that was cut off is known again.
    fn listen(
        &self,
        sink: Arc<dyn Sink>,
        position: Option<String>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()>;

    /// Fetches a file. Its length may lie: whoever reads counts.
    fn fetch(&self, file: &RemoteFile) -> BoxFuture<'static, Result<Download, Failure>>;

    /// Posts a message, and gives the platform's id of it.
    fn post(&self, post: Post) -> BoxFuture<'static, Result<String, Failure>>;

    /// Changes a message.
    fn edit(&self, place: &Place, message: &str, content: Content)
    -> BoxFuture<'static, Result<(), Failure>>;

    /// Removes a message.
    fn remove(&self, place: &Place, message: &str) -> BoxFuture<'static, Result<(), Failure>>;

    /// Shows that somebody writes.
    fn typing(&self, place: &Place) -> BoxFuture<'static, Result<(), Failure>>;

    /// Opens a thread under a message, and gives the place of it. A platform without threads gives the same place.
    fn thread(&self, place: &Place, message: &str, title: &str)
    -> BoxFuture<'static, Result<Place, Failure>>;
}
