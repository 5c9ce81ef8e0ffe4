//! A project with a remote on disk, Atoll's side of it, and an agent that works in its workspace as it likes.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use atoll::{
    domain::{
        branch::BranchName,
        bundle::HAND_OVER,
        commit::{Author, Message},
        remote::RemoteUrl,
        review::{Finding, ReviewLimits, Rule},
    },
    forge::{GitRepos, RepoLimits},
    ports::repo::{
        Auth, BundleFile, Imported, Inspection, Prepare, Project, Push, Pushed, Remote, RepoError, Repos,
        Seal, Sealed, Workspace,
    },
};
use tempfile::TempDir;

/// When the commits of these tests are made.
pub(crate) const AT: i64 = 1_700_000_000_000;

/// What it is all about.
pub(crate) struct World {
    pub repos: GitRepos,
    folder: TempDir,
}

pub(crate) fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

pub(crate) fn bot() -> Author {
    Author::new("Coder", "coder@bots.example")
}

impl World {
    /// A world whose remote has a first commit on `main`.
    pub(crate) fn new() -> Self {
        Self::with(RepoLimits::default())
    }

    pub(crate) fn with(limits: RepoLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self { repos: GitRepos::open(&folder.path().join("atoll/git"), limits).unwrap(), folder };
        world.sh(
            world.path(""),
            "git init -q --bare -b main remote.git && git clone -q remote.git theirs 2>/dev/null",
        );
        world.theirs("echo 'hello' > README.md; mkdir src; echo 'fn main() {}' > src/main.rs");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Atoll's folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.path("atoll/git")
    }

    pub(crate) fn repo_of(&self, job: &str) -> PathBuf {
        self.root().join(format!("jobs/{job}/repo.git"))
    }

    /// Somebody else works on the project and pushes.
    pub(crate) fn theirs(&self, script: &str) {
        self.sh(
            self.path("theirs"),
            &format!(
                "{script}\ngit add -A && git commit -q --allow-empty -m theirs && git push -q origin HEAD"
            ),
        );
    }

    /// Runs a script outside of Atoll.
    pub(crate) fn sh(&self, folder: impl AsRef<Path>, script: &str) -> String {
        let output = run(folder.as_ref(), script, &[]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`{script}` failed: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// A command of git in the remote.
    pub(crate) fn remote_git(&self, args: &str) -> String {
        self.sh(self.path("remote.git"), &format!("git {args}"))
    }

    /// The commit of a branch of the remote; empty when it is not there.
    pub(crate) fn remote_tip(&self, name: &str) -> String {
        self.remote_git(&format!("rev-parse --verify -q refs/heads/{name} || true"))
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote { url: RemoteUrl::parse(self.path("remote.git").to_str().unwrap()).unwrap(), auth: Auth::None }
    }

    pub(crate) fn project(&self) -> Project {
        Project { id: "p1".into(), remote: self.remote() }
    }

    /// What a job of this id asks for.
    pub(crate) fn asks(&self, job: &str) -> Prepare {
        Prepare {
            project: "p1".into(),
            job: job.into(),
            branch: branch(&format!("atoll/{job}")),
            base: branch("main"),
            author: bot(),
            owner: None,
        }
    }

    /// Mirror and workspace for a job.
    pub(crate) async fn prepared(&self, job: &str) -> Workspace {
        self.repos.update(self.project()).await.unwrap();
        self.repos.prepare(self.asks(job)).await.unwrap()
    }

    /// The agent does something in its workspace. What it plants knows that this is still the sandbox.
    pub(crate) fn agent(&self, workspace: &Workspace, script: &str) {
        let output = run(&workspace.folder, script, &[("IN_SANDBOX", "1")]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the agent's `{script}` failed: {errors}");
    }

    /// The sandbox makes a bundle of the workspace.
    pub(crate) fn hand_over(&self, workspace: &Workspace) -> BundleFile {
        let file = workspace.folder.join(".atoll-out.bundle");
        let script = format!(
            "sh -c {} sh {} {} {}",
            quoted(HAND_OVER),
            quoted(workspace.folder.to_str().unwrap()),
            quoted(file.to_str().unwrap()),
            workspace.base
        );
        fs::write(workspace.folder.join(".git/info/exclude"), ".atoll-out.bundle\n").unwrap();
        self.agent(workspace, &script);
        BundleFile {
            folder: workspace.folder.clone(),
            file: ".atoll-out.bundle".into(),
            reference: "HEAD".into(),
        }
    }

    pub(crate) async fn import(&self, job: &str, workspace: &Workspace) -> Result<Imported, RepoError> {
        self.repos.import(job.into(), self.hand_over(workspace)).await
    }

    pub(crate) fn seal(&self, job: &str, imported: &Imported) -> Seal {
        Seal {
            job: job.into(),
            tree: imported.tree.clone(),
            author: bot(),
            message: Message {
                title: "Say hello properly".into(),
                body: "It was too short.".into(),
                job: job.into(),
                story: Some("S-7".into()),
            },
            at: AT,
        }
    }

    /// Work by a script, imported and made a commit of.
    pub(crate) async fn sealed(&self, job: &str, script: &str) -> (Workspace, String) {
        let workspace = self.prepared(job).await;
        self.agent(&workspace, script);
        let imported = self.import(job, &workspace).await.unwrap();
        match self.repos.seal(self.seal(job, &imported)).await.unwrap() {
            Sealed::Commit(commit) => (workspace, commit),
            Sealed::Unchanged => panic!("nothing was changed by `{script}`"),
        }
    }

    /// Work by a script, and what a person is told about it.
    pub(crate) async fn inspected(&self, job: &str, script: &str) -> Inspection {
        let (_, commit) = self.sealed(job, script).await;
        self.repos.inspect(job.into(), commit, ReviewLimits::default()).await.unwrap()
    }

    pub(crate) async fn push_of(&self, job: &str, workspace: &Workspace, commit: &str) -> Push {
        let tree = self.repos.inspect(job.into(), commit.into(), ReviewLimits::default()).await.unwrap().tree;
        Push {
            job: job.into(),
            remote: self.remote(),
            commit: commit.into(),
            tree,
            branch: workspace.branch.clone(),
            expected: workspace.remote.clone(),
        }
    }

    pub(crate) async fn pushed(
        &self,
        job: &str,
        workspace: &Workspace,
        commit: &str,
    ) -> Result<Pushed, RepoError> {
        let push = self.push_of(job, workspace, commit).await;
        self.repos.push(push).await
    }

    /// A program that notes when it is run outside of the sandbox, and the file where it does.
    pub(crate) fn trap(&self) -> (PathBuf, PathBuf) {
        let (program, canary) = (self.path("trap.sh"), self.path("canary"));
        let script = format!(
            "#!/bin/sh\n[ -n \"$IN_SANDBOX\" ] || echo \"$0 $*\" >> {}\ncat 2>/dev/null\nexit 0\n",
            canary.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (program, canary)
    }
}

pub(crate) fn rules(findings: &[Finding]) -> Vec<Rule> {
    findings.iter().map(|finding| finding.rule).collect()
}

pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Runs a script with a git of its own: no configuration of this machine.
pub(crate) fn run(folder: &Path, script: &str, env: &[(&str, &str)]) -> Output {
    Command::new("/bin/sh")
        .args(["-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", "Somebody")
        .env("GIT_AUTHOR_EMAIL", "somebody@example.org")
        .env("GIT_COMMITTER_NAME", "Somebody")
        .env("GIT_COMMITTER_EMAIL", "somebody@example.org")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// All files below a folder, links not followed.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
