//! Commands about coding tasks and about questions: give one, see where it stands, answer.

use crate::{
    actors::{
        db::messages::*,
        jobs::messages::{JobOrder, JobRefused, Submit, TellJob},
    },
    domain::{
        access::Role,
        approval::{self, Approval, Status},
        audit::Act,
        board::Refusal,
        bot::Engine,
        budget::Dimension,
        command::meant,
        ids::{ApprovalId, JobId, ProjectId, UserId, encode_short, short_of},
        job::{NewTask, Priority, Task, TaskFilter, check_instruction, title_of},
    },
};

use super::{super::actor::IntakeDoors, Ask, sorry};

/// Projects, tasks and questions that are looked through.
const MOST: usize = 200;
/// Tasks that `/status` shows.
const SHOWN: usize = 10;

/// A coding task in one line.
pub(super) fn line(task: &Task) -> String {
    format!("[{}] {} — {} ({})", task.head.state, task.asked.id, task.asked.title, task.asked.project)
}

pub(super) async fn projects(ask: &Ask<'_>) -> String {
    let member = (ask.offer.role != Role::Owner).then(|| ask.offer.message.by().clone());
    match ask.doors.projects.ask(ListProjects { member, limit: MOST, offset: 0 }).await {
        Ok::<_, DbError>((found, _)) if found.is_empty() => {
            "There are no projects that you are in; an owner makes one: atoll project add".into()
        }
        Ok((found, total)) => {
            let mut lines: Vec<String> =
                found.iter().map(|project| format!("{} — {}", project.id, project.name)).collect();
            if total > found.len() as u64 {
                lines.push(format!("… and {} more", total - found.len() as u64));
            }
            lines.join("\n")
        }
        Err(error) => sorry(error),
    }
}

pub(super) async fn task(ask: &Ask<'_>, project: &str, instruction: String) -> String {
    let message = &ask.offer.message;
    let user = message.by().clone();
    let none = || format!("There is no project `{project}` that you are in; /projects lists them.");
    let of = ProjectOf::Id(ProjectId::new(project));
    let found = match ask.doors.project.ask(FindProject { of }).await {
        Ok::<_, DbError>(found) => found,
        Err(error) => return sorry(error),
    };
    let role = found.as_ref().and_then(|found| found.role_of(&user, ask.offer.role));
    let (Some(found), Some(role)) = (found, role) else { return none() };
    if role < Role::Developer {
        return format!(
            "To give tasks in {} takes a developer's role there; yours is {}.",
            found.id,
            role.as_str()
        );
    }
    if let Err(bad) = check_instruction(&instruction) {
        return format!("Not taken: {bad}.");
    }
    let chosen = match ask.doors.user.ask(GetUser { user: user.clone() }).await {
        Ok::<_, DbError>(known) => known.and_then(|known| known.verbosity),
        Err(error) => return sorry(error),
    };
    // The same message leads to the same task, however often it comes.
    let id = match &message.external_id {
        Some(external) => short_of(&format!("task/{}/{external}", message.channel)),
        None => encode_short(ask.clock.fresh()),
    };
    let task = NewTask {
        id: JobId::new(id),
        project: found.id.clone(),
        actor: format!("user:{user}"),
        user,
        title: title_of(&instruction),
        instruction,
        system: String::new(),
        engine: Engine::default(),
        model: None,
        priority: Priority::Interactive,
        verbosity: chosen.unwrap_or_default(),
        callback_url: None,
        bot: None,
        story: None,
        attachments: message.attachments.clone(),
        discovery: false,
        conversation: Some(message.conversation.clone()),
        at: ask.clock.now(),
    };
    submit(ask, task).await
}

