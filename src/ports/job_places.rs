//! Where everything of a job lies on the host beside its repository: what its sandboxes see and keep.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::domain::ids::{JobId, ProjectId};

/// The folder inside the workspace where files lie that came with a job; git ignores it.
pub const ATTACHMENTS: &str = ".atoll/attachments";

/// Folders of jobs.
pub trait JobPlaces: Send + Sync {
    /// The home folder of a job's sandboxes, made if it is not there. It outlives them: engines keep their sessions in it.
    fn home(&self, job: &JobId) -> BoxFuture<'static, std::io::Result<PathBuf>>;

    /// All jobs that something lies here of.
    fn known(&self) -> BoxFuture<'static, std::io::Result<Vec<JobId>>>;

    /// What is kept here of a job that is over, for a while: the home of its sandboxes. `all` of it, with log and
    /// artefacts, when nobody knows the job any more.
    fn kept(&self, job: &JobId, all: bool) -> PathBuf;

    /// The folder in which all jobs of a project, and no others, keep what package managers fetched.
    fn cache(&self, project: &ProjectId) -> PathBuf;

    /// Makes a workspace ready that no agent has seen yet: git ignores what tools leave behind, and files that came with
    /// the job (names and bytes) lie where git ignores them.
    fn fit_out(
        &self,
        workspace: PathBuf,
        files: Vec<(String, Bytes)>,
    ) -> BoxFuture<'static, std::io::Result<()>>;

    /// True when the set-up of this workspace was done.
    fn is_set_up(&self, job: &JobId) -> bool;

    /// Notes that the set-up was done, or is to be done again.
    ///
    /// # Errors
    /// When the home cannot be written.
    fn set_up(&self, job: &JobId, done: bool) -> std::io::Result<()>;
}
