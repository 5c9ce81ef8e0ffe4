//! Taking over what came out of a sandbox, and making one commit of it that is the host's own.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::{
    domain::bundle::{BadBundle, Head, LONGEST_HEAD, parse_head},
    ports::repo::{BundleFile, Imported, RepoError, Seal, Sealed},
};

use super::{
    explain::words_of,
    places::{beside, copy_out, failed},
    process::Input,
    repos::{BASE, GitRepos, IMPORT, SEALED, check_id},
};

fn broken(error: BadBundle) -> RepoError {
    RepoError::Broken(error.to_string())
}

impl GitRepos {
    pub(super) async fn import_bundle(self, job: String, bundle: BundleFile) -> Result<Imported, RepoError> {
        let job = self.known(&job)?;
        let _alone = self.places.alone(&job.folder).await;
        let (repo, incoming, most) = (job.repo(), job.incoming(), self.limits.bundle_bytes);
        let copy = incoming.clone();
        // First it becomes the host's own: the sandbox cannot change it while it is read.
        let (tip, pack) = beside(move || {
            copy_out(&bundle.folder, &bundle.file, &copy, most)?;
            let (head, pack) = open(&copy)?;
            let tip = head.commit(&bundle.reference).map_err(broken)?.to_owned();
            Ok((tip, pack))
        })
        .await?;
        // The pack is read by itself, so that nothing but objects comes in: no refs, no filters, and each object checked.
        let size = format!("--max-input-size={most}");
        let index = ["index-pack", "--stdin", "--fix-thin", "--strict", &size];
        let call = self.local(&index).at(&repo).input(Input::File(pack)).largest(most.saturating_mul(4));
        let output = self.git.run(call).await?;
        let _ = fs::remove_file(&incoming);
        if !output.fine {
            return Err(RepoError::Broken(words_of(&output.said)));
        }
        self.take(&repo, &tip).await
    }

    async fn take(&self, repo: &Path, tip: &str) -> Result<Imported, RepoError> {
        let is_commit = self.resolve(repo, &format!("{tip}^{{commit}}")).await?.is_some_and(|id| id == tip);
        if !is_commit {
            return Err(RepoError::Broken("its branch does not point at a commit of it".into()));
        }
        self.check_size(repo, tip).await?;
        let walk = ["rev-list", "--objects", "--quiet", tip, "--not", BASE];
        let whole = self.git.run(self.local(&walk).at(repo)).await?;
        if !whole.fine {
            return Err(RepoError::Broken(format!("objects are missing: {}", words_of(&whole.said))));
        }
        let tree = self.resolve(repo, &format!("{tip}^{{tree}}")).await?;
        let tree = tree.ok_or_else(|| RepoError::Broken("its commit has no tree".into()))?;
        self.git.ok(self.local(&["update-ref", IMPORT, tip]).at(repo)).await?;
        Ok(Imported { tip: tip.to_owned(), tree })
    }

    pub(super) async fn seal_tree(self, seal: Seal) -> Result<Sealed, RepoError> {
        check_id(&seal.tree)?;
        let job = self.known(&seal.job)?;
        let _alone = self.places.alone(&job.folder).await;
        let repo = job.repo();
        let base = self.resolve(&repo, BASE).await?;
        let base = base.ok_or_else(|| RepoError::NotThere("the job has no base: prepare it again".into()))?;
        if self.resolve(&repo, &format!("{IMPORT}^{{tree}}")).await?.as_ref() != Some(&seal.tree) {
            return Err(RepoError::Invalid("the tree is not what was imported last: import it again".into()));
        }
        if self.resolve(&repo, &format!("{base}^{{tree}}")).await?.as_ref() == Some(&seal.tree) {
            return Ok(Sealed::Unchanged);
        }
        let at = format!("@{} +0000", seal.at.div_euclid(1_000));
        let call = self
            .local(&["commit-tree", &seal.tree, "-p", &base, "-F", "-"])
            .at(&repo)
            .input(Input::Bytes(seal.message.compose().into_bytes()))
            .env("GIT_AUTHOR_NAME", &seal.author.name)
            .env("GIT_AUTHOR_EMAIL", &seal.author.email)
            .env("GIT_AUTHOR_DATE", &at)
            .env("GIT_COMMITTER_NAME", &seal.author.name)
            .env("GIT_COMMITTER_EMAIL", &seal.author.email)
            .env("GIT_COMMITTER_DATE", &at);
        let commit = self.git.ok(call).await?.text();
        self.git.ok(self.local(&["update-ref", SEALED, &commit]).at(&repo)).await?;
        Ok(Sealed::Commit(commit))
    }
}

/// The head of a bundle, and the file with its pack ahead.
fn open(path: &Path) -> Result<(Head, fs::File), RepoError> {
    let mut file = fs::File::open(path).map_err(failed("the bundle"))?;
    let mut first = Vec::new();
    file.by_ref().take(LONGEST_HEAD as u64 + 1).read_to_end(&mut first).map_err(failed("the bundle"))?;
    let head = parse_head(&first).map_err(broken)?;
    file.seek(SeekFrom::Start(head.pack_at as u64)).map_err(failed("the bundle"))?;
    Ok((head, file))
}
