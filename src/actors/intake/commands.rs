//! Commands: answered from the store, without a model, at once, also while a turn runs.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    actors::{
        db::messages::*,
        outbox::messages::Fresh,
        router::messages::{self as router, To},
        session::messages::Order,
        skill_host::messages::ListSkills,
    },
    domain::{
        Millis, approval,
        budget::{Amount, Dimension},
        command::{BadCommand, Command, help},
        ids::ApprovalId,
        inbound::{Accepted, Refused},
        memory::Memory,
        outbound::{Body, NewOutbox},
        turn::Outcome,
    },
};

use super::{
    actor::IntakeDoors,
    messages::{Offer, Taken},
};

/// Memories that `/memory` shows.
const SHOWN: usize = 20;
/// Characters of each.
const PREVIEW: usize = 100;

/// Does what the command says, and stores its answer together with the message.
pub(super) async fn answer(
    doors: Arc<IntakeDoors>,
    offer: Offer,
    command: Result<Command, BadCommand>,
    now: Millis,
) -> Result<Taken, Refused> {
    let text = match command {
        Ok(command) => perform(&doors, &offer, command, now).await,
        Err(bad) => bad.to_string(),
    };
    let message = offer.message;
    let answer = NewOutbox {
        user: message.user.clone(),
        conversation: message.conversation.clone(),
        turn: None,
        answers: vec![message.id.clone()],
        body: Body::Answer { text, files: Vec::new(), outcome: Outcome::Answered },
    };
    let stored = doors.answer.ask(AnswerDirect { message, answer }).await;
    match stored {
        Ok((Accepted::New, row)) => {
            // If the outbox is down the row is found there by its next look.
            let _ = doors.fresh.send(Fresh(row.into_iter().collect())).await;
            Ok(Taken::New)
        }
        Ok((Accepted::Duplicate { first }, _)) => Ok(Taken::Duplicate(first)),
        Err(DbError::KeyReused) => Err(Refused::KeyReused),
        Err(error) => Err(Refused::Unavailable(error.to_string())),
    }
}

async fn perform(doors: &IntakeDoors, offer: &Offer, command: Command, now: Millis) -> String {
    let message = &offer.message;
    let user = message.user.clone();
    let order = |order: Order| {
        let to = To::One(message.conversation.clone());
        let told = doors.command.send(router::Command { to, order });
        async move { told.await.unwrap_or(0) > 0 }
    };
    match command {
        Command::Help => help(),
        Command::Skills => skills(doors).await,
        Command::Memory(category) => {
            let list = ListMemories { user, category, limit: SHOWN, offset: 0 };
            match doors.memories.ask(list).await {
                Ok(found) => memories(&found),
                Err(error) => sorry(&error),
            }
        }
        Command::Tasks(filter) => match doors.under_way.ask(UnderWay { user }).await {
            Ok(found) => tasks(&found, filter.as_deref(), now),
            Err(error) => sorry(&error),
        },
        Command::Cost => match doors.today.ask(Today { user, now }).await {
            Ok((spent, reserved, _)) => cost(spent, reserved),
            Err(error) => sorry(&error),
        },
        Command::Cancel if order(Order::Cancel).await => "Cancelled.".into(),
        Command::Cancel => "There is nothing to cancel.".into(),
        Command::Stop if order(Order::Stop).await => "Stopped the running tool.".into(),
        Command::Stop => "No tool is running.".into(),
        Command::Clear if order(Order::Clear).await => {
            "We begin anew. What I remember about you stays; /memory shows it.".into()
        }
        Command::Clear => "The conversation could not be cleared; please try again.".into(),
        Command::Approve(id) => decide(doors, offer, id, true, None, now).await,
        Command::Reject(id, reason) => decide(doors, offer, id, false, reason, now).await,
    }
}

async fn decide(
    doors: &IntakeDoors,
    offer: &Offer,
    id: String,
    approve: bool,
    reason: Option<String>,
    now: Millis,
) -> String {
    let user = offer.message.user.clone();
    let answer = approval::Answer {
        id: ApprovalId::new(id),
        approve,
        reason,
        by: user.to_string(),
        actor: format!("user:{user}"),
        user,
        owner: offer.owner,
        member: false,
        choice: approval::Choice::default(),
        now,
    };
    match doors.decide.ask(Decide { answer }).await {
        Ok(decided) => {
            let to = To::One(decided.approval.conversation);
            let order = Order::Decided { approval: decided.approval.id, verdict: decided.verdict };
            // If the session is down it finds the answer in the store when it is started again.
            let _ = doors.command.send(router::Command { to, order }).await;
            if approve { "Approved.".into() } else { "Rejected.".into() }
        }
        Err(error) => format!("Not done: {error}."),
    }
}

async fn skills(doors: &IntakeDoors) -> String {
    match doors.skills.send(ListSkills).await {
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
        Err(error) => format!("Not now: {error}."),
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

fn tasks(found: &[(String, String, Millis)], filter: Option<&str>, now: Millis) -> String {
    let shown: Vec<String> = found
        .iter()
        .filter(|(state, _, _)| filter.is_none_or(|filter| filter == "all" || filter == state))
        .map(|(state, text, since)| {
            let words: String = text.chars().take(PREVIEW).collect();
            format!("[{state}] {words} ({} s)", (now - since).max(0) / 1000)
        })
        .collect();
    if shown.is_empty() { "Nothing is under way.".into() } else { shown.join("\n") }
}

fn cost(spent: Amount, reserved: Amount) -> String {
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

fn sorry(error: &DbError) -> String {
    format!("Not now: {error}.")
}
