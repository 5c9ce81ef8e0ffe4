//! Files of people and tools: bytes in the home, under ids of our own; names from outside never become paths.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt;

use crate::{
    domain::{
        ids::{FileId, encode},
        message::FileRef,
    },
    ports::{clock::Clock, files::Files},
};

/// Longest name of a file that is kept, in characters.
const NAME: usize = 120;

/// The files of a home.
pub struct HomeFiles {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

impl HomeFiles {
    /// Files in this folder.
    pub fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock }
    }
}

impl Files for HomeFiles {
    fn put(&self, name: String, media_type: String, bytes: Bytes) -> BoxFuture<'static, io::Result<FileRef>> {
        let id = FileId::new(encode(self.clock.fresh()));
        let path = self.path(&id);
        let file = FileRef { id, name: plain_name(&name), media_type, size: bytes.len() as u64 };
        Box::pin(async move {
            write(&path, &bytes).await?;
            Ok(file)
        })
    }

    fn read(&self, id: &FileId) -> BoxFuture<'static, io::Result<Bytes>> {
        let path = self.path(id);
        Box::pin(async move { tokio::fs::read(path).await.map(Bytes::from) })
    }

    fn path(&self, id: &FileId) -> PathBuf {
        let id: String = id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        // Ids begin with the time: their last letters spread better.
        let shelf = id.get(id.len().saturating_sub(2)..).unwrap_or("00").to_owned();
        self.folder.join(shelf).join(id)
    }
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(shelf) = path.parent() {
        tokio::fs::create_dir_all(shelf).await?;
    }
    let mut file = tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

/// The last part of a name, without what could mislead a terminal or a header.
pub(super) fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control() && *c != '"').take(NAME).collect();
    let plain = plain.trim().trim_start_matches('.').to_owned();
    if plain.is_empty() { "file".into() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_are_made_harmless() {
        let cases = [
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\report.pdf", "report.pdf"),
            ("a\"b\r\nc.txt", "abc.txt"),
            ("..", "file"),
            (".bashrc", "bashrc"),
        ];
        for (name, plain) in cases {
            assert_eq!(plain_name(name), plain);
        }
    }
}
