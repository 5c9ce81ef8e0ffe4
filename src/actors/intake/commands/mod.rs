//! Commands: answered from the store, without a model, at once, also while a turn runs. `looks` shows things, `work` is
//! about coding tasks and questions, `own` about what a person chooses for themselves. `suggest` is what is offered while
//! one is typed.

mod looks;
mod own;
mod suggest;
mod work;

pub(super) use suggest::suggest;

use std::sync::Arc;

use crate::{
    actors::{
        db::messages::*,
        outbox::messages::Fresh,
        router::messages::{self as router, To},
        session::messages::Order,
    },
    domain::{
        command::{BadCommand, Command, WELCOME, help},
        inbound::{Accepted, Refused},
        outbound::{Body, NewOutbox, Words},
        turn::Outcome,
    },
    ports::clock::Clock,
};

use super::{
    actor::IntakeDoors,
    messages::{Offer, Taken},
};

/// What a command is answered with.
pub(super) struct Ask<'a> {
    doors: &'a IntakeDoors,
    clock: &'a dyn Clock,
    offer: &'a Offer,
}

/// Does what the command says, and stores its answer together with the message.
pub(super) async fn answer(
    doors: Arc<IntakeDoors>,
    clock: Arc<dyn Clock>,
    offer: Offer,
    command: Result<Command, BadCommand>,
) -> Result<Taken, Refused> {
    let ask = Ask { doors: &doors, clock: clock.as_ref(), offer: &offer };
    let words = match &command {
        Ok(Command::Link(_)) => Words::Secret,
        _ => Words::Plain,
    };
    let text = match command {
        Ok(command) => perform(&ask, command).await,
        Err(bad) => bad.to_string(),
    };
    let message = offer.message;
    let answer = NewOutbox {
        user: message.user.clone(),
        conversation: message.conversation.clone(),
        turn: None,
        answers: vec![message.id.clone()],
        body: Body::Answer { text, files: Vec::new(), outcome: Outcome::Answered, words },
    };
    let stored = doors.answer.ask(AnswerDirect { message, answer }).await;
    match stored {
        Ok((Accepted::New, row)) => {
            // If the outbox is down it finds the row when it is up again.
            let _ = doors.fresh.send(Fresh(row.into_iter().collect())).await;
            Ok(Taken::New)
        }
        Ok((Accepted::Duplicate { first }, _)) => Ok(Taken::Duplicate(first)),
        Err(DbError::KeyReused) => Err(Refused::KeyReused),
        Err(error) => Err(Refused::Unavailable(error.to_string())),
    }
}

async fn perform(ask: &Ask<'_>, command: Command) -> String {
    let order = |order: Order| {
        let to = To::One(ask.offer.message.conversation.clone());
        let told = ask.doors.command.send(router::Command { to, order });
        async move { told.await.unwrap_or(0) > 0 }
    };
    match command {
        Command::Start => WELCOME.into(),
        Command::Help => help(),
        Command::Skills => looks::skills(ask).await,
        Command::Memory(category) => looks::memory(ask, category).await,
        Command::Tasks(filter) => looks::tasks(ask, filter.as_deref()).await,
        Command::Cost => looks::cost(ask).await,
        Command::Cancel(Some(job)) => work::cancel(ask, &job).await,
        Command::Cancel(None) if order(Order::Cancel).await => "Cancelled.".into(),
        Command::Cancel(None) => "There is nothing to cancel.".into(),
        Command::Stop if order(Order::Stop).await => "Stopped the running tool.".into(),
        Command::Stop => "No tool is running.".into(),
        Command::Clear if order(Order::Clear).await => {
            "We begin anew. What I remember about you stays; /memory shows it.".into()
        }
        Command::Clear => "The conversation could not be cleared; please try again.".into(),
        Command::Model(name) => own::model(ask, name).await,
        Command::Verbosity(level) => own::verbosity(ask, level).await,
        Command::Link(code) => own::link(ask, code.is_some()).await,
        Command::Approve(id) => work::decide(ask, &id, true, None).await,
        Command::Reject(id, reason) => work::decide(ask, &id, false, reason).await,
        Command::Projects => work::projects(ask).await,
        Command::Task { project, instruction } => work::task(ask, &project, instruction).await,
        Command::Status(job) => work::status(ask, job.as_deref()).await,
    }
}

fn sorry(error: impl ToString) -> String {
    format!("Not now: {}.", error.to_string())
}
