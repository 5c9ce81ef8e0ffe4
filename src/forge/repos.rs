//! Repositories of the host behind their port: which limits hold, and who does what.

use std::{io, path::Path, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{
    domain::{branch::BranchName, bundle::is_id, remote::Scheme, review::ReviewLimits},
    ports::repo::{
        Auth, Branches, BundleFile, Diff, Imported, Inspection, Prepare, Project, Push, Pushed, Remote,
        RepoError, Repos, Seal, Sealed, Workspace,
    },
};

use super::{
    listing,
    places::{Job, Places, beside, remove},
    process::{Call, Git},
};

/// How large and how long things may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepoLimits {
    /// Largest file of a mirror: its packs are files. In bytes.
    pub mirror_file_bytes: u64,
    /// Most files of a workspace.
    pub checkout_files: usize,
    /// Largest workspace, in bytes.
    pub checkout_bytes: u64,
    /// Largest bundle, in bytes.
    pub bundle_bytes: u64,
    /// Most text of a change that is searched for secrets, in bytes.
    pub scanned_bytes: usize,
    /// Longest talk with a remote.
    pub remote_time: Duration,
    /// Longest work on this machine's disk.
    pub local_time: Duration,
}

impl Default for RepoLimits {
    fn default() -> Self {
        Self {
            mirror_file_bytes: 16 << 30,
            checkout_files: 500_000,
            checkout_bytes: 8 << 30,
            bundle_bytes: 512 << 20,
            scanned_bytes: 64 << 20,
            remote_time: Duration::from_secs(30 * 60),
            local_time: Duration::from_secs(10 * 60),
        }
    }
}

/// Repositories below one folder. One of these works on a folder at a time.
#[derive(Debug, Clone)]
pub struct GitRepos {
    pub(super) places: Arc<Places>,
    pub(super) git: Git,
    pub(super) limits: RepoLimits,
}

impl GitRepos {
    /// Opens the folder, and makes it when it is not there. Nothing of it but a job's workspace may be seen by a sandbox.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(root: &Path, limits: RepoLimits) -> io::Result<Self> {
        let places = Places::open(root)?;
        let git = Git::new(places.askpass(), places.empty());
        Ok(Self { places: Arc::new(places), git, limits })
    }

    /// A call that works on this machine.
    pub(super) fn local(&self, args: &[&str]) -> Call {
        Call::new(args).within(self.limits.local_time)
    }

    /// A call that speaks with a remote.
    pub(super) fn remote(&self, args: &[&str], remote: &Remote) -> Result<Call, RepoError> {
        let advice = match (remote.url.scheme(), &remote.auth) {
            (Scheme::Ssh, Auth::Key { .. })
            | (Scheme::Https | Scheme::Http, Auth::None | Auth::Token { .. })
            | (Scheme::File, _) => None,
            (Scheme::Ssh, _) => Some("give it a key: a token does not open ssh"),
            (Scheme::Https | Scheme::Http, Auth::Key { .. }) => {
                Some("give it a token: a key does not open https")
            }
        };
        if let Some(advice) = advice {
            return Err(RepoError::Denied(format!(
                "no access to the repository at {}: {advice}",
                remote.url.as_str()
            )));
        }
        if let Auth::Token { user, token } = &remote.auth
            && (user.is_empty()
                || token.is_empty()
                || [user.as_str(), token.reveal()].iter().any(|text| !fits_line(text)))
        {
            return Err(RepoError::Denied(
                "the token, or the name that goes with it, is empty or has line breaks in it".into(),
            ));
        }
        Ok(Call::new(args).within(self.limits.remote_time).with(remote))
    }

    /// The object that a name stands for, when there is one.
    pub(super) async fn resolve(&self, repo: &Path, name: &str) -> Result<Option<String>, RepoError> {
        let call = self.local(&["rev-parse", "--verify", "--quiet", "--end-of-options", name]).at(repo);
        let output = self.git.run(call).await?;
        let id = output.text();
        Ok((output.fine && is_id(&id)).then_some(id))
    }

    /// The places of a job that has been prepared.
    pub(super) fn known(&self, job: &str) -> Result<Job, RepoError> {
        let job = self.places.job(job)?;
        if job.repo().join("HEAD").is_file() {
            Ok(job)
        } else {
            Err(RepoError::NotThere("the job has no repository: prepare it first".into()))
        }
    }

    /// The branches of a remote, as it says.
    pub(super) async fn ask_remote(&self, remote: &Remote) -> Result<Branches, RepoError> {
        let url = remote.url.as_str();
        let call = self.remote(&["ls-remote", "--symref", "--", url, "HEAD", "refs/heads/*"], remote)?;
        let output = self.git.ok(call.keep(64 << 20)).await?;
        Ok(listing::refs(&output.text()))
    }

    /// The tip of one branch of a remote.
    pub(super) async fn ask_tip(
        &self,
        remote: &Remote,
        branch: &BranchName,
    ) -> Result<Option<String>, RepoError> {
        let call = self.remote(&["ls-remote", "--", remote.url.as_str(), &branch.full()], remote)?;
        let output = self.git.ok(call).await?;
        Ok(listing::refs(&output.text()).commit(branch).map(str::to_owned))
    }

    async fn base_of(self, job: String) -> Result<String, RepoError> {
        let job = self.known(&job)?;
        let base = self.resolve(&job.repo(), BASE).await?;
        base.ok_or_else(|| RepoError::NotThere("the job has no base: prepare it again".into()))
    }

    async fn remove_job(self, job: String) -> Result<(), RepoError> {
        let job = self.places.job(&job)?;
        let _alone = self.places.alone(&job.folder).await;
        beside(move || remove(&job.folder)).await
    }

    async fn forget_project(self, project: String) -> Result<(), RepoError> {
        let mirror = self.places.mirror(&project)?;
        let _alone = self.places.alone(&mirror).await;
        beside(move || remove(&mirror)).await
    }
}

