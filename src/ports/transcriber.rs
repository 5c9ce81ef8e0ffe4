//! Words out of recordings.

use futures_util::future::BoxFuture;

use crate::domain::message::FileRef;

/// Writes down what is said in a recording.
pub trait Transcriber: Send + Sync {
    /// The words of a stored recording; empty when nothing is said in it. The error is a sentence for whoever sent it, and
    /// holds no secret.
    fn transcribe(&self, file: &FileRef) -> BoxFuture<'static, Result<String, String>>;
}
