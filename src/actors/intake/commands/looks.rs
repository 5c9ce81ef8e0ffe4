//! Commands that show what there is: skills, memories, what is under way, what was spent.

use std::fmt::Write as _;

use crate::{
    actors::{db::messages::*, skill_host::messages::ListSkills},
    domain::{
        Millis,
        budget::{Amount, Dimension},
        job::{Outcome, Task, TaskFilter},
        memory::Memory,
    },
};

use super::{Ask, sorry, work};

/// Memories that `/memory` shows, and tasks that `/tasks` does.
const SHOWN: usize = 20;
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
            let _ = writeln!(text, "  [{}] {content}{more}", memory.id);
        }
    }
    text.trim_end().to_owned()
}

/// What is under way, and coding tasks; those that are over when they are asked for.
pub(super) async fn tasks(ask: &Ask<'_>, filter: Option<&str>) -> String {
    let message = &ask.offer.message;
    let chats = ask.doors.under_way.ask(UnderWay { user: message.user.clone() });
    let filter_of = TaskFilter {
        user: Some(message.by().clone()),
        over: if filter.is_none() { Some(false) } else { None },
        ..TaskFilter::default()
    };
    let jobs = ask.doors.list_tasks.ask(ListTasks { filter: filter_of, limit: 200, offset: 0 });
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
