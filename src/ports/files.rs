//! Files that people and tools bring: stored in the home, named by id.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::domain::{ids::FileId, message::FileRef};

/// The place where files lie.
pub trait Files: Send + Sync {
    /// Stores bytes under a fresh id, durably. The row that names them comes after.
    fn put(
        &self,
        name: String,
        media_type: String,
        bytes: Bytes,
    ) -> BoxFuture<'static, std::io::Result<FileRef>>;

    /// The bytes of a file.
    fn read(&self, id: &FileId) -> BoxFuture<'static, std::io::Result<Bytes>>;

    /// Where a file lies.
    fn path(&self, id: &FileId) -> PathBuf;
}
