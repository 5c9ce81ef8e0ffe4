//! A bare mirror for each project: the one thing that speaks with a remote to read from it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::ports::repo::{Branches, Project, RepoError};

use super::{
    listing,
    places::{beside, failed},
    repos::GitRepos,
};

/// So many packs are made into fewer.
const MANY_PACKS: usize = 40;

impl GitRepos {
    pub(super) async fn update_mirror(self, project: Project) -> Result<Branches, RepoError> {
        let mirror = self.places.mirror(&project.id)?;
        let _alone = self.places.alone(&mirror).await;
        let at = mirror.clone();
        beside(move || clear_locks(&at)).await?;
        self.make_repo(&mirror).await?;
        let remote = &project.remote;
        let main = self.ask_remote(remote).await?.main;
        let fetch = [
            "fetch",
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--end-of-options",
            remote.url.as_str(),
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        ];
        let call = self.remote(&fetch, remote)?.at(&mirror).largest(self.limits.mirror_file_bytes);
        self.git.ok(call).await?;
        self.fold_packs(&mirror).await?;
        let list = ["for-each-ref", "--format=%(objectname)%09%(refname)", "refs/heads/"];
        let output = self.git.ok(self.local(&list).at(&mirror).keep(64 << 20)).await?;
        Ok(Branches { main, all: listing::refs(&output.text()).all })
    }

    /// A bare repository; one that is there, also in part, is made whole.
    pub(super) async fn make_repo(&self, repo: &Path) -> Result<(), RepoError> {
        if let Some(above) = repo.parent() {
            let above = above.to_owned();
            beside(move || fs::create_dir_all(above).map_err(failed("a folder cannot be made"))).await?;
        }
        self.git.ok(self.local(&["init", "--quiet", "--bare"]).at(repo)).await.map(drop)
    }

    /// Many small fetches leave many small packs. Objects that nothing points at any more stay: jobs may use them.
    async fn fold_packs(&self, mirror: &Path) -> Result<(), RepoError> {
        let packs = mirror.join("objects/pack");
        let count =
            beside(move || Ok(fs::read_dir(packs).map_or(0, |all| all.flatten().filter(is_pack).count())))
                .await?;
        if count >= MANY_PACKS {
            let fold = ["repack", "--quiet", "-d", "--geometric=2", "--no-write-bitmap-index"];
            let call = self.local(&fold).at(mirror).largest(self.limits.mirror_file_bytes);
            self.git.ok(call).await?;
        }
        Ok(())
    }
}

fn is_pack(entry: &fs::DirEntry) -> bool {
    entry.path().extension().is_some_and(|end| end == "pack")
}

/// Removes what a killed fetch left locked. Nobody else works on a mirror: the lock on it is ours.
fn clear_locks(mirror: &Path) -> Result<(), RepoError> {
    let mut folders: Vec<PathBuf> = vec![mirror.to_owned(), mirror.join("refs")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, is_folder) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
            if is_folder && folder != mirror {
                folders.push(path);
            } else if !is_folder && path.extension().is_some_and(|end| end == "lock") {
                fs::remove_file(path).map_err(failed("a stale lock cannot be removed"))?;
            }
        }
    }
    Ok(())
}