async fn submit(ask: &Ask<'_>, task: NewTask) -> String {
    let (id, title) = (task.id.clone(), task.title.clone());
    let act = Act {
        at: task.at,
        actor: task.actor.clone(),
        action: "task.created".into(),
        subject: id.to_string(),
        details: format!("{title} in {}", task.project),
    };
    match ask.doors.submit.ask(Submit { task, act }).await {
        Ok(_) | Err(JobRefused::Store(DbError::Board(Refusal::Taken { .. }))) => format!(
            "Task {id} is taken: {title}\nI tell you here when it is done or asks something; /status {id} shows where it \
             stands."
        ),
        Err(refused) => sorry(refused),
    }
}

/// My tasks, those that are not over first.
async fn mine(ask: &Ask<'_>) -> Result<Vec<Task>, DbError> {
    tasks_of(ask.doors, ask.offer.message.by(), None).await
}

/// The tasks of a person, those that are not over first; all of them, or those that are over or not.
pub(super) async fn tasks_of(
    doors: &IntakeDoors,
    user: &UserId,
    over: Option<bool>,
) -> Result<Vec<Task>, DbError> {
    let filter = TaskFilter { user: Some(user.clone()), over, ..TaskFilter::default() };
    let (mut found, _) = doors.list_tasks.ask(ListTasks { filter, limit: MOST, offset: 0 }).await?;
    found.sort_by_key(|task| task.head.over);
    Ok(found)
}

/// Ends a task: one's own, or one of a project in which one may give tasks.
pub(super) async fn cancel(ask: &Ask<'_>, given: &str) -> String {
    let open = match tasks_of(ask.doors, ask.offer.message.by(), Some(false)).await {
        Ok(open) => open,
        Err(error) => return sorry(error),
    };
    let job = match meant(given, open.iter().map(|task| task.asked.id.as_str())) {
        Ok(id) => JobId::new(id),
        Err(several) if !several.is_empty() => return among("tasks", &several),
        Err(_) => JobId::new(given),
    };
    let project = ask.doors.project.ask(FindProject { of: ProjectOf::Job(job.clone()) }).await;
    let role = match project {
        Ok::<_, DbError>(project) => {
            project.and_then(|project| project.role_of(ask.offer.message.by(), ask.offer.role))
        }
        Err(error) => return sorry(error),
    };
    match role {
        None => format!(
            "There is no task `{given}` of yours; /status lists them. /cancel alone ends what I am doing here."
        ),
        Some(role) if role < Role::Developer => {
            format!("To end tasks there takes a developer's role; yours is {}.", role.as_str())
        }
        Some(_) => {
            let told = ask.doors.answers.tell_job.send(TellJob { job: job.clone(), order: JobOrder::Cancel });
            match told.await {
                Ok(Ok(())) => format!("Task {job} is cancelled."),
                Ok(Err(refused)) => format!("Not done: {refused}."),
                Err(error) => sorry(error),
            }
        }
    }
}

pub(super) async fn status(ask: &Ask<'_>, job: Option<&str>) -> String {
    let mine = match mine(ask).await {
        Ok(mine) => mine,
        Err(error) => return sorry(error),
    };
    let Some(given) = job else {
        let lines: Vec<String> = mine.iter().take(SHOWN).map(line).collect();
        return if lines.is_empty() {
            "You have given no tasks yet; /task PROJECT INSTRUCTION gives one.".into()
        } else {
            lines.join("\n")
        };
    };
    let ids = mine.iter().map(|task| task.asked.id.as_str());
    match meant(given, ids) {
        Ok(id) => mine.iter().find(|task| task.asked.id.as_str() == id).map(all_of).unwrap_or_default(),
        Err(several) if !several.is_empty() => among("tasks", &several),
        Err(_) => others(ask, given).await,
    }
}

