//! Pull requests of jobs that are done: what became of them, what was said there, how their checks went.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    actors::{
        db::messages::{DbError, FindProject, GetBot, NoteRequest, ProjectOf, WatchedRequests},
        jobs::messages::{JobOrder, JobRefused, TellJob},
    },
    domain::{
        bot::{
            BotState,
            requests::{self, FailedCheck, Said, Standing, Watch},
        },
        ids::{JobId, ProjectId},
        job::Task,
        project::Project,
    },
    ports::forge::{CheckState, Forge, ForgeError, RequestState},
};

use super::kit::BotsKit;

/// Most pull requests of one look.
const PAGE: usize = 50;

/// A project and where its pull requests live; `None` when they cannot be looked at.
type Place = Option<(Project, Arc<dyn Forge>)>;

/// Looks at all that may still be open; says at how many. A forge that asks to wait, or cannot be reached, is left alone
/// until the next look.
pub(super) async fn look(kit: Arc<BotsKit>) -> Result<u64, String> {
    let watched =
        kit.doors.watched.ask(WatchedRequests { limit: PAGE }).await.map_err(|error| error.to_string())?;
    let mut forges: BTreeMap<ProjectId, Place> = BTreeMap::new();
    let mut looked = 0;
    for (task, watch) in watched {
        let id = task.asked.project.clone();
        if !forges.contains_key(&id) {
            forges.insert(id.clone(), forge(&kit, &id).await);
        }
        let outcome = match forges.get(&id) {
            Some(Some((project, forge))) => one(&kit, project, forge.as_ref(), &task, watch.clone()).await,
            _ => note(&kit, &task.asked.id, watch.clone()).await,
        };
        match outcome {
            Ok(()) => looked += 1,
            Err(Trouble::Forge(error)) => {
                tracing::warn!(project = %id, job = %task.asked.id, %error, "a pull request cannot be looked at");
                if error.may_pass() {
                    forges.insert(id, None);
                }
                // It goes behind the others, which may be looked at.
                note(&kit, &task.asked.id, watch).await.map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(looked)
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Forge(#[from] ForgeError),
    #[error(transparent)]
    Store(#[from] DbError),
}

async fn forge(kit: &BotsKit, id: &ProjectId) -> Place {
    let of = ProjectOf::Id(id.clone());
    let project = kit.doors.project.ask(FindProject { of }).await.ok().flatten()?;
    match kit.origins.forge(&project) {
        Ok(forge) => forge.map(|forge| (project, forge)),
        Err(error) => {
            tracing::warn!(project = %id, error, "pull requests cannot be looked at");
            None
        }
    }
}

async fn one(
    kit: &BotsKit,
    project: &Project,
    forge: &dyn Forge,
    task: &Task,
    watch: Watch,
) -> Result<(), Trouble> {
    let job = &task.asked.id;
    if let Some(instruction) = &watch.pending {
        return go_on(kit, job, instruction.clone(), watch).await;
    }
    let Some(number) = requests::number_of(&watch.url) else { return note(kit, job, watch).await };
    let request = forge.state(number).await?;
    let standing = match request.state {
        RequestState::Open => Standing::Open,
        RequestState::Merged => Standing::Merged,
        RequestState::Closed => Standing::Closed,
    };
    let watch = Watch { standing, ..watch };
    if standing != Standing::Open || !project.settings.watch_requests {
        return note(kit, job, watch).await;
    }
    let bot = match &task.asked.bot {
        Some(id) => kit.doors.bot.ask(GetBot { id: id.clone() }).await?,
        None => None,
    };
    // A stopped bot does nothing: what is said meanwhile waits for it.
    if bot.as_ref().is_some_and(|bot| bot.state == BotState::Stopped) {
        return note(kit, job, watch).await;
    }
    let said = forge.comments(number, watch.since).await?.into_iter().map(|comment| Said {
        place: comment.path.map(|path| match comment.line {
            Some(line) => format!("{path}:{line}"),
            None => path,
        }),
        id: comment.id,
        author: comment.author,
        body: comment.body,
        at: comment.at,
    });
    let said: Vec<Said> = said.collect();
    let checks = forge.checks(request.commit.clone()).await?;
    let over = checks.iter().all(|check| check.state != CheckState::Pending);
    let failed = checks.into_iter().filter(|check| over && check.state == CheckState::Failed);
    let failed: Vec<_> = failed.map(|check| FailedCheck { name: check.name, words: check.words }).collect();
    let name = bot.as_ref().map(|bot| bot.name.as_str());
    let watch = requests::look(&watch, name, &said, &request.commit, &failed);
    note(kit, job, watch.clone()).await?;
    match watch.pending.clone() {
        Some(instruction) => go_on(kit, job, instruction, watch).await,
        None => Ok(()),
    }
}

async fn note(kit: &BotsKit, job: &JobId, watch: Watch) -> Result<(), Trouble> {
    let now = kit.clock.now();
    Ok(kit.doors.note_request.ask(NoteRequest { job: job.clone(), watch, now }).await?)
}

/// Lets a job go on with the news. What it is to go on with is stored before, and let go with the entry that it did: a
/// restart between them repeats nothing and loses nothing.
async fn go_on(kit: &BotsKit, job: &JobId, instruction: String, watch: Watch) -> Result<(), Trouble> {
    let order = JobOrder::Continue { instruction };
    match kit.doors.tell.ask(TellJob { job: job.clone(), order }).await {
        Ok(()) => Ok(()),
        // It will never go on: its journal was let go.
        Err(JobRefused::Store(DbError::Board(error))) => {
            tracing::warn!(%job, %error, "a task cannot go on with the news at its pull request");
            note(kit, job, Watch { pending: None, ..watch }).await
        }
        Err(error) => {
            tracing::warn!(%job, %error, "a task does not go on with the news at its pull request yet");
            Ok(())
        }
    }
}
