//! What a job's work is done with: everything that it needs, and nothing of the actor.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    actors::{
        db::messages::{DbError, FindProject, GetBot, ProjectOf},
        sandbox::messages::{BenchError, BenchEvent},
    },
    domain::{
        branch::{BranchName, Strategy, branch_of, free_name},
        commit::Author,
        gateway::{EgressPolicy, hosts::AllowList},
        ids::JobId,
        job::{Job, NewTask},
        project::Project,
    },
    ports::{
        job_files::LogEvent,
        repo::{self, Branches, Prepare, RepoError, Workspace},
    },
};

use super::{bench::Bench, kit::JobKit};

/// Waits between attempts at a remote that may come back, in seconds.
const WAITS: [u64; 4] = [2, 5, 15, 45];
/// The branch of projects that have one for all jobs.
const SHARED: &str = "atoll/work";

/// Why work came to nothing.
pub(super) enum Stop {
    /// There is no isolation; what to do about it.
    NoIsolation(String),
    /// The sandbox is gone: it may be made anew.
    Gone(String),
    /// It cannot be done, as things are.
    Failed(String),
}

impl From<BenchError> for Stop {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::NoIsolation(why) => Self::NoIsolation(why),
            BenchError::Failed(why) => Self::Failed(why),
            other => Self::Gone(other.to_string()),
        }
    }
}

impl From<RepoError> for Stop {
    fn from(error: RepoError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What work is done with.
pub(super) struct Work {
    pub(super) kit: Arc<JobKit>,
    pub(super) id: JobId,
    pub(super) task: NewTask,
    /// The job as it stood when the work began.
    pub(super) job: Job,
    /// The project as it is now.
    pub(super) project: Project,
    pub(super) bench: Bench,
    /// Where the bench tells what nobody asked for.
    pub(super) events: mpsc::Sender<BenchEvent>,
    /// Hosts that people allowed for this job.
    pub(super) hosts: BTreeSet<String>,
}

impl Work {
    /// Puts a line into the job's log.
    pub(super) fn note(&self, text: impl Into<String>) {
        self.kit.files.log(&self.id, self.kit.clock.now(), LogEvent::Note { text: text.into() });
    }

    /// Does something with a remote, again when it may only be away for a while.
    pub(super) async fn patiently<T, F>(&self, what: &str, attempt: impl Fn() -> F) -> Result<T, RepoError>
    where
        F: Future<Output = Result<T, RepoError>>,
    {
        for wait in WAITS {
            match attempt().await {
                Err(error) if error.may_pass() => {
                    self.note(format!("{what} failed and is tried again in {wait} s: {error}"));
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
                other => return other,
            }
        }
        attempt().await
    }

    /// The project's repository with what opens it.
    pub(super) fn remote(&self) -> Result<repo::Remote, Stop> {
        self.kit.origins.remote(&self.project).map_err(Stop::Failed)
    }

    /// Who commits are by: the bot, or Atoll.
    pub(super) async fn author(&self) -> Result<Author, Stop> {
        let name = match &self.task.bot {
            Some(id) => self.kit.doors.bot.ask(GetBot { id: id.clone() }).await?.map(|bot| bot.name),
            None => None,
        };
        Ok(Author::new(&name.unwrap_or_else(|| "Atoll".into()), &self.kit.settings.author_email))
    }

    /// The branch that new work begins with.
    pub(super) fn main(&self) -> Result<BranchName, Stop> {
        BranchName::parse(&self.project.settings.default_branch)
            .map_err(|error| Stop::Failed(error.to_string()))
    }

    /// The branch that the job works on: the one that it has, or a new one that no other takes.
    fn branch(&self, branches: &Branches) -> Result<BranchName, Stop> {
        let bad = |error: crate::domain::branch::BadBranch| Stop::Failed(error.to_string());
        if let Some(branch) = self.job.branch() {
            return BranchName::parse(branch).map_err(bad);
        }
        let (main, shared) = (self.main()?, BranchName::parse(SHARED).map_err(bad)?);
        let strategy = self.project.settings.strategy;
        let wanted = branch_of(strategy, self.id.as_str(), &self.task.title, &main, &shared).map_err(bad)?;
        if strategy != Strategy::FeaturePerJob {
            return Ok(wanted);
        }
        let taken = branches.all.iter().map(|branch| branch.name.to_string()).collect();
        free_name(&wanted, &taken).map_err(bad)
    }

    /// The job's workspace and its repository of the host, made when they are not there.
    pub(super) async fn workspace(&self, branches: &Branches) -> Result<Workspace, Stop> {
        let (branch, base, author) = (self.branch(branches)?, self.main()?, self.author().await?);
        let prepare = Prepare {
            project: self.project.id.to_string(),
            job: self.id.to_string(),
            branch,
            base,
            author,
            owner: None,
        };
        Ok(self.kit.repos.prepare(prepare).await?)
    }

    /// What the agent may reach; with `setup` what the project's set-up may.
    pub(super) fn policy(&self, setup: bool) -> Result<EgressPolicy, Stop> {
        policy(&self.project, &self.hosts, setup)
    }
}

/// What a job of this project may reach.
pub(super) fn policy(project: &Project, hosts: &BTreeSet<String>, setup: bool) -> Result<EgressPolicy, Stop> {
    let settings = &project.settings;
    let always = settings.allowed_presets.iter().chain(&settings.allowed_hosts).chain(hosts);
    let wider = settings.setup_presets.iter().chain(&settings.setup_hosts).filter(|_| setup);
    let allow = AllowList::parse(always.chain(wider).map(String::as_str));
    let allow = allow.map_err(|error| Stop::Failed(error.to_string()))?;
    Ok(EgressPolicy { allow, hosted_tools: false })
}

/// The project of a job, as it is now.
pub(super) async fn project_of(kit: &JobKit, task: &NewTask) -> Result<Project, DbError> {
    let of = ProjectOf::Id(task.project.clone());
    kit.doors.project.ask(FindProject { of }).await?.ok_or(DbError::NotFound("project"))
}
