//! Letting go, once a day, of the workspaces, repositories and homes of jobs that are over for long. Their rows, logs and
//! artefacts stay.

use std::sync::Arc;

use crate::{
    actors::db::messages::GetTask,
    domain::{Millis, ids::JobId},
};

use super::kit::JobKit;

/// What a sweep may let go of.
pub(super) struct Old {
    /// The job.
    pub(super) job: JobId,
    /// Nobody knows it any more: its project was removed.
    orphan: bool,
}

/// The jobs that are over since before this time, or that nobody knows, and of which something is kept.
pub(super) async fn old(kit: Arc<JobKit>, before: Millis) -> Result<Vec<Old>, String> {
    let mut found = Vec::new();
    for job in kit.places.known().await.map_err(|error| error.to_string())? {
        let task = kit.doors.task.ask(GetTask { job: job.clone() }).await;
        match task.map_err(|error| error.to_string())? {
            None => found.push(Old { job, orphan: true }),
            Some(task) if task.head.over && task.ended_at.is_some_and(|at| at < before) => {
                let home = kit.places.kept(&job, false);
                if tokio::fs::try_exists(&home).await.unwrap_or(true) {
                    found.push(Old { job, orphan: false });
                }
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

/// Lets go of what is kept of one job. The home goes last: while it is there, the job is found again.
pub(super) async fn let_go(kit: Arc<JobKit>, old: Old) -> JobId {
    let Old { job, orphan } = old;
    let gone = async {
        kit.repos.remove(job.to_string()).await.map_err(|error| error.to_string())?;
        kit.places.set_up(&job, false).map_err(|error| error.to_string())?;
        let folder = kit.places.kept(&job, orphan);
        kit.sandboxes.remove_folder(folder).await.map_err(|error| error.to_string())
    };
    match gone.await {
        Ok(()) => tracing::info!(%job, "the workspace of a job that is over for long is let go"),
        Err(error) => tracing::warn!(%job, error, "the workspace of an old job cannot be removed"),
    }
    job
}
