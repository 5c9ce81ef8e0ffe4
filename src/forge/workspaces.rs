//! A workspace for each job: made by the host before an agent sees it, and never touched with git again.

use std::{fs, path::Path};

use crate::ports::repo::{Prepare, RepoError, Workspace};

use super::{
    listing,
    places::{Job, beside, failed, give_to, remove},
    process::{Call, Input},
    repos::{BASE, GitRepos, REMOTE},
};

/// A folder of the workspace that git does not see: what belongs to the job and not to the project.
const HIDDEN: &str = "/.atoll/\n";

/// Longest list of a tree, in bytes.
const LONGEST_LIST: usize = 128 << 20;

/// Where a job begins.
struct Start {
    base: String,
    remote: Option<String>,
}

impl GitRepos {
    pub(super) async fn prepare_workspace(self, prepare: Prepare) -> Result<Workspace, RepoError> {
        let mirror = self.places.mirror(&prepare.project)?;
        let job = self.places.job(&prepare.job)?;
        let _alone = self.places.alone(&job.folder).await;
        let start = self.start(&prepare, &mirror, &job).await?;
        let folder = job.workspace();
        let existed = fs::symlink_metadata(&folder).is_ok();
        if !existed {
            self.fill(&prepare, &mirror, &job, &start).await?;
        }
        Ok(Workspace { folder, branch: prepare.branch, base: start.base, remote: start.remote, existed })
    }

    /// The job's repository of the host, which borrows the mirror's objects, with where it begins noted in it. What is
    /// noted stays, so that a job that is prepared again goes on from where it was.
    async fn start(&self, prepare: &Prepare, mirror: &Path, job: &Job) -> Result<Start, RepoError> {
        let repo = job.repo();
        if job.repo().join("HEAD").is_file()
            && let Some(base) = self.resolve(&repo, BASE).await?
        {
            return Ok(Start { base, remote: self.resolve(&repo, REMOTE).await? });
        }
        let tip = |name: String| async move { self.resolve(mirror, &format!("{name}^{{commit}}")).await };
        let remote = tip(prepare.branch.full()).await?;
        let base = match &remote {
            Some(tip) => Some(tip.clone()),
            None => tip(prepare.base.full()).await?,
        };
        let base = base.ok_or_else(|| {
            RepoError::NotThere(format!(
                "the project has no branch `{}`: push a first commit to it, or name another",
                prepare.base
            ))
        })?;
        self.make_repo(&repo).await?;
        let (info, objects) = (repo.join("objects/info"), format!("{}\n", mirror.join("objects").display()));
        beside(move || {
            fs::create_dir_all(&info).map_err(failed("the job's repository"))?;
            fs::write(info.join("alternates"), objects).map_err(failed("the job's repository"))
        })
        .await?;
        // The base is noted last, and all at once.
        let remote_line = remote.as_ref().map(|tip| format!("update {REMOTE} {tip}\n")).unwrap_or_default();
        let lines = format!("{remote_line}update {BASE} {base}\n");
        let note = self.local(&["update-ref", "--stdin"]).at(&repo).input(Input::Bytes(lines.into_bytes()));
        self.git.ok(note).await?;
        Ok(Start { base, remote })
    }

    /// Makes the workspace beside its place and moves it there when it is whole.
    async fn fill(
        &self,
        prepare: &Prepare,
        mirror: &Path,
        job: &Job,
        start: &Start,
    ) -> Result<(), RepoError> {
        self.check_size(&job.repo(), &start.base).await?;
        let fresh = job.folder.join("workspace.new");
        let (made, git_dir) = (fresh.clone(), fresh.join(".git"));
        beside(move || {
            remove(&made)?;
            fs::create_dir_all(&made).map_err(failed("the workspace"))
        })
        .await?;
        let main = format!("+refs/heads/{0}:refs/remotes/origin/{0}", prepare.base);
        let branch = prepare.branch.full();
        let work = format!("{BASE}:{branch}");
        let inside =
            |args: &[&str]| self.local(args).at(&git_dir).over(&fresh).largest(self.limits.checkout_bytes);
        // Objects are sent, not linked: what an agent may write must share nothing with the mirror.
        let fetch = |from: &Path, what: &str| -> Call {
            let from = from.to_string_lossy().into_owned();
            inside(&[
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--update-head-ok",
                "--end-of-options",
                &from,
                what,
            ])
        };
        self.git.ok(inside(&["init", "--quiet"])).await?;
        self.git.ok(fetch(&job.repo(), &work)).await?;
        if self.resolve(mirror, &prepare.base.full()).await?.is_some() {
            self.git.ok(fetch(mirror, &main)).await?;
        }
        self.git.ok(inside(&["symbolic-ref", "HEAD", &branch])).await?;
        for (key, value) in [("user.name", &prepare.author.name), ("user.email", &prepare.author.email)] {
            self.git.ok(inside(&["config", "--local", "--end-of-options", key, value])).await?;
        }
        self.git.ok(inside(&["reset", "--quiet", "--hard", "--no-recurse-submodules"])).await?;
        let (owner, target) = (prepare.owner, job.workspace());
        beside(move || {
            let info = fresh.join(".git/info");
            fs::create_dir_all(&info).map_err(failed("the workspace"))?;
            fs::write(info.join("exclude"), HIDDEN).map_err(failed("the workspace"))?;
            if let Some(owner) = owner {
                give_to(&fresh, owner)
                    .map_err(failed("the workspace cannot be given to the sandbox's user"))?;
            }
            fs::rename(&fresh, &target).map_err(failed("the workspace"))
        })
        .await
    }

    /// Refuses a tree that unfolds to more than a disk or a memory holds, before anything walks it. Few objects can stand for
    /// any number of files.
    pub(super) async fn check_size(&self, repo: &Path, commit: &str) -> Result<(), RepoError> {
        let list =
            self.local(&["ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", commit]).at(repo);
        let output = self.git.ok(list.keep(LONGEST_LIST)).await?;
        let tree = listing::tree(&output.out)
            .ok_or_else(|| RepoError::Failed("git lists a tree in an odd way".into()))?;
        let limits = &self.limits;
        if tree.entries > limits.checkout_files || tree.bytes > limits.checkout_bytes {
            return Err(RepoError::TooLarge(format!(
                "the tree has {} files with {} bytes; {} and {} are allowed",
                tree.entries, tree.bytes, limits.checkout_files, limits.checkout_bytes
            )));
        }
        Ok(())
    }
}