/// A task that somebody else gave, in a project that I am in.
async fn others(ask: &Ask<'_>, given: &str) -> String {
    let none = format!("There is no task `{given}` of yours; /status lists them.");
    let job = JobId::new(given);
    let project = ask.doors.project.ask(FindProject { of: ProjectOf::Job(job.clone()) }).await;
    let project = match project {
        Ok::<_, DbError>(project) => project,
        Err(error) => return sorry(error),
    };
    if project.and_then(|project| project.role_of(ask.offer.message.by(), ask.offer.role)).is_none() {
        return none;
    }
    match ask.doors.task.ask(GetTask { job }).await {
        Ok::<_, DbError>(Some(task)) => all_of(&task),
        Ok(None) => none,
        Err(error) => sorry(error),
    }
}

fn all_of(task: &Task) -> String {
    let (head, spent) = (&task.head, &task.spent.amount);
    let mut lines = vec![line(task)];
    if !head.text.is_empty() {
        lines.push(head.text.clone());
    }
    for (what, words) in [("Branch", &head.branch), ("Pull request", &head.url)] {
        if let Some(words) = words {
            lines.push(format!("{what}: {words}"));
        }
    }
    if let Some(approval) = &head.approval {
        lines.push(format!("It waits for: /approve {approval}   or   /reject {approval} REASON"));
    }
    let show = |dimension: Dimension| dimension.show(spent.of(dimension));
    lines.push(format!(
        "Spent: {}, {}, {}",
        show(Dimension::Money),
        show(Dimension::Tokens),
        show(Dimension::Time)
    ));
    lines.join("\n")
}

fn among(what: &str, several: &[&str]) -> String {
    format!("Several {what} begin so, or that is too short: {}", several.join(", "))
}

/// Open questions: all of them for an owner, else those of the person and of whose conversation it is.
pub(super) async fn open_questions(
    doors: &IntakeDoors,
    role: Role,
    by: &UserId,
    here: &UserId,
) -> Result<Vec<Approval>, DbError> {
    let open = async |user| {
        doors.approvals.ask(ListApprovals { user, status: Some(Status::Pending), limit: MOST }).await
    };
    if role == Role::Owner {
        return open(None).await;
    }
    let mut found: Vec<Approval> = open(Some(by.clone())).await?;
    if here != by {
        found.extend(open(Some(here.clone())).await?);
    }
    Ok(found)
}

/// The question that is meant: by its id or the beginning of it, or by the task that asks it.
async fn question(ask: &Ask<'_>, given: &str) -> Result<ApprovalId, String> {
    let message = &ask.offer.message;
    let open = open_questions(ask.doors, ask.offer.role, message.by(), &message.user);
    let found = open.await.map_err(sorry)?;
    match meant(given, found.iter().map(|approval| approval.id.as_str())) {
        Ok(id) => return Ok(ApprovalId::new(id)),
        Err(several) if several.len() > 1 => return Err(among("questions", &several)),
        Err(_) => {}
    }
    let of_job =
        |approval: &&Approval| approval.job().is_some_and(|job| meant(given, [job.as_str()]).is_ok());
    let by_job: Vec<&Approval> = found.iter().filter(of_job).collect();
    match by_job.as_slice() {
        [one] => Ok(one.id.clone()),
        // Of a project that I am in, or none: the store knows.
        [] => Ok(ApprovalId::new(given)),
        several => {
            Err(among("questions", &several.iter().map(|approval| approval.id.as_str()).collect::<Vec<_>>()))
        }
    }
}

pub(super) async fn decide(ask: &Ask<'_>, given: &str, approve: bool, reason: Option<String>) -> String {
    let id = match question(ask, given).await {
        Ok(id) => id,
        Err(why) => return why,
    };
    let user = ask.offer.message.by().clone();
    let answer = approval::Answer {
        id,
        approve,
        reason,
        by: user.to_string(),
        actor: format!("user:{user}"),
        user,
        owner: ask.offer.role == Role::Owner,
        member: false,
        choice: approval::Choice::default(),
        now: ask.clock.now(),
    };
    match ask.doors.answers.give(answer, ask.offer.role).await {
        Ok(_) if approve => "Approved.".into(),
        Ok(_) => "Rejected.".into(),
        Err(error) => format!("Not done: {error}."),
    }
}
