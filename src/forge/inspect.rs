//! Looking at a commit in the host's own repository: what it changes, what a person must know, and how it reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    domain::review::{
        Change, FileChange, Finding, ReviewLimits, Rule, Severity, in_order, mask_text, review, scan_diff,
    },
    ports::repo::{Diff, Inspection, RepoError},
};

use super::{
    listing::{self, Changed},
    places::beside,
    process::Input,
    repos::{GitRepos, SEALED, check_id},
};

/// Most text of a list of files, in bytes.
const LIST: usize = 128 << 20;
/// Most symlinks of a tree that are read.
const MOST_LINKS: usize = 50_000;
/// Longest diff that is given back, in bytes.
const LONGEST_DIFF: usize = 16 << 20;
/// Largest bundle that is given back, in bytes.
const LONGEST_BUNDLE: usize = 64 << 20;

fn odd() -> RepoError {
    RepoError::Failed("git answers in an odd way".into())
}

impl GitRepos {
    pub(super) async fn inspect_commit(
        self,
        job: String,
        commit: String,
        limits: ReviewLimits,
    ) -> Result<Inspection, RepoError> {
        let repo = self.known(&job)?.repo();
        let (tree, base) = self.one_parent(&repo, &commit).await?;
        let files = self.changes(&repo, &base, &commit).await?;
        let change = Change {
            files: files.clone(),
            links_before: self.links(&repo, &base).await?,
            links_after: self.links(&repo, &commit).await?,
        };
        let sum = |of: fn((u64, u64)) -> u64| files.iter().filter_map(|file| file.lines).map(of).sum();
        let (added, removed) = (sum(|lines| lines.0), sum(|lines| lines.1));
        let (diff, cut) = self
            .text(&repo, &base, &commit, &["-U0", "--text", "--no-renames"], self.limits.scanned_bytes)
            .await?;
        let findings = beside(move || {
            let binary: BTreeSet<String> = change
                .files
                .iter()
                .filter(|file| file.lines.is_none())
                .map(|file| file.path.clone())
                .collect();
            let mut found = review(&change, &limits);
            found.extend(scan_diff(&String::from_utf8_lossy(&diff), &binary));
            found.extend(cut.then(|| not_scanned(diff.len())));
            Ok(in_order(found))
        })
        .await?;
        Ok(Inspection { commit, tree, base, files, added, removed, findings })
    }

    pub(super) async fn diff_of(self, job: String, commit: String, most: usize) -> Result<Diff, RepoError> {
        let repo = self.known(&job)?.repo();
        let (_, base) = self.one_parent(&repo, &commit).await?;
        let (mut bytes, cut) = self.text(&repo, &base, &commit, &["-M"], most.min(LONGEST_DIFF)).await?;
        beside(move || {
            if cut {
                let whole_lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                bytes.truncate(whole_lines);
            }
            Ok(Diff { text: mask_text(&String::from_utf8_lossy(&bytes)), cut })
        })
        .await
    }

    pub(super) async fn bundle_of(self, job: String, commit: String) -> Result<Vec<u8>, RepoError> {
        let repo = self.known(&job)?.repo();
        let (_, base) = self.one_parent(&repo, &commit).await?;
        if self.resolve(&repo, SEALED).await?.as_deref() != Some(commit.as_str()) {
            return Err(RepoError::NotThere("the commit is not the one that was sealed last".into()));
        }
        let args = ["bundle", "create", "-q", "--version=2", "-", SEALED, &format!("^{base}")];
        let output = self.git.ok(self.local(&args).at(&repo).keep_first(LONGEST_BUNDLE)).await?;
        if output.cut {
            return Err(RepoError::TooLarge("the commit is too large for a bundle".into()));
        }
        Ok(output.out)
    }

