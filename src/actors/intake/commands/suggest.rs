//! What is offered while a command is typed: only what the person may see, and could say.

use crate::{
    actors::{db::messages::*, kernel::Unreachable, llm_pool::messages::Providers},
    domain::{
        access::Role,
        ids::UserId,
        job::Task,
        offer::{Offered, fitting},
    },
};

use super::{
    super::{actor::IntakeDoors, messages::Suggest},
    own, work,
};

/// Projects that are looked through.
const PROJECTS: usize = 500;

/// Why nothing can be offered.
#[derive(Debug, thiserror::Error)]
enum Nothing {
    #[error(transparent)]
    Store(#[from] DbError),
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// What fits what is typed. It is a comfort: when it cannot be found, nothing is offered.
pub(in crate::actors::intake) async fn suggest(doors: &IntakeDoors, asked: Suggest) -> Vec<Offered> {
    let needed = match asked.command.as_str() {
        "memory" | "status" => Role::Viewer,
        _ => Role::Developer,
    };
    if asked.role < needed {
        return Vec::new();
    }
    let found = match (asked.command.as_str(), asked.option.as_str()) {
        ("task", "project") => projects(doors, &asked).await,
        ("approve" | "reject", "id") => questions(doors, &asked).await,
        ("status", "job") => tasks(doors, &asked.by, None).await,
        ("cancel", "job") => tasks(doors, &asked.by, Some(false)).await,
        ("memory", "category") => categories(doors, &asked).await,
        ("model", "name") => models(doors).await,
        _ => Ok(Vec::new()),
    };
    match found {
        Ok(all) => fitting(&asked.typed, all),
        Err(error) => {
            tracing::debug!(command = asked.command, %error, "nothing can be offered to somebody who types");
            Vec::new()
        }
    }
}

/// The projects in which they may give tasks.
async fn projects(doors: &IntakeDoors, asked: &Suggest) -> Result<Vec<Offered>, Nothing> {
    let member = (asked.role != Role::Owner).then(|| asked.by.clone());
    let list = ListProjects { member, limit: PROJECTS, offset: 0 };
    let (found, _) = doors.projects.ask(list).await.map_err(|error: DbError| error)?;
    let may = found
        .into_iter()
        .filter(|project| project.role_of(&asked.by, asked.role).is_some_and(|role| role >= Role::Developer));
    Ok(may.map(|project| Offered::about(project.id.to_string(), &project.name)).collect())
}

/// The questions that they may answer.
async fn questions(doors: &IntakeDoors, asked: &Suggest) -> Result<Vec<Offered>, Nothing> {
    let open = work::open_questions(doors, asked.role, &asked.by, &asked.user).await?;
    let about = |preview: &str| preview.lines().find(|line| !line.trim().is_empty()).map(str::to_owned);
    let offered = open.into_iter().map(|approval| {
        Offered::about(approval.id.to_string(), &about(&approval.preview).unwrap_or_default())
    });
    Ok(offered.collect())
}

/// Their own tasks, those that are not over first.
async fn tasks(doors: &IntakeDoors, by: &UserId, over: Option<bool>) -> Result<Vec<Offered>, Nothing> {
    let mine = work::tasks_of(doors, by, over).await?;
    let about = |task: &Task| format!("{} [{}]", task.asked.title, task.head.state);
    Ok(mine.iter().map(|task| Offered::about(task.asked.id.to_string(), &about(task))).collect())
}

/// The kinds of what is remembered about whose conversation it is.
async fn categories(doors: &IntakeDoors, asked: &Suggest) -> Result<Vec<Offered>, Nothing> {
    let list = MemoryCategories { user: asked.user.clone() };
    let found = doors.categories.ask(list).await.map_err(|error: DbError| error)?;
    Ok(found.into_iter().map(Offered::word).collect())
}

/// The models that may answer, and the word for any of them.
async fn models(doors: &IntakeDoors) -> Result<Vec<Offered>, Nothing> {
    let providers = doors.providers.send(Providers).await?;
    let any = Offered::about(own::ANY, "any of them");
    let all = providers.into_iter().map(|provider| Offered::about(provider.model, &provider.name));
    Ok(all.chain([any]).collect())
}
