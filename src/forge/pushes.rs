//! Pushing exactly one commit to one branch, with a look at the remote before and after.

use crate::ports::repo::{Push, Pushed, RepoError};

use super::{
    explain::{explain, words_of},
    process::Output,
    repos::{GitRepos, check_id},
};

impl GitRepos {
    pub(super) async fn push_commit(self, push: Push) -> Result<Pushed, RepoError> {
        check_id(&push.tree)?;
        if let Some(expected) = &push.expected {
            check_id(expected)?;
        }
        let job = self.known(&push.job)?;
        let _alone = self.places.alone(&job.folder).await;
        let (tree, parent) = self.one_parent(&job.repo(), &push.commit).await?;
        if tree != push.tree {
            return Err(RepoError::Invalid("the commit does not have the tree that was approved".into()));
        }
        if push.expected.as_ref().is_some_and(|expected| *expected != parent) {
            return Err(RepoError::Invalid(
                "the commit does not follow on the tip that the branch is to have".into(),
            ));
        }
        let before = self.ask_tip(&push.remote, &push.branch).await?;
        if before.as_deref() == Some(push.commit.as_str()) {
            return Ok(Pushed::Before);
        }
        if before != push.expected {
            return Err(moved(&push, before));
        }
        let outcome = self.send(&push).await;
        // Whatever git says, the remote knows.
        match self.ask_tip(&push.remote, &push.branch).await {
            Ok(after) if after.as_deref() == Some(push.commit.as_str()) => Ok(Pushed::Now),
            Ok(after) if after != push.expected => Err(moved(&push, after)),
            Ok(_) => Err(refusal(&push, outcome)),
            Err(error) => {
                let words = format!(
                    "nobody knows whether the push came through, it is looked up when it is tried again: {error}"
                );
                Err(RepoError::Unreachable(words))
            }
        }
    }

    async fn send(&self, push: &Push) -> Result<Output, RepoError> {
        let repo = self.known(&push.job)?.repo();
        let branch = push.branch.full();
        // The remote itself refuses when the branch is not where it is expected to be, or there when it must not.
        let lease = format!("--force-with-lease={branch}:{}", push.expected.as_deref().unwrap_or_default());
        let what = format!("{}:{branch}", push.commit);
        let args = [
            "push",
            "--porcelain",
            "--quiet",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            "--no-signed",
            &lease,
            "--end-of-options",
            push.remote.url.as_str(),
            &what,
        ];
        self.git.run(self.remote(&args, &push.remote)?.at(&repo)).await
    }
}

fn moved(push: &Push, at: Option<String>) -> RepoError {
    let nothing = || "nothing".to_owned();
    RepoError::Moved {
        branch: push.branch.clone(),
        at: at.unwrap_or_else(nothing),
        expected: push.expected.clone().unwrap_or_else(nothing),
    }
}

/// Why the remote did not take it, when it is still where it was.
fn refusal(push: &Push, outcome: Result<Output, RepoError>) -> RepoError {
    let output = match outcome {
        Ok(output) => output,
        Err(error) => return error,
    };
    // `!<TAB>from:to<TAB>[remote rejected] (why)`
    let lines = output.text();
    let reason = lines.lines().find(|line| line.starts_with('!')).and_then(|line| line.split('\t').nth(2));
    let said: Vec<&str> =
        output.said.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim).collect();
    match reason {
        Some(reason) => {
            let reason = crate::domain::review::shown(reason);
            RepoError::Rejected(words_of(&format!("{reason}\n{}", said.join("\n"))))
        }
        None => explain(&output.said, Some(&push.remote)),
    }
}