/// Where a job began, in its repository.
pub(super) const BASE: &str = "refs/atoll/base";
/// The tip of its branch at the remote, when it began.
pub(super) const REMOTE: &str = "refs/atoll/remote";
/// What came out of the sandbox last.
pub(super) const IMPORT: &str = "refs/atoll/import";
/// The commit that was made of it.
pub(super) const SEALED: &str = "refs/atoll/sealed";

fn fits_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// An id of an object, from outside.
pub(super) fn check_id(id: &str) -> Result<(), RepoError> {
    if is_id(id) {
        Ok(())
    } else {
        Err(RepoError::Invalid("the id of a commit has forty hexadecimal digits".into()))
    }
}

impl Repos for GitRepos {
    fn update(&self, project: Project) -> BoxFuture<'static, Result<Branches, RepoError>> {
        Box::pin(self.clone().update_mirror(project))
    }

    fn prepare(&self, prepare: Prepare) -> BoxFuture<'static, Result<Workspace, RepoError>> {
        Box::pin(self.clone().prepare_workspace(prepare))
    }

    fn base(&self, job: String) -> BoxFuture<'static, Result<String, RepoError>> {
        Box::pin(self.clone().base_of(job))
    }

    fn import(&self, job: String, bundle: BundleFile) -> BoxFuture<'static, Result<Imported, RepoError>> {
        Box::pin(self.clone().import_bundle(job, bundle))
    }

    fn seal(&self, seal: Seal) -> BoxFuture<'static, Result<Sealed, RepoError>> {
        Box::pin(self.clone().seal_tree(seal))
    }

    fn inspect(
        &self,
        job: String,
        commit: String,
        limits: ReviewLimits,
    ) -> BoxFuture<'static, Result<Inspection, RepoError>> {
        Box::pin(self.clone().inspect_commit(job, commit, limits))
    }

    fn diff(&self, job: String, commit: String, most: usize) -> BoxFuture<'static, Result<Diff, RepoError>> {
        Box::pin(self.clone().diff_of(job, commit, most))
    }

    fn bundle(&self, job: String, commit: String) -> BoxFuture<'static, Result<Vec<u8>, RepoError>> {
        Box::pin(self.clone().bundle_of(job, commit))
    }

    fn push(&self, push: Push) -> BoxFuture<'static, Result<Pushed, RepoError>> {
        Box::pin(self.clone().push_commit(push))
    }

    fn branches(&self, remote: Remote) -> BoxFuture<'static, Result<Branches, RepoError>> {
        let repos = self.clone();
        Box::pin(async move { repos.ask_remote(&remote).await })
    }

    fn remove(&self, job: String) -> BoxFuture<'static, Result<(), RepoError>> {
        Box::pin(self.clone().remove_job(job))
    }

    fn forget(&self, project: String) -> BoxFuture<'static, Result<(), RepoError>> {
        Box::pin(self.clone().forget_project(project))
    }
}
