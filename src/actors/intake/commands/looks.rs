//! Commands that show what there is: skills, memories, what is under way, what was spent.

use std::fmt::Write as _;

use crate::{
    actors::{db::messages::*, skill_host::messages::ListSkills},
    domain::{
        Millis,
        budget::{Amount, Dimension},
        job::{Outcome, Task, TaskFilter, title_of},
        memory::Memory,
        task_schedule::Schedule,
    },
};

use super::{Ask, sorry, work};

/// Memories that `/memory` shows, and tasks that `/tasks` does.
const SHOWN: usize = 20;
/// Tasks that are looked through.
const MOST: usize = 200;
/// Characters of each.
const PREVIEW: usize = 100;

pub(super) async fn skills(ask: &Ask<'_>) -> String {
    match ask.doors.skills.send(ListSkills).await {
        Ok(list) if list.is_empty() => "There are no skills yet.".into(),
        Ok(list) => {
            let lines: Vec<String> = list
                .iter()
                .map(|skill| {
                    let state = if skill.active { "" } else { " (not active)" };
                    format!("{}{state} — {} ({} tools)", skill.name, skill.description, skill.tools)
                })
                .collect();
            lines.join("\n")
        }
        Err(error) => sorry(error),
    }
}

pub(super) async fn memory(ask: &Ask<'_>, category: Option<String>) -> String {
    let user = ask.offer.message.user.clone();
    let list = ListMemories { user, category, limit: SHOWN, offset: 0 };
    match ask.doors.memories.ask(list).await {
        Ok(found) => memories(&found),
        Err::<_, DbError>(error) => sorry(error),
    }
}

fn memories(found: &[Memory]) -> String {
    if found.is_empty() {
        return "I remember nothing about you.".into();
    }
    let mut by_category: Vec<(&str, Vec<&Memory>)> = Vec::new();
    for memory in found {
        match by_category.iter_mut().find(|(category, _)| *category == memory.category) {
            Some((_, list)) => list.push(memory),
            None => by_category.push((&memory.category, vec![memory])),
        }
    }
    let mut text = String::new();
    for (category, list) in by_category {
        let _ = writeln!(text, "{category}:");
        for memory in list {
            let content: String = memory.content.chars().take(PREVIEW).collect();
            let more = if memory.content.chars().count() > PREVIEW { "…" } else { "" };
            let tags = match memory.tags.join(", ") {
                none if none.is_empty() => none,
                tags => format!(" (tags: {tags})"),
            };
            let _ = writeln!(text, "  [{}] {content}{more}{tags}", memory.id);
        }
    }
    text.trim_end().to_owned()
}

/// What is under way, and coding tasks; those that are over, or that come by the clock, when they are asked for.
pub(super) async fn tasks(ask: &Ask<'_>, filter: Option<&str>) -> String {
    let filter = match filter {
        Some("scheduled") => return scheduled(ask).await,
        Some("pending") => Some("queued"),
        filter => filter,
    };
    let message = &ask.offer.message;
    let chats = ask.doors.under_way.ask(UnderWay { user: message.user.clone() });
    let filter_of = TaskFilter {
        user: Some(message.by().clone()),
        over: if filter.is_none() { Some(false) } else { None },
        ..TaskFilter::default()
    };
    let jobs = ask.doors.list_tasks.ask(ListTasks { filter: filter_of, limit: MOST, offset: 0 });
    let (chats, jobs) = match (chats.await, jobs.await) {
        (Ok::<_, DbError>(chats), Ok::<(Vec<Task>, u64), DbError>((jobs, _))) => (chats, jobs),
        (Err(error), _) | (_, Err(error)) => return sorry(error),
    };
    let now = ask.clock.now();
    let fits = |state: &str| filter.is_none_or(|filter| filter == "all" || filter == state);
    let chats = chats.iter().filter(|(state, _, _)| fits(state)).map(|row| chat_line(row, now));
    let jobs = jobs.iter().filter(|task| fits(kind(task))).map(work::line);
    let lines: Vec<String> = chats.chain(jobs.take(SHOWN)).collect();
    match (lines.is_empty(), filter) {
        (false, _) => lines.join("\n"),
        (true, Some(filter @ ("completed" | "failed" | "cancelled"))) => format!("No task is {filter}."),
        (true, _) => "Nothing is under way.".into(),
    }
}

fn chat_line((state, text, since): &(String, String, Millis), now: Millis) -> String {
    let words: String = text.chars().take(PREVIEW).collect();
    format!("[{state}] {words} ({} s)", (now - since).max(0) / 1000)
}

/// The tasks that the person set up to come by the clock: what comes next first, what is switched off last.
async fn scheduled(ask: &Ask<'_>) -> String {
    let user = Some(ask.offer.message.by().clone());
    let list = ListSchedules { member: None, user, project: None, limit: MOST, offset: 0 };
    let (mut found, total) = match ask.doors.schedules.ask(list).await {
        Ok::<_, DbError>(found) => found,
        Err(error) => return sorry(error),
    };
    found.sort_by_key(|schedule| schedule.next_run_at.unwrap_or(Millis::MAX));
    let mut lines: Vec<String> = found.iter().take(SHOWN).map(schedule_line).collect();
    match total.saturating_sub(lines.len() as u64) {
        0 => {}
        more => lines.push(format!("… and {more} more")),
    }
    if lines.is_empty() { "Nothing is scheduled.".into() } else { lines.join("\n") }
}

fn schedule_line(schedule: &Schedule) -> String {
    let next = schedule.next_run_at.and_then(chrono::DateTime::from_timestamp_millis);
    let next = next.map_or_else(|| "off".into(), |at| at.format("%F %H:%M UTC").to_string());
    let title = title_of(&schedule.instruction);
    format!(
        "[{next}] {} — {title} ({}; {} {})",
        schedule.id, schedule.project, schedule.cron, schedule.timezone
    )
}

/// Under which filter a coding task is found.
fn kind(task: &Task) -> &'static str {
    match (task.head.outcome, task.head.state.as_str()) {
        (Some(Outcome::Done | Outcome::Unchanged), _) => "completed",
        (Some(Outcome::Failed | Outcome::Rejected), _) => "failed",
        (Some(Outcome::Cancelled), _) => "cancelled",
        (None, "queued") => "queued",
        (None, "parked" | "awaiting_approval") => "parked",
        (None, _) => "running",
    }
}

pub(super) async fn cost(ask: &Ask<'_>) -> String {
    let today = Today { user: ask.offer.message.user.clone(), now: ask.clock.now() };
    match ask.doors.today.ask(today).await {
        Ok((spent, reserved, _)) => spending(spent, reserved),
        Err::<_, DbError>(error) => sorry(error),
    }
}

fn spending(spent: Amount, reserved: Amount) -> String {
    let show = |dimension: Dimension| dimension.show(spent.of(dimension));
    let held = if reserved == Amount::ZERO { "" } else { " More is reserved for what runs now." };
    format!(
        "Today: {}, {}, {}, {} of work.{held}",
        show(Dimension::Money),
        show(Dimension::Tokens),
        show(Dimension::ToolCalls),
        show(Dimension::Time),
    )
}
