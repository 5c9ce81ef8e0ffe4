//! Files that people and tools bring: stored in the home, named by id.

use std::io;

use bytes::Bytes;
use futures_util::{future::BoxFuture, stream::BoxStream};

use crate::domain::{ids::FileId, message::FileRef};

/// A file's bytes, piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// Why a file was not kept. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It has more bytes than may be.
    #[error("the file is larger than {most} bytes")]
    TooLarge {
        /// Most bytes that it may have.
        most: u64,
    },
    /// It could not be read to its end, or not be written.
    #[error("the file cannot be kept: {0}")]
    Io(#[from] io::Error),
}

/// A stored file, open to be read.
pub struct OpenFile {
    /// Its size in bytes, as it lies on the disk.
    pub size: u64,
    /// Its bytes; they end after `size`.
    pub bytes: Pieces,
}

/// The place where files lie.
pub trait Files: Send + Sync {
    /// Stores bytes under a fresh id, durably. The row that names them comes after.
    fn put(
        &self,
        name: String,
        media_type: String,
        bytes: Bytes,
    ) -> BoxFuture<'static, std::io::Result<FileRef>>;

    /// As [`put`](Self::put), as the bytes come, and at most so many of them: none of it is held in memory. Dropping the
    /// future, a piece that cannot be read, and one byte too many leave nothing behind.
    fn keep(
        &self,
        name: String,
        media_type: String,
        bytes: Pieces,
        most: u64,
    ) -> BoxFuture<'static, Result<FileRef, KeepError>>;

    /// The bytes of a file.
    fn read(&self, id: &FileId) -> BoxFuture<'static, std::io::Result<Bytes>>;

    /// A file to be read piece by piece.
    fn open(&self, id: &FileId) -> BoxFuture<'static, io::Result<OpenFile>>;
}
