//! What jobs leave in the home: a bounded log of each and its artefacts, in `jobs/<id>/log` and `jobs/<id>/artefacts`.

mod artefacts;
mod line;
mod log;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use crate::{
    domain::{Millis, ids::JobId},
    ports::job_files::{Artefact, JobFiles, LogEvent, LogPage},
};

use writer::{Item, Shared, Writer};

/// Longest id of a job and longest name of an artefact, in characters.
const NAME: usize = 64;

/// The files of jobs in a home. Logs are written by one thread of its own, in the order in which lines come.
pub struct HomeJobFiles {
    folder: PathBuf,
    shared: Arc<Shared>,
    queue: mpsc::Sender<Item>,
}

impl HomeJobFiles {
    /// Files of jobs in this folder, with at most `log_bytes` of log for each job.
    ///
    /// # Errors
    /// When the thread that writes cannot be started.
    pub fn start(folder: PathBuf, log_bytes: u64) -> io::Result<Self> {
        let (queue, items) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(folder.clone(), log_bytes, Arc::clone(&shared));
        std::thread::Builder::new().name("job logs".into()).spawn(move || writer.run(items))?;
        Ok(Self { folder, shared, queue })
    }

    /// Ends when all lines that were added before are on disk, as far as they can be.
    pub async fn settle(&self) {
        let (settled, wait) = oneshot::channel();
        if self.queue.send(Item::Settle(settled)).is_ok() {
            let _ = wait.await;
        }
    }
}

impl JobFiles for HomeJobFiles {
    fn log(&self, job: &JobId, at: Millis, event: LogEvent) {
        if let Err(error) = job_folder(&self.folder, job) {
            return tracing::error!(%error, %job, "log of a job cannot be written");
        }
        let event = line::encode(&event);
        if !self.shared.admit(job, event.len()) {
            return;
        }
        // Without a thread there is nobody to write it: it said so when it ended.
        let _ = self.queue.send(Item::Line { job: job.clone(), at, event });
    }

    fn read(&self, job: &JobId, from: u64, most: usize) -> BoxFuture<'static, io::Result<LogPage>> {
        let place = log_folder(&self.folder, job);
        aside(move || log::read(&place?, from, most))
    }

    fn watch(&self, job: &JobId) -> watch::Receiver<u64> {
        self.shared.watch(job)
    }

    fn keep(&self, job: &JobId, name: &str, bytes: Bytes) -> BoxFuture<'static, io::Result<()>> {
        let (place, name) = (artefact_folder(&self.folder, job), name.to_owned());
        aside(move || artefacts::keep(&place?, &name, &bytes))
    }

    fn artefacts(&self, job: &JobId) -> BoxFuture<'static, io::Result<Vec<Artefact>>> {
        let place = artefact_folder(&self.folder, job);
        aside(move || artefacts::list(&place?))
    }

    fn artefact(&self, job: &JobId, name: &str) -> BoxFuture<'static, io::Result<Option<Bytes>>> {
        let (place, name) = (artefact_folder(&self.folder, job), name.to_owned());
        aside(move || artefacts::read(&place?, &name))
    }
}

/// Does what blocks on a thread for such work.
fn aside<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(async move { tokio::task::spawn_blocking(work).await.map_err(io::Error::other)? })
}

/// The folder of a job. Its id becomes a path only when it is of letters, digits, `-` and `_`.
fn job_folder(folder: &Path, job: &JobId) -> io::Result<PathBuf> {
    let id = job.as_str();
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if id.is_empty() || id.len() > NAME || !id.chars().all(fine) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no id of a job"));
    }
    Ok(folder.join(id))
}

fn log_folder(folder: &Path, job: &JobId) -> io::Result<PathBuf> {
    Ok(job_folder(folder, job)?.join("log"))
}

fn artefact_folder(folder: &Path, job: &JobId) -> io::Result<PathBuf> {
    Ok(job_folder(folder, job)?.join("artefacts"))
}

/// Makes a folder that only its owner may look into.
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