    /// Tree and parent of a commit that has exactly one.
    pub(super) async fn one_parent(&self, repo: &Path, commit: &str) -> Result<(String, String), RepoError> {
        check_id(commit)?;
        let list = ["rev-list", "--parents", "--max-count=1", "--end-of-options", commit];
        let output = self.git.run(self.local(&list).at(repo)).await?;
        let tree = self.resolve(repo, &format!("{commit}^{{tree}}")).await?;
        match (output.text().split(' ').collect::<Vec<_>>().as_slice(), tree) {
            ([own, base], Some(tree)) if output.fine && *own == commit => Ok((tree, (*base).to_owned())),
            _ => Err(RepoError::NotThere("the job has no such commit with one parent: seal it first".into())),
        }
    }

    async fn changes(&self, repo: &Path, base: &str, commit: &str) -> Result<Vec<FileChange>, RepoError> {
        let list = [
            "diff-tree",
            "-r",
            "-z",
            "--raw",
            "--numstat",
            "--no-renames",
            "--no-abbrev",
            "--no-ext-diff",
            "--no-textconv",
            base,
            commit,
        ];
        let output = self.git.ok(self.local(&list).at(repo).keep(LIST)).await?;
        let mut changed = listing::changes(&output.out).ok_or_else(odd)?;
        self.measure(repo, &mut changed).await?;
        Ok(changed.into_iter().map(|one| one.file).collect())
    }

    /// Adds sizes. A submodule's commit is not there to be measured.
    async fn measure(&self, repo: &Path, changed: &mut [Changed]) -> Result<(), RepoError> {
        let ids: String =
            changed.iter().filter_map(|one| one.object.as_deref()).flat_map(|id| [id, "\n"]).collect();
        let call = self.local(&["cat-file", "--batch-check=%(objectname) %(objectsize)"]).at(repo);
        let output = self.git.ok(call.input(Input::Bytes(ids.into_bytes())).keep(LIST)).await?;
        let text = output.text();
        let sizes: BTreeMap<&str, u64> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(id, size)| Some((id, size.parse().ok()?)))
            .collect();
        for one in changed {
            one.file.bytes = one.object.as_deref().and_then(|id| sizes.get(id)).copied().unwrap_or(0);
        }
        Ok(())
    }

    /// All symlinks of a tree with their targets.
    async fn links(&self, repo: &Path, commit: &str) -> Result<BTreeMap<String, String>, RepoError> {
        let list = ["ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", commit];
        let output = self.git.ok(self.local(&list).at(repo).keep(LIST)).await?;
        let tree = listing::tree(&output.out).ok_or_else(odd)?;
        if tree.links.len() > MOST_LINKS {
            return Err(RepoError::TooLarge(format!("the tree has more than {MOST_LINKS} symlinks")));
        }
        let ids: String = tree.links.iter().flat_map(|(_, id)| [id.as_str(), "\n"]).collect();
        let call = self.local(&["cat-file", "--batch"]).at(repo).input(Input::Bytes(ids.into_bytes()));
        let output = self.git.ok(call.keep(LIST)).await?;
        let targets = listing::objects(&output.out, tree.links.len()).ok_or_else(odd)?;
        Ok(tree.links.into_iter().map(|(path, _)| path).zip(targets).collect())
    }

    async fn text(
        &self,
        repo: &Path,
        base: &str,
        commit: &str,
        how: &[&str],
        most: usize,
    ) -> Result<(Vec<u8>, bool), RepoError> {
        let mut args =
            vec!["diff-tree", "-r", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index"];
        args.extend(["--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none"]);
        args.extend(how);
        args.extend([base, commit]);
        let output = self.git.ok(self.local(&args).at(repo).keep_first(most)).await?;
        Ok((output.out, output.cut))
    }
}

fn not_scanned(bytes: usize) -> Finding {
    let words = format!("only the first {bytes} bytes of the change were searched for secrets");
    Finding { severity: Severity::Asks, rule: Rule::NotScanned, path: None, line: None, words }
}
