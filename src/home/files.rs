//! Files of people and tools: bytes in the home, under ids of our own; names from outside never become paths.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, future::BoxFuture, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    domain::{
        ids::{FileId, encode},
        message::FileRef,
    },
    ports::{
        clock::Clock,
        files::{Files, KeepError, OpenFile, Pieces},
    },
};

/// Longest name of a file that is kept, in characters.
const NAME: usize = 120;
/// The folder of files that are still coming. No shelf is called so: shelves have two letters.
const COMING: &str = "coming";
/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

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

    /// Removes what an earlier process had half of when it died. Only who holds the home's lock may do so, before the
    /// first file is kept.
    ///
    /// # Errors
    /// When something is there that cannot be removed.
    pub fn sweep(&self) -> io::Result<()> {
        match std::fs::remove_dir_all(self.folder.join(COMING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where a file lies.
    fn path(&self, id: &FileId) -> PathBuf {
        let id: String = id.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
        // Ids begin with the time: their last letters spread better.
        let shelf = id.get(id.len().saturating_sub(2)..).unwrap_or("00").to_owned();
        self.folder.join(shelf).join(id)
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

    fn keep(
        &self,
        name: String,
        media_type: String,
        bytes: Pieces,
        most: u64,
    ) -> BoxFuture<'static, Result<FileRef, KeepError>> {
        let id = FileId::new(encode(self.clock.fresh()));
        let (path, part) = (self.path(&id), Part(self.folder.join(COMING).join(id.as_str())));
        Box::pin(async move {
            let size = receive(&part.0, bytes, most).await?;
            shelve(&part.0, &path).await?;
            Ok(FileRef { id, name: plain_name(&name), media_type, size })
        })
    }

    fn read(&self, id: &FileId) -> BoxFuture<'static, io::Result<Bytes>> {
        let path = self.path(id);
        Box::pin(async move { tokio::fs::read(path).await.map(Bytes::from) })
    }

    fn open(&self, id: &FileId) -> BoxFuture<'static, io::Result<OpenFile>> {
        let path = self.path(id);
        Box::pin(async move {
            let file = tokio::fs::File::open(path).await?;
            let size = file.metadata().await?.len();
            Ok(OpenFile { size, bytes: pieces(file.take(size)) })
        })
    }
}

async fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path).await?;
    file.write_all(bytes).await?;
    file.sync_all().await
}

async fn create(path: &Path) -> io::Result<tokio::fs::File> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await
}

/// A file that is still coming: gone when it is let go, unless it was moved to its shelf.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes what comes to `path`, durably, and counts it.
async fn receive(path: &Path, mut bytes: Pieces, most: u64) -> Result<u64, KeepError> {
    let mut file = create(path).await?;
    let mut size = 0;
    while let Some(piece) = bytes.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        if size > most {
            return Err(KeepError::TooLarge { most });
        }
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    Ok(size)
}

async fn shelve(part: &Path, path: &Path) -> io::Result<()> {
    if let Some(shelf) = path.parent() {
        tokio::fs::create_dir_all(shelf).await?;
    }
    tokio::fs::rename(part, path).await
}

fn pieces(file: tokio::io::Take<tokio::fs::File>) -> Pieces {
    let read = |mut file: tokio::io::Take<tokio::fs::File>| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) if file.limit() > 0 => {
                // Whoever told its length to somebody has to know.
                file.set_limit(0);
                Some((Err(io::ErrorKind::UnexpectedEof.into()), file))
            }
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), file)),
            Err(error) => {
                file.set_limit(0);
                Some((Err(error), file))
            }
        }
    };
    stream::unfold(file, read).boxed()
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
    use crate::{domain::Millis, ports::clock::NoRandom};

    /// Counts, and nothing else.
    #[derive(Default)]
    struct Counter(std::sync::atomic::AtomicU64);

    impl Clock for Counter {
        fn now(&self) -> Millis {
            0
        }

        fn fresh(&self) -> u128 {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).into()
        }

        fn secret(&self) -> Result<[u8; 32], NoRandom> {
            Err(NoRandom("none here".into()))
        }
    }

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

    fn coming(parts: &[&'static str]) -> Pieces {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from(*part))).collect::<Vec<_>>()).boxed()
    }

    /// Every file below a folder.
    fn found(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { found(&path) } else { vec![path] }).collect()
    }

    fn home() -> (tempfile::TempDir, HomeFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = HomeFiles::new(folder.path().to_owned(), Arc::<Counter>::default());
        (folder, files)
    }

    async fn kept(files: &HomeFiles, bytes: Pieces, most: u64) -> Result<FileRef, KeepError> {
        files.keep("../voice.ogg".into(), "audio/ogg".into(), bytes, most).await
    }

    #[tokio::test]
    async fn a_stream_is_kept_and_read_again_piece_by_piece() {
        let (_folder, files) = home();
        let file = kept(&files, coming(&["one, ", "", "two"]), 8).await.unwrap();
        assert_eq!((file.name.as_str(), file.size), ("voice.ogg", 8));
        assert_eq!(files.read(&file.id).await.unwrap(), "one, two");

        let long = vec![7; 3 * PIECE + 1];
        let file = files.put("long".into(), "x/y".into(), long.clone().into()).await.unwrap();
        let open = files.open(&file.id).await.unwrap();
        assert_eq!(open.size, long.len() as u64);
        let pieces: Vec<Bytes> = open.bytes.map(Result::unwrap).collect().await;
        assert!(pieces.iter().all(|piece| piece.len() <= PIECE), "it is held in memory");
        assert_eq!(pieces.concat(), long);
        assert!(files.open(&FileId::new("none")).await.is_err());
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_leaves_nothing_behind() {
        let (folder, files) = home();
        let large = kept(&files, coming(&["12345", "6789"]), 8).await;
        assert!(matches!(large, Err(KeepError::TooLarge { most: 8 })), "{large:?}");
        let cut = coming(&["123"]).chain(stream::iter([Err(io::ErrorKind::ConnectionReset.into())])).boxed();
        assert!(matches!(kept(&files, cut, 8).await, Err(KeepError::Io(_))));
        let endless = coming(&["123"]).chain(stream::pending()).boxed();
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(200), kept(&files, endless, 8));
        assert!(given_up.await.is_err());
        assert_eq!(found(folder.path()), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn a_file_that_shrinks_while_it_is_read_is_an_error_and_not_an_end() {
        let (_folder, files) = home();
        let file = kept(&files, coming(&["12345"]), 8).await.unwrap();
        let open = files.open(&file.id).await.unwrap();
        std::fs::write(files.path(&file.id), "12").unwrap();
        let read: Vec<io::Result<Bytes>> = open.bytes.collect().await;
        assert!(matches!(&read[..], [Ok(start), Err(_)] if start == "12"), "{read:?}");
    }

    #[tokio::test]
    async fn a_sweep_removes_halves_and_no_file() {
        let (folder, files) = home();
        let file = kept(&files, coming(&["whole"]), 8).await.unwrap();
        std::fs::write(folder.path().join(COMING).join("0abc"), "ha").unwrap();
        files.sweep().unwrap();
        assert_eq!(found(folder.path()), [files.path(&file.id)]);
        files.sweep().unwrap();
        assert!(kept(&files, coming(&["more"]), 8).await.is_ok(), "the sweep took the folder with it");
    }
}
